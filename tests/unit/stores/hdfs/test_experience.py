"""Whom to ask last, and how long to wait for one."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stores.hdfs.config.cluster import HedgedReads
from stores.hdfs.experience import (
    AVOIDED_FOR_S,
    LONGEST_AVOIDED_S,
    SLOW_FACTOR,
    TRIAL_S,
    Experience,
    Mark,
    Waits,
    waits_of,
)
from stores.hdfs.pace import ENOUGH_COUNT, FIRST_ALLOWANCE_BYTES

A, B, C = ("a", 1), ("b", 1), ("c", 1)
MIB = 1 << 20


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def experience(clock: Clock) -> Experience:
    return Experience(60.0, clock)


def used_to(experience: Experience, size_bytes: int, seconds: float) -> None:
    for _ in range(ENOUGH_COUNT):
        experience.served(A, size_bytes, seconds)


def order(experience: Experience) -> list[tuple[str, int]]:
    return [address for address, _ in experience.ranked((A, B, C))]


def test_the_slow_come_after_the_good_and_the_dead_after_the_slow(experience: Experience) -> None:
    experience.failed(A, Mark.DEAD, MIB, 5.0)
    experience.failed(B, Mark.SLOW, MIB, 5.0)
    assert experience.ranked((A, B, C)) == ((C, Mark.NONE), (B, Mark.SLOW), (A, Mark.DEAD))


def test_after_a_while_one_reader_tries_it_and_the_others_wait(experience: Experience, clock: Clock) -> None:
    experience.failed(A, Mark.DEAD, MIB, 5.0)
    clock.now = AVOIDED_FOR_S
    assert order(experience) == [A, B, C]
    assert order(experience) == [B, C, A]
    clock.now += TRIAL_S
    assert order(experience) == [A, B, C]


def test_who_fails_again_is_avoided_for_longer(experience: Experience, clock: Clock) -> None:
    expected_s = AVOIDED_FOR_S
    experience.failed(A, Mark.DEAD, MIB, 5.0)
    for _ in range(20):
        clock.now += expected_s - 0.1
        assert order(experience) == [B, C, A]
        clock.now += 0.2
        assert order(experience) == [A, B, C]
        experience.failed(A, Mark.DEAD, MIB, 5.0)
        expected_s = min(2 * expected_s, LONGEST_AVOIDED_S)


def test_many_readers_that_meet_the_same_failure_count_as_one(experience: Experience, clock: Clock) -> None:
    for _ in range(50):
        experience.failed(A, Mark.DEAD, MIB, 5.0)
    clock.now = AVOIDED_FOR_S
    assert order(experience) == [A, B, C]


def test_who_serves_again_is_forgiven(experience: Experience) -> None:
    experience.failed(A, Mark.DEAD, MIB, 5.0)
    experience.served(A, MIB, 30.0)
    assert order(experience) == [A, B, C]


def test_who_serves_slowly_is_still_slow(experience: Experience) -> None:
    used_to(experience, MIB, 0.1)
    experience.failed(B, Mark.SLOW, MIB, 5.0)
    experience.served(B, MIB, 30.0)
    assert order(experience) == [A, C, B]
    experience.served(B, MIB, 0.2)
    assert order(experience) == [A, B, C]


def test_a_silent_datanode_costs_seconds_while_another_one_lives(experience: Experience) -> None:
    assert experience.limit(MIB, (Mark.SLOW,), 0).silence_s == 5.0
    assert experience.limit(MIB, (Mark.NONE, Mark.DEAD), 0).connect_s == 4.0


@pytest.mark.parametrize("others", [(), (Mark.DEAD,), (Mark.DEAD, Mark.DEAD)])
def test_the_last_replica_is_never_given_up_while_it_moves(experience: Experience, others: tuple[Mark, ...]) -> None:
    used_to(experience, MIB, 0.1)
    limit = experience.limit(MIB, others, 3)
    assert (limit.silence_s, limit.look_s) == (60.0, float("inf"))


def test_the_last_one_of_an_old_layout_may_move_slowly_but_not_be_silent(experience: Experience) -> None:
    limit = experience.limit(MIB, (), 0, is_final=False)
    assert (limit.silence_s, limit.connect_s, limit.look_s) == (5.0, 4.0, float("inf"))


def test_when_all_are_slow_none_is_given_up(experience: Experience) -> None:
    used_to(experience, MIB, 0.1)
    assert experience.limit(MIB, (Mark.SLOW, Mark.SLOW), 0).look_s == float("inf")


def test_slow_is_a_multiple_of_what_is_usual_and_never_little(experience: Experience) -> None:
    first, second = (experience.limit(MIB, (Mark.NONE,), count) for count in (0, 1))
    assert (first.look_s, second.look_s) == (Waits().least_whole_s, 2 * Waits().least_whole_s)
    assert not first.is_slow(1e9, 0, MIB)  # nothing is known yet
    used_to(experience, MIB, 2.0)
    assert not first.is_slow(SLOW_FACTOR * 2.0, 1000, MIB)
    assert first.is_slow(SLOW_FACTOR * 2.0 + 0.1, 1000, MIB)
    assert not second.is_slow(SLOW_FACTOR * 2.0 + 0.1, 1000, MIB)
    assert second.is_slow(2 * SLOW_FACTOR * 2.0 + 0.1, 1000, MIB)


def test_what_is_nearly_done_is_not_given_up(experience: Experience) -> None:
    used_to(experience, MIB, 1.0)
    is_slow = experience.limit(MIB, (Mark.NONE,), 0).is_slow
    assert not is_slow(10.0, MIB - MIB // 12, MIB)
    assert is_slow(10.0, MIB // 2, MIB)
    assert is_slow(10.0, 0, MIB)
    assert not is_slow(10.0, MIB + 1000, MIB)


def test_sums_have_no_pace_and_more_silence(experience: Experience) -> None:
    used_to(experience, 0, 0.001)
    limit = experience.limit(None, (Mark.NONE,), 0)
    assert (limit.silence_s, limit.look_s) == (20.0, float("inf"))


def test_the_threshold_of_hedged_reads_counts_where_they_are_asked_for(clock: Clock) -> None:
    assert waits_of(HedgedReads(0, 0.5)) == Waits()
    asked_for = Experience(60.0, clock, waits_of(HedgedReads(4, 0.5)))
    assert asked_for.limit(MIB, (Mark.NONE,), 0).look_s == 0.5


def test_short_time_limits_are_kept(clock: Clock) -> None:
    limit = Experience(0.3, clock).limit(MIB, (Mark.NONE,), 5)
    assert (limit.silence_s, limit.connect_s) == (0.3, 0.3)


def test_little_may_be_read_in_vain(experience: Experience) -> None:
    used_to(experience, MIB, 0.1)
    is_slow = experience.limit(64 * MIB, (Mark.NONE,), 0).is_slow
    given_up = 0
    while is_slow(1e6, MIB, 64 * MIB):
        given_up += 1
    assert 0 < given_up * 2 * MIB <= FIRST_ALLOWANCE_BYTES + 2 * MIB


@settings(deadline=None)
@given(st.permutations([A, B, C]), st.lists(st.tuples(st.sampled_from([A, B, C]), st.sampled_from(Mark)), max_size=9))
def test_everybody_is_asked_once(asked: list[tuple[str, int]], failures: list[tuple[tuple[str, int], Mark]]) -> None:
    experience = Experience(60.0, Clock())
    for address, mark in failures:
        experience.failed(address, mark, None, 1.0)
    ranked = experience.ranked(tuple(asked))
    assert sorted(address for address, _ in ranked) == sorted(asked)
    marks = [mark for _, mark in ranked]
    assert marks == sorted(marks)
    for mark in Mark:  # the NameNode's order within each
        same = [address for address, found in ranked if found is mark]
        assert same == [address for address in asked if address in same]
