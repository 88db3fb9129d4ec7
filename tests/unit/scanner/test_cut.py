"""Entries into shards."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ledger.records import Action, PlanEntry, Why
from scanner.cut import Bounds, Cutter, data_bytes
from tests.support.listings import file, written

BOUNDS = Bounds(max_entries=10, max_bytes=1_000, max_age_s=5.0, first_entries=3, first_bytes=100)


def copy(number: int, size_bytes: int = 1) -> PlanEntry:
    path = f"{number:05d}"
    return PlanEntry(path, Action.COPY, Why.NEW, file(path, size_bytes))


def cut(sizes: list[int], bounds: Bounds = BOUNDS, is_first: bool = False) -> list[tuple[PlanEntry, ...]]:
    cutter = Cutter(bounds, is_first)
    offered = [cutter.add(copy(number, size), now_s=0.0) for number, size in enumerate(sizes)]
    return [shard for shard in (*offered, cutter.flush()) if shard]


@given(st.lists(st.integers(0, 1_500)), st.booleans())
def test_every_entry_is_in_one_shard_in_order(sizes: list[int], is_first: bool) -> None:
    entries = [entry for shard in cut(sizes, is_first=is_first) for entry in shard]
    assert entries == [copy(number, size) for number, size in enumerate(sizes)]


@given(st.lists(st.integers(0, 1_500)), st.booleans())
def test_shards_are_bounded_but_for_their_last_entry(sizes: list[int], is_first: bool) -> None:
    for shard in cut(sizes, is_first=is_first):
        assert len(shard) <= BOUNDS.max_entries
        assert sum(data_bytes(entry) for entry in shard[:-1]) < BOUNDS.max_bytes


@given(st.lists(st.integers(0, 1_500), min_size=1))
def test_a_shard_that_is_not_the_last_is_full(sizes: list[int]) -> None:
    for shard in cut(sizes)[:-1]:
        assert len(shard) == BOUNDS.max_entries or sum(map(data_bytes, shard)) >= BOUNDS.max_bytes


def test_the_first_shard_is_small() -> None:
    assert [len(shard) for shard in cut([1] * 15, is_first=True)] == [3, 10, 2]
    assert [len(shard) for shard in cut([60, 60, 1], is_first=True)] == [2, 1]


def test_a_scan_that_goes_on_has_no_small_shard() -> None:
    assert [len(shard) for shard in cut([1] * 15)] == [10, 5]


def test_a_file_over_the_bound_closes_its_shard() -> None:
    assert [len(shard) for shard in cut([5_000, 1, 1, 5_000, 1])] == [1, 3, 1]


def test_an_old_shard_is_closed_though_nothing_comes() -> None:
    cutter = Cutter(BOUNDS, is_first=False)
    assert cutter.add(copy(1), now_s=100.0) == ()
    assert cutter.tick(now_s=104.9) == ()
    assert cutter.tick(now_s=105.0) == (copy(1),)
    assert cutter.tick(now_s=200.0) == ()


def test_age_begins_with_the_first_entry_of_each_shard() -> None:
    cutter = Cutter(BOUNDS, is_first=False)
    cutter.add(copy(1), now_s=0.0)
    assert cutter.add(copy(2), now_s=6.0) == (copy(1), copy(2))
    assert cutter.add(copy(3), now_s=6.5) == ()
    assert cutter.tick(now_s=11.0) == ()
    assert cutter.tick(now_s=11.5) == (copy(3),)


def test_an_empty_flush_does_not_use_up_the_small_shard() -> None:
    cutter = Cutter(BOUNDS, is_first=True)
    assert cutter.flush() == ()
    assert [bool(cutter.add(copy(number), 0.0)) for number in range(3)] == [False, False, True]


def test_only_data_that_somebody_must_send_or_check_counts() -> None:
    big = file("a", 700)
    assert data_bytes(PlanEntry("a", Action.COPY, Why.NEW, big)) == 700
    assert data_bytes(PlanEntry("a", Action.CHECK, Why.VERIFY_ASKED, big, written(big))) == 700
    assert data_bytes(PlanEntry("a", Action.METADATA, Why.ATTRIBUTES_DIFFER, big, written(big))) == 0
    assert data_bytes(PlanEntry("a", Action.REFUSE, Why.REFUSED, big)) == 0
    assert data_bytes(PlanEntry("a", Action.EXTRA, Why.ONE_SIDED, None, written(big))) == 0
