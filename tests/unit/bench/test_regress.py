"""Regressions are told by ratios to peers, and only beyond what the rounds themselves were apart."""

from typing import Any

import pytest

from bench.peers import OURS
from bench.regress import compared, regressions


def document(ours: list[float], theirs: list[float], workload: str = "large") -> list[dict[str, Any]]:
    peers = {OURS: ours, "rclone": theirs, "absent": []}
    rows = [
        {"peer": peer, "rounds": [{"run": {"cpu_s": value, "wall_s": 1.0}} for value in values]}
        for peer, values in peers.items()
    ]
    return [{"workload": workload, "peers": rows}]


def test_the_same_is_no_regression() -> None:
    before = document([2.0, 2.0, 2.0], [8.0, 8.0, 8.0])
    assert list(regressions(before, before)) == []
    assert compared(before, before) == 2


def test_a_slower_machine_is_no_regression() -> None:
    assert list(regressions(document([2.0], [8.0]), document([6.0], [24.0]))) == []


def test_what_became_dearer_is_told_with_both_ratios() -> None:
    (line,) = regressions(document([2.0], [8.0]), document([4.0], [8.0]))
    assert line == "large: cpu_s of rclone over ours fell from 4.00 to 2.00 (allowed 3.64)"


@pytest.mark.parametrize(("now", "count"), [(2.9, 0), (3.1, 1)])
def test_rounds_that_were_apart_allow_more(now: float, count: int) -> None:
    before = document([2.0, 2.0, 3.0], [8.0, 8.0, 8.0])  # 1.5 apart
    assert len(list(regressions(before, document([now], [8.0])))) == count


def test_only_what_both_hold_is_compared() -> None:
    assert compared(document([2.0], [8.0]), document([2.0], [8.0], "small")) == 0
    assert compared(document([2.0], []), document([2.0], [8.0])) == 0
    assert list(regressions(document([], [8.0]), document([2.0], [8.0]))) == []
