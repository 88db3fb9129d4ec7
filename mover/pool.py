"""The pool of hands that run the calls: who is free, who died, what is to stop. Knows neither Ray nor files.

A hand is one process (`actors.py`) or the threads of this one (`ThreadHand`). Back-pressure: a lane of a hand takes
its threads' number of calls and one more, which lies ready when a thread is free; whoever has another call waits here.
So calls_in_flight <= hand_count * sum(SEATS), and nothing queues without a bound.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from blockferry.errors import BlockferryError
from ledger.records import EntryFailure
from mover.calls import Answer, Call, CallFailed, Effort, Errand, Lane, repeated, with_effort
from mover.process import CONTROL_THREADS, PART_THREADS, SMALL_CALLS, MoverProcess
from service.backoff import Backoff

LOG = logging.getLogger("blockferry.mover")
THREADS = {Lane.PARTS: PART_THREADS, Lane.SMALL: SMALL_CALLS, Lane.CONTROL: CONTROL_THREADS}
SEATS = {lane: threads + 1 for lane, threads in THREADS.items()}
STOP_S = 20.0
"""How long a stopped run may need to end: a request that is on its way is not cut."""


class Hand(Protocol):
    """Runs calls, several at once."""

    async def run(self, call: Call, errand: Errand, carrier: Mapping[str, str]) -> Answer:
        """Returns the answer. Raises WORKER_LOST when the process died over it."""
        ...

    async def stop(self, run: str) -> None:
        """Makes the calls of a run end soon. Never raises."""
        ...


class Pool:
    """Gives each call to the hand with the least to do, and again to another one when a hand dies.

    Args:
        hands: one at least.
        patience: how often, and after what waits, a call is given again.
        hand_count: how many hands there will be, where more come later (`replace`); 0: those.
    """

    def __init__(self, hands: Sequence[Hand], patience: Backoff, hand_count: int = 0) -> None:
        self._hands = tuple(hands)
        self._first = 0  # index of the first hand that takes calls: those before it have been replaced
        self._hand_count = max(hand_count, len(hands))
        self._patience = patience
        self._load = {lane: [0] * len(hands) for lane in Lane}
        self._free = {lane: asyncio.Semaphore(SEATS[lane] * len(hands)) for lane in Lane}
        self._running: dict[str, set[asyncio.Task[Answer]]] = {}

    def seats(self, lane: Lane) -> int:
        """Returns how many calls of a lane keep every hand busy, also those that are still to come."""
        return SEATS[lane] * self._hand_count

    def replace(self, hands: Sequence[Hand]) -> None:
        """Gives new calls to these hands instead; those that run end where they are."""
        retired, self._first = self._first, len(self._hands)
        self._hands += tuple(hands)
        self._hand_count = max(self._hand_count, len(hands))
        for lane, load in self._load.items():
            unused = sum(SEATS[lane] - taken for taken in load[retired:])
            load += [0] * len(hands)
            for _ in range(SEATS[lane] * len(hands) - unused):
                self._free[lane].release()

    async def run(self, call: Call, errand: Errand, carrier: Mapping[str, str]) -> Answer:
        """Returns the answer to a call; `CallFailed` with WORKER_LOST when it lost its hand time and again.

        When the caller is cancelled the call goes on in its hand: see `stop`.

        Raises:
            BlockferryError: what concerns every entry alike.
        """
        avoided = -1
        for attempt in range(1, self._patience.attempts + 1):
            index = await self._take(call.lane, avoided)
            task = asyncio.create_task(self._hands[index].run(call, errand, carrier))
            self._watch(task, call.lane, index, errand.run)
            try:
                answer = await asyncio.shield(task)
            except BlockferryError as error:
                if error.reason != "WORKER_LOST":
                    raise
                LOG.warning('action="worker_lost" run=%s call=%s attempt=%d', errand.run, type(call).__name__, attempt)
                avoided, lost, call = index, error, repeated(call)
                if attempt < self._patience.attempts:
                    await asyncio.sleep(self._patience.delay_s(attempt, random.random()))  # noqa: S311 - jitter
            else:
                return with_effort(answer, Effort(retry_count=attempt - 1))
        coordinates = tuple(sorted(lost.coordinates.items()))
        return CallFailed(EntryFailure(lost.reason, lost.message, coordinates), Effort(retry_count=attempt - 1))

    async def stop(self, run: str) -> None:
        """Stops the calls of a run, and waits until none is running any more, `STOP_S` at most."""
        await asyncio.gather(*(hand.stop(run) for hand in self._hands))
        if running := self._running.get(run):
            await asyncio.wait(tuple(running), timeout=STOP_S)

    async def _take(self, lane: Lane, avoided: int) -> int:
        await self._free[lane].acquire()
        load = self._load[lane]
        free = [index for index in range(self._first, len(self._hands)) if load[index] < SEATS[lane]]
        index = min(free, key=lambda one: (one == avoided, load[one]))
        load[index] += 1
        return index

    def _watch(self, task: asyncio.Task[Answer], lane: Lane, index: int, run: str) -> None:
        """Frees the seat when the hand is really done, whoever waits for it."""
        running = self._running.setdefault(run, set())
        running.add(task)

        def ended(_: asyncio.Task[Answer]) -> None:
            self._load[lane][index] -= 1
            if index >= self._first:  # the seats of a hand that was replaced are gone
                self._free[lane].release()
            running.discard(task)
            if not running:
                self._running.pop(run, None)
            if not task.cancelled():
                task.exception()  # looked at: else asyncio complains when nobody waited

        task.add_done_callback(ended)


class ThreadHand:
    """A hand in this process: for one small machine, and for tests without Ray."""

    def __init__(self, process: MoverProcess) -> None:
        self._process = process
        self._lanes = {lane: ThreadPoolExecutor(count, f"mover-{lane}") for lane, count in THREADS.items()}

    async def run(self, call: Call, errand: Errand, carrier: Mapping[str, str]) -> Answer:
        """Returns the answer of the process."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._lanes[call.lane], self._process.run, call, errand, dict(carrier))

    async def stop(self, run: str) -> None:
        """Tells the process."""
        self._process.stop(run)

    def close(self) -> None:
        """Ends the threads, when their calls have ended."""
        for threads in self._lanes.values():
            threads.shutdown(wait=True, cancel_futures=True)
        self._process.close()
