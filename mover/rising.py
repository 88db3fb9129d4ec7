"""Moves in this process until actors would have won back what their start costs, then by actors. Knows no Ray.

An actor costs a CPU second before its first byte, Ray itself some three, and a copy of a few files needs neither. So
the first calls run here, and who is busy for longer than `patience_s` in all gets actors: at most twice what the better
of both ways would have cost, without knowing what will come.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence

from blockferry.errors import BlockferryError
from mover.calls import Answer, Call, Errand
from mover.pool import Hand, Pool

LOG = logging.getLogger("blockferry.mover")


class PatientHand:
    """A hand that counts the seconds in which it is busy, and tells when they are more than its patience."""

    def __init__(self, hand: Hand, patience_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._hand = hand
        self._patience_s = patience_s
        self._clock = clock
        self._running = 0
        self._since_s = 0.0
        self._busy_s = 0.0
        self.on_enough: Callable[[], None] = lambda: None

    async def run(self, call: Call, errand: Errand, carrier: Mapping[str, str]) -> Answer:
        """See `Hand.run`."""
        if not self._running:
            self._since_s = self._clock()
        self._running += 1
        try:
            return await self._hand.run(call, errand, carrier)
        finally:
            self._running -= 1
            now_s = self._clock()
            self._busy_s += now_s - self._since_s
            self._since_s = now_s
            if self._busy_s > self._patience_s:
                self._busy_s = 0.0  # when it does not help, it is told again after as long
                self.on_enough()

    async def stop(self, run: str) -> None:
        """See `Hand.stop`."""
        await self._hand.stop(run)


class Rise:
    """Starts the actors, once, and hands the pool over to them. For one asyncio loop."""

    def __init__(self, pool: Pool, start_hands: Callable[[], Sequence[Hand]]) -> None:
        """`start_hands` is called by a thread: it blocks, and imports Ray."""
        self._pool = pool
        self._start_hands = start_hands
        self._task: asyncio.Task[None] | None = None
        self._failed = False

    @property
    def begun(self) -> bool:
        """Actors were asked for."""
        return self._task is not None

    def __call__(self) -> None:
        """Begins, unless that was done. After a start that failed, begins anew."""
        if self._task is None or self._failed:
            self._failed = False
            self._task = asyncio.create_task(self._run())

    async def settled(self) -> None:
        """Waits until a start that was begun has ended, well or not."""
        if self._task is not None:
            await asyncio.wait((self._task,))

    async def _run(self) -> None:
        try:
            hands = await asyncio.to_thread(self._start_hands)
        except (BlockferryError, RuntimeError, OSError) as error:
            LOG.warning('action="actors_not_started" error="%s"', str(error).replace("\n", " "))
            self._failed = True
            return
        self._pool.replace(hands)
        LOG.info('action="actors_started" count=%d', len(hands))
