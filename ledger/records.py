"""What the ledger holds, row by row: plan entries, receipts, verdicts. Plain values; pyarrow stays in `tables.py`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from stores.base import Attributes, Condition, Kind, Stat, Upload
from stores.checksum import Checksum
from stores.parcel import rebuilt_by_fields


class Action(StrEnum):
    """What the plan wants done with an entry."""

    COPY = "COPY"
    METADATA = "METADATA"
    DELETE = "DELETE"
    SKIP = "SKIP"
    REFUSE = "REFUSE"  # cannot be moved: see `failure`
    CHECK = "CHECK"  # on both sides: prove that they are equal
    MISSING = "MISSING"  # a check found it at the source only
    EXTRA = "EXTRA"  # a check found it at the destination only


class Why(StrEnum):
    """Why the plan wants it."""

    NEW = "NEW"
    SIZE_DIFFERS = "SIZE_DIFFERS"
    TIME_DIFFERS = "TIME_DIFFERS"
    ATTRIBUTES_DIFFER = "ATTRIBUTES_DIFFER"
    KIND_DIFFERS = "KIND_DIFFERS"
    ALL_ASKED = "ALL_ASKED"
    SAME = "SAME"
    REFUSED = "REFUSED"
    ONE_SIDED = "ONE_SIDED"
    VERIFY_ASKED = "VERIFY_ASKED"


class Proof(StrEnum):
    """How a verdict was reached."""

    STORED_CHECKSUM = "STORED_CHECKSUM"  # what both stores keep is equal; no data was read but what brings sums
    READ_BACK = "READ_BACK"  # the object was read and hashed
    SIZE_ONLY = "SIZE_ONLY"  # only sizes could be compared
    NONE = "NONE"  # nothing to compare: a folder, or the entry failed before


@dataclass(frozen=True, slots=True)
class EntryFailure:
    """Why one entry failed. `coordinates`: path, block_id, offset, host, expected, found."""

    reason: str
    message: str
    coordinates: tuple[tuple[str, str], ...] = ()


@rebuilt_by_fields
@dataclass(frozen=True, slots=True)
class PlanEntry:
    """One path with what to do about it. `source` and `found` (the destination's) are absent where there is none."""

    path: str
    action: Action
    why: Why
    source: Stat | None
    found: Stat | None = None
    failure: EntryFailure | None = None


@rebuilt_by_fields
@dataclass(frozen=True, slots=True)
class Receipt:
    """What the mover wrote for one entry.

    Attributes:
        checksum: of the whole content: for STORED proofs, combined from the sums that the source keeps.
        source_proven: every byte was compared with sums that the source keeps. False: own hash only.
        source_version: version of the source's file as the mover saw it.
        attempts: 1 when nothing had to be repeated.
        written_ms: when the sink wrote it whole, by its own clock; 0: not known.
        failure: set when the entry was not written; the other values then say what was reached.
    """

    path: str
    action: Action
    size_bytes: int = 0
    etag: str = ""
    version_id: str = ""
    checksum: Checksum | None = None
    source_proven: bool = False
    source_version: str = ""
    part_count: int = 0
    attempts: int = 1
    failure: EntryFailure | None = None
    written_ms: int = 0


@rebuilt_by_fields
@dataclass(frozen=True, slots=True)
class Verdict:
    """What the verifier found for one entry. `failure` is absent when it is proved.

    Attributes:
        source_proven: `expected` comes from sums that the source keeps. False: it is the hash that we made ourselves
            while the data passed (the source keeps no usable sums), or there is nothing to expect.
    """

    path: str
    proof: Proof
    size_bytes: int = 0
    expected: Checksum | None = None
    found: Checksum | None = None
    source_proven: bool = False
    failure: EntryFailure | None = None


@dataclass(frozen=True, slots=True)
class UploadNote:
    """An upload that was begun: what a later attempt needs to go on with it, or to give it up.

    Attributes:
        source_version: of the file that the parts were read from; of another one they are worth nothing.
        part_bytes: the size by which the file was cut.
    """

    upload: Upload
    source_version: str
    part_bytes: int

    @property
    def path(self) -> str:
        """Of the file."""
        return self.upload.path


@dataclass(frozen=True, slots=True)
class UploadIntent:
    """An upload that is about to be begun, or was and nobody heard the answer: what is open at the sink for this path
    since then is to be given up.

    Attributes:
        since_ms: no try to begin it is older, in milliseconds since 1970 UTC.
    """

    path: str
    since_ms: int


Note = UploadNote | UploadIntent
"""What the ledger says of a path that goes in parts."""

__all__ = [
    "Action",
    "Attributes",
    "Condition",
    "EntryFailure",
    "Kind",
    "Note",
    "PlanEntry",
    "Proof",
    "Receipt",
    "UploadIntent",
    "UploadNote",
    "Verdict",
    "Why",
]
