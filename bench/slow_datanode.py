"""What one DataNode that hangs or is starved does to the reads of all, with and without giving it up.

    python -m bench.slow_datanode [--blocks 24] [--passes 2] [--timeout-s 20]

Starts a NameNode and three DataNodes of its own, makes one file in blocks of 32 MiB with two replicas each, and reads
every block in four threads, `passes` times per contender, each with a source of its own. One DataNode is

    good      as the others
    hung      stopped (SIGSTOP) before the first read
    starved   stopped for 980 ms of each second: it fills the sockets' buffers in the others

`waiting` is a source that gives a DataNode up only after the time limit without a byte (as before, and as Hadoop's own
client does; there it is 60 s). `giving up` is the product. Seconds of one read: median, the 95th of a hundred, and the
longest; each as a ratio to the median of `giving up` with good DataNodes. Prints a table on standard error and JSON on
standard output.
"""

from __future__ import annotations

import argparse
import json
import math
import signal
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from stores.base import Stat
from stores.checksum import Algorithm
from stores.hdfs.datanode import Datanodes
from stores.hdfs.experience import Experience, Waits
from stores.hdfs.layouts import Layouts
from stores.hdfs.namenode import NameNodeClient
from stores.hdfs.reader import FileReader
from stores.hdfs.source import HdfsSource
from stores.location import HdfsLocation
from tests.support.hdfs import HdfsCluster
from tests.support.tree import FileSpec

BLOCK_BYTES = 32 << 20
THREAD_COUNT = 4
NEVER = Waits(math.inf, math.inf, math.inf, math.inf)
CONTENDERS = {"waiting": NEVER, "giving up": Waits()}
# Else the NameNode would hold a hung DataNode dead after 12 s and move its replicas.
SETTINGS = {"dfs.namenode.heartbeat.recheck-interval": "3600000"}
TROUBLES = ("good", "starved", "hung")


@dataclass(frozen=True, slots=True)
class Found:
    """The seconds of all reads, of the whole, and how many DataNodes were given up."""

    reads_s: tuple[float, ...]
    whole_s: float
    given_up_count: int


@contextmanager
def trouble(cluster: HdfsCluster, kind: str) -> Iterator[None]:
    """Lets one DataNode be in trouble while the block runs."""
    name, ended = cluster.datanodes[0], threading.Event()

    def starve() -> None:
        while not ended.is_set():
            cluster.kill(name, signal.SIGSTOP)
            ended.wait(0.98)
            cluster.kill(name, signal.SIGCONT)
            ended.wait(0.02)

    thread = threading.Thread(target=starve)
    if kind == "starved":
        thread.start()
    elif kind == "hung":
        cluster.kill(name, signal.SIGSTOP)
    try:
        yield
    finally:
        ended.set()
        if thread.ident is not None:
            thread.join()
        cluster.kill(name, signal.SIGCONT)


def read_all(cluster: HdfsCluster, file: Stat, waits: Waits, timeout_s: float, pass_count: int) -> Found:
    """Reads every block of the file, with a reader that knows nothing yet."""
    namenode = NameNodeClient((cluster.namenode,), "bench")
    datanodes, memory = Datanodes("bench", timeout_s), threading.local()
    layouts = Layouts(lambda path, size_bytes: namenode.get_block_locations(f"/{path}", size_bytes))
    reader = FileReader(datanodes, layouts, namenode.report_bad_blocks, Experience(timeout_s, waits=waits))

    def read(offset: int) -> tuple[float, int]:
        if not hasattr(memory, "view"):
            memory.view = memoryview(bytearray(BLOCK_BYTES))
        begin = time.perf_counter()
        found = reader.read_into(file, offset, memory.view, Algorithm.CRC32C)
        return time.perf_counter() - begin, found.retry_count

    begin = time.perf_counter()
    with closing(datanodes), closing(namenode), ThreadPoolExecutor(THREAD_COUNT) as threads:
        done = list(threads.map(read, [*range(0, file.size_bytes, BLOCK_BYTES)] * pass_count))
    whole_s = time.perf_counter() - begin
    return Found(tuple(seconds for seconds, _ in done), whole_s, sum(count for _, count in done))


def bench(block_count: int, pass_count: int, timeout_s: float) -> dict[str, dict[str, float]]:
    """Runs every contender in every trouble and returns their ratios."""
    with tempfile.TemporaryDirectory(prefix="bench-slow-") as folder:
        with HdfsCluster.start(Path(folder), datanode_count=3, block_size=BLOCK_BYTES, settings=SETTINGS) as cluster:
            cluster.make([FileSpec("/bench", block_count * BLOCK_BYTES, seed=1)])
            with closing(HdfsSource(HdfsLocation((cluster.namenode,), "/bench"))) as source:
                (file,) = source.list_tree()
            read_all(cluster, file, Waits(), timeout_s, 1)  # into the page cache
            found: dict[str, Found] = {}
            for kind in TROUBLES:
                for name, waits in CONTENDERS.items():
                    with trouble(cluster, kind):
                        found[f"{kind}, {name}"] = read_all(cluster, file, waits, timeout_s, pass_count)
    usual = found["good, giving up"]
    return {name: ratios(each, usual) for name, each in found.items()}


def ratios(found: Found, usual: Found) -> dict[str, float]:
    """Returns what is shown of a contender."""
    median_s, ordered = statistics.median(usual.reads_s), sorted(found.reads_s)
    return {
        "median": round(statistics.median(ordered) / median_s, 1),
        "p95": round(ordered[int(0.95 * (len(ordered) - 1))] / median_s, 1),
        "longest": round(ordered[-1] / median_s, 1),
        "whole": round(found.whole_s / usual.whole_s, 1),
        "given_up_count": found.given_up_count,
        "read_count": len(ordered),
    }


def table(figures: dict[str, dict[str, float]]) -> str:
    """Returns the figures for people."""
    lines = [f"{'one DataNode, reader':<22} {'median':>8} {'p95':>8} {'longest':>8} {'whole':>8}  given up / reads"]
    for name, row in figures.items():
        figures_of = " ".join(f"{row[key]:8.1f}" for key in ("median", "p95", "longest", "whole"))
        lines.append(f"{name:<22} {figures_of}  {row['given_up_count']:.0f} / {row['read_count']:.0f}")
    return "\n".join(lines)


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description="the tail of reads with one DataNode in trouble")
    parser.add_argument("--blocks", type=int, default=24, help="blocks of 32 MiB")
    parser.add_argument("--passes", type=int, default=2, help="how often each block is read")
    parser.add_argument("--timeout-s", type=float, default=20.0, help="time limit without a byte")
    arguments = parser.parse_args()
    figures = bench(arguments.blocks, arguments.passes, arguments.timeout_s)
    print(table(figures), file=sys.stderr)
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
