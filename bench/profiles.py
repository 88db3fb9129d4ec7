"""Profiles of the hottest processes while a workload runs, as Markdown: docs/profiles/.

Two views of one process: `perf` says which library the CPU is spent in, `py-spy --gil` which of our functions holds the
interpreter. py-spy has an environment of its own below .cache; perf comes from the system (Debian: linux-perf).

    python -m bench.profiles --workload small --process "mover's actors" [--out docs/profiles/small.md]
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import psutil

from bench.first_run import WORKLOADS, kind_of, one_round, servers, standing_house
from service.house import House
from tests.support.hadoop_jars import CACHE, only_one

PY_SPY = "py-spy==0.4.3"
SECONDS = 8
_TOP = 25
_ROUNDS = 12  # at most, while the profilers run


def py_spy() -> Path:
    """Returns the program; the first call installs it."""
    home = CACHE / "peers" / "py-spy"
    with only_one(home.with_suffix(".lock")):
        if not (home / "bin" / "py-spy").exists():
            subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
            subprocess.run([str(home / "bin" / "pip"), "install", "-q", PY_SPY], check=True)
    return home / "bin" / "py-spy"


def functions(raw: Iterable[str], root: str) -> tuple[int, Counter[str], Counter[str]]:
    """PURE: returns the samples in py-spy's raw lines: all, by function itself, and by function with what it calls.

    Paths are told from `root` on, or from the package on.
    """
    total, alone, within = 0, Counter[str](), Counter[str]()
    for line in raw:
        stack, _, count = line.rpartition(" ")
        frames = [re.sub(r":\d+\)$", ")", _short(frame, root)) for frame in stack.split(";")]
        total += int(count)
        alone[frames[-1]] += int(count)
        for frame in set(frames):
            within[frame] += int(count)
    return total, alone, within


def _short(frame: str, root: str) -> str:
    return re.sub(r"\((?:.*/)?(?:site-packages|python3\.\d+)/", "(", frame.replace(root, ""))


def table(head: str, total: int, counts: Counter[str]) -> str:
    """PURE: returns the greatest counts as shares of `total`."""
    rows = (f"| {count / total:.1%} | `{name}` |" for name, count in counts.most_common(_TOP))
    return "\n".join((f"| {head} | |", "|---|---|", *rows))


def libraries(report: str) -> Counter[str]:
    """PURE: returns thousandths of the CPU by library from `perf report --sort dso`."""
    found = re.findall(r"^\s+([\d.]+)%\s+(\S+)", report, re.MULTILINE)
    return Counter({name: round(float(share) * 10) for share, name in found if float(share) >= 0.5})


def hottest(house: House, kind: str) -> psutil.Process:
    """Returns the process of a kind that has used most CPU. Raises SystemExit when there is none."""
    running = [process for process in psutil.Process().children(recursive=True) if kind_of(process, house) == kind]
    if not running:
        raise SystemExit(f"the house has no process of the kind {kind!r}")
    return max(running, key=lambda process: process.cpu_times().user)


def profiled(pid: int, folder: Path) -> str:
    """Profiles a process twice, one view after the other, and returns Markdown."""
    data, raw = folder / "perf.data", folder / "spy.raw"
    subprocess.run(
        ["perf", "record", "-q", "-F", "499", "-o", str(data), "-p", str(pid), "--", "sleep", str(SECONDS)], check=True
    )
    report = subprocess.run(
        ["perf", "report", "-i", str(data), "--sort", "dso", "--stdio"], capture_output=True, text=True, check=True
    )
    arguments = ["record", "--gil", "-r", "200", "-d", str(SECONDS), "-f", "raw", "-o", str(raw), "-p", str(pid)]
    subprocess.run([str(py_spy()), *arguments], check=True, capture_output=True)
    total, alone, within = functions(raw.read_text().splitlines(), f"{Path.cwd()}/")
    return "\n\n".join(
        (
            table("CPU by library", 1000, libraries(report.stdout)),
            table("holds the interpreter, itself", total, alone),
            table("holds the interpreter, with what it calls", total, within),
        )
    )


def main(words: Sequence[str] | None = None) -> None:
    """Runs the workload again and again while one of its processes is profiled."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workload", choices=tuple(WORKLOADS), default="small")
    parser.add_argument("--process", default="mover's actors", help="a kind as `bench.first_run` names it")
    parser.add_argument("--actors", type=int, default=2)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args(words)
    if not shutil.which("perf"):
        parser.error("perf is missing: install it (Debian: apt-get install linux-perf)")
    py_spy()
    with tempfile.TemporaryDirectory() as folder, servers("null", Path(folder)) as (cluster, server):
        cluster.make(WORKLOADS[asked.workload])
        with standing_house(asked.actors) as pair:
            done = threading.Event()

            def rounds() -> None:
                for number in range(1, _ROUNDS):
                    if not done.is_set():
                        one_round(pair, cluster, server, f"/{asked.workload}", f"round-{number}", 0)

            one_round(pair, cluster, server, f"/{asked.workload}", "round-0", 0)
            work = threading.Thread(target=rounds)
            work.start()
            text = profiled(hottest(pair[0], asked.process).pid, Path(folder))
            done.set()
            work.join()
    command = f"python -m bench.profiles --workload {asked.workload} --process {asked.process!r}"
    page = f"# {asked.workload}: {asked.process}\n\n`{command}`, {time.strftime('%Y-%m-%d')}\n\n{text}\n"
    if asked.out:
        asked.out.parent.mkdir(parents=True, exist_ok=True)
        asked.out.write_text(page)
    print(page)


if __name__ == "__main__":
    main()
