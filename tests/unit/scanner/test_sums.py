"""Sums over pairs and entries."""

from __future__ import annotations

from dataclasses import fields

from hypothesis import given
from hypothesis import strategies as st

from ledger.records import Action, EntryFailure, PlanEntry, Why
from scanner.facts import Counts, ScanPurpose, shard_name
from scanner.march import Pair
from scanner.sums import Sums, move_totals, verify_count
from service.jobs import Verify
from service.v1 import scan_pb2
from tests.support.listings import file, folder, written


def entry(action: Action, size_bytes: int = 5) -> PlanEntry:
    failure = EntryFailure("X", "x") if action in (Action.REFUSE, Action.MISSING, Action.EXTRA) else None
    return PlanEntry("a", action, Why.NEW, file("a", size_bytes), failure=failure)


def test_each_action_has_its_count() -> None:
    sums = Sums(Counts())
    source, found = file("a", 5), written(file("a", 7))
    for action in (Action.COPY, Action.METADATA, Action.SKIP, Action.REFUSE):
        sums.add(Pair(source, found), entry(action))
    sums.add(Pair(folder("f/"), None), PlanEntry("f/", Action.COPY, Why.NEW, folder("f/")))
    sums.add(Pair(None, found), None)
    assert sums.counts() == Counts(
        source_listed_count=5,
        source_listed_bytes=20,
        destination_listed_count=5,
        destination_listed_bytes=35,
        estimated_count=3,
        estimated_bytes=5,
        estimated_folder_count=1,
        estimated_metadata_count=1,
        skipped_count=1,
        failed_count=1,
    )


def test_one_sided_entries_of_a_check_are_failures() -> None:
    sums = Sums(Counts())
    sums.add(Pair(file("a"), None), entry(Action.MISSING))
    sums.add(Pair(None, file("b")), entry(Action.EXTRA))
    sums.add(Pair(file("c"), file("c")), entry(Action.CHECK))
    assert sums.counts().failed_count == 2
    assert sums.counts().estimated_count == 0


@given(st.lists(st.integers(0, 1 << 50), min_size=10, max_size=10))
def test_a_tally_goes_on_from_a_cursor(numbers: list[int]) -> None:
    assert Sums(Counts(*numbers)).counts() == Counts(*numbers)


def test_counts_have_the_fields_of_their_message() -> None:
    names = {field.name for field in fields(Counts)}
    assert names == set(scan_pb2.ScanCounts.DESCRIPTOR.fields_by_name)


def test_what_a_shard_moves() -> None:
    shard = [entry(action) for action in (Action.COPY, Action.COPY, Action.METADATA, Action.REFUSE)]
    assert move_totals(shard) == (3, 10)
    assert move_totals([entry(Action.CHECK), entry(Action.MISSING)]) == (0, 0)


def test_what_a_shard_verifies_follows_the_option() -> None:
    moved = [entry(action) for action in (Action.COPY, Action.METADATA, Action.REFUSE)]
    assert verify_count(moved, Verify.ONLY_FILES_TRANSFERRED) == 2
    assert verify_count(moved, Verify.NONE) == 0
    assert verify_count(moved, Verify.POINT_IN_TIME_CONSISTENT) == 0, "the check that follows proves everything"
    checked = [entry(Action.CHECK), entry(Action.MISSING)]
    assert verify_count(checked, Verify.POINT_IN_TIME_CONSISTENT) == 1


def test_shard_names_differ_by_purpose_number_and_attempt() -> None:
    assert shard_name(ScanPurpose.TRANSFER, 17, 1) == "000017"
    assert shard_name(ScanPurpose.CHECK, 17, 0) == "c000017"
    assert shard_name(ScanPurpose.TRANSFER, 17, 2) == "000017-2"
