"""When a house gets actors."""

from __future__ import annotations

import pytest

from service.house import break_even_s


@pytest.mark.parametrize(("actors", "expected_s"), [(1, 5.0), (2, 10.0), (5, 6.25), (101, 5.05)])
def test_more_actors_win_their_cost_back_sooner(actors: int, expected_s: float) -> None:
    found_s = break_even_s(5.0, actors)
    assert found_s == pytest.approx(expected_s)
    if actors > 1:
        assert found_s == pytest.approx(5.0 + found_s / actors)


def test_without_a_cost_there_are_actors_from_the_start() -> None:
    assert break_even_s(0.0, 2) == 0.0
