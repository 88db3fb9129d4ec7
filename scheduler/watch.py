"""Watching an execution: the whole resource each time it has changed, never more often than a person can read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Protocol

from blockferry.errors import BlockferryError
from scheduler.record import ExecutionRecord

MIN_INTERVAL_S = 0.2
SIGN_OF_LIFE_S = 30.0


class Signal:
    """Wakes everybody who waits for the next change."""

    def __init__(self) -> None:
        self._next = asyncio.Event()

    def fire(self) -> None:
        """Tells that something has changed."""
        self._next.set()
        self._next = asyncio.Event()

    def next_change(self) -> asyncio.Event:
        """Returns the event that the next change will set. Take it before looking, wait for it after."""
        return self._next


class Watched(Protocol):
    """Something that changes: a run."""

    changed: Signal
    closed: bool

    def view(self) -> ExecutionRecord: ...


async def watch(
    watched: Watched,
    after_revision: int,
    min_interval_s: float = MIN_INTERVAL_S,
    sign_of_life_s: float = SIGN_OF_LIFE_S,
) -> AsyncGenerator[ExecutionRecord, None]:
    """Yields the execution as it is, then each time it has changed, until it has ended.

    Args:
        watched: what is watched.
        after_revision: nothing that is not newer is yielded, but as a sign of life. 0: begin with the present state.
        min_interval_s: changes that follow each other faster become one.
        sign_of_life_s: without a change for so long, the present state is yielded again.

    Raises:
        BlockferryError: SCHEDULER_STOPPING, retryable: this process does not follow the execution any more.
    """
    sent = after_revision
    while True:
        if watched.closed:
            text = "The scheduler lets go of its executions: watch again in a moment."
            raise BlockferryError("SCHEDULER_STOPPING", text, retryable=True, retry_after_s=1.0)
        change = watched.changed.next_change()
        record = watched.view()
        if record.revision > sent:
            sent = record.revision
            yield record
            if not record.execution.final:
                await asyncio.sleep(min_interval_s)
                continue
        if record.execution.final:
            return
        try:
            async with asyncio.timeout(sign_of_life_s):
                await change.wait()
        except TimeoutError:
            yield watched.view()
