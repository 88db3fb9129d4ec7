"""An S3 server for benchmarks: takes data, checks every claim, throws the data away. So cheap that it is no brake.

    python -m bench.null_sink [--port N] [--tls FOLDER] [--skip-md5] [--delay-ms N]

Prints its endpoint and serves until it is ended. With --tls it serves https; the certificates are those of FOLDER, made
there if need be; clients must trust FOLDER/ca.pem. Path-style addresses, any bucket name, any keys: signatures are NOT
checked, but a request without an Authorization header is refused. Only loopback. An MD5 takes 1.5 CPU s per GiB, more
than all else: with --skip-md5 clients that send Content-MD5 (rclone, s5cmd) do not wait for it; what is left unchecked
is counted. With --delay-ms every answer comes that much later, as from a store far away; data comes as fast as before.

    GET  /-/counters    requests by operation, bytes received, claims checked, refused and left unchecked, peak memory,
                        CPU seconds
    POST /-/reset       forgets all buckets, uploads and counters (not the CPU seconds)
"""

from __future__ import annotations

import argparse
from pathlib import Path

from bench.null_sink.server import Server, tls_context
from tests.support.certificates import make_certificates


def main() -> None:
    """Serves until the process is ended."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0, help="default: a free one")
    parser.add_argument("--tls", type=Path, metavar="FOLDER", help="serve https with the certificates of this folder")
    parser.add_argument("--skip-md5", action="store_true", help="do not check Content-MD5, only count it as unchecked")
    parser.add_argument("--delay-ms", type=float, default=0.0, help="let every answer wait so long")
    arguments = parser.parse_args()
    folder = arguments.tls
    if folder and not (folder / "server.pem").exists():
        make_certificates(folder)
    tls = tls_context(folder / "server.pem", folder / "server.key") if folder else None
    server = Server(arguments.port, tls, not arguments.skip_md5, arguments.delay_ms / 1000)
    print(f"http{'s' if tls else ''}://127.0.0.1:{server.port}", flush=True)
    server.run()


if __name__ == "__main__":
    main()
