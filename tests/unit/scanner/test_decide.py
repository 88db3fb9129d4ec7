"""What is done with a pair."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.records import Action, Why
from scanner.decide import Rules, decide, decide_check, needs_attributes
from scanner.march import Pair
from stores.base import Attributes, Condition, Kind, Stat
from tests.support.listings import OWNER, ListedEnd, file, folder, written

RULES = Rules(transfer_all=False, fail_open=False, max_object_bytes=1_000, check_path=ListedEnd([]).check_path)
ALL = replace(RULES, transfer_all=True)
Judge = Callable[[Pair, Rules], object]


def outcome(source: Stat | None, found: Stat | None, rules: Rules = RULES) -> tuple[Action, Why] | None:
    entry = decide(Pair(source, found), rules)
    return None if entry is None else (entry.action, entry.why)


@pytest.mark.parametrize("source", [file("a"), folder("a/")])
def test_what_is_new_is_copied(source: Stat) -> None:
    assert outcome(source, None) == (Action.COPY, Why.NEW)


@pytest.mark.parametrize("source", [file("a"), file("a", 0), folder("a/")])
def test_what_was_written_is_skipped(source: Stat) -> None:
    assert outcome(source, written(source)) == (Action.SKIP, Why.SAME)


def test_another_size_is_copied() -> None:
    assert outcome(file("a", 2), written(file("a", 3))) == (Action.COPY, Why.SIZE_DIFFERS)


def test_another_kind_at_the_same_key_is_copied() -> None:
    assert outcome(folder("a/"), replace(file("a/", 0), path="a/")) == (Action.COPY, Why.KIND_DIFFERS)


@pytest.mark.parametrize("mtime_ms", [999, 1_001])
def test_another_time_is_copied_whichever_is_later(mtime_ms: int) -> None:
    found = written(file("a", attributes=replace(OWNER, mtime_ms=mtime_ms)))
    assert outcome(file("a"), found) == (Action.COPY, Why.TIME_DIFFERS)


@pytest.mark.parametrize("last_modified_ms", [0, 1_000, 9_000])
def test_a_foreign_object_of_the_same_size_is_copied(last_modified_ms: int) -> None:
    foreign = replace(written(file("a"), last_modified_ms), attributes=None)
    assert outcome(file("a"), foreign) == (Action.COPY, Why.TIME_DIFFERS)


@pytest.mark.parametrize(
    "attributes",
    [replace(OWNER, owner="bob"), replace(OWNER, group="wheel"), replace(OWNER, permissions=0o600)],
)
@pytest.mark.parametrize("make", [file, folder])
def test_other_attributes_are_set_without_data(attributes: Attributes, make: Callable[..., Stat]) -> None:
    path = "a/" if make is folder else "a"
    found = written(make(path, attributes=attributes))
    assert outcome(make(path), found) == (Action.METADATA, Why.ATTRIBUTES_DIFFER)


def test_the_access_time_is_not_compared() -> None:
    assert outcome(file("a"), written(file("a", attributes=replace(OWNER, atime_ms=77)))) == (Action.SKIP, Why.SAME)


def test_a_folder_with_another_time_needs_its_attributes_only() -> None:
    found = written(folder("a/", replace(OWNER, mtime_ms=1)))
    assert outcome(folder("a/"), found) == (Action.METADATA, Why.ATTRIBUTES_DIFFER)


def test_a_foreign_folder_object_gets_attributes() -> None:
    found = replace(written(folder("a/")), attributes=None)
    assert outcome(folder("a/"), found) == (Action.METADATA, Why.ATTRIBUTES_DIFFER)


def test_a_folder_object_that_can_have_no_attributes_is_the_same() -> None:
    found = replace(written(folder("a/")), attributes=None, keeps_attributes=False)
    assert outcome(folder("a/"), found) == (Action.SKIP, Why.SAME)


def test_a_file_that_can_have_no_attributes_is_copied() -> None:
    found = replace(written(file("a")), attributes=None, keeps_attributes=False)
    assert outcome(file("a"), found) == (Action.COPY, Why.TIME_DIFFERS)


def test_what_is_at_the_destination_only_is_left_alone() -> None:
    assert outcome(None, written(file("a"))) is None


def test_all_copies_everything() -> None:
    assert outcome(file("a"), None, ALL) == (Action.COPY, Why.ALL_ASKED)
    assert outcome(folder("a/"), None, ALL) == (Action.COPY, Why.ALL_ASKED)


@pytest.mark.parametrize(
    ("source", "rules", "reason"),
    [
        (Stat("s", Kind.SYMLINK, 0, 0), RULES, "SYMLINK_UNSUPPORTED"),
        (file("o", condition=Condition.OPEN), replace(RULES, fail_open=True), "SOURCE_OPEN"),
        (file("o", condition=Condition.OPEN_ENCRYPTED), replace(RULES, fail_open=True), "SOURCE_OPEN"),
        (file("l", 1_001), RULES, "FILE_TOO_LARGE"),
        (file("back\\slash"), RULES, "INVALID_KEY"),
        (folder("back\\slash/"), RULES, "INVALID_KEY"),
    ],
)
@pytest.mark.parametrize("transfer_all", [False, True])
def test_what_cannot_be_moved_is_refused_by_name(source: Stat, rules: Rules, reason: str, transfer_all: bool) -> None:
    entry = decide(Pair(source, None), replace(rules, transfer_all=transfer_all))
    assert entry is not None
    assert (entry.action, entry.why) == (Action.REFUSE, Why.REFUSED)
    assert entry.failure is not None
    assert entry.failure.reason == reason
    assert repr(source.path) in entry.failure.message
    assert dict(entry.failure.coordinates)["path"] == source.path


@pytest.mark.parametrize("condition", [Condition.ENCRYPTED, Condition.ERASURE_CODED])
def test_an_encrypted_or_erasure_coded_file_is_moved_like_any_other(condition: Condition) -> None:
    source = file("e", condition=condition)
    assert outcome(source, None) == (Action.COPY, Why.NEW)
    assert checked(source, written(source)) == (Action.CHECK, Why.VERIFY_ASKED, "")
    assert outcome(source, written(source)) == (Action.SKIP, Why.SAME)


@pytest.mark.parametrize("condition", [Condition.OPEN, Condition.OPEN_ENCRYPTED])
def test_an_open_file_is_copied_up_to_its_known_length(condition: Condition) -> None:
    assert outcome(file("o", 7, condition=condition), None) == (Action.COPY, Why.NEW)


def test_the_largest_object_is_taken() -> None:
    assert outcome(file("l", 1_000), None) == (Action.COPY, Why.NEW)


@pytest.mark.parametrize("condition", [Condition.ENCRYPTED, Condition.ERASURE_CODED])
def test_a_folder_is_moved_whatever_its_files_are(condition: Condition) -> None:
    assert outcome(replace(folder("z/"), condition=condition), None) == (Action.COPY, Why.NEW)


def test_a_name_that_the_destination_has_is_not_checked_again() -> None:
    source = file("back\\slash")
    assert outcome(source, written(source)) == (Action.SKIP, Why.SAME)


def test_attributes_are_asked_for_where_they_decide() -> None:
    hidden = replace(written(file("a")), attributes=None)
    assert needs_attributes(Pair(file("a"), hidden))
    assert needs_attributes(Pair(folder("a/"), replace(written(folder("a/")), attributes=None)))
    assert not needs_attributes(Pair(file("a", 2), hidden))
    assert not needs_attributes(Pair(file("a"), written(file("a"))))
    assert not needs_attributes(Pair(file("a"), None))
    assert not needs_attributes(Pair(None, hidden))


STATS = st.builds(
    Stat,
    path=st.just("p"),
    kind=st.sampled_from(Kind),
    size_bytes=st.integers(0, 1_100),
    mtime_ms=st.integers(0, 3),
    attributes=st.none()
    | st.builds(
        Attributes,
        owner=st.sampled_from("ab"),
        group=st.sampled_from("ab"),
        permissions=st.sampled_from([0o600, 0o644]),
        mtime_ms=st.integers(0, 2),
        atime_ms=st.integers(0, 2),
    ),
    condition=st.sampled_from(Condition),
)


@given(STATS, st.none() | STATS, st.booleans())
def test_a_source_entry_always_gets_an_answer_and_failures_belong_to_refusals(
    source: Stat, found: Stat | None, fail_open: bool
) -> None:
    entry = decide(Pair(source, found), replace(RULES, fail_open=fail_open))
    assert entry is not None
    assert (entry.failure is not None) == (entry.action is Action.REFUSE)
    assert entry.source is source


@given(STATS, STATS)
def test_skipped_means_equal(source: Stat, found: Stat) -> None:
    entry = decide(Pair(source, found), RULES)
    assert entry is not None
    if entry.action is Action.SKIP:
        assert (source.kind, source.size_bytes) == (found.kind, found.size_bytes)
        if source.kind is Kind.FILE:
            assert found.attributes is not None
        if source.attributes is not None:
            assert found.attributes is not None
            assert replace(source.attributes, atime_ms=0) == replace(found.attributes, atime_ms=0)


def checked(source: Stat | None, found: Stat | None, rules: Rules = RULES) -> tuple[Action, Why, str] | None:
    entry = decide_check(Pair(source, found), rules)
    return None if entry is None else (entry.action, entry.why, entry.failure.reason if entry.failure else "")


@pytest.mark.parametrize("source", [file("a"), folder("a/")])
def test_a_check_sees_both_sides(source: Stat) -> None:
    found = written(source)
    assert checked(source, found) == (Action.CHECK, Why.VERIFY_ASKED, "")
    assert checked(source, None) == (Action.MISSING, Why.ONE_SIDED, "FILE_MISSING")
    assert checked(None, found) == (Action.EXTRA, Why.ONE_SIDED, "FILE_EXTRA")


def test_a_check_leaves_out_what_every_transfer_refuses() -> None:
    link = Stat("s", Kind.SYMLINK, 0, 0)
    assert checked(link, None) is None
    assert checked(link, written(file("s"))) is None
    assert checked(file("back\\slash"), None) is None


def test_a_check_keeps_the_layout_and_what_was_found() -> None:
    source = replace(file("a"), layout=b"blocks")
    entry = decide_check(Pair(source, written(source)), RULES)
    assert entry is not None
    assert entry.source is not None
    assert entry.source.layout == b"blocks"
    assert entry.found == written(source)


def test_probe_objects_are_nobodys() -> None:
    assert checked(None, written(file(".blockferry-probe-1f"))) is None
    assert checked(file(".blockferry-probe-1f"), None) == (Action.MISSING, Why.ONE_SIDED, "FILE_MISSING")
