"""Stores under a script: what it says happens, nothing else, and the same each time."""

from collections.abc import Callable

import pytest

from blockferry.errors import BlockferryError
from stores.base import Attributes
from stores.checksum import Algorithm
from stores.faulty import Fault, FaultySink, FaultySource, Harm, Script
from stores.hashing import checksum_of
from stores.memory import MemoryStore, forget

_ATTRIBUTES = Attributes("ada", "staff", 0o644, mtime_ms=0, atime_ms=0)
_BODY = b"some content"
_CLAIM = checksum_of(Algorithm.CRC32C, _BODY)


@pytest.fixture
def store(request: pytest.FixtureRequest) -> MemoryStore:
    forget(request.node.name)
    return MemoryStore(request.node.name)


def _reason(call: object) -> str:
    with pytest.raises(BlockferryError) as raised:
        assert callable(call)
        call()
    return raised.value.reason


def test_without_faults_a_store_does_as_before(store: MemoryStore) -> None:
    sink, source = FaultySink(store, Script()), FaultySource(store, Script())
    sink.put("a", _BODY, _CLAIM, _ATTRIBUTES)
    file = source.stat("a")
    assert file is not None and file.checksum == _CLAIM
    assert [entry.path for entry in source.list_tree()] == ["a"]
    assert b"".join(sink.read("a")) == _BODY
    view = memoryview(bytearray(len(_BODY)))
    assert source.read_into(file, 0, view, Algorithm.CRC32C).checksum == _CLAIM
    assert source.extents(file) == store.extents(file)
    assert source.claimed_algorithm(file) is Algorithm.CRC32C
    assert source.stored_checksum(file, 0, len(_BODY), Algorithm.CRC32C) == _CLAIM
    assert source.probe_claims().trusted and sink.probe_claims().trusted
    assert sink.checks(write=True) and source.checks(write=False)
    sink.check_path("a")
    sink.set_attributes("a", _ATTRIBUTES, Algorithm.CRC32C)
    upload = sink.begin("b", Algorithm.CRC32C, _ATTRIBUTES)
    part = sink.put_part(upload, 1, memoryview(_BODY), _CLAIM)
    assert sink.list_parts(upload) == (part,)
    sink.complete(upload, (part,), _CLAIM, len(_BODY))
    sink.abort(upload)
    source.close()
    assert sink.features == store.features


def test_a_fault_strikes_its_call_and_no_other(store: MemoryStore) -> None:
    script = Script(Fault("put", call=2))
    sink = FaultySink(store, script)
    sink.put("a", _BODY, _CLAIM, _ATTRIBUTES)
    assert _reason(lambda: sink.put("b", _BODY, _CLAIM, _ATTRIBUTES)) == "STORE_UNAVAILABLE"
    sink.put("c", _BODY, _CLAIM, _ATTRIBUTES)
    assert [entry.path for entry in store.list_tree()] == ["a", "c"]
    assert script.struck == [(Fault("put", call=2), "b")]


def test_a_fault_of_a_path_counts_calls_of_that_path(store: MemoryStore) -> None:
    sink = FaultySink(store, Script(Fault("stat", call=2, path="b")))
    for path in ("a", "b", "a"):
        sink.stat(path)
    assert _reason(lambda: sink.stat("b")) == "STORE_UNAVAILABLE"
    sink.stat("b")


def test_a_fault_raises_its_own_error(store: MemoryStore) -> None:
    sink = FaultySink(store, Script(Fault("stat", error=BlockferryError("STORE_BUSY", "Slow down.", retryable=True))))
    assert _reason(lambda: sink.stat("a")) == "STORE_BUSY"


