"""A whole scan: from two listings to planned shards."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blockferry.errors import BlockferryError
from ledger.records import Action, PlanEntry, Why
from scanner.belt import MAX_ENTRIES
from scanner.cut import Bounds
from scanner.facts import Counts, Cursor, Fact, Listed, PlannedShard, Scanned, ScanPurpose
from scanner.scan import ScanOrder, run
from service.backoff import Backoff
from service.jobs import OpenFiles, Transfer, TransferOptions, Verify
from stores.base import Attributes, Condition, Kind, Stat
from tests.support.listings import OWNER, KeptPlans, ListedEnd, file, folder, written

CHANGED = TransferOptions()
SOON = Backoff(base_s=0.0, attempts=3)
SMALL = Bounds(max_entries=4, max_bytes=50, max_age_s=3_600.0, first_entries=2, first_bytes=20)


def scan_of(
    source: Iterable[Stat], found: Iterable[Stat] = (), purpose: ScanPurpose = ScanPurpose.TRANSFER
) -> ScanOrder:
    return ScanOrder(
        source=ListedEnd(source),
        sink=ListedEnd(found, hides_attributes=True),
        ledger=KeptPlans(),
        purpose=purpose,
        options=CHANGED,
        bounds=SMALL,
        backoff=SOON,
    )


def facts_of(scan: ScanOrder) -> list[Fact]:
    return list(run(scan, threading.Event()))


def planned(scan: ScanOrder) -> list[tuple[str, Action, Why]]:
    """Runs a scan; returns its plan."""
    assert isinstance(facts_of(scan)[-1], Scanned)
    return [(entry.path, entry.action, entry.why) for entry in plans_of(scan).entries()]


def plans_of(scan: ScanOrder) -> KeptPlans:
    assert isinstance(scan.ledger, KeptPlans)
    return scan.ledger


def shards_in(facts: Iterable[Fact]) -> list[PlannedShard]:
    return [fact for fact in facts if isinstance(fact, PlannedShard)]


def test_a_first_transfer_copies_files_and_empty_folders() -> None:
    source = [folder("empty/"), folder("full/"), file("full/a"), file("full-b", 0)]
    assert planned(scan_of(source)) == [
        ("empty/", Action.COPY, Why.NEW),
        ("full-b", Action.COPY, Why.NEW),
        ("full/", Action.COPY, Why.NEW),
        ("full/a", Action.COPY, Why.NEW),
    ]


def test_a_second_transfer_finds_what_changed() -> None:
    source = [file("grown", 2), file("same"), file("touched"), file("owned"), file("new"), folder("f/")]
    found = [
        written(file("gone")),
        written(file("grown", 1)),
        written(file("same")),
        written(file("touched", attributes=replace(OWNER, mtime_ms=1))),
        written(file("owned", attributes=replace(OWNER, owner="bob"))),
        written(folder("f/")),
    ]
    scan = scan_of(source, found)
    assert planned(scan) == [
        ("grown", Action.COPY, Why.SIZE_DIFFERS),
        ("new", Action.COPY, Why.NEW),
        ("owned", Action.METADATA, Why.ATTRIBUTES_DIFFER),
        ("touched", Action.COPY, Why.TIME_DIFFERS),
    ]
    assert isinstance(scan.sink, ListedEnd)
    assert sorted(scan.sink.asked) == ["f/", "owned", "same", "touched"], "only where the listing does not decide"


def test_counts_tell_all_that_was_found() -> None:
    source = [file("a", 10), file("b", 20), folder("c/"), Stat("d", Kind.SYMLINK, 5, 0)]
    scanned = facts_of(scan_of(source, [written(file("a", 10)), written(file("x", 7))]))[-1]
    assert scanned == Scanned(
        Counts(
            source_listed_count=4,
            source_listed_bytes=35,
            destination_listed_count=2,
            destination_listed_bytes=17,
            estimated_count=2,
            estimated_bytes=20,
            estimated_folder_count=1,
            skipped_count=1,
            failed_count=1,
        )
    )


def test_all_does_not_list_the_destination() -> None:
    scan = replace(scan_of([file("a")], [written(file("a"))]), options=replace(CHANGED, transfer=Transfer.ALL))
    assert planned(scan) == [("a", Action.COPY, Why.ALL_ASKED)]
    assert isinstance(scan.sink, ListedEnd)
    assert (scan.sink.list_count, scan.sink.asked) == (0, [])


def test_refused_entries_are_named_in_the_plan_and_in_the_shard() -> None:
    source = [Stat(f"e{number}", Kind.SYMLINK, 0, 0) for number in range(7)]
    source += [file("back\\slash"), file("good")]
    scan = replace(scan_of(source), bounds=replace(SMALL, first_entries=100))
    shard = shards_in(facts_of(scan))[0]
    assert [(group.reason, group.failure_count, len(group.sample_paths)) for group in shard.failures] == [
        ("SYMLINK_UNSUPPORTED", 7, 5),
        ("INVALID_KEY", 1, 1),
    ]
    assert (shard.move_count, shard.verify_count, shard.cursor.counts.failed_count) == (1, 1, 8)
    assert Counter(entry.action for entry in plans_of(scan).entries()) == {Action.REFUSE: 8, Action.COPY: 1}


def test_open_files_follow_their_option() -> None:
    source = [file("open", 7, condition=Condition.OPEN)]
    assert planned(scan_of(source)) == [("open", Action.COPY, Why.NEW)]
    failing = replace(scan_of(source), options=replace(CHANGED, open_files=OpenFiles.FAIL))
    assert planned(failing) == [("open", Action.REFUSE, Why.REFUSED)]


def test_skipped_entries_are_planned_only_when_asked_for() -> None:
    same = ([file("a")], [written(file("a"))])
    assert planned(scan_of(*same)) == []
    assert planned(replace(scan_of(*same), list_skipped=True)) == [("a", Action.SKIP, Why.SAME)]


def test_a_check_proves_both_sides() -> None:
    source = [file("a", 3), file("lost"), folder("f/"), Stat("e", Kind.SYMLINK, 0, 0)]
    found = [written(file("a", 3)), written(file("extra")), written(folder("f/")), written(file(".blockferry-probe-9"))]
    scan = scan_of(source, found, ScanPurpose.CHECK)
    facts = facts_of(scan)
    assert [(entry.path, entry.action) for entry in plans_of(scan).entries()] == [
        ("a", Action.CHECK),
        ("extra", Action.EXTRA),
        ("f/", Action.CHECK),
        ("lost", Action.MISSING),
    ]
    shards = shards_in(facts)
    assert [shard.name for shard in shards] == ["c000001", "c000002"]
    assert sum(shard.verify_count for shard in shards) == 2
    assert sum(shard.move_count for shard in shards) == 0
    assert [group.reason for shard in shards for group in shard.failures] == ["FILE_EXTRA", "FILE_MISSING"]
    assert shards[-1].cursor.counts.failed_count == 2
    assert isinstance(scan.sink, ListedEnd)
    assert scan.sink.asked == [], "the verifier asks for attributes"


def test_point_in_time_leaves_verifying_to_the_check() -> None:
    options = replace(CHANGED, verify=Verify.POINT_IN_TIME_CONSISTENT)
    shards = shards_in(facts_of(replace(scan_of([file("a")]), options=options)))
    assert [shard.verify_count for shard in shards] == [0]


def test_a_shard_is_told_after_its_plan_is_written_and_before_the_listing_ends() -> None:
    gate = threading.Event()
    scan = replace(scan_of([]), source=ListedEnd(map(file, "abc"), gates={"c": gate}))
    facts = run(scan, threading.Event())
    shard = next(fact for fact in facts if isinstance(fact, PlannedShard))
    assert [entry.path for entry in plans_of(scan).plans[shard.name]] == ["a", "b"]
    gate.set()
    assert isinstance(list(facts)[-1], Scanned)


def test_an_open_shard_is_closed_by_age_while_a_listing_is_silent() -> None:
    gate, seconds = threading.Event(), iter(range(1_000_000))
    bounds = Bounds(max_age_s=5.0)
    scan = replace(scan_of([]), source=ListedEnd(map(file, "ab"), gates={"b": gate}), bounds=bounds)
    facts = run(scan, threading.Event(), clock=lambda: float(next(seconds)))
    shard = next(fact for fact in facts if isinstance(fact, PlannedShard))
    assert shard.cursor.last_path == "a"
    gate.set()
    assert isinstance(list(facts)[-1], Scanned)


def test_signs_of_life_are_told_while_everything_is_skipped() -> None:
    seconds = iter(range(1_000_000))
    paths = [f"{number:04d}" for number in range(500)]
    scan = scan_of(map(file, paths), [written(file(path)) for path in paths])
    facts = list(run(scan, threading.Event(), clock=lambda: float(next(seconds))))
    assert not shards_in(facts)
    listed = [fact.counts.skipped_count for fact in facts if isinstance(fact, Listed)]
    assert listed == sorted(listed)
    assert len(listed) > 5


def test_shards_of_a_later_attempt_have_names_of_their_own() -> None:
    shards = shards_in(facts_of(replace(scan_of([file("a")]), attempt=3)))
    assert [shard.name for shard in shards] == ["000001-3"]


@pytest.mark.parametrize("side", ["source", "sink"])
def test_a_failed_listing_fails_the_scan_and_is_never_empty(side: str) -> None:
    denied = BlockferryError("ACCESS_DENIED", "chmod it", path="b/")
    broken = ListedEnd(map(file, "ac"), faults={"b": [denied]})
    scan = replace(scan_of(map(file, "ac")), **{side: broken})  # type: ignore[arg-type]
    with pytest.raises(BlockferryError) as raised:
        facts_of(scan)
    assert (raised.value.reason, raised.value.coordinates["path"]) == ("ACCESS_DENIED", "b/")
    assert raised.value.coordinates["side"] == ("source" if side == "source" else "destination")


def test_a_failed_question_fails_the_scan_after_its_tries() -> None:
    errors = [BlockferryError("SLOW_DOWN", "503", retryable=True) for _ in range(9)]
    sink = ListedEnd([written(file("a"))], hides_attributes=True)
    scan = replace(scan_of([file("a")]), sink=sink)
    sink.stat = lambda path: (_ for _ in ()).throw(errors.pop())  # type: ignore[method-assign]
    with pytest.raises(BlockferryError, match="LIST_FAILED"):
        facts_of(scan)
    assert len(errors) == 9 - SOON.attempts


def test_a_ledger_that_cannot_be_written_fails_the_scan() -> None:
    class Full(KeptPlans):
        def write_plan(self, shard: str, entries: Iterable[PlanEntry]) -> None:
            raise BlockferryError("LEDGER_UNWRITABLE", "disk full")

    with pytest.raises(BlockferryError, match="LEDGER_UNWRITABLE"):
        facts_of(replace(scan_of([file("a")]), ledger=Full()))


def test_a_stopped_scan_ends_its_threads() -> None:
    gate, stop = threading.Event(), threading.Event()
    scan = replace(scan_of([]), source=ListedEnd(map(file, "abc"), gates={"c": gate}))
    before = set(threading.enumerate())
    facts = run(scan, stop)
    next(facts)
    walks = [thread for thread in threading.enumerate() if thread not in before]
    assert walks
    stop.set()
    gate.set()
    with pytest.raises(BlockferryError, match="SCAN_STOPPED"):
        list(facts)
    for thread in walks:
        thread.join(10)
    assert not any(thread.is_alive() for thread in walks)


# Trees over few names, so that both sides meet and neighbours like `a-` and `a/` occur.
NAMES = st.text(st.sampled_from("a-/é"), min_size=1, max_size=4)
ATTRIBUTES = st.builds(
    Attributes,
    owner=st.sampled_from(["ada", "bob"]),
    group=st.just("staff"),
    permissions=st.just(0o644),
    mtime_ms=st.integers(1, 2),
    atime_ms=st.just(0),
)
FILES = st.builds(
    file, NAMES, st.integers(0, 30), ATTRIBUTES, st.sampled_from([Condition.PLAIN] * 5 + [Condition.ENCRYPTED])
)
LINKS = st.builds(lambda path: Stat(path, Kind.SYMLINK, 0, 1, OWNER), NAMES)
TREES = st.lists(FILES, max_size=25)
SOURCES = st.lists(FILES | FILES | FILES | LINKS, max_size=25)


@settings(max_examples=30, deadline=None)
@given(SOURCES, TREES, st.sampled_from(ScanPurpose), st.integers(0, 12))
def test_a_broken_scan_and_its_resumption_are_one_whole_scan(
    source: list[Stat], found: list[Stat], purpose: ScanPurpose, shard_count: int
) -> None:
    whole = scan_of(source, found, purpose)
    end = facts_of(whole)[-1]

    broken = scan_of(source, found, purpose)
    facts = run(broken, threading.Event())
    told = list(islice((fact for fact in facts if isinstance(fact, PlannedShard)), shard_count))
    facts.close()  # type: ignore[attr-defined]
    cursor = told[-1].cursor if told else Cursor()
    resumed = replace(broken, cursor=cursor, ledger=KeptPlans(), attempt=2)
    rest = facts_of(resumed)

    kept = [plans_of(broken).plans[shard.name] for shard in told]
    kept += [plans_of(resumed).plans[shard.name] for shard in shards_in(rest)]
    assert [entry for plan in kept for entry in plan] == plans_of(whole).entries()
    assert rest[-1] == end
    numbers = [shard.cursor.shard_number for shard in (*told, *shards_in(rest))]
    assert numbers == list(range(1, len(numbers) + 1))


@settings(max_examples=30, deadline=None)
@given(SOURCES, TREES, st.sampled_from(ScanPurpose))
def test_sums_agree_with_the_plan(source: list[Stat], found: list[Stat], purpose: ScanPurpose) -> None:
    scan = scan_of(source, found, purpose)
    facts = facts_of(scan)
    counts = facts[-1].counts if isinstance(facts[-1], Scanned) else Counts()
    by_action = Counter(entry.action for entry in plans_of(scan).entries())
    shards = shards_in(facts)
    assert counts.estimated_count == by_action[Action.COPY] + by_action[Action.METADATA]
    assert counts.estimated_count == sum(shard.move_count for shard in shards)
    assert counts.estimated_bytes == sum(shard.move_bytes for shard in shards)
    assert counts.failed_count == sum(group.failure_count for shard in shards for group in shard.failures)
    assert counts.source_listed_count == len({stat.path for stat in source})
    assert counts.destination_listed_count == len({stat.path for stat in found})
    if purpose is ScanPurpose.TRANSFER:
        assert counts.source_listed_count == counts.estimated_count + counts.skipped_count + counts.failed_count


@settings(max_examples=20, deadline=None)
@given(SOURCES)
def test_a_transfer_that_was_carried_out_leaves_nothing_to_do(source: list[Stat]) -> None:
    files = [stat for stat in source if stat.kind is Kind.FILE]
    assert planned(scan_of(files, map(written, files))) == []


def test_flat_memory_over_a_long_listing() -> None:
    """No more of the listing is taken than the bounds of its queues, however far the caller is behind."""
    listed = 0

    class Long(ListedEnd):
        def list_tree(self, after: str = "") -> Iterator[Stat]:
            nonlocal listed
            for number in range(100_000):
                listed += 1
                yield file(f"{number:06d}")

    facts = run(replace(scan_of([]), source=Long([])), threading.Event())
    assert isinstance(next(facts), PlannedShard)
    assert listed <= MAX_ENTRIES * 2 + 2
    facts.close()  # type: ignore[attr-defined]
