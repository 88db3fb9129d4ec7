"""Pairs of two listings."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blockferry.errors import BlockferryError
from scanner.march import Pair, Side, in_order, march
from stores.base import Stat
from tests.support.listings import file

PATHS = st.sets(st.text(st.sampled_from("ab-/.é😀"), min_size=1, max_size=4))


def listing(paths: set[str]) -> Iterator[Stat | None]:
    return iter([file(path) for path in sorted(paths)])


@given(PATHS, PATHS)
def test_each_path_becomes_one_pair_in_key_order(sources: set[str], founds: set[str]) -> None:
    pairs = [pair for pair in march(listing(sources), listing(founds)) if pair is not None]
    assert [pair.path for pair in pairs] == sorted(sources | founds)
    assert {pair.path for pair in pairs if pair.source} == sources
    assert {pair.path for pair in pairs if pair.found} == founds


@given(PATHS, PATHS)
def test_key_order_is_the_order_of_utf8_bytes(sources: set[str], founds: set[str]) -> None:
    paths = [pair.path.encode() for pair in march(listing(sources), listing(founds)) if pair is not None]
    assert paths == sorted(paths)


@given(PATHS, PATHS, st.randoms(use_true_random=False))
def test_silence_changes_no_pair(sources: set[str], founds: set[str], random: Random) -> None:
    def hesitant(stats: Iterator[Stat | None]) -> Iterator[Stat | None]:
        for stat in stats:
            yield from [None] * random.randrange(3)
            yield stat

    plain = list(march(listing(sources), listing(founds)))
    slow = march(hesitant(listing(sources)), hesitant(listing(founds)))
    assert [pair for pair in slow if pair is not None] == plain


def test_silence_is_passed_on_at_once() -> None:
    pairs = march(iter([None, file("a")]), iter([]))
    assert next(pairs) is None
    assert next(pairs) == Pair(file("a"), None)


def test_neighbours_of_a_folder_stay_in_key_order() -> None:
    """`-` sorts before `/`: a listing by folders would give `a/` first."""
    paths = {"a-b", "a/", "a/b", "a.b", "a"}
    assert [pair.path for pair in march(listing(paths), iter([])) if pair] == ["a", "a-b", "a.b", "a/", "a/b"]


def test_an_error_of_one_listing_ends_the_march() -> None:
    def failing() -> Iterator[Stat | None]:
        yield file("a")
        raise BlockferryError("ACCESS_DENIED", "no")

    pairs = march(listing({"a", "b"}), failing())
    with pytest.raises(BlockferryError, match="ACCESS_DENIED"):
        list(pairs)


@given(PATHS, st.text(st.sampled_from("ab/"), max_size=2))
def test_a_good_listing_passes_the_check_of_its_order(paths: set[str], after: str) -> None:
    stats = [file(path) for path in sorted(paths) if path > after]
    assert list(in_order([None, *stats, None], Side.SOURCE, after)) == [None, *stats, None]


@pytest.mark.parametrize("paths", [["b", "a"], ["a", "a"], ["0"]])
def test_a_listing_out_of_order_is_an_error(paths: list[str]) -> None:
    with pytest.raises(BlockferryError, match="LIST_UNORDERED") as raised:
        list(in_order([file(path) for path in paths], Side.DESTINATION, "0"))
    assert "--transfer ALL" in raised.value.message
    assert raised.value.coordinates["path"] == paths[-1]
