"""Moves in this process until others would have won back what their start costs, then by them. Knows neither Ray nor
forks.

Another process costs CPU before its first byte, and a copy of a few files needs none. So the first calls run here, and
who is busy for longer than its patience in all gets more processes: at most twice what the better of both ways would
have cost, without knowing what will come. But only where there are processors for them: beside servers that keep the
machine busy they only get into each other's way (one file of 4 GiB on two processors: 5.2 s by one process, 7.6 s by
three).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from blockferry.errors import BlockferryError
from mover.calls import Answer, Call, Errand
from mover.pool import Hand, Pool
from service import linux

LOG = logging.getLogger("blockferry.mover")


@dataclass(frozen=True, slots=True)
class Patience:
    """How long one process works alone.

    Attributes:
        busy_s: for so many seconds in which it has something to do.
        spare: and for as many more if fewer processors than that had nothing to do; 0: however busy they were.
    """

    busy_s: float
    spare: float = 0.0


class PatientHand:
    """A hand that tells when its patience is at an end, and again after as long when nothing came of it."""

    def __init__(
        self,
        hand: Hand,
        patience: Patience,
        clock: Callable[[], float] = time.monotonic,
        idle_s: Callable[[], float] = linux.idle_s,
    ) -> None:
        """`clock` and `idle_s` tell the seconds that have passed, and for how many of them processors were idle."""
        self._hand = hand
        self._patience = patience
        self._clock = clock
        self._machine_idle_s = idle_s
        self._running = 0
        self._since = (0.0, 0.0)
        self._busy_s = self._idle_s = 0.0
        self.on_enough: Callable[[], None] = lambda: None

    async def run(self, call: Call, errand: Errand, carrier: Mapping[str, str]) -> Answer:
        """See `Hand.run`."""
        if not self._running:
            self._since = self._now()
        self._running += 1
        try:
            return await self._hand.run(call, errand, carrier)
        finally:
            self._running -= 1
            self._count()

    def _now(self) -> tuple[float, float]:
        return self._clock(), self._machine_idle_s()

    def _count(self) -> None:
        now = self._now()
        self._busy_s += now[0] - self._since[0]
        self._idle_s += now[1] - self._since[1]
        self._since = now
        if self._busy_s > self._patience.busy_s:
            has_room = self._idle_s >= self._patience.spare * self._busy_s
            self._busy_s = self._idle_s = 0.0
            if has_room:
                self.on_enough()

    async def stop(self, run: str) -> None:
        """See `Hand.stop`."""
        await self._hand.stop(run)


class Rise:
    """Starts other hands, once, and gives the pool over to them. For one asyncio loop."""

    def __init__(self, pool: Pool, start_hands: Callable[[], Sequence[Hand]]) -> None:
        """`start_hands` is called by a thread: it blocks, and may import Ray."""
        self._pool = pool
        self._start_hands = start_hands
        self._task: asyncio.Task[None] | None = None
        self._failed = False

    @property
    def begun(self) -> bool:
        """Other hands were asked for."""
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
            LOG.warning('action="hands_not_started" error="%s"', str(error).replace("\n", " "))
            self._failed = True
            return
        self._pool.replace(hands)
        LOG.info('action="hands_started" count=%d', len(hands))
