"""What is tried before anything begins, and scans between stores in memory, whole and broken."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from blockferry.errors import BlockferryError
from ledger.ledger import Ledger
from ledger.records import Action, PlanEntry
from ledger.traits import Traits, read_traits, write_traits
from scanner.facts import PlannedShard, Scanned, ScanPurpose
from scanner.prepare import check_location, prepare
from scanner.scan import ScanOrder, run
from service.backoff import Backoff
from service.jobs import Job, TransferOptions
from stores.base import Kind, Source
from stores.checksum import Algorithm
from stores.faulty import Fault, FaultySource, Harm, Script
from stores.hashing import checksum_of
from stores.location import HdfsLocation, MemoryLocation, S3Location
from stores.memory import MemoryStore, forget
from tests.support.listings import OWNER


@pytest.fixture
def ends() -> Iterator[tuple[MemoryStore, MemoryStore, Job]]:
    names = [uuid4().hex, uuid4().hex]
    locations = [MemoryLocation(name) for name in names]
    job = Job("tasks/t/executions/e", "/nowhere", locations[0], locations[1], TransferOptions())
    yield MemoryStore(names[0]), MemoryStore(names[1]), job
    for name in names:
        forget(name)


def plan_of(source: Source, sink: MemoryStore, place: Path) -> list[PlanEntry]:
    """Scans as the service does, with a real ledger; returns the plan."""
    ledger = Ledger(str(place))
    backoff = Backoff(base_s=0.0, attempts=3)
    scan = ScanOrder(source, sink, ledger, ScanPurpose.TRANSFER, TransferOptions(), backoff=backoff)
    facts = list(run(scan, threading.Event()))
    assert isinstance(facts[-1], Scanned)
    return [entry for fact in facts if isinstance(fact, PlannedShard) for entry in ledger.read_plan(fact.name)]


def fill(source: MemoryStore) -> None:
    for path in ("a", "b-c", "b/", "b/c", "empty/"):
        source.add(path, b"" if path.endswith("/") else path.encode(), OWNER)


def test_both_ends_are_tried_and_the_probe_leaves_nothing(ends: tuple[MemoryStore, MemoryStore, Job]) -> None:
    source, sink, job = ends
    fill(source)
    assert prepare(job, dry_run=False).trusted
    assert list(sink.list_tree()) == []


def test_a_dry_run_is_not_probed(ends: tuple[MemoryStore, MemoryStore, Job]) -> None:
    probe = prepare(ends[2], dry_run=True)
    assert not probe.trusted
    assert "dry run" in probe.detail


@pytest.mark.parametrize("dry_run", [True, False])
def test_what_an_earlier_execution_found_out_of_the_destination_is_taken_over(
    ends: tuple[MemoryStore, MemoryStore, Job], tmp_path: Path, dry_run: bool
) -> None:
    earlier, own = str(tmp_path / "earlier"), str(tmp_path / "own")
    write_traits(earlier, Traits(lists_changes=False))
    prepare(replace(ends[2], ledger_uri=own, earlier_ledger_uris=(str(tmp_path / "none"), earlier)), dry_run)
    assert read_traits([own]) == Traits(lists_changes=False)


def test_a_dry_run_finds_nothing_out(ends: tuple[MemoryStore, MemoryStore, Job], tmp_path: Path) -> None:
    own = str(tmp_path / "own")
    prepare(replace(ends[2], ledger_uri=own, earlier_ledger_uris=(str(tmp_path / "earlier"),)), dry_run=True)
    assert read_traits([own]) is None
    assert list(ends[1].list_tree()) == []


def test_a_destination_of_the_wrong_kind_is_told(ends: tuple[MemoryStore, MemoryStore, Job]) -> None:
    job = replace(ends[2], destination=HdfsLocation(("127.0.0.1:1",), "/x"))
    with pytest.raises(BlockferryError, match="INVALID_LOCATION"):
        prepare(job, dry_run=True)


def test_a_location_that_cannot_be_opened_is_a_failed_check() -> None:
    checks = check_location(HdfsLocation((), "/x"), write=False)
    assert [(check.passed, bool(check.reason)) for check in checks[:1]] == [(False, True)]
    assert not all(check.passed for check in check_location(S3Location("b", endpoint="nonsense"), write=False))


def test_what_was_moved_is_not_planned_again(ends: tuple[MemoryStore, MemoryStore, Job], tmp_path: Path) -> None:
    source, sink, _ = ends
    fill(source)
    plan = plan_of(source, sink, tmp_path / "1")
    assert [(entry.path, entry.action) for entry in plan] == [
        (path, Action.COPY) for path in ("a", "b-c", "b/", "b/c", "empty/")
    ]
    for entry in plan:
        body = b"" if entry.path.endswith("/") else entry.path.encode()
        sink.put(entry.path, body, checksum_of(Algorithm.CRC32C, body), OWNER)
    assert plan_of(source, sink, tmp_path / "2") == []
    source.add("a", b"x", replace(OWNER, mtime_ms=OWNER.mtime_ms + 1))
    assert [entry.path for entry in plan_of(source, sink, tmp_path / "3")] == ["a"]


@pytest.mark.parametrize("position", range(6))
def test_a_listing_that_breaks_anywhere_gives_the_same_plan(
    ends: tuple[MemoryStore, MemoryStore, Job], tmp_path: Path, position: int
) -> None:
    source, sink, _ = ends
    fill(source)
    script = Script(Fault("list_tree", position=position), Fault("list_tree", call=2))
    broken = plan_of(FaultySource(source, script), sink, tmp_path / "broken")
    assert broken == plan_of(source, sink, tmp_path / "whole")
    assert len(script.struck) == 2 or position == 5


def test_a_listing_that_is_down_fails_the_scan(ends: tuple[MemoryStore, MemoryStore, Job], tmp_path: Path) -> None:
    source, sink, _ = ends
    fill(source)
    script = Script(Fault("list_tree", Harm.FAIL, call=0))
    with pytest.raises(BlockferryError, match="STORE_UNAVAILABLE"):
        plan_of(FaultySource(source, script), sink, tmp_path)


def test_plans_keep_what_the_mover_needs(ends: tuple[MemoryStore, MemoryStore, Job], tmp_path: Path) -> None:
    source, sink, _ = ends
    fill(source)
    for entry in plan_of(source, sink, tmp_path):
        assert entry.source is not None
        assert entry.source.attributes == OWNER
        assert (entry.source.kind is Kind.FOLDER) == entry.path.endswith("/")
