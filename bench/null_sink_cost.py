"""What the null sink itself costs: CPU of its process, so that it is known when it would be the brake.

    python -m bench.null_sink_cost [--rounds N] [--size-mib N]

Prints a table and JSON: CPU seconds per GiB for parts of 64 MiB with each kind of claim, microseconds per put of 4 KiB
over one and eight connections, microseconds per entry of a listing; medians of the rounds, over http and https. The
clients run here, each with a body that was made and framed beforehand.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import statistics
import tempfile
import zlib
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

from awscrt.checksums import crc32c

from bench.null_sink.process import NullSink
from tests.support.content import content

_GIB = 1 << 30
_MIB = 1 << 20
_PART_BYTES = 64 * _MIB
_FRAME_BYTES = 64 << 10
_SLICE_BYTES = 256 << 10
_PUT_BYTES = 4096
_PUTS = 2000
_BUCKET = "cost"
_SIGNED = {"Authorization": "AWS4-HMAC-SHA256 unchecked", "x-amz-content-sha256": "UNSIGNED-PAYLOAD"}


@dataclass(frozen=True, slots=True)
class Message:
    """A body as it is sent, and the headers that claim its checksum."""

    body: memoryview
    headers: Mapping[str, str]


def big_endian(crc: int) -> str:
    """Returns a CRC of 32 bits as S3 writes it."""
    return base64.b64encode(crc.to_bytes(4, "big")).decode()


def framed(body: memoryview, trailer: str) -> memoryview:
    """Returns a body in unsigned chunks of aws-chunked with one trailer."""
    frames = bytearray()
    for start in range(0, len(body), _FRAME_BYTES):
        frame = body[start : start + _FRAME_BYTES]
        frames += f"{len(frame):x}\r\n".encode() + frame + b"\r\n"
    return memoryview(frames + f"0\r\n{trailer}\r\n\r\n".encode())


def messages(body: memoryview) -> dict[str, Message]:
    """Returns the ways of sending a body, by name."""
    chunks = framed(body, f"x-amz-checksum-crc32:{big_endian(zlib.crc32(body))}")
    trailer = {
        "x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "Content-Encoding": "aws-chunked",
        "x-amz-trailer": "x-amz-checksum-crc32", "x-amz-decoded-content-length": str(len(body)),
    }  # fmt: skip
    md5 = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
    return {
        "CRC32C": Message(body, {"x-amz-checksum-crc32c": big_endian(crc32c(body))}),
        "CRC32": Message(body, {"x-amz-checksum-crc32": big_endian(zlib.crc32(body))}),
        "CRC32 in a trailer": Message(chunks, trailer),
        "no claim": Message(body, {}),
        "Content-MD5": Message(body, {"Content-MD5": md5}),
    }


def send(connection: HTTPConnection, method: str, path: str, message: Message | None = None) -> bytes:
    """Sends one request and returns the answer's body."""
    connection.putrequest(method, path)
    body = message.body if message else memoryview(b"")
    headers = {**_SIGNED, "Content-Length": str(len(body)), **(message.headers if message else {})}
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    for start in range(0, len(body), _SLICE_BYTES):
        connection.send(body[start : start + _SLICE_BYTES])
    answer = connection.getresponse()
    said = answer.read()
    if answer.status >= 300:
        raise SystemExit(f"{method} {path}: {answer.status} {said!r}")
    return said


def cpu_s(sink: NullSink, work: Callable[[], object]) -> float:
    """Returns the CPU seconds of the sink's process during some work."""
    before = sink.counters()["cpu_s"]
    work()
    return float(sink.counters()["cpu_s"] - before)


def part_cost(sink: NullSink, message: Message, size_bytes: int) -> float:
    """Returns CPU seconds per GiB."""
    connection = sink.connection()
    said = send(connection, "POST", f"/{_BUCKET}/large?uploads").decode()
    upload = said.partition("<UploadId>")[2].partition("<")[0]
    count = max(1, size_bytes // _PART_BYTES)

    def work() -> None:
        for number in range(1, count + 1):
            send(connection, "PUT", f"/{_BUCKET}/large?partNumber={number}&uploadId={upload}", message)

    try:
        return cpu_s(sink, work) / (count * _PART_BYTES / _GIB)
    finally:
        send(connection, "DELETE", f"/{_BUCKET}/large?uploadId={upload}")
        connection.close()


def put_cost(sink: NullSink, message: Message, connections: int) -> float:
    """Returns CPU microseconds per put of 4 KiB with five attributes."""
    metadata = {f"x-amz-meta-file-{name}": "1734968895000" for name in ("a", "b", "c", "d", "e")}
    small = Message(message.body, {**message.headers, **metadata})

    def puts(number: int) -> None:
        connection = sink.connection()
        for name in range(_PUTS // connections):
            send(connection, "PUT", f"/{_BUCKET}/small/{number}/{name:06}", small)
        connection.close()

    def work() -> None:
        with ThreadPoolExecutor(connections) as threads:
            list(threads.map(puts, range(connections)))

    return cpu_s(sink, work) / _PUTS * 1e6


def list_cost(sink: NullSink) -> float:
    """Returns CPU microseconds per entry."""
    connection = sink.connection()

    def work() -> None:
        send(connection, "GET", f"/{_BUCKET}?list-type=2&prefix=small/")

    used = statistics.median(cpu_s(sink, work) for _ in range(10))
    connection.close()
    return used / 1000 * 1e6


def one_round(sink: NullSink, large: Mapping[str, Message], small: Message, size_bytes: int) -> dict[str, float]:
    """Returns every figure once."""
    sink.reset()
    sink.make_bucket(_BUCKET)
    found = {f"part, {name}: CPU s/GiB": part_cost(sink, one, size_bytes) for name, one in large.items()}
    found |= {f"put of 4 KiB, {count} connections: CPU us": put_cost(sink, small, count) for count in (1, 8)}
    return found | {"listing: CPU us/entry": list_cost(sink)}


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--size-mib", type=int, default=256, help="of each kind of claim in a round")
    arguments = parser.parse_args()
    large = messages(memoryview(content(1, _PART_BYTES)))
    small = messages(memoryview(content(2, _PUT_BYTES)))["CRC32C"]
    results: dict[str, dict[str, float]] = {}
    for scheme in ("http", "https"):
        with tempfile.TemporaryDirectory() as folder, NullSink.start(Path(folder), tls=scheme == "https") as sink:
            size_bytes = arguments.size_mib * _MIB
            rounds = [one_round(sink, large, small, size_bytes) for _ in range(arguments.rounds)]
            results[scheme] = {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}
            results[scheme]["peak memory: MiB"] = sink.counters()["peak_memory_bytes"] / _MIB
    print(f"medians of {arguments.rounds}\n\n| | http | https |\n|---|---|---|")
    for name, value in results["http"].items():
        print(f"| {name} | {value:.2f} | {results['https'][name]:.2f} |")
    print("\n" + json.dumps(results))


if __name__ == "__main__":
    main()
