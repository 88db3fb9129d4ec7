"""Measures whole runs of the house: real HDFS, real S3 server, the four services, Ray.

Workloads: `large` (2 GiB in 16 files) and `small` (5,000 files of 4 KiB). Prints seconds, CPU seconds by kind of
process (per GiB, or per file) and peak memory, as a table and as JSON. The first run of a house, which also loads what
it needs, and the medians of `--rounds` further ones, each into an empty bucket. The servers' own CPU is listed apart.

    .venv/bin/python -m bench.first_run --rounds 3
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench.null_sink.process import NullSink
from blockferry import Client
from blockferry.v1.execution_pb2 import Execution
from blockferry.v1.task_pb2 import Options
from service.house import House, HouseOptions
from tests.support.copying import copy_task
from tests.support.hdfs import HdfsCluster
from tests.support.s3 import S3Server, SeaweedServer, VersitygwServer
from tests.support.tree import FileSpec

GIB = 1 << 30
BLOCK = 128 << 20
LARGE = tuple(FileSpec(f"/large/{number:02}", size=BLOCK, seed=number, block_size=BLOCK) for number in range(16))
SMALL = tuple(FileSpec(f"/small/{number // 500}/{number:04}", size=4096, seed=number) for number in range(5000))
WORKLOADS = {"large": LARGE, "small": SMALL}
SERVER = "(server) "
ACTORS = {"MoverActor": "mover's actors", "ProverActor": "verifier's actors"}


@dataclass(frozen=True, slots=True)
class Usage:
    """What one kind of process has used: CPU seconds (user and system), peak resident memory of the largest one."""

    cpu_s: float
    peak_bytes: int


@dataclass(frozen=True, slots=True)
class Round:
    """One run: wall seconds from RunTask to the end, by phase, and what each kind of process used."""

    seconds: float
    transfer_s: float
    usage: Mapping[str, Usage]


def kind_of(process: psutil.Process, house: House) -> str:
    """Returns the kind of process, as the table names it."""
    for name in ("scheduler", "scanner", "mover", "verifier", "forkserver"):
        if process.pid == house.pid(name):
            return name
    title = " ".join(process.cmdline())
    return next((name for actor, name in ACTORS.items() if actor in title), "Ray itself")


def usage_of(house: House, servers: Mapping[int, str]) -> Mapping[str, Usage]:
    """Returns what the house's processes, and the servers, have used since their start."""
    own = psutil.Process()
    found: dict[str, Usage] = {}
    for process in own.children(recursive=True):
        try:
            kind, times = servers.get(process.pid) or kind_of(process, house), process.cpu_times()
            peak = peak_bytes(process.pid)
        except (psutil.Error, FileNotFoundError):
            continue
        before = found.get(kind, Usage(0.0, 0))
        found[kind] = Usage(before.cpu_s + times.user + times.system, max(before.peak_bytes, peak))
    return found


