"""Runs the mover: `python -m mover --listen HOST:PORT --actors N`. Ends on SIGTERM, after a drain."""

from __future__ import annotations

import argparse
import asyncio
import os
from collections.abc import Sequence

import grpc

from mover.api import MoveServicer
from mover.hands import start_hands
from mover.pool import Hand, Pool, ThreadHand
from mover.process import MoverProcess
from mover.rising import Patience, PatientHand, Rise
from service import telemetry
from service.backoff import Backoff
from service.server import serve
from service.v1 import move_pb2, move_pb2_grpc

_LOST = Backoff(base_s=0.5, ceiling_s=10.0)


def main() -> None:
    """Starts the actors, or leaves them for later, then serves."""
    parser = argparse.ArgumentParser(prog="python -m mover", description="Moves the data of shards.")
    parser.add_argument("--listen", default="127.0.0.1:0", help="HOST:PORT; port 0 takes a free one")
    parser.add_argument("--actors", type=int, default=os.cpu_count() or 1, help="Ray actors (default: processors)")
    parser.add_argument(
        "--patience",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="how long to move in this process before actors or hands are taken; 0: not at all (default)",
    )
    parser.add_argument(
        "--spare",
        type=float,
        default=0.0,
        metavar="PROCESSORS",
        help="how many processors must have been idle meanwhile, else they are waited for again; 0: none (default)",
    )
    parser.add_argument(
        "--hands",
        metavar="ADDRESS,...",
        default="",
        help="where processes of this machine listen (`python -m mover.hand`) that are taken instead of actors",
    )
    arguments = parser.parse_args()
    telemetry.setup("mover", leaf=True)
    hands = tuple(arguments.hands.split(",")) if arguments.hands else ()
    if arguments.patience > 0:
        patience = Patience(arguments.patience, arguments.spare)
        asyncio.run(_serve_patiently(arguments.listen, arguments.actors, patience, hands))
    else:
        _serve_by_actors(arguments.listen, arguments.actors)


def _serve_by_actors(listen: str, actor_count: int) -> None:
    from mover.actors import start_hands, stop_ray  # half a CPU second: only where there is work for them

    try:
        pool = Pool(start_hands(actor_count), _LOST)
        asyncio.run(serve("mover", listen, lambda server: register(server, MoveServicer(pool))))
    finally:
        stop_ray()


async def _serve_patiently(listen: str, actor_count: int, patience: Patience, hands: tuple[str, ...]) -> None:
    here = ThreadHand(MoverProcess.over_any_store())
    patient = PatientHand(here, patience)
    pool = Pool((patient,), _LOST, actor_count)
    rise = Rise(pool, lambda: start_hands(hands) if hands else _actors(actor_count))
    patient.on_enough = rise
    try:
        await serve("mover", listen, lambda server: register(server, MoveServicer(pool, rise)))
    finally:
        await rise.settled()
        await asyncio.to_thread(here.close)
        if rise.begun and not hands:
            from mover.actors import stop_ray

            await asyncio.to_thread(stop_ray)


def _actors(count: int) -> Sequence[Hand]:
    from mover.actors import start_hands

    return start_hands(count)


def register(server: grpc.aio.Server, servicer: MoveServicer) -> tuple[str, ...]:
    """Adds the servicer; returns its full name."""
    move_pb2_grpc.add_MoveServiceServicer_to_server(servicer, server)
    return (move_pb2.DESCRIPTOR.services_by_name["MoveService"].full_name,)


if __name__ == "__main__":
    main()
