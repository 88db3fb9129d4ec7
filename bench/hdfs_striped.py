"""What reading an erasure-coded file costs, healthy and with units lost: CPU seconds per GiB, seconds, peak memory.

    python -m bench.hdfs_striped [--size-mib 1024] [--runs 3] [--policy RS-3-2-1024k] [--java]

Starts a NameNode and a DataNode for each unit, and writes the same bytes twice: as a replicated file and as one block
group. Reads both with the product's own source, 64 MiB at a time (a part of the mover) into one buffer, and with
`--java` by Hadoop's own client (FsShell -cat, the whole process with the start of its JVM). Then it ends the DataNode
of data unit 0, reads again, and, where the policy bears it, that of data unit 1 too. Every run is a process of its own;
the first part is read before the clock starts. Prints a table on standard error and JSON on standard output.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

from bench.hdfs_read import MIB, Run, expected_crc32c, medians
from stores.checksum import Algorithm, Checksum, concatenation
from stores.hdfs.source import HdfsSource
from stores.location import HdfsLocation
from tests.support.hadoop_tools import java_command
from tests.support.hdfs import HdfsCluster
from tests.support.hdfs_units import unit_files
from tests.support.tree import FileSpec

PART_BYTES = 64 * MIB
FILES = {"replicated": "/plain/f", "striped": "/coded/f"}
NOTHING_LOST, *LOSSES = ("", ", 1 unit lost", ", 2 units lost")


def read_parts(source: HdfsSource, size_bytes: int, buffer: memoryview) -> str:
    """Reads the first bytes of the source's only file, part by part, and returns their checksum."""
    (file,) = source.list_tree()
    parts: list[tuple[Checksum, int]] = []
    for offset in range(0, min(size_bytes, file.size_bytes), len(buffer)):
        view = buffer[: min(len(buffer), file.size_bytes - offset)]
        parts.append((source.read_into(file, offset, view, Algorithm.CRC32C).checksum, len(view)))
    return concatenation(parts).hex


def measure(namenode: str, path: str, size_bytes: int) -> Run:
    """Reads the file once in this process."""
    buffer = memoryview(bytearray(PART_BYTES))
    with closing(HdfsSource(HdfsLocation((namenode,), path))) as source:
        read_parts(source, PART_BYTES, buffer)
        before, start = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
        crc32c = read_parts(source, size_bytes, buffer)
        wall_s, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF)
    user_s = after.ru_utime - before.ru_utime
    return Run(user_s + after.ru_stime - before.ru_stime, user_s, wall_s, after.ru_maxrss / 1024, crc32c)


def run_child(cluster: HdfsCluster, path: str, size_bytes: int) -> Run:
    """Measures the product in a process of its own."""
    command = [sys.executable, "-m", "bench.hdfs_striped", "--child", cluster.namenode, path, str(size_bytes)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    if done.returncode:
        raise RuntimeError(f"reading {path} failed: {done.stderr}")
    return Run(**json.loads(done.stdout))


def run_java(cluster: HdfsCluster, path: str) -> Run:
    """Measures Hadoop's client: the whole process. It tells no checksum."""
    command = java_command(cluster.conf_folder, "512m", "org.apache.hadoop.fs.FsShell", ("-cat", path))
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"FsShell -cat {path} exited with {process.returncode}")
    wall_s = time.perf_counter() - start
    return Run(used.ru_utime + used.ru_stime, used.ru_utime, wall_s, used.ru_maxrss / 1024, "")


def read_all(cluster: HdfsCluster, loss: str, size_bytes: int, run_count: int, java: bool) -> dict[str, list[Run]]:
    """Runs every contender in turn; the replicated file stands beside each loss."""
    runs: dict[str, list[Run]] = {}
    for _ in range(run_count):
        for name, path in FILES.items():
            if name == "replicated" and loss:
                continue  # its only replica may be lost
            runs.setdefault(f"{name}{loss}", []).append(run_child(cluster, path, size_bytes))
            if java:
                runs.setdefault(f"{name}{loss}, Java", []).append(run_java(cluster, path))
    return runs


def bench(size_bytes: int, run_count: int, policy: str, java: bool) -> dict[str, dict[str, float]]:
    """Returns the medians of all contenders."""
    data_units, parity_units = (int(number) for number in policy.removeprefix("RS-").split("-")[:2])
    unit_bytes = -(-size_bytes // data_units // MIB) * MIB
    runs: dict[str, list[Run]] = {}
    with tempfile.TemporaryDirectory(prefix="bench-hdfs-") as folder:
        starting = HdfsCluster.start(
            Path(folder),
            datanode_count=data_units + parity_units,
            replication=1,
            block_size=unit_bytes,
        )
        with starting as cluster:
            cluster.make_erasure_folder("/coded", policy)
            cluster.make([FileSpec(path, size_bytes, seed=1) for path in FILES.values()], at_once=1)
            units = unit_files(cluster, FILES["striped"])
            for lost, loss in enumerate((NOTHING_LOST, *LOSSES[:parity_units])):
                if lost:
                    cluster.kill(units[lost - 1].datanode)
                runs |= read_all(cluster, loss, size_bytes, run_count, java)
    wrong = {run.crc32c for found in runs.values() for run in found} - {"", expected_crc32c(size_bytes)}
    assert not wrong, f"read other bytes than were written: {wrong}"
    return {name: medians(found, size_bytes / (1 << 30)) for name, found in runs.items()}


def table(figures: dict[str, dict[str, float]]) -> str:
    """Returns the figures for people."""
    lines = ["contender                       CPU s/GiB (min-max)   wall s/GiB  peak RSS MiB   to replicated"]
    base = figures["replicated"]["cpu_s_per_gib"]
    for name, row in figures.items():
        spread = f"({row['cpu_s_per_gib_min']:.2f}-{row['cpu_s_per_gib_max']:.2f})"
        lines.append(
            f"{name:<30} {row['cpu_s_per_gib']:6.2f} {spread:<13} {row['wall_s_per_gib']:10.2f} "
            f"{row['peak_rss_mib']:13.1f} {row['cpu_s_per_gib'] / base:12.2f}"
        )
    return "\n".join(lines)


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description="CPU cost of reading an erasure-coded file")
    parser.add_argument("--size-mib", type=int, default=1024, help="size of the file")
    parser.add_argument("--runs", type=int, default=3, help="passes per contender; medians are shown")
    parser.add_argument("--policy", default="RS-3-2-1024k", help="RS-3-2-1024k or RS-6-3-1024k (nine DataNodes)")
    parser.add_argument("--java", action="store_true", help="Hadoop's own client too")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        namenode, path, size_bytes = arguments.child
        print(json.dumps(asdict(measure(namenode, path, int(size_bytes)))))
        return
    figures = bench(arguments.size_mib * MIB, arguments.runs, arguments.policy, arguments.java)
    print(table(figures), file=sys.stderr)
    print(json.dumps({"size_mib": arguments.size_mib, "policy": arguments.policy, "contenders": figures}, indent=2))


if __name__ == "__main__":
    main()
