"""When a house gets actors."""

from __future__ import annotations

import math

import pytest

from service.house import break_even_s


@pytest.mark.parametrize(("actors", "expected_s"), [(2, 10.0), (5, 6.25), (101, 5.05)])
def test_more_actors_win_their_cost_back_sooner(actors: int, expected_s: float) -> None:
    found_s = break_even_s(5.0, actors)
    assert found_s == pytest.approx(expected_s)
    assert found_s == pytest.approx(5.0 + found_s / actors)


def test_without_a_cost_there_are_actors_from_the_start() -> None:
    assert break_even_s(0.0, 2) == 0.0
    assert break_even_s(0.0, 1) == 0.0


def test_one_actor_wins_nothing_back() -> None:
    assert break_even_s(5.0, 1) == math.inf
