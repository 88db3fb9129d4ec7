"""When a DataNode has been waited for long enough."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stores.hdfs.transfer.stopwatch import Limit, SilentError, SlowError, Stopwatch


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
    clock, asked = Clock(), list[tuple[float, int, int]]()

    def is_slow(took_s: float, arrived_bytes: int, size_bytes: int) -> bool:
        asked.append((took_s, arrived_bytes, size_bytes))
        return arrived_bytes > 200

    watch = Stopwatch(Limit(5.0, look_s=2.0, is_slow=is_slow), 1000, clock)
    clock.now += 1.5
    watch.arrived(100)
    clock.now += 1.0
    watch.arrived(100)
    clock.now += 1.0
    with pytest.raises(SlowError, match=r"only 201 of 1000 bytes came in 3\.5 s"):
        watch.arrived(1)
    assert asked == [(2.5, 200, 1000), (3.5, 201, 1000)]


def test_nothing_at_all_is_slow_too() -> None:
    clock = Clock()
    watch = Stopwatch(Limit(5.0, look_s=2.0, is_slow=lambda *_: True), 1000, clock)
    clock.now += 2.5
    with pytest.raises(SlowError):
        watch.waited()


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0.0, 9.0), st.integers(0, 1000)), max_size=50))
def test_silence_is_told_exactly_when_it_lasts_too_long(steps: list[tuple[float, int]]) -> None:
    clock = Clock()
    watch = Stopwatch(Limit(5.0), 1000, clock)
    silent_since = clock.now
    for seconds, count in steps:
        clock.now += seconds
        if count:
            watch.arrived(count)
            silent_since = clock.now
        elif clock.now - silent_since >= 5.0:
            with pytest.raises(SilentError):
                watch.waited()
            return
        else:
            watch.waited()
