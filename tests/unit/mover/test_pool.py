"""The pool: bounded seats, the least busy hand, a dead hand's calls given again, and stopping."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from blockferry.errors import BlockferryError
from mover.calls import (
    Aborted,
    AbortUpload,
    Answer,
    AskFeatures,
    BeginUpload,
    Call,
    CallFailed,
    Errand,
    Lane,
    StatSource,
)
from mover.pool import SEATS, Pool
from service.backoff import Backoff
from stores.base import Kind, Stat, Upload
from stores.checksum import Algorithm
from stores.location import MemoryLocation

ERRAND = Errand("execution/000001.1", MemoryLocation("source"), MemoryLocation("sink"))
CALL = AbortUpload(Upload("a", "a", "1", Algorithm.CRC32C))
IMPATIENT = Backoff(base_s=0.0, attempts=4)


@dataclass(slots=True)
class HeldHand:
    """A hand whose calls end when the test says so, or that dies over its first calls."""

    deaths: int = 0
    held: bool = False
    runs: list[Call] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)
    go: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, call: Call, errand: Errand, carrier: Mapping[str, str]) -> Answer:
        self.runs.append(call)
        if self.deaths:
            self.deaths -= 1
            raise BlockferryError("WORKER_LOST", "The process died.", retryable=True)
        if isinstance(call, StatSource):
            raise BlockferryError("BUCKET_NOT_FOUND", "There is no such bucket.")
        if self.held:
            await self.go.wait()
        return Aborted()

    async def stop(self, run: str) -> None:
        self.stopped.append(run)
        self.go.set()


async def settle() -> None:
    """Lets every task run until it waits."""
    for _ in range(50):
        await asyncio.sleep(0)


def test_answer_comes_back() -> None:
    assert asyncio.run(Pool((HeldHand(),), IMPATIENT).run(CALL, ERRAND, {})) == Aborted()


def test_no_hand_gets_more_calls_than_it_has_seats() -> None:
    async def story() -> None:
        hands = (HeldHand(held=True), HeldHand(held=True))
        pool = Pool(hands, IMPATIENT)
        tasks = [asyncio.create_task(pool.run(CALL, ERRAND, {})) for _ in range(50)]
        await settle()
        seats = SEATS[Lane.CONTROL]
        assert [len(hand.runs) for hand in hands] == [seats, seats]
        assert pool.seats(Lane.CONTROL) == 2 * seats
        for hand in hands:
            hand.go.set()
        assert await asyncio.gather(*tasks) == [Aborted()] * 50

    asyncio.run(story())


def test_call_of_a_dead_hand_is_given_to_another_and_counted() -> None:
    async def story() -> None:
        hands = (HeldHand(deaths=1), HeldHand())
        answer = await Pool(hands, IMPATIENT).run(CALL, ERRAND, {})
        assert isinstance(answer, Aborted)
        assert answer.effort.retry_count == 1
        assert [len(hand.runs) for hand in hands] == [1, 1]

    asyncio.run(story())


def test_hand_that_begins_an_upload_after_another_one_died_over_it_is_told_so() -> None:
    hands = (HeldHand(deaths=1), HeldHand(deaths=1))
    call = BeginUpload(Stat("a", Kind.FILE, 1, 0), since_ms=5)
    asyncio.run(Pool(hands, IMPATIENT).run(call, ERRAND, {}))
    runs = [run for hand in hands for run in hand.runs if isinstance(run, BeginUpload)]
    assert [run.again for run in runs] == [False, True, True]


def test_call_that_ends_every_hand_is_given_up() -> None:
    answer = asyncio.run(Pool((HeldHand(deaths=99), HeldHand(deaths=99)), IMPATIENT).run(CALL, ERRAND, {}))
    assert isinstance(answer, CallFailed)
    assert answer.failure.reason == "WORKER_LOST"
    assert answer.effort.retry_count == 3


def test_error_that_concerns_all_is_raised_at_once() -> None:
    hand = HeldHand()
    with pytest.raises(BlockferryError, match="BUCKET_NOT_FOUND"):
        asyncio.run(Pool((hand,), IMPATIENT).run(StatSource("a"), ERRAND, {}))
    assert len(hand.runs) == 1


def test_seat_stays_taken_while_a_cancelled_call_still_runs() -> None:
    async def story() -> None:
        hand = HeldHand(held=True)
        pool = Pool((hand,), IMPATIENT)
        seats = pool.seats(Lane.CONTROL)
        tasks = [asyncio.create_task(pool.run(CALL, ERRAND, {})) for _ in range(seats)]
        await settle()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        late = asyncio.create_task(pool.run(AskFeatures(), ERRAND, {}))
        await settle()
        assert len(hand.runs) == seats
        hand.go.set()
        await late
        assert len(hand.runs) == seats + 1

    asyncio.run(story())


def test_stop_returns_when_the_calls_of_the_run_have_ended() -> None:
    async def story() -> None:
        hands = (HeldHand(held=True), HeldHand(held=True))
        pool = Pool(hands, IMPATIENT)
        tasks = [asyncio.create_task(pool.run(CALL, ERRAND, {})) for _ in range(4)]
        await settle()
        await pool.stop(ERRAND.run)
        assert [hand.stopped for hand in hands] == [[ERRAND.run]] * 2
        await settle()
        assert all(task.done() for task in tasks)

    asyncio.run(story())
