"""A shard is proved in batches by any pool; its verdicts are in the ledger when it ends, and not before."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from blockferry.errors import BlockferryError
from ledger.ledger import Ledger
from ledger.records import Action, EntryFailure, PlanEntry, Receipt, Why
from stores.base import Kind, Sink, Source, Stat
from stores.faulty import Fault, FaultySink, FaultySource, Harm, Script
from stores.location import Location, MemoryLocation
from stores.memory import MemoryStore, forget
from tests.support.proving import ATTRIBUTES, NO_WAIT, TwoStores
from verifier.batch import BATCH_ENTRIES, ProofBatch
from verifier.crew import Crew, StoreShelf
from verifier.expect import Question
from verifier.pool import ThreadProvers
from verifier.shard import ProofCounts, ShardProved, ShardWork, prove_shard

DEADLINE_S = 20.0


@dataclass
class House:
    """Two stores, a ledger, and provers of threads."""

    stores: TwoStores
    source: MemoryLocation
    sink: MemoryLocation
    ledger: Ledger
    script: Script = Script()  # noqa: RUF009 - without faults it has no state that matters

    def crew(self) -> Crew:
        def open_source(_: Location) -> Source:
            return FaultySource(self.stores.source, self.script)

        def open_sink(_: Location) -> Sink:
            return FaultySink(self.stores.sink, self.script)

        return Crew(StoreShelf(open_source, open_sink), 4, NO_WAIT)

    def write(self, questions: list[Question], *more: PlanEntry) -> None:
        self.ledger.write_plan("000001", [*(question.entry for question in questions), *more])
        self.ledger.write_receipts("000001.1", [question.receipt for question in questions if question.receipt])

    def work(self, trusted: bool = True, receipts: str = "000001.1") -> ShardWork:
        return ShardWork(self.source, self.sink, "000001", 3, receipts, trusted)

    def prove(self, trusted: bool = True, receipts: str = "000001.1") -> tuple[list[ProofCounts], ShardProved]:
        """Returns the signs of life and the end."""

        async def run() -> list[ProofCounts | ShardProved]:
            provers = ThreadProvers(self.crew())
            try:
                return [
                    fact async for fact in prove_shard(self.work(trusted, receipts), self.ledger, provers, {}, 0.01)
                ]
            finally:
                await provers.close()

        *counts, end = asyncio.run(asyncio.wait_for(run(), DEADLINE_S))
        assert isinstance(end, ShardProved)
        return [count for count in counts if isinstance(count, ProofCounts)], end


@pytest.fixture
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[House]:
    names = tuple(f"{request.node.name}-{end}" for end in ("source", "sink"))
    stores = TwoStores(*(MemoryStore(name) for name in names))
    yield House(stores, MemoryLocation(names[0]), MemoryLocation(names[1]), Ledger(str(tmp_path)))
    for name in names:
        forget(name)


def many(house: House, count: int) -> list[Question]:
    return [house.stores.moved(f"f{number:05d}", b"x" * number) for number in range(count)]


def test_every_entry_of_a_shard_gets_its_verdict(house: House) -> None:
    questions = many(house, 2 * BATCH_ENTRIES + 7)
    house.write(questions)
    _, end = house.prove()
    assert end.verdicts == "000001.3"
    assert end.counts.verified_count == len(questions)
    assert end.counts.verified_bytes == sum(question.size_bytes for question in questions)
    assert end.failures == ()
    verdicts = house.ledger.read_verdicts(end.verdicts)
    assert [verdict.path for verdict in verdicts] == [question.entry.path for question in questions]


def test_one_bad_file_does_not_harm_its_neighbours(house: House) -> None:
    questions = many(house, 20)
    house.stores.overwrite("f00007", b"y" * 7)
    house.stores.sink.delete("f00008")
    house.write(questions)
    house.script = Script(Fault("stat", call=0, path="f00009", error=BlockferryError("ACCESS_DENIED", "no")))
    _, end = house.prove()
    assert end.counts.verified_count == 17
    assert end.counts.failed_count == 3
    assert {group.reason: group.sample_paths for group in end.failures} == {
        "ACCESS_DENIED": ("f00009",),
        "CHECKSUM_FAILURE": ("f00007",),
        "OBJECT_MISSING": ("f00008",),
    }


def test_fault_of_ours_fails_one_entry(house: House) -> None:
    questions = many(house, 5)
    house.write(questions)
    house.script = Script(Fault("stat", call=0, path="f00002", error=ZeroDivisionError("ours")))  # type: ignore[arg-type]
    _, end = house.prove()
    assert [(group.reason, group.sample_paths) for group in end.failures] == [("INTERNAL", ("f00002",))]
    assert end.counts.verified_count == 4


def test_entries_that_need_no_proof_get_no_verdict(house: House) -> None:
    question = house.stores.moved("moved", b"abc")
    stat = Stat("x", Kind.FILE, 3, 1, ATTRIBUTES)
    failed = EntryFailure("ACCESS_DENIED", "no")
    house.ledger.write_plan(
        "000001",
        [
            question.entry,
            PlanEntry("failed", Action.COPY, Why.NEW, stat),
            PlanEntry("refused", Action.REFUSE, Why.REFUSED, stat, None, failed),
            PlanEntry("same", Action.SKIP, Why.SAME, stat),
        ],
    )
    assert question.receipt is not None
    house.ledger.write_receipts("000001.1", [question.receipt, Receipt("failed", Action.COPY, failure=failed)])
    _, end = house.prove()
    assert [verdict.path for verdict in house.ledger.read_verdicts(end.verdicts)] == ["moved"]
    assert (end.counts.verified_count, end.counts.failed_count) == (1, 0)


def test_one_sided_entries_of_a_check_are_not_counted_again(house: House) -> None:
    question = house.stores.moved("both", b"abc")
    missing = EntryFailure("FILE_MISSING", "one side")
    house.ledger.write_plan(
        "000001",
        [
            replace(question.entry, action=Action.CHECK),
            PlanEntry("gone", Action.MISSING, Why.ONE_SIDED, Stat("gone", Kind.FILE, 3, 1), None, missing),
        ],
    )
    _, end = house.prove(receipts="")
    assert (end.counts.verified_count, end.counts.failed_count, end.failures) == (1, 0, ())
    assert [verdict.failure for verdict in house.ledger.read_verdicts(end.verdicts)] == [None, missing]


def test_empty_shard_has_empty_verdicts(house: House) -> None:
    house.write([])
    _, end = house.prove()
    assert house.ledger.read_verdicts(end.verdicts) == ()
    assert end.counts == ProofCounts()


def test_costs_are_counted(house: House) -> None:
    questions = many(house, 10)
    house.write(questions)
    house.script = Script(Fault("stat", call=3))
    _, end = house.prove(trusted=False)
    assert end.counts.read_back_bytes == sum(question.size_bytes for question in questions)
    assert end.counts.retry_count == 1


def test_missing_ledger_fails_the_shard(house: House) -> None:
    with pytest.raises(BlockferryError) as caught:
        house.prove()
    assert caught.value.reason == "LEDGER_MISSING"


def test_unreachable_store_fails_the_shard_and_leaves_no_verdicts(house: House) -> None:
    house.write(many(house, 50))
    house.script = Script(Fault("stat", call=0))
    with pytest.raises(BlockferryError) as caught:
        house.prove()
    assert caught.value.reason == "STORE_UNAVAILABLE"
    with pytest.raises(BlockferryError):
        house.ledger.read_verdicts("000001.3")


def test_signs_of_life_come_while_a_store_stalls(house: House) -> None:
    house.write(many(house, 1))
    told = threading.Event()
    house.script = Script(Fault("stat", Harm.STALL, path="f00000", stall_s=DEADLINE_S), sleep=told.wait)

    async def run() -> list[ProofCounts | ShardProved]:
        provers = ThreadProvers(house.crew())
        facts: list[ProofCounts | ShardProved] = []
        async for fact in prove_shard(house.work(), house.ledger, provers, {}, 0.01):
            facts.append(fact)
            if len(facts) == 3:
                told.set()
        await provers.close()
        return facts

    facts = asyncio.run(asyncio.wait_for(run(), DEADLINE_S))
    assert facts[:3] == [ProofCounts()] * 3
    assert isinstance(facts[-1], ShardProved)


def test_closed_stream_stops_the_work(house: House) -> None:
    house.write(many(house, 300))
    going_on = threading.Event()
    house.script = Script(Fault("stat", Harm.STALL, call=0, stall_s=DEADLINE_S), sleep=going_on.wait)

    async def run() -> None:
        provers = ThreadProvers(house.crew())
        stream = prove_shard(house.work(), house.ledger, provers, {}, 0.01)
        await anext(stream)
        await stream.aclose()
        going_on.set()
        await provers.close()

    asyncio.run(asyncio.wait_for(run(), DEADLINE_S))
    assert len(house.script.struck) < 300
    with pytest.raises(BlockferryError):
        house.ledger.read_verdicts("000001.3")


def test_batch_that_was_cancelled_before_it_began_does_nothing(house: House) -> None:
    crew = house.crew()
    crew.cancel("b")
    with pytest.raises(BlockferryError) as caught:
        crew.prove(ProofBatch("b", house.source, house.sink, True, tuple(many(house, 3))), {})
    assert caught.value.reason == "PROOF_CANCELLED"
    crew.close()


class _Counted(MemoryStore):
    """A store that counts how often it was closed."""

    closed_count = 0

    def close(self) -> None:
        _Counted.closed_count += 1


def test_shelf_keeps_stores_open_for_the_next_batch_and_closes_old_ones() -> None:
    opened: list[Location] = []

    def open_store(location: Location) -> _Counted:
        opened.append(location)
        return _Counted("shelf")

    shelf = StoreShelf(open_store, open_store, kept_count=1)
    one, two = MemoryLocation("one"), MemoryLocation("two")
    with shelf.lend(one, one), shelf.lend(one, one):
        assert len(opened) == 2
    assert _Counted.closed_count == 0
    with shelf.lend(two, two):
        assert _Counted.closed_count == 0
    assert _Counted.closed_count == 2
    shelf.close()
    assert _Counted.closed_count == 4


def test_shelf_closes_the_source_when_the_sink_cannot_be_opened() -> None:
    _Counted.closed_count = 0

    def no_sink(_: Location) -> Sink:
        raise BlockferryError("INVALID_LOCATION", "no")

    shelf = StoreShelf(lambda _: _Counted("shelf"), no_sink)
    with pytest.raises(BlockferryError), shelf.lend(MemoryLocation("one"), MemoryLocation("two")):
        pass
    assert _Counted.closed_count == 1
