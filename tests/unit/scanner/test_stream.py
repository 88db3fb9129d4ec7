"""A blocking scan as an asynchronous stream."""

from __future__ import annotations

import asyncio
import contextvars
import threading

import pytest

from blockferry.errors import BlockferryError
from scanner.facts import Counts, Cursor, Fact, Listed, PlannedShard, Scanned
from scanner.stream import Facts, Stream, counts_of

NAME = contextvars.ContextVar("NAME", default="")


def counts(number: int) -> Counts:
    return Counts(source_listed_count=number)


async def taken(stream: Stream) -> list[Fact]:
    return [fact async for fact in stream.facts()]


def test_facts_come_in_order_and_the_scan_ends() -> None:
    def begin(stop: threading.Event) -> Facts:
        yield Listed(counts(1))
        yield Scanned(counts(2))

    stream = Stream(begin, Counts())
    assert asyncio.run(taken(stream)) == [Listed(counts(1)), Scanned(counts(2))]
    assert stream.ended.result(10) is None


def test_a_quiet_scan_repeats_its_last_counts() -> None:
    gate = threading.Event()

    def begin(stop: threading.Event) -> Facts:
        yield Listed(counts(1))
        assert gate.wait(20)
        yield Scanned(counts(2))

    async def run() -> list[Fact]:
        seen = []
        async for fact in Stream(begin, Counts(), quiet_s=0.01).facts():
            seen.append(fact)
            if seen.count(Listed(counts(1))) == 3:
                gate.set()
        return seen

    seen = asyncio.run(run())
    assert seen[-1] == Scanned(counts(2))
    assert set(seen[:-1]) <= {Listed(Counts()), Listed(counts(1))}


def test_an_error_of_the_scan_is_raised() -> None:
    def begin(stop: threading.Event) -> Facts:
        yield Listed(counts(1))
        raise BlockferryError("ACCESS_DENIED", "no")

    stream = Stream(begin, Counts())
    with pytest.raises(BlockferryError, match="ACCESS_DENIED"):
        asyncio.run(taken(stream))
    assert stream.ended.result(10) is None


def test_steps_share_one_context_that_is_a_copy_of_the_callers() -> None:
    def begin(stop: threading.Event) -> Facts:
        token = NAME.set(NAME.get() + "+scan")
        yield Listed(counts(1))
        yield Listed(counts(len(NAME.get())))
        NAME.reset(token)

    async def run() -> list[Fact]:
        NAME.set("call")
        facts = await taken(Stream(begin, Counts()))
        assert NAME.get() == "call"
        return facts

    assert asyncio.run(run())[-1] == Listed(counts(len("call+scan")))


def test_a_cancelled_caller_stops_the_scan_and_its_thread() -> None:
    begun, closed = threading.Event(), threading.Event()

    def begin(stop: threading.Event) -> Facts:
        try:
            yield Listed(counts(1))
            begun.set()
            assert stop.wait(20)
            yield Listed(counts(2))
        finally:
            closed.set()

    async def run() -> None:
        task = asyncio.create_task(taken(Stream(begin, Counts())))
        await asyncio.to_thread(begun.wait, 20)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
    assert closed.wait(10)


def test_a_caller_who_stops_taking_closes_the_scan() -> None:
    closed = threading.Event()

    def begin(stop: threading.Event) -> Facts:
        try:
            while True:
                yield Listed(counts(1))
        finally:
            closed.set()

    async def run() -> Stream:
        stream = Stream(begin, Counts())
        facts = stream.facts()
        await anext(facts)
        await facts.aclose()
        return stream

    assert asyncio.run(run()).ended.result(10) is None
    assert closed.is_set()


def test_the_scan_does_not_run_ahead_of_its_caller() -> None:
    steps = 0

    def begin(stop: threading.Event) -> Facts:
        nonlocal steps
        while True:
            steps += 1
            yield Listed(counts(steps))

    async def run() -> None:
        facts = Stream(begin, Counts()).facts()
        for number in range(1, 4):
            assert await anext(facts) == Listed(counts(number))
            assert steps == number
        await facts.aclose()

    asyncio.run(run())


@pytest.mark.parametrize(
    "fact", [Listed(counts(3)), Scanned(counts(3)), PlannedShard("000001", 1, 1, 1, Cursor(1, "a", counts(3)))]
)
def test_every_fact_tells_counts(fact: Fact) -> None:
    assert counts_of(fact) == counts(3)
