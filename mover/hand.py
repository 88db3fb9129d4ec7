"""Runs one process of a mover's pool on this machine: `python -m mover.hand --listen unix:PATH`. Ends on SIGTERM.

Whoever can open the socket can make it do anything (orders are pickles): it must lie in a folder of its user alone.
"""

from __future__ import annotations

import argparse
import asyncio
from typing import cast

import grpc

from mover.calls import Call, Errand
from mover.pool import ThreadHand
from mover.process import MoverProcess
from service import telemetry
from service.server import serve
from service.v1 import hand_pb2, hand_pb2_grpc
from stores.parcel import packed, unpacked


class HandServicer(hand_pb2_grpc.HandServiceServicer):
    """Runs calls by the threads of this process."""

    def __init__(self, hand: ThreadHand) -> None:
        self._hand = hand

    async def Run(
        self, request: hand_pb2.RunRequest, context: grpc.aio.ServicerContext[hand_pb2.RunRequest, hand_pb2.RunResponse]
    ) -> hand_pb2.RunResponse:
        """Runs a call below the span of the caller."""
        call, errand = cast(tuple[Call, Errand], unpacked(request.order))
        answer = await self._hand.run(call, errand, telemetry.carrier())
        return hand_pb2.RunResponse(answer=packed(answer))

    async def Stop(
        self,
        request: hand_pb2.StopRequest,
        context: grpc.aio.ServicerContext[hand_pb2.StopRequest, hand_pb2.StopResponse],
    ) -> hand_pb2.StopResponse:
        """Makes the calls of a run end soon."""
        await self._hand.stop(request.run)
        return hand_pb2.StopResponse()


def main() -> None:
    """Serves until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m mover.hand", description="One process of a mover's pool.")
    parser.add_argument("--listen", required=True, help="unix:PATH, in a folder of this user alone")
    arguments = parser.parse_args()
    telemetry.setup("mover-hand", leaf=True)
    asyncio.run(_serve(arguments.listen))


async def _serve(listen: str) -> None:
    hand = ThreadHand(MoverProcess.over_any_store())

    def register(server: grpc.aio.Server) -> tuple[str, ...]:
        hand_pb2_grpc.add_HandServiceServicer_to_server(HandServicer(hand), server)
        return (hand_pb2.DESCRIPTOR.services_by_name["HandService"].full_name,)

    try:
        await serve("mover-hand", listen, register)
    finally:
        await asyncio.to_thread(hand.close)


if __name__ == "__main__":
    main()
