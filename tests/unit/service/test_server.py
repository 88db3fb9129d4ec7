"""The guard of streams: spans, errors, and streams that are given up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextvars import Context
from typing import cast

import grpc
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from blockferry.errors import BlockferryError
from service.server import _guard_stream


class Aborted(Exception):
    """What `abort` raises."""


class ScriptedCall:
    """As much of a call as an abort needs."""

    def __init__(self) -> None:
        self.code: grpc.StatusCode | None = None

    async def abort(self, code: grpc.StatusCode, message: str, trailers: object) -> None:
        """Notes the code."""
        self.code = code
        raise Aborted(message)


Call = grpc.aio.ServicerContext  # of any messages


async def three(request: str, call: Call[str, str]) -> AsyncIterator[str]:
    """Streams three responses, each the span that it runs in."""
    for _ in range(3):
        yield f"{trace.get_current_span().get_span_context().span_id:x}"


async def broken(request: str, call: Call[str, str]) -> AsyncIterator[str]:
    """Streams one response and fails."""
    yield "one"
    raise BlockferryError("NOT_FOUND", "It is not there.")


def test_whole_stream_runs_in_one_span(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace, "get_tracer", TracerProvider().get_tracer)

    async def read() -> list[str]:
        call = cast("Call[str, str]", ScriptedCall())
        return [response async for response in _guard_stream(three, "/Three", {})("request", call)]

    first, *others = asyncio.run(read())
    assert first != "0"
    assert others == [first] * 2


def test_error_of_a_stream_is_its_status() -> None:
    call = ScriptedCall()

    async def read() -> list[str]:
        return [
            response async for response in _guard_stream(broken, "/Broken", {})("request", cast("Call[str, str]", call))
        ]

    with pytest.raises(Aborted, match="not there"):
        asyncio.run(read())
    assert call.code is grpc.StatusCode.NOT_FOUND


def test_stream_may_be_given_up_from_another_context(caplog: pytest.LogCaptureFixture) -> None:
    async def give_up() -> None:
        stream = _guard_stream(three, "/Three", {})("request", cast("Call[str, str]", ScriptedCall()))
        await anext(stream)
        assert isinstance(stream, AsyncGenerator)
        await asyncio.create_task(stream.aclose(), context=Context())

    asyncio.run(give_up())
    assert "detach" not in caplog.text
