"""What the actors of the pool are asked, and what they answer. PURE: plain values that can be pickled.

One call is one batch of small entries, one part, or one word about an upload; never one small file. No data of a file
is in a call or an answer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from ledger.records import EntryFailure, PlanEntry, Receipt
from mover.parts import PartRange
from stores.base import Part, SinkFeatures, Stat, Stored, Upload
from stores.checksum import Checksum
from stores.location import Location


class Lane(StrEnum):
    """Which threads of an actor run a call: each lane has its own, so that none waits for another."""

    PARTS = "parts"
    SMALL = "small"
    CONTROL = "control"


@dataclass(frozen=True, slots=True)
class Errand:
    """What all calls for one shard and attempt share.

    Attributes:
        run: one call of the service; by it its calls are stopped.
        part_size_bytes: the size that was asked; 0: one block is one part.
        resume: an earlier attempt may have left objects and parts: look before sending. False in the first attempt,
            and always at a store whose checksums are no proof.
    """

    run: str
    source: Location
    destination: Location
    part_size_bytes: int = 0
    resume: bool = False


@dataclass(frozen=True, slots=True)
class Effort:
    """What a call cost: bytes sent, with repeated ones, and requests that were made again."""

    written_bytes: int = 0
    retry_count: int = 0

    def plus(self, other: Effort) -> Effort:
        """Returns the sum."""
        return Effort(self.written_bytes + other.written_bytes, self.retry_count + other.retry_count)


@dataclass(frozen=True, slots=True)
class SentPart:
    """A part that the sink holds, with its checksum, and whether the source's own sums prove it."""

    part: Part
    checksum: Checksum
    proven: bool


# Calls


@dataclass(frozen=True, slots=True)
class AskFeatures:
    """Tell the sink's limits. Answer: `FeaturesKnown`."""

    lane = Lane.CONTROL


@dataclass(frozen=True, slots=True)
class MoveBatch:
    """Move entries that go as one request each. Answer: `BatchMoved`, with a receipt for each.

    Attributes:
        heavy: a file that needs a part's buffer; such a batch has one entry.
    """

    entries: tuple[PlanEntry, ...]
    heavy: bool = False

    @property
    def lane(self) -> Lane:
        """The lane that has the buffers."""
        return Lane.PARTS if self.heavy else Lane.SMALL


@dataclass(frozen=True, slots=True)
class BeginUpload:
    """Begin an upload in parts. Answer: `Begun`, or `AlreadyThere` when an earlier attempt had finished it.

    Attributes:
        since_ms: no try to begin this upload is older, in milliseconds since 1970 UTC.
        again: there was a try whose answer nobody heard: what it has begun is to be given up first.
    """

    file: Stat
    since_ms: int
    again: bool = False
    lane = Lane.CONTROL


@dataclass(frozen=True, slots=True)
class ResumeUpload:
    """Look which parts of an earlier attempt the sink holds and can be used. Answer: `Resumed` or `UploadLost`."""

    file: Stat
    upload: Upload
    lane = Lane.CONTROL


@dataclass(frozen=True, slots=True)
class MovePart:
    """Read one range and send it. Answer: `PartMoved`. `file.layout` is empty where it is large: see `light`."""

    file: Stat
    upload: Upload
    range: PartRange
    lane = Lane.PARTS


@dataclass(frozen=True, slots=True)
class CompleteUpload:
    """Make the object of its parts. Answer: `Completed`."""

    file: Stat
    upload: Upload
    parts: tuple[SentPart, ...]
    lane = Lane.CONTROL


@dataclass(frozen=True, slots=True)
class AbortUpload:
    """Give an upload up. Answer: `Aborted`."""

    upload: Upload
    lane = Lane.CONTROL


@dataclass(frozen=True, slots=True)
class AbortOrphans:
    """Give up what was begun for a path since then: uploads whose names nobody has heard. Answer: `Aborted`."""

    path: str
    since_ms: int
    lane = Lane.CONTROL


@dataclass(frozen=True, slots=True)
class StatSource:
    """Look at the source's file again. Answer: `Restated`."""

    path: str
    lane = Lane.CONTROL


Call = (
    AskFeatures
    | MoveBatch
    | BeginUpload
    | ResumeUpload
    | MovePart
    | CompleteUpload
    | AbortUpload
    | AbortOrphans
    | StatSource
)


# Answers


@dataclass(frozen=True, slots=True)
class FeaturesKnown:
    """The sink's limits."""

    features: SinkFeatures
    effort: Effort = Effort()


@dataclass(frozen=True, slots=True)
class BatchMoved:
    """A receipt for each entry of the batch, in its order; failed ones have their failure."""

    receipts: tuple[Receipt, ...]
    effort: Effort = Effort()


@dataclass(frozen=True, slots=True)
class AlreadyThere:
    """The object was there, and what both stores keep is equal."""

    receipt: Receipt
    effort: Effort = Effort()


@dataclass(frozen=True, slots=True)
class Begun:
    """An upload was begun. `ranges`: the parts to send, in order."""

    upload: Upload
    ranges: tuple[PartRange, ...]
    effort: Effort = Effort()


@dataclass(frozen=True, slots=True)
class Resumed:
    """The upload is still there: `kept` need not be sent again, `missing` must."""

    kept: tuple[SentPart, ...]
    missing: tuple[PartRange, ...]
    effort: Effort = Effort()


@dataclass(frozen=True, slots=True)
class UploadLost:
    """The sink does not know the upload any more."""

    effort: Effort = Effort()


@dataclass(frozen=True, slots=True)
class PartMoved:
    """The sink has taken a part."""

    sent: SentPart
    effort: Effort = Effort()


@dataclass(frozen=True, slots=True)
class Completed:
    """The object is there. `checksum` is of the whole content."""

    stored: Stored
    checksum: Checksum
    effort: Effort = Effort()


@dataclass(frozen=True, slots=True)
class Aborted:
    """The upload is gone, or the orphans are."""

    effort: Effort = Effort()


@dataclass(frozen=True, slots=True)
class Restated:
    """The source's file as it is now; None: it is gone."""

    file: Stat | None
    effort: Effort = Effort()


@dataclass(frozen=True, slots=True)
class CallFailed:
    """The call was given up: this file fails, its neighbours do not."""

    failure: EntryFailure
    effort: Effort = Effort()


Answer = (
    FeaturesKnown
    | BatchMoved
    | AlreadyThere
    | Begun
    | Resumed
    | UploadLost
    | PartMoved
    | Completed
    | Aborted
    | Restated
    | CallFailed
)

LIGHT_LAYOUT_BYTES = 1 << 16


def light(file: Stat) -> Stat:
    """Returns the file as it goes with each of its parts: a layout above 64 KiB (about 150 blocks) stays at home, and
    each actor asks the source for it once. Else the calls of a file would grow with the square of its size."""
    return file if len(file.layout) <= LIGHT_LAYOUT_BYTES else replace(file, layout=b"")


def repeated(call: Call) -> Call:
    """Returns a call as it is given to another hand after the first one died over it."""
    return replace(call, again=True) if isinstance(call, BeginUpload) else call


def with_effort(answer: Answer, effort: Effort) -> Answer:
    """Returns the answer with `effort` added to its own."""
    return replace(answer, effort=answer.effort.plus(effort))
