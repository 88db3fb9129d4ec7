"""Hands that are processes of this machine, forked by the house: what actors are, ready in a tenth of a second."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import grpc

from blockferry.errors import BlockferryError
from blockferry.status import from_rpc_error
from mover.calls import Answer, Call, Errand
from service import bell
from service.v1 import hand_pb2, hand_pb2_grpc
from stores.parcel import packed, unpacked

_OPTIONS = (
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.max_receive_message_length", 64 << 20),
    ("grpc.enable_retries", 0),  # `Pool` gives a call again, and counts it
)


class ProcessHand:
    """A hand that is a process (`mover.hand`). It is started again when it dies; `Pool` gives its calls to others. For
    one asyncio loop."""

    def __init__(self, address: str) -> None:
        """Connects with the first call."""
        self._address = address
        self._channel: grpc.aio.Channel | None = None
        self._stub: hand_pb2_grpc.HandServiceStub | None = None

    async def run(self, call: Call, errand: Errand, carrier: Mapping[str, str]) -> Answer:
        """Returns the answer of the process. Raises WORKER_LOST when it died over the call or could not be reached."""
        request = hand_pb2.RunRequest(order=packed((call, errand)))
        try:
            response = await self._connected().Run(request, metadata=tuple(carrier.items()))
        except grpc.aio.AioRpcError as error:
            raise _failure(error, call) from error
        return cast(Answer, unpacked(response.answer))

    async def stop(self, run: str) -> None:
        """Tells the process. One that is gone has nothing to stop."""
        try:
            await self._connected().Stop(hand_pb2.StopRequest(run=run))
        except grpc.aio.AioRpcError:
            return

    async def close(self) -> None:
        """Closes the connection; the process stays."""
        if self._channel is not None:
            await self._channel.close()

    def _connected(self) -> hand_pb2_grpc.HandServiceStub:
        if self._stub is None:  # not before: a channel belongs to the loop that runs then
            self._channel = grpc.aio.insecure_channel(self._address, _OPTIONS)
            self._stub = hand_pb2_grpc.HandServiceStub(self._channel)
        return self._stub


def _failure(error: grpc.aio.AioRpcError, call: Call) -> BlockferryError:
    failure = from_rpc_error(error)
    if failure.reason != "SERVICE_UNAVAILABLE":
        return failure
    name = type(call).__name__
    text = f"A process of the mover was lost while it ran {name}: {failure.message}"
    return BlockferryError("WORKER_LOST", text, retryable=True, call=name)


def start_hands(addresses: Sequence[str]) -> tuple[ProcessHand, ...]:
    """Asks the house for its hands and returns when all of them listen. Blocks.

    Raises:
        BlockferryError: POOL_FAILED.
    """
    bell.ring(bell.HANDS, addresses)
    return tuple(ProcessHand(address) for address in addresses)
