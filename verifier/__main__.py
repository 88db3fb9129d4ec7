"""Runs the verifier: `python -m verifier --listen HOST:PORT [--actors N]`."""

from __future__ import annotations

import argparse
import asyncio
import os

import grpc

from service.server import serve
from verifier.actors import RayProvers
from verifier.api import VerifyServicer, register


def main() -> None:
    """Serves until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m verifier", description="Proves what was moved.")
    parser.add_argument("--listen", required=True, metavar="HOST:PORT", help="where to listen; port 0 takes a free one")
    parser.add_argument(
        "--actors",
        type=_actor_count,
        default=os.cpu_count() or 1,
        metavar="N",
        help="processes that prove at the same time; default: one per CPU (%(default)s)",
    )
    arguments = parser.parse_args()
    asyncio.run(_serve(arguments.listen, arguments.actors))


async def _serve(listen: str, actor_count: int) -> None:
    servicers: list[VerifyServicer] = []

    def add(server: grpc.aio.Server) -> tuple[str, ...]:
        # The provers need seconds to start: they begin now, while the server does.
        servicers.append(VerifyServicer(RayProvers(actor_count)))
        return register(server, servicers[0])

    try:
        await serve("verifier", listen, add)
    finally:
        for servicer in servicers:
            await servicer.close()


def _actor_count(text: str) -> int:
    count = int(text)
    if not 1 <= count <= 1024:
        raise argparse.ArgumentTypeError(f"from 1 to 1024, not {count}")
    return count


if __name__ == "__main__":
    main()