def peak_bytes(pid: int) -> int:
    """Returns the peak resident memory of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), 0)


@contextmanager
def standing_house(actors: int) -> Iterator[tuple[House, Client]]:
    """Gives a house with an empty state, and a client of it."""
    with (
        tempfile.TemporaryDirectory() as state,
        House(HouseOptions(Path(state), actor_count=actors)) as house,
        Client(house.address) as client,
    ):
        yield house, client


def one_round(
    pair: tuple[House, Client], cluster: HdfsCluster, server: S3Server, root: str, bucket: str, part_bytes: int
) -> Round:
    """Copies `root` into an empty bucket."""
    house, client = pair
    server.make_bucket(bucket)
    task = copy_task(client, cluster, server, root, bucket, Options(part_size_bytes=part_bytes))
    peers = {cluster.pid(name): SERVER + name.rstrip("0123456789") for name in cluster.daemons}
    if server.child is not None:
        peers[server.child.pid] = SERVER + "S3"
    before, begin = usage_of(house, peers), time.monotonic()
    *_, ended = client.watch_execution(client.run_task(task).name)
    seconds, after = time.monotonic() - begin, usage_of(house, peers)
    if ended.state != Execution.STATE_SUCCESS:
        raise SystemExit(f"the run failed: {ended}")
    return Round(seconds, phase_s(ended, "TRANSFER"), difference(before, after))


def difference(before: Mapping[str, Usage], after: Mapping[str, Usage]) -> Mapping[str, Usage]:
    """Returns what was used between two looks."""
    none = Usage(0.0, 0)
    return {kind: Usage(use.cpu_s - before.get(kind, none).cpu_s, use.peak_bytes) for kind, use in after.items()}


def phase_s(execution: Execution, name: str) -> float:
    """Returns the seconds of a phase."""
    phase = next(phase for phase in execution.phases if phase.name == name)
    return (phase.end_time.ToDatetime() - phase.start_time.ToDatetime()).total_seconds()


def table(workload: str, rounds: tuple[Round, ...]) -> str:
    """Returns the medians as Markdown."""
    size = sum(spec.size for spec in WORKLOADS[workload])
    count = len(WORKLOADS[workload])
    unit, per = ("CPU s per GiB", size / GIB) if workload == "large" else ("CPU ms per file", count / 1000)
    kinds = sorted({kind for one in rounds for kind in one.usage})
    seconds = statistics.median(one.seconds for one in rounds)
    transfer = statistics.median(one.transfer_s for one in rounds)
    lines = [
        f"{count:,} files, {size / GIB:.2f} GiB: {seconds:.1f} s in all, {transfer:.1f} s transfer "
        f"({size / transfer / (1 << 20):.0f} MiB/s, {count / transfer:.0f} files/s), medians of {len(rounds)}",
        "",
        f"| process | {unit} | peak MiB of one |",
        "|---|---|---|",
    ]
    total = 0.0
    for kind in kinds:
        cpu = statistics.median(one.usage.get(kind, Usage(0.0, 0)).cpu_s for one in rounds) / per
        peak = max(one.usage.get(kind, Usage(0.0, 0)).peak_bytes for one in rounds) / (1 << 20)
        total += 0 if kind.startswith(SERVER) else cpu
        lines.append(f"| {kind} | {cpu:.2f} | {peak:.0f} |")
    return "\n".join([*lines, f"| all of ours | {total:.2f} | |"])


@contextmanager
def servers(target: str, folder: Path) -> Iterator[tuple[HdfsCluster, S3Server]]:
    """Starts HDFS (one DataNode, so that a block has one place) and an S3 server with keys in the environment."""
    kind = {"seaweed": SeaweedServer, "versitygw": VersitygwServer, "null": NullSink}[target]
    with (
        HdfsCluster.start(folder / "hdfs", datanode_count=1, replication=1) as cluster,
        kind.start(folder / "s3") as s3,
    ):
        os.environ.update(AWS_ACCESS_KEY_ID=s3.access_key, AWS_SECRET_ACCESS_KEY=s3.secret_key)
        yield cluster, s3


def main() -> None:
    """Runs the workloads and prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--actors", type=int, default=2)
    parser.add_argument("--part-mib", type=int, default=0, help="MiB of a part; 0: the mover decides")
    parser.add_argument("--target", choices=("seaweed", "versitygw", "null"), default="seaweed")
    parser.add_argument("--workload", choices=(*WORKLOADS, "all"), default="all")
    arguments = parser.parse_args()
    chosen = tuple(WORKLOADS) if arguments.workload == "all" else (arguments.workload,)
    with tempfile.TemporaryDirectory() as folder, servers(arguments.target, Path(folder)) as (cluster, server):
        for workload in chosen:
            cluster.make(WORKLOADS[workload])
            with standing_house(arguments.actors) as pair:
                rounds = tuple(
                    one_round(pair, cluster, server, f"/{workload}", f"{workload}-{number}", arguments.part_mib << 20)
                    for number in range(1 + arguments.rounds)
                )
            print("The first run of a house:", table(workload, rounds[:1]), sep="\n", end="\n\n")
            print("Those that follow:", table(workload, rounds[1:]), sep="\n", end="\n\n")
            plain = [{"seconds": one.seconds, "transfer_s": one.transfer_s} for one in rounds]
            print(json.dumps({"workload": workload, "target": arguments.target, "rounds": plain}), end="\n\n")


if __name__ == "__main__":
    main()
