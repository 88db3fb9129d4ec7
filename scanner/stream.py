"""A blocking generator of facts as an asynchronous one: its steps run in a thread that belongs to it alone."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import AsyncGenerator, Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor

from scanner.facts import Counts, Cursor, Fact, Listed, PlannedShard, Scanned

QUIET_S = 4.0  # the stream promises a message every 5 seconds

Facts = Generator[Fact, None, None]


class Stream:
    """One running scan.

    Attributes:
        ended: done when the scan's last step is over and nothing of it will be written any more.
    """

    def __init__(self, begin: Callable[[threading.Event], Facts], counts: Counts, quiet_s: float = QUIET_S) -> None:
        """Runs nothing yet.

        Args:
            begin: makes the scan; its argument asks it to stop. All steps run in one copy of the caller's context, so
                that a span may stay open from step to step.
            counts: what is repeated before the first fact.
            quiet_s: so long without a fact, the last counts are told again.
        """
        self.ended: Future[None] = Future()
        self._stop = threading.Event()
        self._facts = begin(self._stop)
        self._counts = counts
        self._quiet_s = quiet_s
        self._context = contextvars.copy_context()

    def stop(self) -> None:
        """Asks the scan to stop. Said twice, and after the end, it does nothing."""
        self._stop.set()

    async def facts(self) -> AsyncGenerator[Fact, None]:
        """Yields the scan's facts, and the last counts again after a quiet time. To be called once.

        The scan goes on only as fast as its facts are taken. When the caller goes away, at whatever place, it is
        stopped and its thread ends.
        """
        thread = ThreadPoolExecutor(1, thread_name_prefix="scan")
        try:
            while True:
                step = asyncio.wrap_future(thread.submit(self._step))
                step.add_done_callback(_retrieve)
                while not (await asyncio.wait((step,), timeout=self._quiet_s))[0]:
                    yield Listed(self._counts)
                if (fact := step.result()) is None:
                    return
                self._counts = counts_of(fact)
                yield fact
        finally:
            self.stop()
            thread.submit(self._close)
            thread.shutdown(wait=False)

    def _step(self) -> Fact | None:
        return self._context.run(lambda: next(self._facts, None))

    def _close(self) -> None:
        try:
            self._context.run(self._facts.close)
        finally:
            self.ended.set_result(None)


def counts_of(fact: Fact) -> Counts:
    """Returns the counts that a fact tells."""
    match fact:
        case PlannedShard(cursor=Cursor(counts=counts)) | Listed(counts) | Scanned(counts):
            return counts


def _retrieve(step: asyncio.Future[Fact | None]) -> None:
    # A step that nobody waits for any more may have failed: asyncio would log that as forgotten.
    if not step.cancelled():
        step.exception()
