"""Attributes of found objects, asked for at the same time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from itertools import takewhile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blockferry.errors import BlockferryError
from ledger.sightings import sightings_of, sightings_table
from scanner.lookup import LOOKAHEAD, RUNS_AHEAD, Lookup
from scanner.march import Pair
from scanner.skim import Same
from stores.base import Stat
from tests.support.listings import OWNER, file, written


def hidden(path: str) -> Pair:
    return Pair(file(path), replace(written(file(path)), attributes=None))


def ask(path: str) -> Stat:
    return written(file(path))


@settings(max_examples=30)
@given(st.lists(st.sampled_from(["new", "hidden", "known", None]), max_size=40))
def test_pairs_keep_their_order_and_get_their_attributes(kinds: list[str | None]) -> None:
    pairs = [made(kind, f"{number:03d}") for number, kind in enumerate(kinds)]
    lookup = Lookup(ask)
    completed = [pair for pair in lookup.complete(pairs) if isinstance(pair, Pair)]
    lookup.close()
    assert [pair.source for pair in completed] == [pair.source for pair in pairs if pair is not None]
    assert all(pair.found is None or pair.found.attributes == OWNER for pair in completed)


def made(kind: str | None, path: str) -> Pair | None:
    match kind:
        case "new":
            return Pair(file(path), None)
        case "hidden":
            return hidden(path)
        case "known":
            return Pair(file(path), written(file(path)))
        case _:
            return None


def test_many_are_asked_at_the_same_time() -> None:
    together = threading.Barrier(8, timeout=10)

    def meet(path: str) -> Stat:
        together.wait()
        return ask(path)

    lookup = Lookup(meet)
    assert sum(pair is not None for pair in lookup.complete([hidden(str(number)) for number in range(8)])) == 8
    lookup.close()


def test_an_object_that_has_gone_is_not_found() -> None:
    lookup = Lookup(lambda path: None)
    assert [pair for pair in lookup.complete([hidden("a")]) if pair] == [Pair(file("a"), None)]
    lookup.close()


def test_memory_is_bounded_while_an_answer_is_late() -> None:
    gate = threading.Event()
    taken = 0

    def endless() -> Iterator[Pair | None]:
        nonlocal taken
        while True:
            taken += 1
            yield hidden(f"{taken:09d}")

    def late(path: str) -> Stat:
        assert gate.wait(20)
        return ask(path)

    lookup = Lookup(late)
    pairs = lookup.complete(endless())
    assert next(pairs) is None, "it looks up from waiting, so that the scan can look at its clock"
    assert taken == LOOKAHEAD + 1
    gate.set()
    assert next(pair for pair in pairs if pair is not None).path == "000000001"
    lookup.close()


def test_silence_is_passed_on_after_what_came_before() -> None:
    lookup = Lookup(ask)
    pairs = lookup.complete(iter([hidden("a"), None]))
    seen = [pair.path for pair in takewhile(lambda pair: pair is not None, pairs) if pair is not None]
    assert seen in (["a"], []), "at most one quiet moment before the answer"
    lookup.close()


def test_a_failed_question_fails_the_scan() -> None:
    def fail(path: str) -> Stat:
        raise BlockferryError("STORE_UNAVAILABLE", "down")

    lookup = Lookup(fail)
    with pytest.raises(BlockferryError, match="STORE_UNAVAILABLE"):
        list(lookup.complete([hidden("a")]))
    lookup.close()


def test_few_runs_wait_behind_a_question() -> None:
    """A run holds on to what was seen of its entries."""
    gate = threading.Event()

    def late(path: str) -> Stat:
        assert gate.wait(20)
        return ask(path)

    sightings = sightings_of(sightings_table([]))
    given = [0]

    def items() -> Iterator[Pair | Same]:
        yield hidden("a")
        for number in range(4 * RUNS_AHEAD):
            given[0] = number
            yield Same(1, 1, f"b{number:04}", sightings, 0, 1)

    lookup = Lookup(late)
    completed = lookup.complete(items())
    assert next(completed) is None, "nothing yet"
    assert given[0] <= RUNS_AHEAD
    gate.set()
    assert sum(item is not None for item in completed) == 1 + 4 * RUNS_AHEAD
    lookup.close()
