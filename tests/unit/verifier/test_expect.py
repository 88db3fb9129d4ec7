"""What is asked of an object follows from the plan, the receipt and the source as it is now."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.records import Action, EntryFailure, PlanEntry, Receipt, Why
from stores.base import Attributes, Condition, Kind, Stat
from stores.checksum import Algorithm, Checksum
from verifier.batch import BATCH_BYTES, BATCH_ENTRIES, cut
from verifier.expect import Question, compared_length, of_receipt, of_source, questions, source_change

CRC = Checksum(Algorithm.CRC32C, 7)
ATTRIBUTES = Attributes("hdfs", "users", 0o644, 1000, 2000)
FILE = Stat("a", Kind.FILE, 10, 1000, ATTRIBUTES, "v1", b"layout")
FOLDER = Stat("a/", Kind.FOLDER, 0, 1000, ATTRIBUTES, "f1")
OPEN = replace(FILE, condition=Condition.OPEN)


def planned(action: Action, source: Stat | None = FILE, path: str = "a") -> PlanEntry:
    return PlanEntry(path, action, Why.NEW, source)


@pytest.mark.parametrize("action", [Action.SKIP, Action.REFUSE, Action.DELETE])
def test_entry_that_nothing_was_done_for_is_not_asked(action: Action) -> None:
    assert list(questions([planned(action)], {})) == []


def test_entry_that_the_mover_failed_is_not_asked() -> None:
    failed = Receipt("a", Action.COPY, failure=EntryFailure("ACCESS_DENIED", "no"))
    assert list(questions([planned(Action.COPY)], {"a": failed})) == []


def test_entry_without_receipt_is_asked() -> None:
    (question,) = questions([planned(Action.COPY)], {})
    assert question.receipt is None


@pytest.mark.parametrize("action", [Action.CHECK, Action.MISSING, Action.EXTRA])
def test_entries_of_a_check_are_asked_without_receipt(action: Action) -> None:
    (question,) = questions([planned(action)], {})
    assert question.entry.action is action


def test_layouts_are_left_out_of_questions() -> None:
    (question,) = questions([planned(Action.COPY)], {"a": Receipt("a", Action.COPY)})
    assert question.entry.source == replace(FILE, layout=b"")


def test_transfer_expects_the_receipts_checksum_and_the_plans_attributes() -> None:
    expected = of_receipt(FILE, Receipt("a", Action.COPY, 10, checksum=CRC, source_proven=True))
    assert (expected.checksum, expected.source_proven, expected.size_bytes) == (CRC, True, 10)
    assert expected.attributes == ATTRIBUTES
    assert expected.with_atime
    assert expected.worth_reading


def test_own_hash_is_told_apart_from_the_sources_sums() -> None:
    assert not of_receipt(FILE, Receipt("a", Action.COPY, 10, checksum=CRC, source_proven=False)).source_proven


@pytest.mark.parametrize("condition", [Condition.ENCRYPTED, Condition.OPEN_ENCRYPTED])
def test_the_checksum_of_an_encrypted_file_is_our_own(condition: Condition) -> None:
    """Its ciphertext was held against the source's sums; nothing at the source tells the plaintext's."""
    encrypted = replace(FILE, condition=condition)
    receipt = Receipt("a", Action.COPY, 10, checksum=CRC, source_proven=True)
    assert not of_receipt(encrypted, receipt).source_proven
    assert not of_source(encrypted, CRC, True).source_proven
    assert of_source(replace(encrypted, size_bytes=0), CRC, True).source_proven


def test_folder_expects_no_checksum() -> None:
    expected = of_receipt(FOLDER, Receipt("a/", Action.COPY, checksum=CRC, source_proven=True))
    assert expected.checksum is None
    assert not expected.source_proven


def test_change_of_metadata_expects_the_content_that_was_there() -> None:
    before = Stat("a", Kind.FILE, 10, 5, checksum=CRC)
    expected = of_receipt(FILE, Receipt("a", Action.METADATA), before)
    assert expected.checksum == CRC
    assert not expected.worth_reading


def test_change_of_metadata_without_kept_checksum_compares_sizes() -> None:
    assert of_receipt(FILE, Receipt("a", Action.METADATA), Stat("a", Kind.FILE, 10, 5)).checksum is None


def test_copy_does_not_expect_what_was_there_before() -> None:
    before = Stat("a", Kind.FILE, 10, 5, checksum=CRC)
    assert of_receipt(FILE, Receipt("a", Action.COPY), before).checksum is None


def test_check_does_not_compare_access_times() -> None:
    assert not of_source(FILE, CRC, True).with_atime


def test_check_compares_modification_times_only_of_closed_files() -> None:
    assert of_source(FILE, CRC, True).with_mtime
    assert not of_source(OPEN, CRC, True).with_mtime
    assert not of_source(replace(OPEN, condition=Condition.OPEN_ENCRYPTED), CRC, True).with_mtime
    assert of_source(replace(FILE, condition=Condition.ENCRYPTED), CRC, True).with_mtime


def test_same_source_is_no_change() -> None:
    assert source_change(FILE, replace(FILE, layout=b"", attributes=replace(ATTRIBUTES, atime_ms=9))) is None


@pytest.mark.parametrize(
    ("now", "what"),
    [
        (None, "existence"),
        (FOLDER, "existence"),
        (replace(FILE, size_bytes=11), "size"),
        (replace(FILE, mtime_ms=1001), "mtime"),
        (replace(FILE, version="v2"), "version"),
    ],
)
def test_change_of_the_source_is_named(now: Stat | None, what: str) -> None:
    change = source_change(FILE, now)
    assert change is not None
    assert change.reason == "SOURCE_CHANGED"
    assert dict(change.coordinates)["attribute"] == what
    assert "again" in change.message


def test_unknown_version_is_no_change() -> None:
    assert source_change(FILE, replace(FILE, version="")) is None
    assert source_change(replace(FILE, version=""), FILE) is None


@pytest.mark.parametrize("now", [replace(OPEN, size_bytes=99, mtime_ms=5, version="v9"), replace(FILE, version="v9")])
def test_file_that_is_being_written_may_go_on(now: Stat) -> None:
    assert source_change(OPEN, now) is None
    assert source_change(replace(OPEN, condition=Condition.OPEN_ENCRYPTED), now) is None


def test_encrypted_file_that_is_closed_may_not_go_on() -> None:
    assert source_change(replace(FILE, condition=Condition.ENCRYPTED), replace(FILE, version="v9")) is not None


@pytest.mark.parametrize("now", [None, replace(OPEN, size_bytes=9)])
def test_file_that_is_being_written_may_not_vanish_or_shrink(now: Stat | None) -> None:
    assert source_change(OPEN, now) is not None


def test_folder_may_get_another_time() -> None:
    assert source_change(FOLDER, replace(FOLDER, mtime_ms=9999, version="f2")) is None


def test_vanished_folder_is_a_change() -> None:
    assert source_change(FOLDER, None) is not None


def test_check_of_a_file_that_is_being_written_compares_what_was_copied() -> None:
    now = replace(OPEN, size_bytes=100)
    assert compared_length(now, Stat("a", Kind.FILE, 40, 1)).size_bytes == 40
    assert compared_length(now, Stat("a", Kind.FILE, 140, 1)).size_bytes == 100


def test_check_of_a_closed_file_compares_all_of_it() -> None:
    assert compared_length(FILE, Stat("a", Kind.FILE, 4, 1)) == FILE


@given(st.lists(st.integers(0, 2**31), max_size=700), st.booleans())
def test_batches_hold_every_question_once_and_are_bounded(sizes: list[int], trusted: bool) -> None:
    asked = [Question(planned(Action.COPY, replace(FILE, size_bytes=size), str(n))) for n, size in enumerate(sizes)]
    batches = list(cut(asked, trusted))
    assert [question for batch in batches for question in batch] == asked
    assert all(0 < len(batch) <= BATCH_ENTRIES for batch in batches)
    if not trusted:
        assert all(sum(q.size_bytes for q in batch[:-1]) < BATCH_BYTES for batch in batches)


def test_stored_checksums_need_no_small_batches() -> None:
    asked = [Question(planned(Action.COPY, replace(FILE, size_bytes=BATCH_BYTES))) for _ in range(3)]
    assert len(list(cut(asked, claims_trusted=True))) == 1
    assert len(list(cut(asked, claims_trusted=False))) == 3
