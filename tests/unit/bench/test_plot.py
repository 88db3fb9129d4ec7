"""Drawings show what the tables say."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

from bench.peers import OURS
from bench.plot import bars_of, drawings


def workload(rounds: dict[str, list[float]]) -> dict[str, Any]:
    peers = [
        {"peer": peer, "rounds": [{"run": {"cpu_s": value, "wall_s": 2 * value}} for value in values]}
        for peer, values in rounds.items()
    ]
    head = {
        "workload": "large",
        "title": "2 GiB & more",
        "unit": "CPU s per GiB",
        "size_bytes": 2 << 30,
        "file_count": 1,
    }
    return {**head, "peers": peers}


def test_bars_are_medians_by_unit_the_smallest_first() -> None:
    bars = bars_of(workload({OURS: [4.0, 2.0, 3.0], "rclone": [1.0], "absent": []}), "cpu_s", 2.0)
    assert [(bar.label, bar.median, bar.least, bar.most, bar.is_ours) for bar in bars] == [
        ("rclone", 0.5, 0.5, 0.5, False),
        (OURS, 1.5, 1.0, 2.0, True),
    ]


def test_a_workload_has_a_drawing_of_cpu_and_one_of_wall_time() -> None:
    found = drawings([workload({OURS: [1.0], "<peer>": [2.0]})])
    assert list(found) == ["large-cpu.svg", "large-wall.svg"]
    space = "{http://www.w3.org/2000/svg}"
    for document in found.values():
        root = ElementTree.fromstring(document)  # noqa: S314 - our own
        widths = [float(bar.get("width", "")) for bar in root.iter(f"{space}rect")]
        assert widths[1] == 2 * widths[0]
        texts = [text.text for text in root.iter(f"{space}text")]
        assert texts[1::2] == [OURS, "<peer>"]


def test_nothing_that_ran_gives_no_drawing() -> None:
    assert drawings([workload({OURS: []})]) == {}
