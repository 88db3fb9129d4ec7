"""Waits grow, stay under the ceiling, and never undercut what the other side asked for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from service.backoff import Backoff

BACKOFF = Backoff(base_s=0.5, factor=2.0, ceiling_s=4.0, attempts=5)


def test_the_bound_doubles_up_to_the_ceiling() -> None:
    assert [BACKOFF.delay_s(attempt, 1.0) for attempt in (1, 2, 3, 4, 5)] == [0.5, 1.0, 2.0, 4.0, 4.0]


def test_the_store_may_ask_for_a_longer_wait() -> None:
    assert BACKOFF.delay_s(1, 0.0, retry_after_s=7.0) == 7.0


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_no_wait_is_negative_or_above_the_ceiling(attempt: int, random_unit: float) -> None:
    assert 0 <= BACKOFF.delay_s(attempt, random_unit) <= BACKOFF.ceiling_s
