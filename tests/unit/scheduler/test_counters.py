"""Counters and groups of failures."""

from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.counters import Live, MoveTally, ScanTally, Tally, VerifyTally, added, with_live
from scheduler.failures import GROUP_LIMIT, SAMPLE_LIMIT, PhaseFailure, PhaseName, entry_count, merged


def group(
    reason: str, count: int = 1, paths: tuple[str, ...] = ("a",), phase: PhaseName = PhaseName.VERIFY
) -> PhaseFailure:
    return PhaseFailure(phase, reason, 15, f"{paths[0]} failed.", (("path", paths[0]),), count, paths)


def test_live_counts_are_shown_but_not_kept() -> None:
    stored = Tally(ScanTally(source_listed_count=5), MoveTally(10, 100), VerifyTally(7))
    live = Live(ScanTally(source_listed_count=8), (MoveTally(1, 10), MoveTally(2, 20)), (VerifyTally(3),))
    assert with_live(stored, live) == Tally(ScanTally(source_listed_count=8), MoveTally(13, 130), VerifyTally(10))
    assert with_live(stored, Live()) == stored


def test_sum_is_field_by_field() -> None:
    assert added(MoveTally(1, 2, 3, 4, 5), MoveTally(10, 20, 30, 40, 50)) == MoveTally(11, 22, 33, 44, 55)


def test_planned_count_is_never_less_than_what_failed() -> None:
    assert Tally(verify=VerifyTally(failed_count=3)).planned_count == 3
    assert Tally(scan=ScanTally(estimated_count=8, failed_count=2)).planned_count == 10


def test_same_reason_in_one_phase_becomes_one_group_with_the_first_message() -> None:
    result = merged((group("X", 2, ("a", "b")),), [group("X", 3, ("c", "a"))])
    assert result == (group("X", 5, ("a", "b", "c")),)


def test_phases_are_kept_apart_and_the_most_frequent_comes_first() -> None:
    result = merged((group("X"),), [group("X", 4, phase=PhaseName.TRANSFER), group("Y", 2)])
    assert [(one.phase, one.reason) for one in result] == [("TRANSFER", "X"), ("VERIFY", "Y"), ("VERIFY", "X")]


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 150), st.integers(1, 9)), max_size=200))
def test_groups_and_samples_are_bounded_and_nothing_is_counted_twice(entries: list[tuple[int, int]]) -> None:
    result: tuple[PhaseFailure, ...] = ()
    for number, (reason, count) in enumerate(entries):
        result = merged(result, [group(f"R{reason}", count, tuple(f"p{number}-{one}" for one in range(7)))])
    assert len(result) <= GROUP_LIMIT
    assert all(len(one.sample_paths) <= SAMPLE_LIMIT for one in result)
    assert entry_count(result) <= sum(count for _, count in entries)
    if len({reason for reason, _ in entries}) < GROUP_LIMIT:
        assert entry_count(result) == sum(count for _, count in entries)
