"""Whole runs with 1, 2, 4 and 8 actors of the mover: whether CPU by unit stays flat.

Against the null sink, each count with a house of its own that is warm before it is measured. With more actors than
processors the rate cannot grow: what is looked at is the CPU.

    python -m bench.growth [--actors 1,2,4,8] [--rounds 2]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.first_run import GIB, SERVER, WORKLOADS, Round, one_round, servers, standing_house


def line(workload: str, actors: int, rounds: Sequence[Round]) -> str:
    """PURE: returns a row of the table: medians of the rounds."""
    size, count = sum(spec.size for spec in WORKLOADS[workload]), len(WORKLOADS[workload])
    per = size / GIB if workload == "large" else count / 1000
    ours = [sum(use.cpu_s for kind, use in one.usage.items() if not kind.startswith(SERVER)) / per for one in rounds]
    seconds = statistics.median(one.transfer_s for one in rounds)
    rate = f"{size / seconds / (1 << 20):.0f} MiB/s" if workload == "large" else f"{count / seconds:.0f} files/s"
    peak = max(use.peak_bytes for one in rounds for kind, use in one.usage.items() if kind == "mover's actors")
    cells = (f"{statistics.median(ours):.2f} ({min(ours):.2f}-{max(ours):.2f})", rate, f"{peak >> 20}")
    return f"| {workload} | {actors} | {' | '.join(cells)} |"


def main(words: Sequence[str] | None = None) -> None:
    """Prints the table row by row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--actors", type=lambda text: tuple(map(int, text.split(","))), default=(1, 2, 4, 8))
    parser.add_argument("--rounds", type=int, default=2)
    asked = parser.parse_args(words)
    print("| workload | actors | CPU s per GiB, CPU ms per file | transfer | peak MiB of an actor |")
    print("|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as folder, servers("null", Path(folder)) as (cluster, server):
        for workload, files in WORKLOADS.items():
            cluster.make(files)
            for actors in asked.actors:
                with standing_house(actors) as house:
                    rounds = [
                        one_round(house, cluster, server, f"/{workload}", f"{workload}-{actors}-{number}", 0)
                        for number in range(1 + asked.rounds)
                    ]
                print(line(workload, actors, rounds[1:]), flush=True)


if __name__ == "__main__":
    main()
