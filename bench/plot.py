"""Draws the tables of a comparison as bars, in SVG.

    python -m bench.plot RESULTS.json FOLDER      (RESULTS.json of `python -m bench.compare --out`)

Two drawings a workload: CPU by unit and wall seconds, medians, with a line from the least to the most round. Seconds of
wall time of a busy machine are to be read loosely.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from bench.figures import spread
from bench.peers import OURS

_WIDTH, _LABEL, _BAR, _GAP, _HEAD, _FIGURES = 720, 190, 18, 8, 34, 90
_OURS_COLOUR, _PEERS_COLOUR, _TEXT_COLOUR = "#1f6feb", "#8b949e", "#57606a"  # to be read on white and on black


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: a median with its extremes."""

    label: str
    median: float
    least: float
    most: float
    is_ours: bool


def bars_of(workload: Mapping[str, Any], measure: str, amount: float) -> tuple[Bar, ...]:
    """PURE: returns a bar for each peer that ran, the smallest first. measure: `cpu_s` or `wall_s`; divided by
    `amount`."""
    bars = []
    for row in workload["peers"]:
        if row["rounds"]:
            found = spread([one["run"][measure] / amount for one in row["rounds"]])
            bars.append(Bar(row["peer"], found.median, found.least, found.most, row["peer"] == OURS))
    return tuple(sorted(bars, key=lambda bar: bar.median))


def drawing(title: str, bars: Sequence[Bar]) -> str:
    """PURE: returns an SVG document."""
    height = _HEAD + len(bars) * (_BAR + _GAP) + _GAP
    room = _WIDTH - _LABEL - _FIGURES
    longest = max(bar.most for bar in bars) or 1.0
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" viewBox="0 0 {_WIDTH} {height}" '
        f'font-family="sans-serif" font-size="13" fill="{_TEXT_COLOUR}">',
        f"<title>{escape(title)}</title>",
        f'<text x="0" y="16" font-weight="bold">{escape(title)}</text>',
    ]
    for number, bar in enumerate(bars):
        top = _HEAD + number * (_BAR + _GAP)
        width, begin, end = (room * value / longest for value in (bar.median, bar.least, bar.most))
        middle, colour = top + _BAR / 2, _OURS_COLOUR if bar.is_ours else _PEERS_COLOUR
        lines += [
            f'<text x="{_LABEL - 8}" y="{top + 14}" text-anchor="end">{escape(bar.label)}</text>',
            f'<rect x="{_LABEL}" y="{top}" width="{max(width, 1):.1f}" height="{_BAR}" fill="{colour}"/>',
            f'<path d="M{_LABEL + begin:.1f} {middle}H{_LABEL + end:.1f}" stroke="{_TEXT_COLOUR}" stroke-width="2"/>',
            f'<text x="{_LABEL + max(width, end) + 6:.1f}" y="{top + 14}">{bar.median:.2f}</text>',
        ]
    return "\n".join((*lines, "</svg>\n"))


def drawings(results: Sequence[Mapping[str, Any]]) -> Mapping[str, str]:
    """PURE: returns the documents by file name."""
    found: dict[str, str] = {}
    for workload in results:
        name, unit = workload["workload"], workload["unit"]
        amount = workload["size_bytes"] / (1 << 30) if unit.endswith("GiB") else workload["file_count"] / 1000
        for measure, of, what in (("cpu_s", amount, unit), ("wall_s", 1.0, "wall s")):
            if bars := bars_of(workload, measure, of):
                found[f"{name}-{measure.removesuffix('_s')}.svg"] = drawing(f"{workload['title']}: {what}", bars)
    return found


def main(words: Sequence[str] | None = None) -> None:
    """Writes the drawings and prints their names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("folder", type=Path)
    asked = parser.parse_args(words)
    asked.folder.mkdir(parents=True, exist_ok=True)
    for name, document in drawings(json.loads(asked.results.read_text())["results"]).items():
        (asked.folder / name).write_text(document)
        print(asked.folder / name)


if __name__ == "__main__":
    main()
