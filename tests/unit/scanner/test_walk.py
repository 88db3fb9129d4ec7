"""One listing in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from blockferry.errors import BlockferryError, Whose
from scanner.belt import MAX_BYTES, MAX_ENTRIES
from scanner.march import Side
from scanner.walk import Walk, list_failed
from service.backoff import Backoff
from stores.base import Lister, Stat, Stretch, sink_row
from tests.support.listings import ListedEnd, file

SOON = Backoff(base_s=0.0, attempts=3)


def transient() -> BlockferryError:
    return BlockferryError("STORE_UNAVAILABLE", "503", retryable=True)


def walked(lister: Lister, after: str = "") -> list[str]:
    stop = threading.Event()
    walk = Walk(lister, Side.DESTINATION, after, stop, SOON)
    try:
        return [stat.path for stat in walk if stat is not None]
    finally:
        assert walk.close(10)


def test_a_long_listing_comes_whole_and_in_order() -> None:
    paths = [f"{number:05d}" for number in range(MAX_ENTRIES * 3 + 1)]
    assert walked(ListedEnd(map(file, paths))) == paths


def test_a_listing_begins_after_a_path() -> None:
    assert walked(ListedEnd(map(file, "abc")), after="a") == ["b", "c"]


def test_an_empty_listing_is_no_error() -> None:
    assert walked(ListedEnd([])) == []


def test_a_listing_that_breaks_goes_on_after_the_last_entry() -> None:
    end = ListedEnd(map(file, "abcd"), faults={"a": [transient()], "c": [transient(), transient()]})
    assert walked(end) == list("abcd")
    assert end.list_count == 4


def test_failures_count_in_a_row_only() -> None:
    faults = {path: [transient(), transient()] for path in "abcdef"}
    assert walked(ListedEnd(map(file, "abcdef"), faults=faults)) == list("abcdef")


def test_a_listing_that_keeps_breaking_fails_and_is_never_taken_for_its_end() -> None:
    end = ListedEnd(map(file, "abc"), faults={"b": [transient() for _ in range(9)]})
    walk = Walk(end, Side.DESTINATION, "", threading.Event(), SOON)
    stats = (stat for stat in walk if stat is not None)
    assert next(stats).path == "a"
    with pytest.raises(BlockferryError) as raised:
        next(stats)
    assert raised.value.reason == "STORE_UNAVAILABLE"
    assert raised.value.retryable
    assert end.list_count == SOON.attempts


def test_a_refusal_is_not_tried_again() -> None:
    denied = BlockferryError("ACCESS_DENIED", "chmod it", whose=Whose.SOURCE, path="b/")
    end = ListedEnd(map(file, "ac"), faults={"b": [denied]})
    with pytest.raises(BlockferryError) as raised:
        walked(end)
    assert (raised.value.reason, raised.value.coordinates["path"]) == ("ACCESS_DENIED", "b/")
    assert "chmod it" in raised.value.message
    assert end.list_count == 1


def test_a_fault_of_ours_is_raised_as_it_is() -> None:
    class Broken(ListedEnd):
        def list_tree(self, after: str = "") -> Iterator[Stat]:
            raise KeyError("bug")

    with pytest.raises(KeyError):
        walked(Broken([]))


@pytest.mark.parametrize("reason", ["ACCESS_DENIED", "NAMENODE_UNAVAILABLE", "BUCKET_NOT_FOUND", "CREDENTIALS_REFUSED"])
def test_a_specific_reason_is_kept(reason: str) -> None:
    failed = list_failed(BlockferryError(reason, "why", path="p"), Side.SOURCE)
    assert failed.reason == reason
    assert failed.coordinates == {"side": "source", "cause": reason, "path": "p"}
    assert failed.whose is Whose.SOURCE


def test_any_other_reason_becomes_list_failed_with_its_cause() -> None:
    cause = BlockferryError("XML_BROKEN", "not XML", retryable=True, retry_after_s=3)
    failed = list_failed(cause, Side.DESTINATION)
    assert failed.reason == "LIST_FAILED"
    assert failed.coordinates["cause"] == "XML_BROKEN"
    assert "destination" in failed.message
    assert "not XML" in failed.message
    assert (failed.retryable, failed.retry_after_s, failed.whose) == (True, 3, Whose.SINK)


def test_silence_shows_as_nothing_yet() -> None:
    gate = threading.Event()
    walk = Walk(ListedEnd(map(file, "ab"), gates={"b": gate}), Side.SOURCE, "", threading.Event(), SOON)
    stats = iter(walk)
    assert None in (next(stats), next(stats), next(stats))
    gate.set()
    assert [stat.path for stat in stats if stat is not None][-1] == "b"


def test_a_listing_waits_for_who_takes_it() -> None:
    listed = 0
    enough = threading.Event()

    class Endless(ListedEnd):
        def list_tree(self, after: str = "") -> Iterator[Stat]:
            nonlocal listed
            while True:
                listed += 1
                if listed >= MAX_ENTRIES:
                    enough.set()
                yield file(f"{listed:09d}")

    walk = Walk(Endless([]), Side.SOURCE, "", threading.Event(), SOON)
    assert enough.wait(10)
    assert walk.close(10), "the thread ends though nobody takes its entries"
    assert listed <= MAX_ENTRIES + 2


def test_large_layouts_fill_the_belt_by_their_bytes() -> None:
    listed = 0
    enough = threading.Event()

    class Wide(ListedEnd):
        def list_tree(self, after: str = "") -> Iterator[Stat]:
            nonlocal listed
            for number in range(1_000):
                listed += 1
                if listed == 4:
                    enough.set()
                yield replace(file(f"{number:04d}"), layout=bytes(MAX_BYTES // 4))

    walk = Walk(Wide([]), Side.SOURCE, "", threading.Event(), SOON)
    assert enough.wait(10)
    assert walk.close(10)
    assert listed <= 6


def test_few_entries_are_not_held_back_by_a_silent_listing() -> None:
    gate = threading.Event()
    walk = Walk(ListedEnd(map(file, "abc"), gates={"c": gate}), Side.SOURCE, "", threading.Event(), SOON)
    stats = (stat for stat in walk if stat is not None)
    assert [next(stats).path, next(stats).path] == ["a", "b"]
    gate.set()
    assert next(stats).path == "c"


def test_a_stopped_walk_raises_instead_of_ending() -> None:
    stop = threading.Event()
    gate = threading.Event()
    walk = Walk(ListedEnd(map(file, "ab"), gates={"b": gate}), Side.SOURCE, "", stop, SOON)
    stop.set()
    with pytest.raises(BlockferryError, match="SCAN_STOPPED"):
        list(walk)
    gate.set()
    assert walk.close(10)


def test_a_stop_ends_the_wait_before_another_try() -> None:
    stop = threading.Event()
    waiting = Backoff(base_s=1_000.0, ceiling_s=1_000.0)
    end = ListedEnd([], faults={"a": [BlockferryError("BUSY", "wait", retryable=True, retry_after_s=1_000.0)]})
    walk = Walk(end, Side.SOURCE, "", stop, waiting)
    assert next(iter(walk)) is None
    assert walk.close(10)


class QuickEnd(ListedEnd):
    """An end that gives stretches of two entries."""

    def list_stretches(self, after: str) -> Iterator[Stretch]:
        stats: list[Stat] = []
        for stat in self.list_tree(after):
            stats.append(stat)
            if len(stats) == 2:
                yield stretch(stats)
                stats = []
        if stats:
            yield stretch(stats)


def stretch(stats: list[Stat]) -> Stretch:
    return Stretch([stat.path for stat in stats], [sink_row(stat) for stat in stats], stats.__getitem__)


@pytest.mark.parametrize("kind", [QuickEnd, ListedEnd])
def test_stretches_come_from_any_lister_and_go_on_after_a_failure(kind: type[ListedEnd]) -> None:
    end = kind(map(file, "abcdefg"), faults={"a": [transient()], "f": [transient(), transient()]})
    walk = Walk(end, Side.DESTINATION, "", threading.Event(), SOON, in_stretches=True)
    try:
        stretches = [some for some in walk.stretches() if some is not None]
    finally:
        assert walk.close(10)
    assert [path for some in stretches for path in some.paths] == list("abcdefg")
    assert [row for some in stretches for row in some.rows] == [sink_row(file(path)) for path in "abcdefg"]
    assert [some.stat_at(index).path for some in stretches for index in range(len(some.paths))] == list("abcdefg")


def test_stretches_of_a_store_that_keeps_silent_are_none_for_a_while() -> None:
    gate = threading.Event()
    walk = Walk(
        QuickEnd(map(file, "ab"), gates={"a": gate}), Side.SOURCE, "", threading.Event(), SOON, in_stretches=True
    )
    try:
        stretches = walk.stretches()
        assert next(stretches) is None
        gate.set()
        assert [some.paths for some in stretches if some is not None] == [["a", "b"]]
    finally:
        assert walk.close(10)
