"""Failures are grouped by reason, the most frequent first, with few samples."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from ledger.failures import SAMPLE_PATH_COUNT, FailureGroup, group_failures
from ledger.records import EntryFailure

FAILED = st.lists(
    st.tuples(
        st.text(max_size=4),
        st.builds(EntryFailure, st.sampled_from(["A", "B", "C"]), st.text(max_size=3), st.just((("path", "x"),))),
    ),
    max_size=40,
)


def test_nothing_failed_gives_no_group() -> None:
    assert group_failures([]) == ()


def test_group_tells_of_its_first_failure() -> None:
    first = EntryFailure("CHECKSUM_FAILURE", "one", (("expected", "aa"), ("found", "bb")))
    second = EntryFailure("CHECKSUM_FAILURE", "two", (("expected", "cc"), ("found", "dd")))
    assert group_failures([("a", first), ("b", second)]) == (
        FailureGroup("CHECKSUM_FAILURE", 15, "one", (("expected", "aa"), ("found", "bb")), 2, ("a", "b")),
    )


def test_unknown_reason_has_the_code_unknown() -> None:
    assert group_failures([("a", EntryFailure("NEVER_SEEN", ""))])[0].code == 2


@given(FAILED)
def test_groups_count_every_failure_once(failed: list[tuple[str, EntryFailure]]) -> None:
    groups = group_failures(iter(failed))
    assert {group.reason: group.failure_count for group in groups} == Counter(f.reason for _, f in failed)


@given(FAILED)
def test_most_frequent_reason_comes_first(failed: list[tuple[str, EntryFailure]]) -> None:
    groups = group_failures(failed)
    assert list(groups) == sorted(groups, key=lambda group: (-group.failure_count, group.reason))


@given(FAILED)
def test_samples_are_the_first_paths_of_the_reason(failed: list[tuple[str, EntryFailure]]) -> None:
    for group in group_failures(failed):
        paths = [path for path, failure in failed if failure.reason == group.reason]
        assert group.sample_paths == tuple(paths[:SAMPLE_PATH_COUNT])
