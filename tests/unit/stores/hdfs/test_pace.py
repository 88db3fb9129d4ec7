"""What is usual, and what may be read in vain."""

from hypothesis import given, settings
from hypothesis import strategies as st

from stores.hdfs.pace import (
    ASKING_BYTES,
    ENOUGH_COUNT,
    EXTRA_SHARE,
    FIRST_ALLOWANCE_BYTES,
    KEPT_COUNT,
    Allowance,
    Pace,
)

MIB = 1 << 20


def paced(*reads: tuple[int, float]) -> Pace:
    pace = Pace()
    for size_bytes, seconds in reads:
        for _ in range(ENOUGH_COUNT):
            pace.note(size_bytes, seconds)
    return pace


def test_a_few_reads_say_nothing() -> None:
    pace = Pace()
    for _ in range(ENOUGH_COUNT - 1):
        pace.note(MIB, 1.0)
        assert pace.usual_s(MIB) is None
    pace.note(MIB, 1.0)
    assert pace.usual_s(MIB) == 1.0


def test_one_slow_datanode_of_three_does_not_become_usual() -> None:
    pace = Pace()
    for number in range(300):
        pace.note(MIB, 60.0 if number % 3 == 0 else 0.25)
    assert pace.usual_s(MIB) == 0.25


def test_what_is_slow_everywhere_becomes_usual() -> None:
    pace = paced((MIB, 0.25))
    for _ in range(KEPT_COUNT):
        pace.note(MIB, 9.0)
    assert pace.usual_s(MIB) == 9.0


def test_sizes_are_told_apart() -> None:
    pace = paced((4096, 0.001), (64 * MIB, 2.0))
    assert pace.usual_s(5000) == 0.001
    assert pace.usual_s(60 * MIB) == 2.0


def test_without_reads_of_a_size_the_next_larger_ones_count() -> None:
    assert paced((4096, 0.001), (64 * MIB, 2.0)).usual_s(MIB) == 2.0


def test_else_smaller_ones_by_their_ratio() -> None:
    assert paced((MIB, 0.5)).usual_s(16 * MIB) == 8.0


def test_nothing_is_known_at_first() -> None:
    assert Pace().usual_s(1) is None
    assert Pace().usual_s(0) is None


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1 << 50), st.floats(0.0, 1e6)), max_size=300), st.integers(0, 1 << 50))
def test_what_is_usual_lies_between_what_was_seen(reads: list[tuple[int, float]], size_bytes: int) -> None:
    pace = Pace()
    for size, seconds in reads:
        pace.note(size, seconds)
    usual_s = pace.usual_s(size_bytes)
    if usual_s is not None:
        assert min(seconds for _, seconds in reads) <= usual_s
        assert usual_s <= max(seconds for _, seconds in reads) * 4.0**15


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 1 << 30)), max_size=200))
def test_no_more_than_a_share_is_read_in_vain(steps: list[tuple[bool, int]]) -> None:
    allowance, done, in_vain = Allowance(), 0, 0
    for is_done, size_bytes in steps:
        if is_done:
            allowance.earn(size_bytes)
            done += size_bytes + ASKING_BYTES
        elif allowance.spend(size_bytes):
            in_vain += size_bytes + ASKING_BYTES
    assert in_vain <= FIRST_ALLOWANCE_BYTES + EXTRA_SHARE * done + 1
