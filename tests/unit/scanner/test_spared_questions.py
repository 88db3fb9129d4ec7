"""Executions after one another at a store in memory: what earlier ones have seen is not asked for, whatever changes is
found."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from ledger.ledger import Ledger
from ledger.records import Action, PlanEntry, Receipt, Why
from ledger.sightings_files import write_seen
from ledger.traits import Traits, write_traits
from scanner.api import with_sightings
from scanner.facts import Cursor, PlannedShard, ScanPurpose
from scanner.scan import ScanOrder, run
from service.backoff import Backoff
from service.jobs import Job, Transfer, TransferOptions
from stores.base import Attributes, Stat, Stored
from stores.checksum import Algorithm
from stores.hashing import checksum_of
from stores.location import MemoryLocation
from stores.memory import MemoryStore, forget
from verifier.expect import Question
from verifier.prove import ProofBench, prove
from verifier.sweep import groups, sweep

ADA = Attributes("ada", "staff", 0o644, mtime_ms=1_000, atime_ms=0)
BOB = replace(ADA, owner="bob")


class CountedStore(MemoryStore):
    """A sink that shows no attributes in its listing, and knows what it was asked for."""

    asked: list[str]

    def stat(self, path: str) -> Stat | None:
        self.asked.append(path)
        return super().stat(path)


@dataclass(slots=True)
class Yard:
    """A source, a sink, a clock, and executions between them."""

    folder: Path
    source: MemoryStore
    sink: CountedStore
    now_ms: list[int]
    number: int = 0
    uris: list[str] = field(default_factory=list)

    def write(self, path: str, body: bytes = b"body", attributes: Attributes = ADA) -> Stored:
        """Writes an object, as we or somebody else would."""
        return self.sink.put(path, body, checksum_of(Algorithm.CRC32C, body), attributes)

    def passes(self, seconds: float = 10.0) -> None:
        self.now_ms[0] += int(seconds * 1000)

    def execute(self, proves: bool = True, lists_changes: bool | None = True, sweeps: bool = False) -> dict[str, Why]:
        """Scans, moves and proves. Returns what was moved, and why."""
        plan = self.scan(lists_changes=lists_changes)
        receipts = [self.move(entry) for entry in plan]
        if proves and plan:
            self.prove([Question(entry, receipt) for entry, receipt in zip(plan, receipts, strict=True)], sweeps)
        return {entry.path: entry.why for entry in plan}

    def scan(
        self, lists_changes: bool | None = True, attempt: int = 1, cursor: Cursor | None = None
    ) -> list[PlanEntry]:
        """Runs a scan of a new execution, or another attempt at that of the last one. Returns its plan."""
        if attempt == 1:
            self.number += 1
            self.uris.insert(0, str(self.folder / str(self.number)))
            if lists_changes is not None:
                write_traits(self.uris[0], Traits(lists_changes))
        self.sink.asked = []
        job = Job("e", self.uris[0], MemoryLocation("a"), MemoryLocation("b"), TransferOptions(), tuple(self.uris[1:2]))
        order = ScanOrder(
            self.source,
            self.sink,
            Ledger(job.ledger_uri),
            ScanPurpose.TRANSFER,
            job.options,
            cursor or Cursor(),
            attempt,
        )
        facts = list(run(with_sightings(order, job), threading.Event()))
        ledger = Ledger(job.ledger_uri)
        return [entry for fact in facts if isinstance(fact, PlannedShard) for entry in ledger.read_plan(fact.name)]

    def move(self, entry: PlanEntry) -> Receipt:
        """Does what the mover does."""
        assert entry.source is not None and entry.source.attributes is not None
        kept = bytearray(entry.source.size_bytes)
        if kept:
            self.source.read_into(entry.source, 0, memoryview(kept), Algorithm.CRC32C)
        claim = checksum_of(Algorithm.CRC32C, bytes(kept))
        if entry.action is Action.METADATA:
            stored = self.sink.set_attributes(entry.path, entry.source.attributes, Algorithm.CRC32C)
        else:
            stored = self.sink.put(entry.path, bytes(kept), claim, entry.source.attributes)
        return Receipt(entry.path, entry.action, len(kept), stored.etag, checksum=claim, written_ms=stored.written_ms)

    def prove(self, questions: list[Question], sweeps: bool) -> None:
        """Does what the verifier does."""
        bench = ProofBench(self.source, self.sink, True, Backoff(base_s=0.0, attempts=1))
        proofs = (
            {path: proof for group in groups(questions) for path, proof in sweep(bench, group).items()}
            if sweeps
            else {}
        )
        for question in questions:
            if question.entry.path not in proofs:
                proofs[question.entry.path] = prove(bench, question)
        assert all(proof.verdict.failure is None for proof in proofs.values())
        stats = [proofs[question.entry.path].seen for question in questions]
        write_seen(Ledger(self.uris[0]).folder, "000001.1", [stat for stat in stats if stat is not None])

    @property
    def asked(self) -> list[str]:
        """What the sink was asked for since the last scan began."""
        return self.sink.asked


@pytest.fixture
def yard(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Yard]:
    names = tuple(f"{request.node.name}-{end}" for end in ("source", "sink"))
    clock = [1_700_000_000_000]
    sink = CountedStore(names[1], now_ms=lambda: clock[0], lists_attributes=False)
    sink.asked = []
    made = Yard(tmp_path, MemoryStore(names[0]), sink, clock)
    for path in ("a", "b", "d/", "d/e"):
        made.source.add(path, b"" if path.endswith("/") else path.encode(), ADA)
    yield made
    for name in names:
        forget(name)


@pytest.fixture
def known(yard: Yard) -> Yard:
    """After an execution that has copied everything, and one that has found nothing to do."""
    assert len(yard.execute()) == 4
    yard.passes()
    assert yard.execute() == {}
    yard.passes()
    return yard


def test_nothing_is_asked_for_what_was_seen(known: Yard) -> None:
    for _ in range(3):
        assert known.execute() == {}
        assert known.asked == []
        known.passes()


def test_what_an_execution_wrote_is_known_to_the_next_one_if_it_went_on_long_enough(yard: Yard) -> None:
    plan = yard.scan()
    receipts = [yard.move(entry) for entry in plan]
    yard.passes(2.0)
    yard.prove([Question(entry, receipt) for entry, receipt in zip(plan, receipts, strict=True)], sweeps=False)
    assert (yard.execute(), yard.asked) == ({}, [])


def test_what_was_written_in_the_last_second_of_an_execution_is_asked_for_once(yard: Yard) -> None:
    yard.execute()
    yard.passes()
    assert (yard.execute(), yard.asked) == ({}, ["a", "b", "d/", "d/e"])
    assert (yard.execute(), yard.asked) == ({}, [])


def test_what_listings_have_proved_is_known_too(yard: Yard) -> None:
    for number in range(60):
        yard.source.add(f"many/{number:03}", b"%d" % number, ADA)
    plan = yard.scan()
    receipts = [yard.move(entry) for entry in plan]
    yard.passes(2.0)
    yard.sink.asked = []
    yard.prove([Question(entry, receipt) for entry, receipt in zip(plan, receipts, strict=True)], sweeps=True)
    assert not [path for path in yard.asked if path.startswith("many/") and path != "many/000"]
    assert (yard.execute(), yard.asked) == ({}, [])


def touch(yard: Yard) -> None:
    yard.source.add("b", b"b", replace(ADA, mtime_ms=2_000))


def chown(yard: Yard) -> None:
    yard.source.add("b", b"b", BOB)


def grow(yard: Yard) -> None:
    yard.source.add("b", b"bb", ADA)


def overwrite(yard: Yard) -> None:
    yard.write("b", b"x")


def write_same_bytes(yard: Yard) -> None:
    yard.write("b", b"b", BOB)


def set_foreign_attributes(yard: Yard) -> None:
    yard.sink.set_attributes("b", BOB, Algorithm.CRC32C)


def delete(yard: Yard) -> None:
    yard.sink.delete("b")


def chown_folder(yard: Yard) -> None:
    yard.sink.set_attributes("d/", BOB, Algorithm.CRC32C)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (touch, {"b": Why.TIME_DIFFERS}),
        (chown, {"b": Why.ATTRIBUTES_DIFFER}),
        (grow, {"b": Why.SIZE_DIFFERS}),
        (write_same_bytes, {"b": Why.ATTRIBUTES_DIFFER}),
        (set_foreign_attributes, {"b": Why.ATTRIBUTES_DIFFER}),
        (chown_folder, {"d/": Why.ATTRIBUTES_DIFFER}),
        (delete, {"b": Why.NEW}),
    ],
)
def test_every_change_is_found(known: Yard, change: Callable[[Yard], None], found: dict[str, Why]) -> None:
    change(known)
    assert known.execute() == found
    known.passes()
    assert known.execute() == {}, "and is mended"


def test_a_foreign_overwrite_is_asked_for_and_judged_as_ever(known: Yard) -> None:
    overwrite(known)
    assert known.execute() == {}, "it has our attributes and size: only a check of the content can tell"
    assert known.asked == ["b"]


def test_a_change_in_the_second_in_which_it_was_looked_at_is_found(yard: Yard) -> None:
    yard.execute()
    assert yard.execute() == {}, "looked at in the second of the writing"
    yard.sink.set_attributes("b", BOB, Algorithm.CRC32C)
    yard.passes()
    assert yard.execute() == {"b": Why.ATTRIBUTES_DIFFER}


def test_a_store_whose_listing_shows_no_changes_is_asked_for_everything(known: Yard) -> None:
    assert known.execute(lists_changes=False) == {}
    assert len(known.asked) == 4
    assert not (known.folder / "3" / "sightings").exists()


def test_a_store_that_was_not_tried_is_asked_for_everything(known: Yard) -> None:
    assert (known.execute(lists_changes=None), len(known.asked)) == ({}, 4)
    known.passes()
    assert (known.execute(), known.asked) == ({}, []), "what was seen then is known all the same"


def test_without_the_earlier_ledger_everything_is_asked_for(known: Yard) -> None:
    shutil.rmtree(known.uris[0])
    assert (known.execute(), len(known.asked)) == ({}, 4)


def test_an_execution_that_proves_nothing_leaves_what_it_wrote_to_be_asked_for(yard: Yard) -> None:
    yard.execute(proves=False)
    yard.passes()
    assert (yard.execute(), len(yard.asked)) == ({}, 4)
    assert (yard.execute(), yard.asked) == ({}, [])


def test_what_was_seen_survives_an_execution_that_moves_nothing(known: Yard) -> None:
    touch(known)
    assert [entry.path for entry in known.scan()] == ["b"]
    assert known.asked == []
    assert (known.execute(), known.asked) == ({"b": Why.TIME_DIFFERS}, ["b"]), "only by its proof"


def test_a_change_of_attributes_alone_is_planned_with_the_checksum_that_proves_it(known: Yard) -> None:
    chown(known)
    (entry,) = known.scan()
    assert (entry.action, known.asked) == (Action.METADATA, ["b"])
    assert entry.found is not None and entry.found.checksum == checksum_of(Algorithm.CRC32C, b"b")


def test_a_second_attempt_knows_what_the_first_has_seen(known: Yard) -> None:
    shutil.rmtree(known.uris[1])
    known.scan()
    assert known.asked == []
    shutil.rmtree(known.uris[1])
    known.scan(attempt=2)
    assert known.asked == []


def test_a_transfer_of_all_keeps_nothing(yard: Yard, tmp_path: Path) -> None:
    job = Job(
        "e", str(tmp_path / "all"), MemoryLocation("a"), MemoryLocation("b"), TransferOptions(transfer=Transfer.ALL)
    )
    order = ScanOrder(yard.source, yard.sink, Ledger(job.ledger_uri), ScanPurpose.TRANSFER, job.options)
    list(run(with_sightings(order, job), threading.Event()))
    assert not (tmp_path / "all" / "sightings").exists()
