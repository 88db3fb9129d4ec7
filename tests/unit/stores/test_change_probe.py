"""Whether a listing shows that only attributes were changed."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace

import pytest

from stores.base import Attributes, Stat, Stored
from stores.change_probe import lists_changes
from stores.checksum import Algorithm
from stores.memory import MemoryStore, forget


@pytest.fixture
def name(request: pytest.FixtureRequest) -> Iterator[str]:
    yield request.node.name
    forget(request.node.name)


def clock() -> Iterator[int]:
    """Yields times 400 ms apart."""
    return itertools.count(1_700_000_000_000, 400)


def no_sleep(_: float) -> None:
    """The clock of these stores gets on by being asked."""


class Constant(MemoryStore):
    """A store whose listing shows the time of the first write for ever, as versitygw does after a change in place."""

    def list_tree(self, after: str = "") -> Iterator[Stat]:
        return (replace(stat, mtime_ms=5) for stat in super().list_tree(after))


class FoldersConstant(MemoryStore):
    """A store that shows changes of objects, and none of folders."""

    def set_attributes(self, path: str, attributes: Attributes, algorithm: Algorithm) -> Stored:
        return Stored("") if path.endswith("/") else super().set_attributes(path, attributes, algorithm)


def test_another_last_modified_is_a_sign(name: str) -> None:
    ticks = clock()
    store = MemoryStore(name, now_ms=lambda: next(ticks))
    assert lists_changes(store, no_sleep)
    assert list(store.list_tree()) == [], "nothing stays"


@pytest.mark.parametrize("kind", [Constant, FoldersConstant])
def test_an_object_that_looks_the_same_is_none(name: str, kind: type[MemoryStore]) -> None:
    ticks = clock()
    store = kind(name, now_ms=lambda: next(ticks))
    assert not lists_changes(store, no_sleep)
    assert list(store.list_tree()) == []


def test_a_clock_that_stands_proves_nothing(name: str) -> None:
    store = MemoryStore(name, now_ms=lambda: 1_700_000_000_000)
    pauses: list[float] = []
    assert not lists_changes(store, pauses.append)
    assert 0 < sum(pauses) < 10, "it is not waited for for ever"
