"""The life of one file that goes in parts: answers in, commands out. PURE: nobody is asked here, and nothing waits.

```
            note of an earlier attempt            stale note
        +--------- RESUMING ----------+     +---- CLEARING
        |   lost |                    |     |  aborted
start --+--> BEGINNING --- begun -----+--> SENDING --- last part ---> COMPLETING --- completed ---> DONE
                 ^  there: DONE       |                               |
                 |                    | a part failed                 | refused
                 |                    v                               |
                 |                 FAILING -- last running part --> ABORTING -- aborted, nothing left to try --> DONE
                 |                                                   |      |
                 +--------------- upload refused, once --------------+      | source changed, once
                 +------------------------------------------- RESTATING <---+
                                                                  | now small: AS_WHOLE --> DONE
```

`step` gives the next transfer and what is to be done, in order. An upload is noted in the ledger before it is begun and
again, by its name, before its first part; the note is dropped when the upload is completed or aborted. So every upload
that may be open is noted, also one whose begin was answered into the void. A begin that failed goes to ABORTING too,
for what it may have left.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from ledger.records import Action, EntryFailure, Note, PlanEntry, Receipt, UploadIntent, UploadNote
from mover.calls import (
    Aborted,
    AbortOrphans,
    AbortUpload,
    AlreadyThere,
    Answer,
    BatchMoved,
    BeginUpload,
    Begun,
    Call,
    CallFailed,
    Completed,
    CompleteUpload,
    MoveBatch,
    MovePart,
    PartMoved,
    Restated,
    Resumed,
    ResumeUpload,
    SentPart,
    StatSource,
    UploadLost,
    light,
)
from mover.parts import PartRange
from stores.base import Stat, Upload

REFUSED = ("CHECKSUM_REJECTED", "NO_SUCH_UPLOAD")
"""Failures that a new upload can cure: a part that is damaged in the store, an upload that somebody aborted."""


class Stage(StrEnum):
    """Where a file is on its way; see the picture above."""

    CLEARING = "CLEARING"
    RESUMING = "RESUMING"
    BEGINNING = "BEGINNING"
    SENDING = "SENDING"
    COMPLETING = "COMPLETING"
    FAILING = "FAILING"
    ABORTING = "ABORTING"
    RESTATING = "RESTATING"
    AS_WHOLE = "AS_WHOLE"
    DONE = "DONE"


@dataclass(frozen=True, slots=True)
class NoteUpload:
    """Write the note into the ledger."""

    note: Note


@dataclass(frozen=True, slots=True)
class DropNote:
    """Take the note of this path out of the ledger."""

    path: str


Command = Call | NoteUpload | DropNote


@dataclass(frozen=True, slots=True)
class PartPolicy:
    """How the files of a shard go in parts.

    Attributes:
        part_bytes: by which a file is cut; what a note must say to be worth resuming.
        window: how many of a file's parts are given out at once.
        single_bytes: files up to this size go in one request.
        since_ms: nothing was begun before, in milliseconds since 1970 UTC.
    """

    part_bytes: int
    window: int
    single_bytes: int
    since_ms: int


@dataclass(frozen=True, slots=True)
class FileMove:
    """One file on its way.

    Attributes:
        entry: as planned.
        file: as it is read now; another version than planned after RESTATING.
        policy: of the shard; `since_ms` of an earlier attempt where that may have begun it.
        running: calls for parts that have not been answered.
        resumed, redone, restated: what was tried already; each is tried once.
        failure: why it fails, from FAILING on.
        receipt: how it ended; there when DONE.
    """

    entry: PlanEntry
    file: Stat
    policy: PartPolicy
    stage: Stage
    upload: Upload | None = None
    waiting: tuple[PartRange, ...] = ()
    running: int = 0
    sent: tuple[SentPart, ...] = ()
    resumed: bool = False
    redone: bool = False
    restated: bool = False
    retry_count: int = 0
    failure: EntryFailure | None = None
    receipt: Receipt | None = None


Next = tuple[FileMove, tuple[Command, ...]]


def start(
    entry: PlanEntry,
    file: Stat,
    policy: PartPolicy,
    note: Note | None = None,
    resumable: bool = True,
) -> Next:
    """Returns a new transfer and its first command.

    Args:
        entry: what the plan wants.
        file: the entry's source.
        policy: sizes, and when the attempt began.
        note: of an earlier attempt. It is resumed if it is of the same version and cut, else its upload is aborted.
            One that was only about to be begun is given up, if it is there at all, before the next one is begun.
        resumable: False at a store whose checksums are no proof: its parts are worth nothing.
    """
    move = FileMove(entry, file, policy, Stage.BEGINNING)
    if note is None:
        return _begin(move)
    if isinstance(note, UploadIntent):
        earlier = replace(move, policy=replace(policy, since_ms=note.since_ms))
        return earlier, (BeginUpload(file, note.since_ms, again=True),)
    move = replace(move, upload=note.upload)
    if resumable and note.source_version == file.version and note.part_bytes == policy.part_bytes:
        return replace(move, stage=Stage.RESUMING, resumed=True), (ResumeUpload(file, note.upload),)
    return replace(move, stage=Stage.CLEARING), (AbortUpload(note.upload),)


def step(move: FileMove, answer: Answer) -> Next:
    """Returns what follows from an answer.

    Raises:
        ValueError: the answer belongs to no command of this stage: a bug.
    """
    move = replace(move, retry_count=move.retry_count + answer.effort.retry_count)
    match move.stage, answer:
        case Stage.CLEARING, Aborted():
            return _after(DropNote(move.file.path), _begin(replace(move, upload=None)))
        case Stage.BEGINNING, Begun():
            return _begun(move, answer)
        case Stage.BEGINNING, AlreadyThere():
            return _after(DropNote(move.file.path), _done(move, answer.receipt))
        case Stage.RESUMING, Resumed():
            return _send(
                replace(move, sent=answer.kept, waiting=answer.missing, stage=Stage.SENDING), move.policy.window
            )
        case Stage.RESUMING, UploadLost():
            return _after(DropNote(move.file.path), _begin(replace(move, upload=None, resumed=False)))
        case Stage.SENDING, PartMoved():
            return _send(replace(move, sent=(*move.sent, answer.sent), running=move.running - 1), 1)
        case Stage.SENDING, CallFailed():
            return _fail(replace(move, running=move.running - 1, failure=answer.failure))
        case Stage.FAILING, PartMoved() | CallFailed():
            return _fail(replace(move, running=move.running - 1))
        case Stage.COMPLETING, Completed():
            return _after(DropNote(move.file.path), _done(move, _receipt(move, answer)))
        case Stage.ABORTING, Aborted():
            return _after(DropNote(move.file.path), _aborted(replace(move, upload=None)))
        case Stage.RESTATING, Restated():
            return _restated(move, answer.file)
        case Stage.AS_WHOLE, BatchMoved():
            return _done(move, answer.receipts[0])
        case _, CallFailed():
            return _given_up(move, answer.failure)
        case _:
            raise ValueError(f"{type(answer).__name__} is no answer in stage {move.stage}")


def _after(command: Command, following: Next) -> Next:
    move, commands = following
    return move, (command, *commands)


def _begin(move: FileMove) -> Next:
    fresh = replace(move, stage=Stage.BEGINNING, waiting=(), sent=(), running=0, failure=None)
    intent = UploadIntent(move.file.path, move.policy.since_ms)
    return fresh, (NoteUpload(intent), BeginUpload(move.file, move.policy.since_ms))


def _begun(move: FileMove, begun: Begun) -> Next:
    note = UploadNote(begun.upload, move.file.version, move.policy.part_bytes)
    sending = replace(move, upload=begun.upload, waiting=begun.ranges, stage=Stage.SENDING)
    return _after(NoteUpload(note), _send(sending, move.policy.window))


def _send(move: FileMove, count: int) -> Next:
    """Gives the next parts out; completes when none is left."""
    given, waiting = move.waiting[:count], move.waiting[count:]
    move = replace(move, waiting=waiting, running=move.running + len(given))
    if move.running:
        file, upload = light(move.file), _upload(move)
        return move, tuple(MovePart(file, upload, part) for part in given)
    parts = tuple(sorted(move.sent, key=lambda sent: sent.part.number))
    completing = replace(move, stage=Stage.COMPLETING, sent=parts)
    return completing, (CompleteUpload(light(move.file), _upload(move), parts),)


def _fail(move: FileMove) -> Next:
    """Gives nothing more out; aborts when no part is running any more."""
    if move.running:
        return replace(move, stage=Stage.FAILING), ()
    return replace(move, stage=Stage.ABORTING), (AbortUpload(_upload(move)),)


def _aborted(move: FileMove) -> Next:
    reason = move.failure.reason if move.failure is not None else ""
    if reason == "SOURCE_CHANGED" and not move.restated:
        return replace(move, stage=Stage.RESTATING, restated=True), (StatSource(move.file.path),)
    if reason in REFUSED and (move.resumed or not move.redone):
        return _begin(replace(move, resumed=False, redone=move.redone or not move.resumed))
    return _done(move, _failed(move))


def _given_up(move: FileMove, failure: EntryFailure) -> Next:
    """Handles a call that failed where no part is running."""
    match move.stage:
        case Stage.COMPLETING | Stage.RESUMING:
            return _fail(replace(move, failure=failure))
        case Stage.BEGINNING:
            abort = AbortOrphans(move.file.path, move.policy.since_ms)
            return replace(move, failure=failure, stage=Stage.ABORTING), (abort,)
        case Stage.ABORTING:
            # The note stays: a later attempt, or `AbortUploads`, aborts it.
            return _done(move, _failed(move))
        case _:
            return _done(move, _failed(replace(move, failure=failure)))


def _restated(move: FileMove, now: Stat | None) -> Next:
    if now is None:
        return _done(move, _failed(move))
    if now.condition.is_open:
        # Copied up to the length that was planned; what is written meanwhile belongs to the next run.
        now = replace(now, size_bytes=min(now.size_bytes, move.file.size_bytes))
    move = replace(move, file=now, failure=None)
    if now.size_bytes > move.policy.single_bytes:
        return _begin(move)
    entry = replace(move.entry, source=now)
    return replace(move, stage=Stage.AS_WHOLE), (MoveBatch((entry,), heavy=True),)


def _done(move: FileMove, receipt: Receipt) -> Next:
    return replace(move, stage=Stage.DONE, receipt=receipt), ()


def _receipt(move: FileMove, completed: Completed) -> Receipt:
    return Receipt(
        path=move.file.path,
        action=Action.COPY,
        size_bytes=move.file.size_bytes,
        etag=completed.stored.etag,
        version_id=completed.stored.version_id,
        checksum=completed.checksum,
        source_proven=all(sent.proven for sent in move.sent),
        source_version=move.file.version,
        part_count=len(move.sent),
        attempts=_attempts(move),
    )


def _failed(move: FileMove) -> Receipt:
    failure = move.failure
    if failure is not None and failure.reason == "CHECKSUM_REJECTED":
        failure = replace(failure, reason="CHECKSUM_FAILURE")
    return Receipt(
        path=move.file.path,
        action=Action.COPY,
        size_bytes=move.file.size_bytes,
        source_version=move.file.version,
        part_count=len(move.sent),
        attempts=_attempts(move),
        failure=failure,
    )


def _attempts(move: FileMove) -> int:
    return 1 + move.retry_count + move.redone + move.restated


def _upload(move: FileMove) -> Upload:
    if move.upload is None:
        raise ValueError(f"no upload in stage {move.stage}")
    return move.upload
