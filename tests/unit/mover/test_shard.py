"""A shard from plan to receipts, with stores in memory and threads as hands: what arrives, what fails, what is
repeated, what is resumed, and that no upload stays behind."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from blockferry.errors import BlockferryError
from ledger.records import Action, PlanEntry, UploadIntent, UploadNote, Why
from mover.counts import MoveCounts
from mover.shard import MOST_ILL, ShardMove
from stores.base import Attributes
from stores.checksum import Algorithm
from stores.faulty import Fault, Harm, Script
from stores.hashing import checksum_of
from tests.support.yard import ATTRIBUTES, PART, SHARD, Yard, content


def refused(reason: str) -> BlockferryError:
    """Returns an error that is not worth another try."""
    return BlockferryError(reason, f"It is {reason}.", path="somewhere")


def open_uploads(yard: Yard) -> int:
    """Returns how many uploads the sink holds."""
    return len(yard.sink._shelf.uploads)


def test_every_kind_of_entry_arrives(yard: Yard) -> None:
    sizes = {"empty": 0, "one": 1, "part": PART, "large": 5 * PART + 3, "folder/deep/file": 77}
    for path, size in sizes.items():
        yard.add(path, size)
    yard.add("folder/", 0)
    yard.add("folder/deep/", 0)
    result = yard.move()
    total = sum(sizes.values())
    assert result.counts == MoveCounts(7, total, total, 0, 0)
    assert (result.receipts, result.failures) == (f"{SHARD}.1", ())
    for path, size in sizes.items():
        assert yard.read(path) == content(size, len(path))
        found, receipt = yard.sink.stat(path), yard.receipt(path)
        assert found is not None
        assert found.attributes == ATTRIBUTES
        assert found.checksum == receipt.checksum == checksum_of(Algorithm.CRC32C, content(size, len(path)))
        assert receipt.source_proven
        assert (receipt.attempts, receipt.size_bytes, receipt.etag) == (1, size, found.version)
    assert yard.receipt("large").part_count == 6
    assert yard.sink.stat("folder/deep/") is not None
    assert (open_uploads(yard), yard.ledger.upload_notes(SHARD)) == (0, ())


@pytest.mark.parametrize("size", [100, 5 * PART])
@pytest.mark.parametrize(("kept", "claimed"), [(Algorithm.CRC32, Algorithm.CRC32), (None, Algorithm.CRC32C)])
def test_claim_is_of_the_algorithm_that_the_source_keeps(
    yard: Yard, size: int, kept: Algorithm | None, claimed: Algorithm
) -> None:
    yard.add("file", size, kept)
    yard.move()
    receipt = yard.receipt("file")
    assert receipt.checksum == checksum_of(claimed, content(size, 4))
    assert receipt.source_proven is (kept is not None)


@pytest.mark.parametrize(
    "method", ["put", "put_part", "begin", "complete", "read_into", "claimed_algorithm", "extents"]
)
@pytest.mark.parametrize("harm", [Harm.FAIL, Harm.LOSE])
def test_passing_fault_costs_a_retry(yard: Yard, method: str, harm: Harm) -> None:
    yard.add("small", 10)
    yard.add("large", 3 * PART)
    yard.faults(Fault(method, harm))
    result = yard.move()
    assert result.failures == ()
    assert result.counts.retry_count == 1
    assert yard.read("small") == content(10, 5)
    assert yard.read("large") == content(3 * PART, 5)


@pytest.mark.parametrize("method", ["put", "put_part"])
def test_damage_on_the_way_is_read_again(yard: Yard, method: str) -> None:
    yard.add("small", 10)
    yard.add("large", 3 * PART)
    yard.faults(Fault(method, Harm.CORRUPT))
    result = yard.move()
    assert result.failures == ()
    assert result.counts.retry_count == 1
    assert result.counts.written_bytes > result.counts.transferred_bytes == 10 + 3 * PART
    assert yard.read("small") == content(10, 5)
    assert yard.read("large") == content(3 * PART, 5)


@pytest.mark.parametrize("size", [100, 3 * PART])
def test_damage_on_the_way_every_time_fails_the_file_alone(yard: Yard, size: int) -> None:
    yard.add("bad", size)
    yard.add("good", size)
    faults = (Fault(method, Harm.CORRUPT, call=0, path="bad") for method in ("put", "put_part"))
    yard.faults(*faults)
    result = yard.move()
    assert [(group.reason, group.sample_paths) for group in result.failures] == [("CHECKSUM_FAILURE", ("bad",))]
    assert yard.sink.stat("bad") is None
    assert yard.read("good") == content(size, 4)
    assert (open_uploads(yard), yard.ledger.upload_notes(SHARD)) == (0, ())


@pytest.mark.parametrize("size", [100, 3 * PART])
def test_file_that_the_source_cannot_prove_fails_alone(yard: Yard, size: int) -> None:
    yard.add("bad", size)
    yard.add("good", size)
    yard.source.damage("bad", size - 1)
    result = yard.move()
    assert (result.counts.transferred_count, result.counts.failed_count) == (1, 1)
    failure = yard.receipt("bad").failure
    assert failure is not None
    assert failure.reason == "CHECKSUM_FAILURE"
    assert dict(failure.coordinates)["path"] == "bad"
    assert open_uploads(yard) == 0


@pytest.mark.parametrize("size", [100, 3 * PART])
def test_changed_file_is_moved_as_it_is_now(yard: Yard, size: int) -> None:
    yard.add("file", size)
    yard.plan()
    yard.source.add("file", content(size - 10, 9), ATTRIBUTES)
    result = yard.move(attempt=2)
    now = yard.source.stat("file")
    assert now is not None
    assert result.failures == ()
    assert yard.read("file") == content(size - 10, 9)
    assert yard.receipt("file", 2).source_version == now.version
    assert open_uploads(yard) == 0


@pytest.mark.parametrize("size", [100, 3 * PART])
def test_file_that_changes_all_the_time_fails_alone(yard: Yard, size: int) -> None:
    yard.add("file", size)
    yard.faults(Fault("read_into", call=0, error=refused("SOURCE_CHANGED")))
    result = yard.move()
    assert [group.reason for group in result.failures] == ["SOURCE_CHANGED"]
    assert (open_uploads(yard), yard.ledger.upload_notes(SHARD)) == (0, ())


def test_refused_completion_is_redone_once(yard: Yard) -> None:
    yard.add("large", 3 * PART)
    yard.faults(Fault("complete", error=refused("CHECKSUM_REJECTED")))
    result = yard.move()
    assert result.failures == ()
    assert result.counts.written_bytes == 2 * 3 * PART
    assert yard.receipt("large").attempts == 2
    assert open_uploads(yard) == 0


def test_fault_of_ours_fails_one_entry(yard: Yard) -> None:
    yard.add("bad", 10)
    yard.add("good", 10)
    yard.faults(Fault("put", call=0, path="bad", error=ZeroDivisionError("nobody expects it")))  # type: ignore[arg-type]
    result = yard.move()
    assert [(group.reason, group.sample_paths) for group in result.failures] == [("INTERNAL", ("bad",))]


@pytest.mark.parametrize("reason", ["BUCKET_NOT_FOUND", "CREDENTIALS_REFUSED", "STORE_BUSY", "NAMENODE_UNAVAILABLE"])
@pytest.mark.parametrize("size", [10, 3 * PART])
def test_what_concerns_all_fails_the_call_and_writes_no_receipts(yard: Yard, reason: str, size: int) -> None:
    for number in range(5):
        yard.add(f"file-{number}", size)
    yard.faults(*(Fault(method, call=0, error=refused(reason)) for method in ("put", "put_part")))
    with pytest.raises(BlockferryError) as caught:
        yard.move()
    assert caught.value.reason == reason
    with pytest.raises(BlockferryError, match="LEDGER_MISSING"):
        yard.ledger.read_receipts(f"{SHARD}.1")
    notes = yard.ledger.upload_notes(SHARD)
    assert {note.path for note in notes} >= {upload.path for upload in yard.sink._shelf.uploads.values()}
    yard.faults()
    assert yard.abort() == len(notes)
    assert (open_uploads(yard), yard.ledger.upload_notes(SHARD)) == (0, ())


def test_upload_that_is_begun_when_nobody_waits_any_more_can_be_aborted(yard: Yard) -> None:
    asked, go_on = threading.Event(), threading.Event()

    def stall(_: float) -> None:
        asked.set()
        assert go_on.wait(30)

    async def cancelled() -> None:
        with yard.pool() as pool:
            move = asyncio.create_task(ShardMove(yard.order(), yard.ledger, pool).run())
            await asyncio.to_thread(asked.wait, 30)
            move.cancel()
            await asyncio.sleep(0)
            go_on.set()
            with pytest.raises(asyncio.CancelledError):
                await move

    yard.add("file", 3 * PART)
    yard.plan()
    yard.script = Script(Fault("begin", Harm.STALL), sleep=stall)
    asyncio.run(cancelled())
    assert open_uploads(yard) == 1
    (note,) = yard.ledger.upload_notes(SHARD)
    assert isinstance(note, UploadIntent)
    assert note.path == "file"
    assert yard.abort() == 1
    assert (open_uploads(yard), yard.ledger.upload_notes(SHARD)) == (0, ())


def test_store_that_does_not_answer_fails_the_call(yard: Yard) -> None:
    yard.add("file", 10)
    yard.faults(Fault("put", call=0))
    with pytest.raises(BlockferryError, match="STORE_UNAVAILABLE"):
        yard.move()


def test_fault_of_the_store_with_one_key_fails_one_entry(yard: Yard) -> None:
    yard.add("bad", 10)
    yard.add("good", 10)
    error = BlockferryError("STORE_UNAVAILABLE", "The store failed on its side.", retryable=True, code="InternalError")
    yard.faults(Fault("put", call=0, path="bad", error=error))
    assert [group.sample_paths for group in yard.move().failures] == [("bad",)]


def test_store_that_fails_with_every_key_fails_the_call(yard: Yard) -> None:
    for number in range(MOST_ILL):
        yard.add(f"file-{number}", 10)
    error = BlockferryError("STORE_UNAVAILABLE", "The store failed on its side.", retryable=True, code="InternalError")
    yard.faults(Fault("put", call=0, error=error))
    with pytest.raises(BlockferryError, match="STORE_UNAVAILABLE"):
        yard.move()


def test_attributes_are_changed_without_sending_data(yard: Yard) -> None:
    yard.add("large", 3 * PART)
    yard.add("folder/", 0)
    yard.move()
    other = Attributes("bob", "staff", 0o600, 5, 6)
    for path, size in (("large", 3 * PART), ("folder/", 0)):
        yard.source.add(path, content(size, len(path)), other)
    yard.plan(Action.METADATA)
    result = yard.move(attempt=2)
    assert result.counts == MoveCounts(transferred_count=2)
    assert [stat.attributes for stat in yard.sink.list_tree()] == [other, other]
    assert yard.read("large") == content(3 * PART, 5)


def test_entries_of_others_have_no_receipt(yard: Yard) -> None:
    yard.add("file", 1)
    entries = [PlanEntry(stat.path, Action.SKIP, Why.SAME, stat) for stat in yard.source.list_tree()]
    yard.ledger.write_plan(SHARD, entries)
    assert yard.move(attempt=2).counts == MoveCounts()
    assert yard.ledger.read_receipts(f"{SHARD}.2") == ()


# Attempts after the first


def broken_attempt(yard: Yard, parts: int) -> None:
    """Makes an attempt that ends after so many parts of one large file, leaving its upload behind."""
    yard.faults(*(Fault("put_part", call=number, error=refused("STORE_BUSY")) for number in range(parts + 1, 100)))
    with pytest.raises(BlockferryError, match="STORE_BUSY"):
        yard.move()
    yard.faults()
    assert open_uploads(yard) == 1


def test_next_attempt_sends_only_the_missing_parts(yard: Yard) -> None:
    yard.add("large", 5 * PART)
    broken_attempt(yard, parts=3)
    result = yard.move(attempt=2)
    assert result.counts == MoveCounts(1, 5 * PART, 2 * PART, 0, 0)
    assert yard.read("large") == content(5 * PART, 5)
    assert yard.receipt("large", 2).source_proven
    assert (open_uploads(yard), yard.ledger.upload_notes(SHARD)) == (0, ())


def test_parts_of_a_store_that_cannot_be_trusted_are_not_taken_over(yard: Yard) -> None:
    yard.add("large", 5 * PART)
    broken_attempt(yard, parts=3)
    yard.claims_trusted = False
    assert yard.move(attempt=2).counts.written_bytes == 5 * PART
    assert open_uploads(yard) == 0


def test_parts_of_another_version_are_given_up(yard: Yard) -> None:
    yard.add("large", 5 * PART)
    broken_attempt(yard, parts=3)
    yard.source.add("large", content(5 * PART, 77), ATTRIBUTES)
    yard.plan()
    assert yard.move(attempt=2).counts.written_bytes == 5 * PART
    assert yard.read("large") == content(5 * PART, 77)
    assert open_uploads(yard) == 0


def test_part_that_differs_from_what_the_source_keeps_is_sent_again(yard: Yard) -> None:
    yard.add("large", 5 * PART)
    broken_attempt(yard, parts=3)
    (note,) = yard.ledger.upload_notes(SHARD)
    assert isinstance(note, UploadNote)
    wrong = content(PART, 123)
    yard.sink.put_part(note.upload, 1, memoryview(wrong), checksum_of(Algorithm.CRC32C, wrong))
    assert yard.move(attempt=2).counts.written_bytes == 3 * PART
    assert yard.read("large") == content(5 * PART, 5)


def test_forgotten_upload_is_begun_again(yard: Yard) -> None:
    yard.add("large", 5 * PART)
    broken_attempt(yard, parts=3)
    (note,) = yard.ledger.upload_notes(SHARD)
    assert isinstance(note, UploadNote)
    yard.sink.abort(note.upload)
    assert yard.move(attempt=2).counts.written_bytes == 5 * PART
    assert yard.ledger.upload_notes(SHARD) == ()


def test_next_attempt_sends_nothing_that_is_there(yard: Yard) -> None:
    for path, size in (("empty", 0), ("small", 10), ("large", 5 * PART)):
        yard.add(path, size)
    first, second = yard.move(), yard.move(attempt=2)
    assert (first.counts.written_bytes, second.counts.written_bytes) == (10 + 5 * PART, 0)
    assert second.counts.transferred_count == 3
    assert yard.receipt("large", 2).checksum == yard.receipt("large").checksum
    assert yard.receipt("small", 2).etag == yard.receipt("small").etag


@pytest.mark.parametrize("size", [10, 5 * PART])
def test_object_with_other_content_or_attributes_is_sent_again(yard: Yard, size: int) -> None:
    yard.add("one", size)
    yard.add("two", size)
    yard.move()
    yard.sink.add("one", content(size, 200), ATTRIBUTES)
    yard.sink.set_attributes("two", Attributes("x", "y", 0, 0, 0), Algorithm.CRC32C)
    assert yard.move(attempt=2).counts.written_bytes == 2 * size
    assert yard.read("one") == content(size, 3)
    found = yard.sink.stat("two")
    assert found is not None
    assert found.attributes == ATTRIBUTES


@pytest.mark.parametrize("claims_trusted", [True, False])
@pytest.mark.parametrize("next_size", [5 * PART, 10])
def test_upload_that_an_attempt_began_before_it_was_killed_does_not_stay(
    yard: Yard, claims_trusted: bool, next_size: int
) -> None:
    yard.claims_trusted = claims_trusted
    yard.add("file", next_size)
    yard.plan()
    yard.ledger.note_upload(SHARD, UploadIntent("file", time.time_ns() // 1_000_000))
    yard.sink.begin("file", Algorithm.CRC32C, ATTRIBUTES)
    yard.move(attempt=2)
    assert yard.read("file") == content(next_size, 4)
    assert (open_uploads(yard), yard.ledger.upload_notes(SHARD)) == (0, ())


def test_begin_that_fails_leaves_neither_upload_nor_note(yard: Yard) -> None:
    yard.add("bad", 5 * PART)
    yard.faults(Fault("begin", Harm.LOSE, error=refused("ACCESS_DENIED")))
    assert [(group.reason, group.sample_paths) for group in yard.move().failures] == [("ACCESS_DENIED", ("bad",))]
    assert (open_uploads(yard), yard.ledger.upload_notes(SHARD)) == (0, ())


def test_note_of_a_file_that_goes_in_one_request_now_is_aborted(yard: Yard) -> None:
    yard.add("file", 10)
    upload = yard.sink.begin("file", Algorithm.CRC32C, ATTRIBUTES)
    yard.ledger.note_upload(SHARD, UploadNote(upload, "old", 1))
    yard.move()
    assert (open_uploads(yard), yard.ledger.upload_notes(SHARD)) == (0, ())


def test_noted_uploads_can_be_aborted(yard: Yard) -> None:
    yard.add("large", 5 * PART)
    broken_attempt(yard, parts=3)
    assert yard.abort() == 1
    assert (open_uploads(yard), yard.ledger.upload_notes(SHARD)) == (0, ())
    assert yard.abort() == 0


def test_upload_that_cannot_be_aborted_stays_noted(yard: Yard) -> None:
    yard.add("large", 5 * PART)
    broken_attempt(yard, parts=3)
    yard.faults(Fault("abort", error=refused("ACCESS_DENIED")))
    with pytest.raises(BlockferryError, match="ACCESS_DENIED"):
        yard.abort()
    assert len(yard.ledger.upload_notes(SHARD)) == 1
    assert yard.abort() == 1


def test_cancelled_move_leaves_its_upload_noted(yard: Yard) -> None:
    yard.add("large", 50 * PART)
    yard.plan()

    async def story() -> None:
        with yard.pool() as pool:
            move = ShardMove(yard.order(), yard.ledger, pool)
            task = asyncio.create_task(move.run())
            async with asyncio.timeout(30):
                while move.counts.transferred_bytes == 0:
                    await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(story())
    assert open_uploads(yard) == len(yard.ledger.upload_notes(SHARD)) == 1
    assert yard.move(attempt=2).counts.written_bytes < 50 * PART
    assert yard.read("large") == content(50 * PART, 5)
