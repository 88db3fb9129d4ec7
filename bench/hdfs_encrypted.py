"""What reading from an encryption zone costs beside reading a plain file: CPU seconds per GiB, seconds, peak memory.

    python -m bench.hdfs_encrypted [--size-mib 1024] [--runs 5]

Starts a NameNode, a DataNode and a key server of its own, makes the same content in a plain folder, in a zone with a
key of 128 bits and in one of 256 bits, and reads each once per run, in turn, in a child process that does nothing else:
parts of 64 MiB, as a mover does, after one that is read before the clock starts. Every run must give the checksum of
what was written. Then the key of one file is asked for again and again: that is what each encrypted file costs at least
once, ours and the key server's. Prints a table on standard error and JSON on standard output.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

import psutil

from bench.hdfs_read import MIB, Run, expected_crc32c, measure_file, medians
from stores.hdfs.source import HdfsSource
from stores.location import HdfsLocation
from tests.support.hdfs import HdfsCluster
from tests.support.hdfs_profile import Profile
from tests.support.tree import FileSpec, folder

PART_BYTES = 64 * MIB
BLOCK_BYTES = 128 * MIB
KEY_COUNT = 2_000
CONTENDERS = {"plain": "/plain", "AES-128": "/zone128", "AES-256": "/zone256"}


def measure(namenode: str, root: str, part_bytes: int) -> Run:
    """Reads the file below `root` once in this process."""
    return measure_file(HdfsLocation((namenode,), root), "bench", part_bytes)


def run_child(namenode: str, root: str, part_mib: int) -> Run:
    """Measures in a process of its own."""
    command = [sys.executable, "-m", "bench.hdfs_encrypted", "--child", namenode, root, "--part-mib", str(part_mib)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    if done.returncode:
        raise RuntimeError(f"{root} failed: {done.stderr}")
    return Run(**json.loads(done.stdout))


def keys(cluster: HdfsCluster) -> dict[str, float]:
    """Returns what a key costs when eight threads ask for it, as those of an actor do that moves small files."""
    server = psutil.Process(cluster.pid("kms1"))
    with closing(HdfsSource(HdfsLocation((cluster.namenode,), CONTENDERS["AES-128"]))) as source:
        file = source.stat("bench")
        assert file is not None
        key = source._reader._encrypted_key(file)
        with ThreadPoolExecutor(8) as threads:
            for count in (KEY_COUNT, KEY_COUNT):  # the first time warms the key server
                before, ours, theirs = time.perf_counter(), time.process_time(), sum(server.cpu_times()[:2])
                assert len(set(threads.map(source._kms.decrypt, [key] * count))) == 1
        wall_s, cpu_s = time.perf_counter() - before, time.process_time() - ours
        kms_s = sum(server.cpu_times()[:2]) - theirs
    return {
        "wall_ms_per_key": round(wall_s * 1000 / KEY_COUNT, 3),
        "cpu_ms_per_key": round(cpu_s * 1000 / KEY_COUNT, 3),
        "kms_cpu_ms_per_key": round(kms_s * 1000 / KEY_COUNT, 3),
    }


def bench(size_bytes: int, run_count: int, part_mib: int) -> tuple[dict[str, dict[str, float]], dict[str, float]]:
    """Runs every contender `run_count` times in turn; returns the medians, and what a key costs."""
    with tempfile.TemporaryDirectory(prefix="bench-zone-") as place:
        start = HdfsCluster.start(
            Path(place), datanode_count=1, replication=1, block_size=BLOCK_BYTES, profile=Profile(kms=1)
        )
        with start as cluster:
            cluster.make([folder(CONTENDERS["plain"])])
            for key in ("128", "256"):
                cluster.make_encryption_zone(f"/zone{key}", f"key{key}")
            cluster.make([FileSpec(f"{root}/bench", size_bytes, seed=1) for root in CONTENDERS.values()])
            runs: dict[str, list[Run]] = {name: [] for name in CONTENDERS}
            for _ in range(run_count):
                for name, found in runs.items():
                    found.append(run_child(cluster.namenode, CONTENDERS[name], part_mib))
            key_costs = keys(cluster)
    wrong = {run.crc32c for found in runs.values() for run in found} - {expected_crc32c(size_bytes)}
    assert not wrong, f"read other bytes than were written: {wrong}"
    return {name: medians(found, size_bytes / (1 << 30)) for name, found in runs.items()}, key_costs


def table(figures: dict[str, dict[str, float]]) -> str:
    """Returns the figures for people."""
    lines = ["contender   CPU s/GiB (min-max)     user   wall s/GiB  peak RSS MiB  to plain"]
    plain = figures["plain"]["cpu_s_per_gib"]
    for name, row in figures.items():
        spread = f"({row['cpu_s_per_gib_min']:.2f}-{row['cpu_s_per_gib_max']:.2f})"
        lines.append(
            f"{name:<11} {row['cpu_s_per_gib']:9.2f} {spread:<13} {row['user_s_per_gib']:6.2f} "
            f"{row['wall_s_per_gib']:12.2f} {row['peak_rss_mib']:13.1f} {row['cpu_s_per_gib'] / plain:9.2f}"
        )
    return "\n".join(lines)


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description="CPU cost of reading from an encryption zone")
    parser.add_argument("--size-mib", type=int, default=1024, help="size of each file")
    parser.add_argument("--runs", type=int, default=5, help="passes per contender; medians are shown")
    parser.add_argument("--part-mib", type=int, default=PART_BYTES // MIB, help="what is read by one call")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        namenode, root = arguments.child
        print(json.dumps(asdict(measure(namenode, root, arguments.part_mib * MIB))))
        return
    figures, key_costs = bench(arguments.size_mib * MIB, arguments.runs, arguments.part_mib)
    print(table(figures), key_costs, sep="\n", file=sys.stderr)
    print(json.dumps({"size_mib": arguments.size_mib, "contenders": figures, "keys": key_costs}, indent=2))


if __name__ == "__main__":
    main()
