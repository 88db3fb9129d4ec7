"""The store in memory as a source, and what it does beyond a sink (the conformance suite tries that)."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blockferry.errors import BlockferryError
from stores.base import Attributes, Condition, Extent
from stores.checksum import Algorithm, Checksum, concatenation
from stores.hashing import checksum_of
from stores.location import MemoryLocation
from stores.memory import FEATURES, MemoryStore, forget
from stores.opening import open_sink, open_source

_ATTRIBUTES = Attributes("ada", "staff", 0o644, mtime_ms=1000, atime_ms=0)
_BODY = bytes(range(256)) * 10


@pytest.fixture
def store(request: pytest.FixtureRequest) -> Iterator[MemoryStore]:
    name = request.node.name
    yield MemoryStore(name, block_bytes=1000, now_ms=lambda: 77)
    forget(name)


def test_a_file_has_extents_of_the_block_size(store: MemoryStore) -> None:
    file = store.add("a", _BODY, _ATTRIBUTES)
    assert store.extents(file) == (Extent(0, 1000), Extent(1000, 1000), Extent(2000, 560))
    assert store.extents(store.add("empty", b"", _ATTRIBUTES)) == ()


@given(size=st.integers(0, 5000), block_bytes=st.integers(1, 2000))
def test_extents_cover_the_file(size: int, block_bytes: int) -> None:
    store = MemoryStore("extents", block_bytes)
    extents = store.extents(store.add("a", bytes(size), _ATTRIBUTES))
    assert sum(extent.size for extent in extents) == size
    assert all(one.offset + one.size == two.offset for one, two in pairwise(extents))


@pytest.mark.parametrize("algorithm", Algorithm)
def test_a_range_is_read_with_its_proof(store: MemoryStore, algorithm: Algorithm) -> None:
    file = store.add("a", _BODY, _ATTRIBUTES, algorithm)
    view = memoryview(bytearray(600))
    found = store.read_into(file, 900, view, algorithm)
    assert bytes(view) == _BODY[900:1500]
    assert (found.checksum, found.proven) == (checksum_of(algorithm, view), True)
    assert store.claimed_algorithm(file) is algorithm
    assert store.stored_checksum(file, 900, 600, algorithm) == found.checksum


def test_sums_of_ranges_combine_to_that_of_the_file(store: MemoryStore) -> None:
    file = store.add("a", _BODY, _ATTRIBUTES)
    sums = [
        (store.stored_checksum(file, extent.offset, extent.size, Algorithm.CRC32C), extent.size)
        for extent in store.extents(file)
    ]
    stat = store.stat("a")
    assert stat is not None
    assert concatenation((found, size) for found, size in sums if found is not None) == stat.checksum


def test_a_file_without_sums_is_read_without_proof(store: MemoryStore) -> None:
    file = store.add("a", _BODY, _ATTRIBUTES, algorithm=None)
    found = store.read_into(file, 0, memoryview(bytearray(10)), Algorithm.CRC32C)
    assert (found.checksum, found.proven) == (checksum_of(Algorithm.CRC32C, _BODY[:10]), False)
    assert store.claimed_algorithm(file) is Algorithm.CRC32C
    assert store.stored_checksum(file, 0, 10, Algorithm.CRC32C) is None


def test_sums_of_another_algorithm_are_none(store: MemoryStore) -> None:
    file = store.add("a", _BODY, _ATTRIBUTES, Algorithm.CRC32)
    assert store.stored_checksum(file, 0, 10, Algorithm.CRC32C) is None


def test_damage_is_found_in_its_range_only(store: MemoryStore) -> None:
    file = store.add("a", _BODY, _ATTRIBUTES)
    store.damage("a", 1500)
    store.read_into(file, 0, memoryview(bytearray(1000)), Algorithm.CRC32C)
    with pytest.raises(BlockferryError) as raised:
        store.read_into(file, 1000, memoryview(bytearray(1000)), Algorithm.CRC32C)
    assert (raised.value.reason, raised.value.retryable) == ("CHECKSUM_FAILURE", False)
    assert raised.value.coordinates["offset"] == "1000"


def test_damage_of_a_file_without_sums_is_not_found(store: MemoryStore) -> None:
    file = store.add("a", b"ab", _ATTRIBUTES, algorithm=None)
    store.damage("a", 0)
    view = memoryview(bytearray(2))
    assert not store.read_into(file, 0, view, Algorithm.CRC32C).proven
    assert bytes(view) == b"`b"


def test_a_file_that_became_shorter_is_a_change(store: MemoryStore) -> None:
    file = store.add("a", _BODY, _ATTRIBUTES)
    store.add("a", b"x", _ATTRIBUTES)
    with pytest.raises(BlockferryError) as raised:
        store.read_into(file, 0, memoryview(bytearray(1000)), Algorithm.CRC32C)
    assert raised.value.reason == "SOURCE_CHANGED"


def test_a_version_is_that_of_the_content(store: MemoryStore) -> None:
    first = store.add("a", b"x", _ATTRIBUTES)
    assert store.add("a", b"x", _ATTRIBUTES).version == first.version
    assert store.add("a", b"y", _ATTRIBUTES).version != first.version


def test_a_condition_and_attributes_are_listed(store: MemoryStore) -> None:
    store.add("a", b"", _ATTRIBUTES, condition=Condition.ENCRYPTED)
    (entry,) = store.list_tree()
    assert (entry.condition, entry.attributes, entry.mtime_ms, entry.checksum) == (
        Condition.ENCRYPTED, _ATTRIBUTES, 1000, None,
    )  # fmt: skip


def test_a_put_has_the_time_of_the_store(store: MemoryStore) -> None:
    store.put("a", b"", checksum_of(Algorithm.CRC32C, b""), _ATTRIBUTES)
    found = store.stat("a")
    assert found is not None and found.mtime_ms == 77


def test_small_parts_are_refused_where_the_features_say_so() -> None:
    store = MemoryStore("small-parts", features=replace(FEATURES, min_part_bytes=5))
    upload = store.begin("a", Algorithm.CRC32C, _ATTRIBUTES)
    parts = tuple(
        store.put_part(upload, number, memoryview(b"abc"), checksum_of(Algorithm.CRC32C, b"abc")) for number in (1, 2)
    )
    with pytest.raises(BlockferryError) as raised:
        store.complete(upload, parts, checksum_of(Algorithm.CRC32C, b"abcabc"), 6)
    assert raised.value.reason == "LIMIT_EXCEEDED"


def test_a_believer_keeps_what_is_claimed_falsely() -> None:
    store = MemoryStore("believing", honest=False)
    store.put("a", b"x", Checksum(Algorithm.CRC32C, 1), _ATTRIBUTES)
    assert b"".join(store.read("a")) == b"x"


def test_stores_of_one_name_hold_the_same() -> None:
    location = MemoryLocation("shared")
    source, sink = open_source(location), open_sink(location)
    sink.put("a", b"x", checksum_of(Algorithm.CRC32C, b"x"), _ATTRIBUTES)
    assert [entry.path for entry in source.list_tree()] == ["a"]
    forget("shared")
    assert list(open_source(location).list_tree()) == []


def test_several_threads_put_at_once(store: MemoryStore) -> None:
    claim = checksum_of(Algorithm.CRC32C, b"x")

    def put(thread: int) -> None:
        for number in range(200):
            store.put(f"{thread}/{number:03d}", b"x", claim, _ATTRIBUTES)

    threads = [threading.Thread(target=put, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(20):
        paths = [entry.path for entry in store.list_tree()]
        assert paths == sorted(paths)
    for thread in threads:
        thread.join()
    assert len(list(store.list_tree())) == 800
