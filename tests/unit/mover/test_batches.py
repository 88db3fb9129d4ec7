"""Batches: what travels together, in which order, within which bounds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ledger.records import Action, PlanEntry, Why
from mover.batches import BATCH_BYTES, BATCH_ENTRIES, halves, sort_entries
from mover.calls import Lane, MoveBatch
from mover.parts import MIB, SMALL_FILE_BYTES
from stores.base import Kind, Stat

SINGLE = 128 * MIB


def entry(path: str, size: int, action: Action = Action.COPY) -> PlanEntry:
    """Returns a plan entry."""
    kind = Kind.FOLDER if path.endswith("/") else Kind.FILE
    return PlanEntry(path, action, Why.NEW, Stat(path, kind, size, 0))


def test_each_size_goes_its_own_way() -> None:
    folder, small = entry("a/", 0), entry("a/b", 10)
    heavy, large = entry("a/c", SMALL_FILE_BYTES), entry("a/d", SINGLE + 1)
    sorting = sort_entries((folder, small, heavy, large), SINGLE)
    assert sorting.batches == (MoveBatch((small,)),)
    assert sorting.folders == ((MoveBatch((folder,)),),)
    assert sorting.heavy == (MoveBatch((heavy,), heavy=True),)
    assert sorting.large == (large,)


def test_folders_come_by_depth() -> None:
    paths = ("a/", "a/b/", "a/b/c/", "b/")
    folders = sort_entries((entry(path, 0) for path in paths), SINGLE).folders
    assert [[one.path for batch in depth for one in batch.entries] for depth in folders] == [
        ["a/", "b/"],
        ["a/b/"],
        ["a/b/c/"],
    ]


def test_heavy_batch_takes_the_lane_with_the_large_buffers() -> None:
    assert MoveBatch((entry("a", 1),)).lane is Lane.SMALL
    assert MoveBatch((entry("a", 1),), heavy=True).lane is Lane.PARTS


def test_attributes_of_a_large_file_are_a_small_change() -> None:
    sorting = sort_entries((entry("a", 10 * SINGLE, Action.METADATA),), SINGLE)
    assert len(sorting.batches) == 1
    assert not sorting.large


def test_what_others_do_is_left_to_them() -> None:
    others = (action for action in Action if action not in (Action.COPY, Action.METADATA))
    sorting = sort_entries((entry(action.value, 1, action) for action in others), SINGLE)
    assert (sorting.batches, sorting.heavy, sorting.large) == ((), (), ())


def test_batch_is_halved_until_one_entry_is_left() -> None:
    batch = MoveBatch(tuple(entry(str(number), 1) for number in range(5)))
    first, second = halves(batch)
    assert first.entries + second.entries == batch.entries
    assert halves(MoveBatch(batch.entries[:1])) == ()


@given(st.lists(st.integers(0, 2 * SMALL_FILE_BYTES), max_size=300))
def test_every_entry_travels_once_in_order_and_batches_are_bounded(sizes: list[int]) -> None:
    entries = tuple(entry(f"{number:04}", size) for number, size in enumerate(sizes))
    sorting = sort_entries(entries, SINGLE)
    small = [one for batch in sorting.batches for one in batch.entries]
    heavy = [one for batch in sorting.heavy for one in batch.entries]
    assert sorted([*small, *heavy], key=lambda one: one.path) == list(entries)
    assert [one.path for one in small] == sorted(one.path for one in small)
    for batch in sorting.batches:
        assert 0 < len(batch.entries) <= BATCH_ENTRIES
        assert sum(one.source.size_bytes for one in batch.entries if one.source) <= BATCH_BYTES
