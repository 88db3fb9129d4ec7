"""One process of the pool: stopping, files whose layout stays at home, a process that is lost over one entry."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import pytest

from blockferry.errors import BlockferryError
from mover.calls import Answer, BeginUpload, Begun, Call, CallFailed, Errand, MoveBatch, MovePart, PartMoved, repeated
from mover.opened import OpenStores
from mover.parts import SMALL_FILE_BYTES
from mover.pool import Hand, Pool, ThreadHand
from mover.process import MoverProcess
from mover.shard import ShardMove
from mover.uploads import CLOCKS_DIFFER_MS
from service.backoff import Backoff
from stores.base import Stat
from stores.checksum import Algorithm
from stores.faulty import Fault, FaultySink, FaultySource, Harm
from stores.location import MemoryLocation
from tests.support.yard import ATTRIBUTES, BLOCK, PART, Yard, content

ERRAND = Errand("run", MemoryLocation("source"), MemoryLocation("sink"), PART)


def planned(yard: Yard, path: str) -> Stat:
    """Returns an entry of the source."""
    found = yard.source.stat(path)
    assert found is not None
    return replace(found, checksum=None)


def begun(process: MoverProcess, file: Stat) -> Begun:
    """Begins an upload."""
    answer = process.run(BeginUpload(file, since_ms=0), ERRAND, {})
    assert isinstance(answer, Begun)
    return answer


def test_stop_ends_a_call_that_waits_for_another_try(yard: Yard) -> None:
    yard.add("file", 10)
    yard.plan()
    yard.faults(Fault("put", call=0))
    stores = OpenStores(lambda _: yard.source, lambda _: FaultySink(yard.sink, yard.script))
    process = MoverProcess(stores, Backoff(base_s=3600.0, ceiling_s=3600.0, attempts=99))
    entries = yard.ledger.read_plan("000001")
    with ThreadPoolExecutor(1) as threads:
        call = threads.submit(process.run, MoveBatch(entries), ERRAND, {})
        process.stop(ERRAND.run)
        with pytest.raises(BlockferryError, match="CANCELLED"):
            call.result(timeout=20)
    process.close()


def test_stopped_run_begins_nothing_more(yard: Yard) -> None:
    yard.add("file", 10)
    yard.plan()
    process = yard.process()
    process.stop(ERRAND.run)
    with pytest.raises(BlockferryError, match="CANCELLED"):
        process.run(MoveBatch(yard.ledger.read_plan("000001")), ERRAND, {})
    assert yard.sink.stat("file") is None
    process.close()


def test_upload_whose_begin_was_answered_into_the_void_does_not_stay(yard: Yard) -> None:
    yard.add("large", 3 * PART)
    yard.faults(Fault("begin", Harm.LOSE), Fault("begin", Harm.LOSE, call=2))
    process, file = yard.process(), planned(yard, "large")
    heard = begun(process, file).upload
    assert list(yard.sink._shelf.uploads) == [heard.upload_id]
    process.close()


def test_upload_begun_by_a_process_that_died_over_it_does_not_stay(yard: Yard) -> None:
    yard.add("large", 3 * PART)
    process, file = yard.process(), planned(yard, "large")
    orphan, began_ms = begun(process, file).upload, time.time_ns() // 1_000_000
    answer = process.run(repeated(BeginUpload(file, began_ms)), ERRAND, {})
    assert isinstance(answer, Begun)
    assert list(yard.sink._shelf.uploads) == [answer.upload.upload_id] != [orphan.upload_id]
    process.close()


def test_upload_of_others_from_before_stays(yard: Yard) -> None:
    yard.add("large", 3 * PART)
    theirs = yard.sink.begin("large", Algorithm.CRC32C, ATTRIBUTES)
    process, file = yard.process(), planned(yard, "large")
    later_ms = time.time_ns() // 1_000_000 + CLOCKS_DIFFER_MS + 60_000
    answer = process.run(BeginUpload(file, later_ms, again=True), ERRAND, {})
    assert isinstance(answer, Begun)
    assert set(yard.sink._shelf.uploads) == {theirs.upload_id, answer.upload.upload_id}
    process.close()


@pytest.mark.parametrize("reason", ["ACCESS_DENIED", "NOT_SUPPORTED"])
def test_store_that_does_not_list_uploads_is_no_reason_to_fail(
    yard: Yard, caplog: pytest.LogCaptureFixture, reason: str
) -> None:
    yard.add("large", 3 * PART)
    yard.faults(Fault("abort_since", call=0, error=BlockferryError(reason, "It is.")))
    process, file = yard.process(), planned(yard, "large")
    assert isinstance(process.run(BeginUpload(file, 0, again=True), ERRAND, {}), Begun)
    assert "s3:ListBucketMultipartUploads" in caplog.text
    process.close()


def test_layout_that_stays_at_home_is_asked_for_once(yard: Yard) -> None:
    yard.add("large", 3 * PART)
    yard.faults(Fault("stat", Harm.STALL, call=0))
    process, file = yard.process(), planned(yard, "large")
    upload = begun(process, file)
    for wanted in upload.ranges:
        assert isinstance(process.run(MovePart(file, upload.upload, wanted), ERRAND, {}), PartMoved)
    assert len(yard.script.struck) == 1
    process.close()


def test_layout_of_another_version_is_a_change(yard: Yard) -> None:
    yard.add("large", 3 * PART)
    process, file = yard.process(), planned(yard, "large")
    upload = begun(process, file)
    answer = process.run(MovePart(replace(file, version="older"), upload.upload, upload.ranges[0]), ERRAND, {})
    assert isinstance(answer, CallFailed)
    assert answer.failure.reason == "SOURCE_CHANGED"
    process.close()


def test_each_location_is_opened_once(yard: Yard) -> None:
    opened: list[str] = []

    def open_source(location: object) -> FaultySource:
        opened.append("source")
        return FaultySource(yard.source, yard.script)

    def open_sink(location: object) -> FaultySink:
        opened.append("sink")
        return FaultySink(yard.sink, yard.script)

    yard.add("a", 10)
    yard.plan()
    process = MoverProcess(OpenStores(open_source, open_sink), Backoff(base_s=0.0))
    for _ in range(3):
        process.run(MoveBatch(yard.ledger.read_plan("000001")), ERRAND, {})
    assert sorted(opened) == ["sink", "source"]
    process.close()


def test_file_of_several_small_blocks_goes_as_one_heavy_put(yard: Yard) -> None:
    yard.part_size_bytes = 2 * SMALL_FILE_BYTES
    yard.add("heavy", SMALL_FILE_BYTES + BLOCK // 2)
    result = yard.move()
    assert result.counts.transferred_bytes == SMALL_FILE_BYTES + BLOCK // 2
    assert yard.receipt("heavy").part_count == 1
    assert yard.read("heavy") == content(SMALL_FILE_BYTES + BLOCK // 2, 5)


@dataclass(frozen=True, slots=True)
class MortalHand:
    """A hand whose process dies over every batch with a certain path in it."""

    hand: Hand
    deadly: str

    async def run(self, call: Call, errand: Errand, carrier: Mapping[str, str]) -> Answer:
        if isinstance(call, MoveBatch) and any(entry.path == self.deadly for entry in call.entries):
            raise BlockferryError("WORKER_LOST", "The process died.", retryable=True)
        return await self.hand.run(call, errand, carrier)

    async def stop(self, run: str) -> None:
        await self.hand.stop(run)


def test_entry_that_ends_every_process_fails_alone(yard: Yard) -> None:
    for number in range(13):
        yard.add(f"file-{number}", 10)
    yard.plan()
    inner = ThreadHand(yard.process())
    pool = Pool((MortalHand(inner, "file-7"),), Backoff(base_s=0.0, attempts=2))
    result = asyncio.run(ShardMove(yard.order(), yard.ledger, pool).run())
    assert (result.counts.transferred_count, result.counts.failed_count) == (12, 1)
    assert [(group.reason, group.sample_paths) for group in result.failures] == [("WORKER_LOST", ("file-7",))]
    inner.close()
