"""The life of a file that goes in parts: commands that follow from answers, and what always holds."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.records import Action, EntryFailure, PlanEntry, Receipt, UploadIntent, UploadNote, Why
from mover.calls import (
    Aborted,
    AbortOrphans,
    AbortUpload,
    AlreadyThere,
    Answer,
    BatchMoved,
    BeginUpload,
    Begun,
    CallFailed,
    Completed,
    CompleteUpload,
    Effort,
    MoveBatch,
    MovePart,
    PartMoved,
    Restated,
    Resumed,
    ResumeUpload,
    SentPart,
    StatSource,
    UploadLost,
)
from mover.parts import PartRange
from mover.transfer import Command, DropNote, FileMove, NoteUpload, PartPolicy, Stage, start, step
from stores.base import Attributes, Condition, Kind, Part, Stat, Stored, Upload
from stores.checksum import Algorithm, Checksum

POLICY = PartPolicy(part_bytes=10, window=2, single_bytes=10, since_ms=7)
FILE = Stat("a/b", Kind.FILE, 35, 0, Attributes("u", "g", 0o644, 0, 0), version="v1", layout=b"blocks")
ENTRY = PlanEntry("a/b", Action.COPY, Why.NEW, FILE)
UPLOAD = Upload("a/b", "prefix/a/b", "upload-1", Algorithm.CRC32C)
RANGES = tuple(PartRange(number, (number - 1) * 10, min(10, 35 - (number - 1) * 10)) for number in range(1, 5))
NOTE = UploadNote(UPLOAD, "v1", 10)
INTENT = UploadIntent("a/b", 7)
WHOLE = Checksum(Algorithm.CRC32C, 99)
BEGIN = (NoteUpload(INTENT), BeginUpload(FILE, 7))


def sent(wanted: PartRange, proven: bool = True) -> SentPart:
    """Returns a part as the sink has taken it."""
    checksum = Checksum(Algorithm.CRC32C, wanted.number)
    return SentPart(Part(wanted.number, wanted.size, f"etag-{wanted.number}", checksum), checksum, proven)


def part(number: int) -> MovePart:
    """Returns the command to send a part."""
    return MovePart(FILE, UPLOAD, RANGES[number - 1])


def failed(reason: str) -> CallFailed:
    """Returns the answer of a call that was given up."""
    return CallFailed(EntryFailure(reason, f"It was {reason}."))


def run(move: FileMove, *answers: Answer) -> tuple[FileMove, tuple[Command, ...]]:
    """Gives the answers in order; returns the last step."""
    commands: tuple[Command, ...] = ()
    for answer in answers:
        move, commands = step(move, answer)
    return move, commands


def sending() -> FileMove:
    """Returns a file with two parts running and two waiting."""
    move, _ = start(ENTRY, FILE, POLICY)
    return step(move, Begun(UPLOAD, RANGES))[0]


def all_sent() -> FileMove:
    """Returns a file whose completion was asked for."""
    return run(sending(), *(PartMoved(sent(wanted)) for wanted in RANGES))[0]


def test_new_file_begins_an_upload_and_notes_before_that_it_will() -> None:
    move, commands = start(ENTRY, FILE, POLICY)
    assert move.stage is Stage.BEGINNING
    assert commands == BEGIN


def test_upload_that_may_have_been_begun_by_an_earlier_attempt_is_begun_again() -> None:
    move, commands = start(ENTRY, FILE, POLICY, replace(INTENT, since_ms=3))
    assert (move.stage, commands) == (Stage.BEGINNING, (BeginUpload(FILE, 3, again=True),))
    assert step(move, Begun(UPLOAD, RANGES))[1] == (NoteUpload(NOTE), part(1), part(2))


def test_upload_is_noted_before_its_first_parts() -> None:
    move, _ = start(ENTRY, FILE, POLICY)
    assert step(move, Begun(UPLOAD, RANGES))[1] == (NoteUpload(NOTE), part(1), part(2))


def test_a_part_is_given_out_for_each_that_was_taken() -> None:
    move, commands = step(sending(), PartMoved(sent(RANGES[1])))
    assert commands == (part(3),)
    move, commands = step(move, PartMoved(sent(RANGES[0])))
    assert commands == (part(4),)
    assert step(move, PartMoved(sent(RANGES[3])))[1] == ()


def test_last_part_completes_in_the_order_of_numbers() -> None:
    move, commands = run(sending(), *(PartMoved(sent(RANGES[index])) for index in (1, 0, 3, 2)))
    assert move.stage is Stage.COMPLETING
    assert commands == (CompleteUpload(FILE, UPLOAD, tuple(sent(wanted) for wanted in RANGES)),)


def test_completed_file_drops_its_note_and_has_a_receipt() -> None:
    move, commands = step(all_sent(), Completed(Stored("etag", "version"), WHOLE, Effort(retry_count=2)))
    assert commands == (DropNote("a/b"),)
    assert move.receipt == Receipt(
        path="a/b",
        action=Action.COPY,
        size_bytes=35,
        etag="etag",
        version_id="version",
        checksum=WHOLE,
        source_proven=True,
        source_version="v1",
        part_count=4,
        attempts=3,
    )


def test_one_unproven_part_makes_the_receipt_unproven() -> None:
    answers: tuple[Answer, ...] = (
        *(PartMoved(sent(wanted, proven=wanted.number != 2)) for wanted in RANGES),
        Completed(Stored("e"), WHOLE),
    )
    receipt = run(sending(), *answers)[0].receipt
    assert receipt is not None
    assert not receipt.source_proven


def test_file_that_is_there_already_needs_nothing_more() -> None:
    move, _ = start(ENTRY, FILE, POLICY)
    receipt = Receipt("a/b", Action.COPY)
    move, commands = step(move, AlreadyThere(receipt))
    assert (move.stage, move.receipt, commands) == (Stage.DONE, receipt, (DropNote("a/b"),))


def test_noted_upload_is_resumed_and_only_missing_parts_are_sent() -> None:
    move, commands = start(ENTRY, FILE, POLICY, NOTE)
    assert commands == (ResumeUpload(FILE, UPLOAD),)
    kept = tuple(sent(wanted) for wanted in RANGES if wanted.number != 3)
    move, commands = step(move, Resumed(kept, (RANGES[2],)))
    assert commands == (part(3),)
    assert step(move, PartMoved(sent(RANGES[2])))[1] == (
        CompleteUpload(FILE, UPLOAD, tuple(sent(wanted) for wanted in RANGES)),
    )


def test_upload_with_all_parts_is_completed_at_once() -> None:
    move, _ = start(ENTRY, FILE, POLICY, NOTE)
    parts = tuple(sent(wanted) for wanted in RANGES)
    assert step(move, Resumed(parts, ()))[1] == (CompleteUpload(FILE, UPLOAD, parts),)


def test_lost_upload_is_begun_again() -> None:
    move, _ = start(ENTRY, FILE, POLICY, NOTE)
    assert step(move, UploadLost())[1] == (DropNote("a/b"), *BEGIN)


@pytest.mark.parametrize(
    ("note", "resumable"),
    [
        (replace(NOTE, source_version="v0"), True),
        (replace(NOTE, part_bytes=20), True),
        (NOTE, False),
    ],
)
def test_upload_that_is_worth_nothing_is_aborted_first(note: UploadNote, resumable: bool) -> None:
    move, commands = start(ENTRY, FILE, POLICY, note, resumable)
    assert (move.stage, commands) == (Stage.CLEARING, (AbortUpload(UPLOAD),))
    assert step(move, Aborted())[1] == (DropNote("a/b"), *BEGIN)


def test_failed_part_aborts_when_the_running_ones_have_ended() -> None:
    move, commands = step(sending(), failed("DATANODE_UNAVAILABLE"))
    assert (move.stage, commands) == (Stage.FAILING, ())
    move, commands = step(move, PartMoved(sent(RANGES[1])))
    assert (move.stage, commands) == (Stage.ABORTING, (AbortUpload(UPLOAD),))
    move, commands = step(move, Aborted())
    assert commands == (DropNote("a/b"),)
    assert move.receipt is not None
    assert move.receipt.failure == EntryFailure("DATANODE_UNAVAILABLE", "It was DATANODE_UNAVAILABLE.")


def test_upload_that_cannot_be_aborted_keeps_its_note() -> None:
    move, commands = run(sending(), failed("ACCESS_DENIED"), failed("ACCESS_DENIED"), failed("STORE_REFUSED"))
    assert (move.stage, commands) == (Stage.DONE, ())
    assert move.receipt is not None and move.receipt.failure is not None
    assert move.receipt.failure.reason == "ACCESS_DENIED"


def test_refused_completion_sends_the_file_once_more() -> None:
    move, commands = step(all_sent(), failed("CHECKSUM_REJECTED"))
    assert commands == (AbortUpload(UPLOAD),)
    move, commands = step(move, Aborted())
    assert commands == (DropNote("a/b"), *BEGIN)
    sent_again = (PartMoved(sent(wanted)) for wanted in RANGES)
    move, commands = run(move, Begun(UPLOAD, RANGES), *sent_again, failed("CHECKSUM_REJECTED"), Aborted())
    assert move.receipt is not None and move.receipt.failure is not None
    assert move.receipt.failure.reason == "CHECKSUM_FAILURE"
    assert move.receipt.attempts == 2


@pytest.mark.parametrize("reason", ["CHECKSUM_REJECTED", "NO_SUCH_UPLOAD"])
def test_refused_completion_of_a_resumed_upload_sends_all(reason: str) -> None:
    move, _ = start(ENTRY, FILE, POLICY, NOTE)
    move, commands = run(move, Resumed(tuple(sent(wanted) for wanted in RANGES), ()), failed(reason), Aborted())
    assert commands == (DropNote("a/b"), *BEGIN)
    assert (move.sent, move.resumed, move.redone) == ((), False, False)


def test_changed_file_is_looked_at_and_sent_as_it_is_now() -> None:
    move, commands = run(sending(), failed("SOURCE_CHANGED"), failed("SOURCE_CHANGED"), Aborted())
    assert commands == (DropNote("a/b"), StatSource("a/b"))
    now = replace(FILE, version="v2", size_bytes=45)
    move, commands = step(move, Restated(now))
    assert commands == (NoteUpload(INTENT), BeginUpload(now, 7))
    assert run(move, Begun(UPLOAD, RANGES))[1][0] == NoteUpload(UploadNote(UPLOAD, "v2", 10))


def test_file_that_changes_again_fails() -> None:
    changed = (failed("SOURCE_CHANGED"), failed("SOURCE_CHANGED"), Aborted())
    move, _ = run(sending(), *changed, Restated(FILE), Begun(UPLOAD, RANGES), *changed)
    assert move.receipt is not None and move.receipt.failure is not None
    assert move.receipt.failure.reason == "SOURCE_CHANGED"


def test_file_that_is_gone_fails() -> None:
    move, _ = run(sending(), failed("SOURCE_CHANGED"), failed("SOURCE_CHANGED"), Aborted(), Restated(None))
    assert move.receipt is not None and move.receipt.failure is not None
    assert move.receipt.failure.reason == "SOURCE_CHANGED"


def test_file_that_is_small_now_goes_as_a_whole() -> None:
    now = replace(FILE, version="v2", size_bytes=3)
    move, commands = run(sending(), failed("SOURCE_CHANGED"), failed("SOURCE_CHANGED"), Aborted(), Restated(now))
    assert commands == (MoveBatch((replace(ENTRY, source=now),), heavy=True),)
    receipt = Receipt("a/b", Action.COPY, size_bytes=3)
    assert step(move, BatchMoved((receipt,)))[0].receipt == receipt


@pytest.mark.parametrize("condition", [Condition.OPEN, Condition.OPEN_ENCRYPTED])
def test_open_file_is_moved_up_to_the_planned_length(condition: Condition) -> None:
    now = replace(FILE, version="v2", size_bytes=500, condition=condition)
    changed = (failed("SOURCE_CHANGED"), failed("SOURCE_CHANGED"), Aborted())
    assert run(sending(), *changed, Restated(now))[1] == (
        NoteUpload(INTENT),
        BeginUpload(replace(now, size_bytes=35), 7),
    )


def test_upload_that_cannot_begin_fails_the_file_only() -> None:
    move, commands = step(start(ENTRY, FILE, POLICY)[0], failed("ACCESS_DENIED"))
    assert (move.stage, commands) == (Stage.ABORTING, (AbortOrphans("a/b", 7),))
    move, commands = step(move, Aborted())
    assert (move.stage, commands) == (Stage.DONE, (DropNote("a/b"),))
    assert move.receipt is not None
    assert move.receipt.failure == EntryFailure("ACCESS_DENIED", "It was ACCESS_DENIED.")


def test_upload_of_which_nobody_knows_whether_it_was_begun_keeps_its_note() -> None:
    move, commands = run(start(ENTRY, FILE, POLICY)[0], failed("STORE_UNAVAILABLE"), failed("STORE_UNAVAILABLE"))
    assert (move.stage, commands) == (Stage.DONE, ())


def test_large_layout_stays_at_home() -> None:
    file = replace(FILE, layout=bytes(1 << 17))
    move, _ = start(replace(ENTRY, source=file), file, POLICY)
    commands = step(move, Begun(UPLOAD, RANGES))[1]
    assert isinstance(commands[1], MovePart)
    assert commands[1].file.layout == b""


def test_answer_of_another_stage_is_a_fault() -> None:
    with pytest.raises(ValueError, match="no answer in stage SENDING"):
        step(sending(), Aborted())


ENDINGS = ["good", "CHECKSUM_REJECTED", "NO_SUCH_UPLOAD", "SOURCE_CHANGED", "ACCESS_DENIED"]


@given(st.data())
def test_every_story_ends_with_a_receipt_and_no_open_upload(data: st.DataObject) -> None:
    """Answers every command with anything that may happen, and looks at what always holds."""
    note = data.draw(st.sampled_from([None, NOTE, INTENT]))
    move, commands = start(ENTRY, FILE, POLICY, note)
    open_calls, noted, uploads = list(commands), note, 1
    for _ in range(400):
        while open_calls and isinstance(open_calls[0], NoteUpload | DropNote):
            word = open_calls.pop(0)
            noted = word.note if isinstance(word, NoteUpload) else None
        if not open_calls:
            break
        running = [call for call in open_calls if not isinstance(call, NoteUpload | DropNote)]
        call = running[data.draw(st.integers(0, len(running) - 1))]
        open_calls.remove(call)
        answer = answer_to(call, data)
        uploads += isinstance(answer, Begun)
        assert not isinstance(call, BeginUpload) or isinstance(noted, UploadIntent)
        assert not isinstance(call, MovePart) or isinstance(noted, UploadNote)
        move, commands = step(move, answer)
        open_calls = [*open_calls, *commands]
        assert sum(isinstance(call, MovePart) for call in open_calls) <= POLICY.window
    assert move.stage is Stage.DONE and move.receipt is not None
    assert noted is None or move.receipt.failure is not None
    assert uploads <= 5


def answer_to(call: Command, data: st.DataObject) -> Answer:
    """Draws an answer to a call."""
    ending = data.draw(st.sampled_from(ENDINGS))
    match call:
        case AbortUpload() | AbortOrphans():
            return Aborted() if ending != "ACCESS_DENIED" else failed(ending)
        case StatSource():
            return Restated(data.draw(st.sampled_from([None, FILE, replace(FILE, size_bytes=3)])))
        case MoveBatch():
            return BatchMoved((Receipt("a/b", Action.COPY),))
        case ResumeUpload() if ending == "NO_SUCH_UPLOAD":
            return UploadLost()
        case _ if ending != "good":
            return failed(ending)
        case ResumeUpload():
            count = data.draw(st.integers(0, 4))
            return Resumed(tuple(sent(wanted) for wanted in RANGES[:count]), RANGES[count:])
        case BeginUpload():
            return Begun(UPLOAD, RANGES)
        case MovePart():
            return PartMoved(sent(call.range))
        case _:
            return Completed(Stored("etag"), WHOLE)
