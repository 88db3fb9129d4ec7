"""What an object must be, from what is known of its entry. PURE.

What a transfer wrote is held against its plan and receipt. In a check there is no receipt: the object is held against
the source as it is now.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from ledger.records import Action, EntryFailure, PlanEntry, Receipt
from stores.base import Attributes, Kind, Stat
from stores.checksum import Checksum
from stores.parcel import rebuilt_by_fields


@rebuilt_by_fields
@dataclass(frozen=True, slots=True)
class Question:
    """An entry that is to be proved. `receipt` is absent in a check, and when the mover left none."""

    entry: PlanEntry
    receipt: Receipt | None = None

    @property
    def size_bytes(self) -> int:
        """Bytes of the file; 0 for folders and for what is at the destination only."""
        return self.entry.source.size_bytes if self.entry.source else 0


@dataclass(frozen=True, slots=True)
class Expectation:
    """What the object of an entry must be.

    Attributes:
        kind: file or folder.
        size_bytes: of the object.
        checksum: of the whole content; None where only sizes can be compared, and for folders.
        source_proven: `checksum` comes from sums that the source keeps; False: from a hash of our own.
        attributes: what must be written with it; None: nothing is known.
        with_atime: the access time counts too. Not in a check: reading a file for its transfer moved the source's.
        with_mtime: the modification time counts. Not for files that are being written.
        worth_reading: the content is read back where the store keeps no proof. Not after a change of metadata alone,
            which sent no data.
    """

    kind: Kind
    size_bytes: int
    checksum: Checksum | None
    source_proven: bool
    attributes: Attributes | None
    with_atime: bool = True
    with_mtime: bool = True
    worth_reading: bool = True


def questions(entries: Iterable[PlanEntry], receipts: Mapping[str, Receipt]) -> Iterator[Question]:
    """Yields what is to be proved: entries COPY and METADATA that the mover did not fail, and those of a check.

    Layouts are left out: they are large, and a proof asks the source anew.
    """
    for entry in entries:
        receipt = receipts.get(entry.path)
        match entry.action:
            case Action.COPY | Action.METADATA if receipt is None or receipt.failure is None:
                yield Question(_without_layout(entry), receipt)
            case Action.CHECK | Action.MISSING | Action.EXTRA:
                yield Question(_without_layout(entry))


def _without_layout(entry: PlanEntry) -> PlanEntry:
    if entry.source is None or not entry.source.layout:
        return entry
    return replace(entry, source=replace(entry.source, layout=b""))


def of_receipt(planned: Stat, receipt: Receipt, kept_before: Stat | None = None) -> Expectation:
    """Returns what a transfer must have made.

    Args:
        planned: the source's stat in the plan.
        receipt: of the mover, without a failure.
        kept_before: the destination's stat in the plan: a change of metadata alone keeps its content.
    """
    checksum = receipt.checksum
    if receipt.action is Action.METADATA and checksum is None and kept_before is not None:
        checksum = kept_before.checksum
    folder = planned.kind is Kind.FOLDER
    return Expectation(
        kind=planned.kind,
        size_bytes=planned.size_bytes,
        checksum=None if folder else checksum,
        source_proven=vouched(planned, receipt.source_proven) and not folder,
        attributes=planned.attributes,
        worth_reading=receipt.action is not Action.METADATA,
    )


def of_source(now: Stat, checksum: Checksum | None, source_proven: bool) -> Expectation:
    """Returns what an object must be to equal the source as it is now.

    Args:
        now: the source's stat; for a file that is being written, of the length that is compared.
        checksum: of that content; None for folders.
        source_proven: every byte of it was held against sums that the source keeps.
    """
    return Expectation(
        kind=now.kind,
        size_bytes=now.size_bytes,
        checksum=checksum,
        source_proven=vouched(now, source_proven),
        attributes=now.attributes,
        with_atime=False,
        with_mtime=not now.condition.is_open,
    )


def vouched(file: Stat, proven: bool) -> bool:
    """Returns whether the source's own sums vouch for a checksum of the content, when the bytes that were read were
    `proven` by them: those of an encrypted file are of its ciphertext, and the checksum is our own."""
    return proven and not (file.condition.is_encrypted and file.size_bytes)


def compared_length(now: Stat, found: Stat) -> Stat:
    """Returns the source's stat with the length that a check compares: of a file that is being written, only what was
    there when it was copied."""
    if now.condition.is_open and found.size_bytes < now.size_bytes:
        return replace(now, size_bytes=found.size_bytes)
    return now


def source_change(planned: Stat, now: Stat | None) -> EntryFailure | None:
    """Returns SOURCE_CHANGED if the source is no longer what the plan saw; None if it is, and for folders that exist.

    A file that was being written when it was planned may go on: the copy is of the length that was known, and its
    checksum proves that. It must only not have become shorter.
    """
    if now is None or now.kind != planned.kind:
        return _changed(planned, "existence", "there", "not there")
    if planned.kind is not Kind.FILE:
        return None
    if planned.condition.is_open:
        if now.size_bytes >= planned.size_bytes:
            return None
        return _changed(planned, "size", str(planned.size_bytes), str(now.size_bytes))
    if now.size_bytes != planned.size_bytes:
        return _changed(planned, "size", str(planned.size_bytes), str(now.size_bytes))
    if now.mtime_ms != planned.mtime_ms:
        return _changed(planned, "mtime", str(planned.mtime_ms), str(now.mtime_ms))
    if planned.version and now.version and now.version != planned.version:
        return _changed(planned, "version", planned.version, now.version)
    return None


def _changed(planned: Stat, what: str, expected: str, found: str) -> EntryFailure:
    return EntryFailure(
        "SOURCE_CHANGED",
        f"{planned.path!r} was changed at the source after it was planned: its {what} was {expected} and is {found}. "
        "What was copied is the older version. Run the task again.",
        (("path", planned.path), ("attribute", what), ("expected", expected), ("found", found)),
    )
