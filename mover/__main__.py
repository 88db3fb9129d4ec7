"""Runs the mover: `python -m mover --listen HOST:PORT --actors N`. Ends on SIGTERM, after a drain."""

from __future__ import annotations

import argparse
import asyncio
import os

import grpc

from mover.actors import start_hands, stop_ray
from mover.api import MoveServicer
from mover.pool import Pool
from service import telemetry
from service.backoff import Backoff
from service.server import serve
from service.v1 import move_pb2, move_pb2_grpc


def main() -> None:
    """Starts the actors, then serves."""
    parser = argparse.ArgumentParser(prog="python -m mover", description="Moves the data of shards.")
    parser.add_argument("--listen", default="127.0.0.1:0", help="HOST:PORT; port 0 takes a free one")
    parser.add_argument("--actors", type=int, default=os.cpu_count() or 1, help="Ray actors (default: processors)")
    arguments = parser.parse_args()
    telemetry.setup("mover")
    try:
        pool = Pool(start_hands(arguments.actors), Backoff(base_s=0.5, ceiling_s=10.0))
        asyncio.run(serve("mover", arguments.listen, lambda server: register(server, pool)))
    finally:
        stop_ray()


def register(server: grpc.aio.Server, pool: Pool) -> tuple[str, ...]:
    """Adds the servicer; returns its full name."""
    move_pb2_grpc.add_MoveServiceServicer_to_server(MoveServicer(pool), server)
    return (move_pb2.DESCRIPTOR.services_by_name["MoveService"].full_name,)


if __name__ == "__main__":
    main()
