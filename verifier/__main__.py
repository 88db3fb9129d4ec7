"""Runs the verifier: `python -m verifier --listen HOST:PORT [--actors N]`."""

from __future__ import annotations

import argparse
import asyncio
import os

import grpc

from service import telemetry
from service.server import serve
from stores.opening import open_sink, open_source
from verifier.api import VerifyServicer, register
from verifier.crew import THREADS, Crew, StoreShelf
from verifier.pool import Provers, ThreadProvers
from verifier.rising import PATIENCE_S, RisingProvers


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
    parser.add_argument(
        "--patience",
        type=float,
        default=PATIENCE_S,
        metavar="SECONDS",
        help="how long to prove in this process before the actors are started; 0: not at all (%(default)s)",
    )
    arguments = parser.parse_args()
    telemetry.setup("verifier", leaf=True)
    asyncio.run(_serve(arguments.listen, arguments.actors, arguments.patience))


async def _serve(listen: str, actor_count: int, patience_s: float) -> None:
    servicers: list[VerifyServicer] = []

    def make_actors() -> Provers:
        from verifier.actors import RayProvers  # half a CPU second: only where there is work for them

        return RayProvers(actor_count)

    def add(server: grpc.aio.Server) -> tuple[str, ...]:
        here = ThreadProvers(Crew(StoreShelf(open_source, open_sink), THREADS))
        servicers.append(VerifyServicer(RisingProvers(here, make_actors, actor_count, patience_s)))
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
