"""The first work is proved in this process; actors come when it has become much."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from blockferry.errors import BlockferryError
from stores.location import MemoryLocation
from verifier.batch import ProofBatch, ProvedBatch
from verifier.rising import RisingProvers

BATCH = ProofBatch("b", MemoryLocation("a"), MemoryLocation("b"), True, ())


class Pool:
    """Provers that note what they are told. Their first `failing` starts fail."""

    def __init__(self, parallel_count: int, failing: int = 0) -> None:
        self.parallel_count = parallel_count
        self.heard: list[str] = []
        self._failing = failing

    async def start(self) -> None:
        self.heard.append("start")
        if self.heard.count("start") <= self._failing:
            raise BlockferryError("POOL_FAILED", "no Ray", retryable=True)

    async def prove(self, batch: ProofBatch, carrier: Mapping[str, str]) -> ProvedBatch:
        self.heard.append("prove")
        await asyncio.sleep(0)
        return ProvedBatch(())

    async def close(self) -> None:
        self.heard.append("close")


async def until(pool: Pool, heard: list[str]) -> None:
    async with asyncio.timeout(10):
        while pool.heard != heard:
            await asyncio.sleep(0.001)


def test_little_work_starts_no_actors() -> None:
    async def run() -> None:
        here, actors = Pool(2), Pool(5)
        pool = RisingProvers(here, lambda: actors, 5, patience_s=1000.0)
        assert pool.parallel_count == 5
        await pool.start()
        for _ in range(3):
            await pool.prove(BATCH, {})
        await pool.close()
        assert here.heard == ["start", "prove", "prove", "prove", "close"]
        assert actors.heard == []

    asyncio.run(run())


def test_work_beyond_the_patience_goes_to_actors() -> None:
    async def run() -> None:
        here, actors = Pool(2), Pool(1)
        pool = RisingProvers(here, lambda: actors, 1, patience_s=1e-9)
        await pool.start()
        assert actors.heard == []
        await pool.prove(BATCH, {})
        await until(actors, ["start"])
        await asyncio.sleep(0)
        await pool.prove(BATCH, {})
        assert actors.heard == ["start", "prove"]
        await pool.close()
        assert (here.heard, actors.heard) == (["start", "prove", "close"], ["start", "prove", "close"])

    asyncio.run(run())


def test_without_patience_actors_are_there_from_the_start() -> None:
    async def run() -> None:
        here, actors = Pool(2), Pool(1)
        pool = RisingProvers(here, lambda: actors, 1, patience_s=0.0)
        await pool.start()
        await pool.prove(BATCH, {})
        assert (here.heard, actors.heard) == (["start"], ["start", "prove"])
        await pool.close()

    asyncio.run(run())


def test_a_start_that_fails_is_told_only_where_nobody_else_proves() -> None:
    async def run() -> None:
        here, actors = Pool(2), Pool(1, failing=2)
        eager = RisingProvers(here, lambda: actors, 1, patience_s=0.0)
        with pytest.raises(BlockferryError):
            await eager.start()
        await eager.close()
        pool = RisingProvers(here, lambda: actors, 1, patience_s=1e-9)
        await pool.start()
        await pool.prove(BATCH, {})
        await until(actors, ["start", "start"])
        await pool.prove(BATCH, {})
        assert actors.heard == ["start", "start"]
        assert here.heard.count("prove") == 2
        await pool.close()

    asyncio.run(run())
