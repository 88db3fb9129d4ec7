"""Threads that follow the waiting: how many there are, and what they make of work, errors, contexts and the end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextvars import ContextVar
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service import linux
from service.concurrency import LEAST, UNADAPTED, WINDOW_S, AdaptiveThreads, next_width

WAIT_S = 20.0
WORD: ContextVar[str] = ContextVar("WORD", default="none")


def clock() -> Callable[[], float]:
    """Returns a clock of which every look is a window later."""
    ticks = count()
    return lambda: next(ticks) * WINDOW_S


def waiting(_thread: int) -> float:
    """Says of every thread that it has only waited."""
    return 0.001


def unknown(_thread: int) -> None:
    """Knows nothing."""


@given(st.integers(LEAST, 64), st.floats(0, 64), st.integers(LEAST, 64))
def test_width_stays_between_its_bounds(width: int, wanted: float, most: int) -> None:
    assert LEAST <= next_width(min(width, most), wanted, most) <= most


@given(st.integers(LEAST, 31), st.floats(0, 0.9))
def test_width_grows_while_python_is_idle_and_at_most_doubles(width: int, wanted: float) -> None:
    assert width < next_width(width, wanted, 64) <= 2 * width


@given(st.integers(LEAST + 1, 64))
def test_crowd_becomes_smaller(width: int) -> None:
    assert next_width(width, 5.0, 64) < width


def test_width_stays_where_python_is_busy() -> None:
    assert next_width(5, 1.2, 64) == 5


def test_results_come_in_order() -> None:
    threads = AdaptiveThreads(8, "test")
    assert threads.each(lambda number: number * 2, range(1000)) == [number * 2 for number in range(1000)]
    assert threads.each(str, ()) == []
    threads.close(wait=True)


def test_threads_that_wait_become_more() -> None:
    threads = AdaptiveThreads(6, "test", waiting, clock())
    while threads.width < 6:
        threads.each(str, range(20))
    together = threading.Barrier(6)
    threads.each(lambda _: together.wait(WAIT_S), range(6))
    threads.close(wait=True)


def test_threads_that_run_stay_few() -> None:
    now = clock()
    threads = AdaptiveThreads(6, "test", lambda _thread: now(), now)
    threads.each(str, range(100))
    assert threads.width <= LEAST + 1
    threads.close(wait=True)


def test_without_the_kernels_word_there_is_a_fixed_number() -> None:
    threads = AdaptiveThreads(32, "test", unknown, clock())
    together = threading.Barrier(UNADAPTED)
    threads.each(lambda _: together.wait(WAIT_S), range(2 * UNADAPTED))
    assert threads.width == UNADAPTED
    threads.close(wait=True)


def test_calls_may_come_at_the_same_time() -> None:
    threads = AdaptiveThreads(4, "test", unknown, clock())
    begun = (threading.Event(), threading.Event())
    found: dict[int, list[bool]] = {}

    def call(number: int) -> None:
        def work(_: int) -> bool:
            begun[number].set()
            return begun[1 - number].wait(WAIT_S)

        found[number] = threads.each(work, range(40))

    callers = [threading.Thread(target=call, args=(number,)) for number in range(2)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(WAIT_S)
    assert found == {0: [True] * 40, 1: [True] * 40}
    threads.close(wait=True)


def test_error_ends_the_rest_and_waits_for_what_was_begun() -> None:
    threads = AdaptiveThreads(2, "test", unknown)
    failed, released = threading.Event(), threading.Event()
    log: list[str] = []

    def work(number: int) -> None:
        log.append(f"began {number}")
        if number == 0:
            assert released.wait(WAIT_S)
            log.append("ended 0")
        else:
            failed.set()
            raise ValueError(number)

    def call() -> None:
        with pytest.raises(ValueError, match="1"):
            threads.each(work, range(100))
        log.append("raised")

    caller = threading.Thread(target=call)
    caller.start()
    assert failed.wait(WAIT_S)
    released.set()
    caller.join(WAIT_S)
    assert set(log[:2]) == {"began 0", "began 1"}
    assert log[2:] == ["ended 0", "raised"]
    assert threads.each(str, range(2)) == ["0", "1"]
    threads.close(wait=True)


def test_helpers_work_in_the_context_of_the_caller() -> None:
    threads = AdaptiveThreads(2, "test", unknown)
    together = threading.Barrier(2)

    def work(_number: int) -> str:
        together.wait(WAIT_S)
        return WORD.get()

    token = WORD.set("of the caller")
    try:
        assert threads.each(work, range(2)) == ["of the caller"] * 2
    finally:
        WORD.reset(token)
    threads.close(wait=True)


def test_call_goes_on_alone_when_closed() -> None:
    threads = AdaptiveThreads(4, "test", waiting, clock())

    def work(number: int) -> str:
        if number == 5:
            threads.close()
        return str(number)

    assert threads.each(work, range(50)) == [str(number) for number in range(50)]


def test_kernel_tells_what_a_thread_wants() -> None:
    thread = threading.get_native_id()
    before = linux.wanted_s(thread)
    enough_s = time.thread_time() + 0.02
    while time.thread_time() < enough_s:
        pass
    after = linux.wanted_s(thread)
    assert before is not None
    assert after is not None
    assert after > before


def test_thread_that_is_not_there_wants_nothing_that_is_known() -> None:
    assert linux.wanted_s(2**22 + 1) is None
