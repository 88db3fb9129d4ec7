"""Tells whether blockferry became slower, by ratios to its peers: machines differ, and the same one from hour to hour.

    python -m bench.regress BEFORE.json AFTER.json      (both of `python -m bench.compare --out`)

For every workload and peer that both files hold: CPU and wall seconds of the peer over ours. A ratio may fall as far as
the rounds of BEFORE were apart (most over least, of the peer and of ours), and by a tenth at least; below that it is a
regression. Exit code 1 when there is one.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.peers import OURS

Document = Sequence[Mapping[str, Any]]
LEAST_TOLERANCE = 1.1
MEASURES = ("cpu_s", "wall_s")


def regressions(before: Document, after: Document) -> Iterator[str]:
    """PURE: yields a line for each ratio that fell too far."""
    new = {workload["workload"]: _peers(workload) for workload in after}
    for workload in before:
        name, old = workload["workload"], _peers(workload)
        now = new.get(name, {})
        for peer in sorted((old.keys() & now.keys()) - {OURS}) if OURS in old and OURS in now else ():
            for measure in MEASURES:
                was, found = _ratio(old, peer, measure), _ratio(now, peer, measure)
                allowed = was / max(_spread(old[peer], measure) * _spread(old[OURS], measure), LEAST_TOLERANCE)
                if found < allowed:
                    fell = f"fell from {was:.2f} to {found:.2f} (allowed {allowed:.2f})"
                    yield f"{name}: {measure} of {peer} over ours {fell}"


def compared(before: Document, after: Document) -> int:
    """PURE: returns how many ratios both documents hold."""
    new = {workload["workload"]: _peers(workload) for workload in after}
    pairs = ((_peers(workload), new.get(workload["workload"], {})) for workload in before)
    return sum(
        len(MEASURES) * len((old.keys() & now.keys()) - {OURS}) for old, now in pairs if OURS in old and OURS in now
    )


def _peers(workload: Mapping[str, Any]) -> dict[str, list[Mapping[str, float]]]:
    """Returns the rounds of every peer that ran."""
    return {row["peer"]: [one["run"] for one in row["rounds"]] for row in workload["peers"] if row["rounds"]}


def _ratio(peers: Mapping[str, list[Mapping[str, float]]], peer: str, measure: str) -> float:
    return statistics.median([one[measure] for one in peers[peer]]) / statistics.median(
        [one[measure] for one in peers[OURS]]
    )


def _spread(rounds: Sequence[Mapping[str, float]], measure: str) -> float:
    values = [one[measure] for one in rounds]
    return max(values) / min(values)


def main() -> int:
    """Prints the regressions and returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    options = parser.parse_args()
    before, after = (json.loads(path.read_text())["results"] for path in (options.before, options.after))
    count, lines = compared(before, after), list(regressions(before, after))
    if not count:
        parser.error("the files have no workload with the same peers: nothing can be compared")
    print("\n".join([*lines, f"{count} ratios compared, {len(lines)} fell too far"]))
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
