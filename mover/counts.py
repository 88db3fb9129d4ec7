"""What a shard's move has reached, counted from answers and receipts. PURE."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ledger.records import Action, Receipt
from mover.calls import Answer, BatchMoved, PartMoved, Resumed


@dataclass(frozen=True, slots=True)
class MoveCounts:
    """What was done up to now; mirrors `service.v1.MoveProgress`."""

    transferred_count: int = 0
    transferred_bytes: int = 0
    written_bytes: int = 0
    failed_count: int = 0
    retry_count: int = 0

    def after(self, answer: Answer) -> MoveCounts:
        """Returns the counts with the bytes and the effort of an answer."""
        return replace(
            self,
            transferred_bytes=self.transferred_bytes + _taken_bytes(answer),
            written_bytes=self.written_bytes + answer.effort.written_bytes,
            retry_count=self.retry_count + answer.effort.retry_count,
        )

    def with_receipts(self, receipts: tuple[Receipt, ...]) -> MoveCounts:
        """Returns the counts with finished entries."""
        failed = sum(receipt.failure is not None for receipt in receipts)
        return replace(
            self,
            transferred_count=self.transferred_count + len(receipts) - failed,
            failed_count=self.failed_count + failed,
        )


def _taken_bytes(answer: Answer) -> int:
    """Returns the bytes that the store holds because of what was answered, sent now or by an earlier attempt."""
    match answer:
        case PartMoved(sent=sent):
            return sent.part.size_bytes
        case Resumed(kept=kept):
            return sum(sent.part.size_bytes for sent in kept)
        case BatchMoved(receipts=receipts):
            copied = (one for one in receipts if one.action is Action.COPY and one.failure is None)
            return sum(receipt.size_bytes for receipt in copied)
        case _:
            return 0
