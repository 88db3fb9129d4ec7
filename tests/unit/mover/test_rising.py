"""Actors come when this process has been busy for long enough, and take over from it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from blockferry.errors import BlockferryError
from mover.calls import Aborted, Answer, AskFeatures, Call, Errand, Lane
from mover.pool import SEATS, Hand, Pool
from mover.rising import Patience, PatientHand, Rise
from service.backoff import Backoff
from stores.location import MemoryLocation

ERRAND = Errand("run", MemoryLocation("a"), MemoryLocation("b"))
IMPATIENT = Backoff(base_s=0.0, attempts=3)


class HeldHand:
    """A hand whose calls end when they are let go."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.count = 0

    async def run(self, call: Call, errand: Errand, carrier: Mapping[str, str]) -> Answer:
        self.count += 1
        await self.go.wait()
        return Aborted()

    async def stop(self, run: str) -> None:
        self.go.set()


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


async def until(found: Sequence[int], hand: HeldHand) -> None:
    """Waits until the hand has begun so many calls."""
    async with asyncio.timeout(10):
        while hand.count not in found:
            await asyncio.sleep(0)


def test_busy_time_is_counted_once_for_calls_side_by_side() -> None:
    async def run() -> None:
        inner, clock, told = HeldHand(), Clock(), []
        hand = PatientHand(inner, Patience(5.0), clock, Clock())
        hand.on_enough = lambda: told.append(clock.now_s)
        calls = [asyncio.create_task(hand.run(AskFeatures(), ERRAND, {})) for _ in range(3)]
        await until((3,), inner)
        clock.now_s = 4.0
        inner.go.set()
        await asyncio.gather(*calls)
        assert told == []
        clock.now_s = 100.0  # nothing ran meanwhile
        await hand.run(AskFeatures(), ERRAND, {})
        assert told == []
        inner.go.clear()
        call = asyncio.create_task(hand.run(AskFeatures(), ERRAND, {}))
        await until((5,), inner)
        clock.now_s = 102.0
        inner.go.set()
        await call
        assert told == [102.0]

    asyncio.run(run())


@pytest.mark.parametrize(("idle_s", "told"), [(2.9, []), (3.1, [6.0])])
def test_patience_is_kept_while_the_processors_are_busy(idle_s: float, told: list[float]) -> None:
    async def run() -> None:
        inner, clock, idle, heard = HeldHand(), Clock(), Clock(), []
        hand = PatientHand(inner, Patience(5.0, spare=0.5), clock, idle)
        hand.on_enough = lambda: heard.append(clock.now_s)
        call = asyncio.create_task(hand.run(AskFeatures(), ERRAND, {}))
        await until((1,), inner)
        clock.now_s, idle.now_s = 6.0, idle_s
        inner.go.set()
        await call
        assert heard == told
        clock.now_s, idle.now_s = 100.0, 2 * 94.0 + idle_s  # nothing ran meanwhile, and all were idle
        await hand.run(AskFeatures(), ERRAND, {})
        assert heard == told

    asyncio.run(run())


def test_actors_take_new_calls_and_the_old_ones_end_where_they_are() -> None:
    async def run() -> None:
        old, new = HeldHand(), (HeldHand(), HeldHand())
        pool = Pool((old,), IMPATIENT, 2)
        assert pool.seats(Lane.CONTROL) == 2 * SEATS[Lane.CONTROL]
        calls = [asyncio.create_task(pool.run(AskFeatures(), ERRAND, {})) for _ in range(3 * SEATS[Lane.CONTROL])]
        await until((SEATS[Lane.CONTROL],), old)
        rise = Rise(pool, lambda: new)
        assert not rise.begun
        rise()
        rise()
        await rise.settled()
        for hand in new:
            await until((SEATS[Lane.CONTROL],), hand)
            hand.go.set()
        assert old.count == SEATS[Lane.CONTROL]
        old.go.set()
        assert await asyncio.gather(*calls) == [Aborted()] * len(calls)
        again = [asyncio.create_task(pool.run(AskFeatures(), ERRAND, {})) for _ in range(4 * SEATS[Lane.CONTROL])]
        await asyncio.gather(*again)
        assert (old.count, new[0].count + new[1].count) == (SEATS[Lane.CONTROL], 6 * SEATS[Lane.CONTROL])

    asyncio.run(run())


@pytest.mark.parametrize("busy", range(SEATS[Lane.CONTROL] + 1))
def test_no_seat_is_lost_or_made_by_a_replacement(busy: int) -> None:
    async def run() -> None:
        old, new = HeldHand(), HeldHand()
        pool = Pool((old,), IMPATIENT)
        first = [asyncio.create_task(pool.run(AskFeatures(), ERRAND, {})) for _ in range(busy)]
        await until((busy,), old)
        pool.replace((new,))
        calls = [asyncio.create_task(pool.run(AskFeatures(), ERRAND, {})) for _ in range(2 * SEATS[Lane.CONTROL])]
        await until((SEATS[Lane.CONTROL],), new)
        old.go.set()
        await asyncio.gather(*first)
        assert new.count == SEATS[Lane.CONTROL]  # a seat of the old hand is none of the new one
        new.go.set()
        await asyncio.gather(*calls)

    asyncio.run(run())


def test_a_start_that_fails_leaves_the_work_here_and_is_tried_again() -> None:
    async def run() -> None:
        old = HeldHand()
        starts: list[int] = []
        old.go.set()
        pool = Pool((old,), IMPATIENT)

        def start() -> Sequence[Hand]:
            starts.append(len(starts))
            if len(starts) == 1:
                raise BlockferryError("POOL_FAILED", "no Ray", retryable=True)
            return (HeldHand(),)

        rise = Rise(pool, start)
        rise()
        await rise.settled()
        assert await pool.run(AskFeatures(), ERRAND, {}) == Aborted()
        rise()
        await rise.settled()
        rise()
        await rise.settled()
        assert starts == [0, 1]

    asyncio.run(run())
