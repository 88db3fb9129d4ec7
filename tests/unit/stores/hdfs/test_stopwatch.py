"""When a DataNode has been waited for long enough."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stores.hdfs.stopwatch import Limit, SilentError, SlowError, Stopwatch


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_silence_counts_from_the_last_byte() -> None:
    clock = Clock()
    watch = Stopwatch(Limit(5.0), 1000, clock)
    clock.now += 4.5
    watch.waited()
    watch.arrived(1)
    clock.now += 4.5
    watch.waited()
    clock.now += 0.5
    with pytest.raises(SilentError, match="nothing came or went for 5 s"):
        watch.waited()


def test_without_a_limit_for_the_whole_slow_bytes_may_take_for_ever() -> None:
    clock = Clock()
    watch = Stopwatch(Limit(5.0), 1_000_000, clock)
    for _ in range(10_000):
        clock.now += 4.0
        watch.arrived(1)


def test_what_is_slow_is_given_up() -> None:
    clock = Clock()
    watch = Stopwatch(Limit(5.0, whole_s=2.0, usual_s=0.5), 1000, clock)
    clock.now += 1.9
    watch.arrived(100)
    clock.now += 0.2
    with pytest.raises(SlowError, match=r"only 200 of 1000 bytes came in 2\.1 s"):
        watch.arrived(100)


def test_what_is_nearly_done_is_not_given_up() -> None:
    clock = Clock()
    watch = Stopwatch(Limit(5.0, whole_s=2.0, usual_s=0.5), 1000, clock)
    clock.now += 2.1
    watch.arrived(900)  # the rest takes a quarter of a second
    clock.now += 3.0
    with pytest.raises(SlowError):
        watch.arrived(1)


def test_nothing_at_all_is_slow_too() -> None:
    clock = Clock()
    watch = Stopwatch(Limit(5.0, whole_s=2.0, usual_s=0.5), 1000, clock)
    clock.now += 2.5
    with pytest.raises(SlowError):
        watch.waited()


def test_what_may_not_be_given_up_goes_on() -> None:
    clock, asked = Clock(), list[tuple[int, int]]()

    def refuse(arrived_bytes: int, size_bytes: int) -> bool:
        asked.append((arrived_bytes, size_bytes))
        return False

    watch = Stopwatch(Limit(5.0, whole_s=2.0, usual_s=0.5, allows=refuse), 1000, clock)
    clock.now += 2.5
    watch.arrived(10)
    assert asked == [(10, 1000)]


@given(st.lists(st.tuples(st.floats(0.0, 4.9), st.integers(1, 1000)), max_size=50), st.integers(0, 50_000))
def test_it_gives_up_only_after_the_limit_and_only_with_much_left(
    steps: list[tuple[float, int]], size_bytes: int
) -> None:
    clock = Clock()
    watch = Stopwatch(Limit(5.0, whole_s=3.0, usual_s=1.0), size_bytes, clock)
    arrived = 0
    for seconds, count in steps:
        clock.now += seconds
        arrived += count
        took_s = clock.now - 100.0
        try:
            watch.arrived(count)
        except SlowError:
            assert took_s > 3.0
            assert took_s * (size_bytes - arrived) / arrived > 1.0
            return
        assert took_s <= 3.0 or took_s * (size_bytes - arrived) / arrived <= 1.0 + 1e-9