def test_a_lost_answer_comes_after_the_deed(store: MemoryStore) -> None:
    sink = FaultySink(store, Script(Fault("complete", Harm.LOSE)))
    upload = sink.begin("a", Algorithm.CRC32C, _ATTRIBUTES)
    part = sink.put_part(upload, 1, memoryview(_BODY), _CLAIM)
    assert _reason(lambda: sink.complete(upload, (part,), _CLAIM, len(_BODY))) == "STORE_UNAVAILABLE"
    assert b"".join(store.read("a")) == _BODY
    assert sink.complete(upload, (part,), _CLAIM, len(_BODY)).etag


def test_a_stall_waits_and_goes_on(store: MemoryStore) -> None:
    waits: list[float] = []
    sink = FaultySink(store, Script(Fault("put", Harm.STALL, stall_s=3.0), sleep=waits.append))
    sink.put("a", _BODY, _CLAIM, _ATTRIBUTES)
    assert waits == [3.0]
    assert store.stat("a") is not None


@pytest.mark.parametrize("method", ["put", "put_part"])
def test_what_is_corrupted_on_its_way_is_refused_by_the_sink(store: MemoryStore, method: str) -> None:
    sink = FaultySink(store, Script(Fault(method, Harm.CORRUPT)))
    upload = sink.begin("a", Algorithm.CRC32C, _ATTRIBUTES)
    body = bytearray(_BODY)
    calls: dict[str, Callable[[], object]] = {
        "put": lambda: sink.put("a", memoryview(body), _CLAIM, _ATTRIBUTES),
        "put_part": lambda: sink.put_part(upload, 1, memoryview(body), _CLAIM),
    }
    assert _reason(calls[method]) == "CHECKSUM_REJECTED"
    assert body == _BODY, "the caller's bytes stay"
    calls[method]()


def test_what_is_corrupted_after_it_was_read_differs_from_its_checksum(store: MemoryStore) -> None:
    file = store.add("a", _BODY, _ATTRIBUTES)
    source = FaultySource(store, Script(Fault("read_into", Harm.CORRUPT)))
    view = memoryview(bytearray(len(_BODY)))
    assert source.read_into(file, 0, view, Algorithm.CRC32C).checksum == _CLAIM
    assert sum((one ^ two).bit_count() for one, two in zip(view, _BODY, strict=True)) == 1
    source.read_into(file, 0, view, Algorithm.CRC32C)
    assert bytes(view) == _BODY


def test_a_content_that_is_read_back_can_be_corrupted(store: MemoryStore) -> None:
    store.add("a", _BODY, _ATTRIBUTES)
    sink = FaultySink(store, Script(Fault("read", Harm.CORRUPT)))
    assert b"".join(sink.read("a")) != _BODY
    assert b"".join(sink.read("a")) == _BODY


@pytest.mark.parametrize("position", [0, 1, 3])
def test_a_listing_breaks_after_its_position(store: MemoryStore, position: int) -> None:
    for name in "abc":
        store.add(name, b"", _ATTRIBUTES)
    sink = FaultySink(store, Script(Fault("list_tree", position=position)))
    seen: list[str] = []
    with pytest.raises(BlockferryError):
        for entry in sink.list_tree():
            seen.append(entry.path)
    assert seen == ["a", "b", "c"][:position]
    assert [entry.path for entry in sink.list_tree()] == ["a", "b", "c"]


def _chances(seed: int) -> list[bool]:
    script = Script(Fault("stat", call=0, probability=0.3), seed=seed)
    return [bool(script.faults("stat", str(number))) for number in range(200)]


def test_chance_is_the_same_for_the_same_seed() -> None:
    assert _chances(1) == _chances(1) != _chances(2)
    assert 30 < sum(_chances(1)) < 90


def test_an_empty_body_cannot_be_corrupted() -> None:
    assert bytes(Script().flipped(b"")) == b""


def test_a_sink_may_fail_always(store: MemoryStore) -> None:
    sink = FaultySink(store, Script(Fault("abort", call=0)))
    upload = sink.begin("a", Algorithm.CRC32C, _ATTRIBUTES)
    for _ in range(3):
        assert _reason(lambda: sink.abort(upload)) == "STORE_UNAVAILABLE"
