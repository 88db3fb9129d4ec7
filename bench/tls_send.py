"""Measures what TLS costs a client that sends: Python's SSLSocket, as it was used before, and `stores.tls`, in turns.

    python -m bench.tls_send [--rounds 7] [--parts 16] [--puts 2000]

CPU seconds of this process per GiB in puts of 64 MiB, and CPU microseconds per put of 4 KiB, one connection each, to
the null sink over https. No signing, no claim. Prints a table on standard error and JSON on standard output.
"""

from __future__ import annotations

import argparse
import json
import socket
import ssl
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

from bench.null_sink.process import NullSink
from stores.http_head import END, parse_head, request_head
from stores.sockets import set_kernel_limits
from stores.tls import TlsConnection
from tests.support.content import content

BUCKET = "tls"
PART_BYTES, PUT_BYTES = 64 << 20, 4096
SLICE_BYTES = 1 << 20
WAIT_S = 60.0
Connection = ssl.SSLSocket | TlsConnection
Way = Callable[[socket.socket, ssl.SSLContext, str], Connection]


def by_socket(plain: socket.socket, context: ssl.SSLContext, host: str) -> ssl.SSLSocket:
    """Returns a connection as it was made before."""
    plain.settimeout(WAIT_S)
    return context.wrap_socket(plain, server_hostname=host)


def in_memory(plain: socket.socket, context: ssl.SSLContext, host: str) -> TlsConnection:
    """Returns a connection as it is made now."""
    set_kernel_limits(plain, WAIT_S)
    return TlsConnection(plain, context, host)


WAYS: dict[str, Way] = {"SSLSocket": by_socket, "in memory": in_memory}


def put(connection: Connection, key: str, body: memoryview) -> None:
    """Sends one put, and receives its answer, which has no body."""
    headers = {"Host": "sink", "Content-Length": str(len(body)), "x-amz-content-sha256": "UNSIGNED-PAYLOAD"}
    head = request_head("PUT", f"/{BUCKET}/{key}", {**headers, "Authorization": "AWS4-HMAC-SHA256 unchecked"})
    if len(body) <= PUT_BYTES:
        connection.sendall(head + body)
    else:
        connection.sendall(head)
        for begin in range(0, len(body), SLICE_BYTES):
            connection.sendall(body[begin : begin + SLICE_BYTES])
    came = b""
    while END not in came:
        came += connection.recv(65536)
    status = parse_head(came.partition(END)[0]).status
    if status != 200:
        raise SystemExit(f"the null sink answers {status}")


def cpu_s(sink: NullSink, way: Way, body: memoryview, count: int) -> float:
    """Returns the CPU seconds of so many puts."""
    place = urlsplit(sink.endpoint)
    host = place.hostname or ""
    context = ssl.create_default_context(cafile=str(sink.ca_file))
    plain = socket.create_connection((host, place.port or 443))
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with closing(way(plain, context, host)) as connection:
        begin_s = time.process_time()
        for number in range(count):
            put(connection, f"{number:06}", body)
        return time.process_time() - begin_s


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--parts", type=int, default=16)
    parser.add_argument("--puts", type=int, default=2000)
    asked = parser.parse_args()
    large, small = memoryview(content(1, PART_BYTES)), memoryview(content(2, PUT_BYTES))
    gib = asked.parts * PART_BYTES / (1 << 30)
    rounds: list[dict[str, tuple[float, float]]] = []
    with tempfile.TemporaryDirectory() as folder, NullSink.start(Path(folder), tls=True) as sink:
        sink.make_bucket(BUCKET)
        for _ in range(asked.rounds):
            rounds.append({
                name: (
                    cpu_s(sink, way, large, asked.parts) / gib,
                    cpu_s(sink, way, small, asked.puts) / asked.puts * 1e6,
                )
                for name, way in WAYS.items()
            })  # fmt: skip
    print("| way | CPU s per GiB | CPU us per put of 4 KiB |\n|---|---|---|", file=sys.stderr)
    for name in WAYS:
        columns = [sorted(found) for found in zip(*(one[name] for one in rounds), strict=True)]
        (gibs, puts) = [(statistics.median(found), found[0], found[-1]) for found in columns]
        print("| {} | {:.2f} ({:.2f}-{:.2f}) | {:.0f} ({:.0f}-{:.0f}) |".format(name, *gibs, *puts), file=sys.stderr)
    print(json.dumps(rounds))


if __name__ == "__main__":
    main()
