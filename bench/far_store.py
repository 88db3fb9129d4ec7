"""What small files cost one mover's process when the store answers late: files per second, CPU ms per file.

    .venv/bin/python -m bench.far_store [--delays-ms 0,10,40] [--files 2000] [--rounds 3]

A real HDFS and the null sink, whose answers all come so many milliseconds late. Contenders, each in a process of its
own, in turns: as many threads as are worth it (the product), and always 8. Prints medians as a table on standard error
and as JSON on standard output. The first pass of a process, which also opens the connections, is not measured.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.null_sink.process import NullSink
from ledger.records import Action, PlanEntry, Why
from mover.batches import sort_entries
from mover.calls import BatchMoved, Errand, MoveBatch
from mover.opened import OpenStores
from mover.parts import DEFAULT_PART_BYTES
from mover.process import SMALL_CALLS, MoverProcess
from service import telemetry
from service.backoff import Backoff
from service.concurrency import UNADAPTED, AdaptiveThreads
from stores.base import Kind
from stores.hdfs.source import HdfsSource
from stores.location import HdfsLocation, S3Location
from stores.opening import open_sink, open_source
from tests.support.hdfs import HdfsCluster
from tests.support.tree import FileSpec

ADAPTIVE = "as many as are worth it"
FIXED = f"always {UNADAPTED}"
BUCKET = "far"


@dataclass(frozen=True, slots=True)
class Pass:
    """One pass over all files."""

    files_per_s: float
    cpu_ms: float
    width: int


class FixedProcess(MoverProcess):
    """A mover's process that does not look what its threads wait for."""

    def __init__(self, stores: OpenStores, backoff: Backoff) -> None:
        super().__init__(stores, backoff)
        self._threads = AdaptiveThreads(UNADAPTED, "small", lambda _thread: None)


def move_all(process: MoverProcess, batches: tuple[MoveBatch, ...], errand: Errand) -> Pass:
    """Moves every batch, as many at once as a mover does."""
    before, began = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    with ThreadPoolExecutor(SMALL_CALLS) as threads:
        for answer in threads.map(lambda batch: process.run(batch, errand, {}), batches):
            assert isinstance(answer, BatchMoved)
            assert not any(receipt.failure for receipt in answer.receipts), answer
    seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    count = sum(len(batch.entries) for batch in batches)
    return Pass(count / seconds, 1000 * cpu_s / count, process._threads.width)


def child(contender: str, namenode: str, endpoint: str, passes: int) -> None:
    """Prints the passes of one contender."""
    telemetry.setup("bench", leaf=True)
    location = HdfsLocation((namenode,), "/small")
    errand = Errand("bench", location, S3Location(bucket=BUCKET, endpoint=endpoint))
    source = HdfsSource(location)
    files = [file for file in source.list_tree() if file.kind is Kind.FILE]
    batches = sort_entries(
        (PlanEntry(file.path, Action.COPY, Why.NEW, file) for file in files), DEFAULT_PART_BYTES
    ).batches
    process = (FixedProcess if contender == FIXED else MoverProcess)(OpenStores(open_source, open_sink), Backoff())
    move_all(process, batches, errand)
    print(json.dumps([asdict(move_all(process, batches, errand)) for _ in range(passes)]), flush=True)
    os._exit(0)  # connections that are open are nobody's loss


def measure(delay_ms: float, files: int, rounds: int) -> dict[str, dict[str, float]]:
    """Returns the medians of both contenders."""
    with tempfile.TemporaryDirectory(prefix="bench-far-") as folder:
        root = Path(folder)
        with (
            HdfsCluster.start(root / "hdfs", datanode_count=1, replication=1) as cluster,
            NullSink.start(root / "s3", delay_ms=delay_ms) as server,
        ):
            cluster.make([FileSpec(f"/small/{number // 500}/{number}", 4096, seed=number) for number in range(files)])
            server.make_bucket(BUCKET)
            passes: dict[str, list[Pass]] = {ADAPTIVE: [], FIXED: []}
            for _ in range(rounds):
                for contender, found in passes.items():
                    asked = (contender, cluster.namenode, server.endpoint)
                    found += run_child(*asked, environment={**os.environ, **server.environment})
    return {name: medians(found) for name, found in passes.items()}


def run_child(contender: str, namenode: str, endpoint: str, environment: dict[str, str]) -> list[Pass]:
    """Measures in a process of its own."""
    command = [sys.executable, "-m", "bench.far_store", "--child", contender, namenode, endpoint]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, env=environment)
    if done.returncode:
        raise RuntimeError(f"{contender} failed: {done.stderr}")
    return [Pass(**found) for found in json.loads(done.stdout)]


def medians(passes: list[Pass]) -> dict[str, float]:
    """Returns the figures of one contender."""
    return {
        "files_per_s": round(statistics.median(found.files_per_s for found in passes)),
        "cpu_ms": round(statistics.median(found.cpu_ms for found in passes), 2),
        "threads": statistics.median(found.width for found in passes),
    }


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--delays-ms", default="0,10,40", help="by commas")
    parser.add_argument("--files", type=int, default=2000, help="of 4 KiB")
    parser.add_argument("--rounds", type=int, default=3, help="processes per contender")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        contender, namenode, endpoint = asked.child
        child(contender, namenode, endpoint, passes=2)
    figures = {delay: measure(float(delay), asked.files, asked.rounds) for delay in asked.delays_ms.split(",")}
    print("late by ms | threads                  | files/s | CPU ms | threads", file=sys.stderr)
    for delay, rows in figures.items():
        for name, row in rows.items():
            line = f"{row['files_per_s']:7} | {row['cpu_ms']:6.2f} | {row['threads']:g}"
            print(f"{delay:>10} | {name:24} | {line}", file=sys.stderr)
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
