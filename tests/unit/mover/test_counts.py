"""Counts: what each answer and receipt adds."""

from __future__ import annotations

from ledger.records import Action, EntryFailure, Receipt
from mover.calls import BatchMoved, CallFailed, Effort, PartMoved, Resumed, SentPart, with_effort
from mover.counts import MoveCounts
from stores.base import Part
from stores.checksum import Algorithm, Checksum

FAILURE = EntryFailure("ACCESS_DENIED", "Not allowed.")


def part(size: int) -> SentPart:
    """Returns a part that was taken."""
    checksum = Checksum(Algorithm.CRC32C, 1)
    return SentPart(Part(1, size, "etag", checksum), checksum, proven=True)


def test_parts_count_as_they_are_taken() -> None:
    counts = MoveCounts().after(PartMoved(part(100), Effort(200, 1)))
    assert counts == MoveCounts(transferred_bytes=100, written_bytes=200, retry_count=1)


def test_parts_of_an_earlier_attempt_are_transferred_but_not_written() -> None:
    assert MoveCounts().after(Resumed((part(7), part(8)), ())) == MoveCounts(transferred_bytes=15)


def test_failed_call_counts_what_it_cost() -> None:
    assert MoveCounts().after(CallFailed(FAILURE, Effort(5, 2))) == MoveCounts(written_bytes=5, retry_count=2)


def test_bytes_of_a_batch_are_those_of_its_good_copies() -> None:
    receipts = (
        Receipt("a", Action.COPY, size_bytes=10),
        Receipt("b", Action.COPY, size_bytes=20, failure=FAILURE),
        Receipt("c", Action.METADATA, size_bytes=40),
    )
    assert MoveCounts().after(BatchMoved(receipts)).transferred_bytes == 10


def test_receipts_are_counted_by_their_end() -> None:
    receipts = (Receipt("a", Action.COPY), Receipt("b", Action.COPY, failure=FAILURE), Receipt("c", Action.METADATA))
    assert MoveCounts().with_receipts(receipts) == MoveCounts(transferred_count=2, failed_count=1)


def test_effort_of_a_lost_call_is_added_to_the_answer() -> None:
    answer = with_effort(PartMoved(part(1), Effort(1, 1)), Effort(retry_count=2))
    assert answer.effort == Effort(1, 3)
