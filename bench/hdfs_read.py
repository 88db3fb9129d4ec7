"""What reading from a real DataNode costs: CPU seconds per GiB, seconds, peak memory.

    python bench/hdfs_read.py [--size-mib 2048] [--runs 5]

Starts a NameNode and a DataNode of its own, makes one file in blocks of 128 MiB, and reads it once per run in a child
process that does nothing else. Every contender reads into one buffer that is used again and again; a block is read
before the clock starts. Prints a table on standard error and JSON on standard output. Goal: at most 0.60 CPU s/GiB for
`verified`. Contenders:

    verified          the product's reader, a block of 128 MiB at a time
    verified 8 MiB    the same, 8 MiB at a time
    raw               the same bytes without checksums, received in chunks of 1 MiB and not looked at: the lower bound
    raw 128 MiB       the same into a buffer of 128 MiB, which the processor's cache cannot hold
"""

from __future__ import annotations

import argparse
import base64
import json
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

from stores.checksum import Algorithm, Checksum, concatenation
from stores.hashing import Hasher
from stores.hdfs.datanode import Datanodes
from stores.hdfs.delimited import delimited
from stores.hdfs.source import HdfsSource
from stores.hdfs.transfer import packet
from stores.hdfs.transfer.peer import Peer
from stores.hdfs.wire.datanode_pb2 import (
    BaseHeaderProto,
    BlockOpResponseProto,
    ClientOperationHeaderProto,
    ClientReadStatusProto,
    OpReadBlockProto,
)
from stores.hdfs.wire.hdfs_pb2 import LocatedBlockProto
from stores.location import HdfsLocation
from tests.support.content import content
from tests.support.hdfs import HdfsCluster
from tests.support.hdfs_blocks import address_of, located_blocks
from tests.support.tree import FileSpec

MIB = 1 << 20
BLOCK_BYTES = 128 * MIB
CONTENDERS = {"verified": BLOCK_BYTES, "verified 8 MiB": 8 * MIB, "raw": MIB, "raw 128 MiB": BLOCK_BYTES}


@dataclass(frozen=True, slots=True)
class Run:
    """One pass over the file. `crc32c` is empty for raw ones."""

    cpu_s: float
    user_s: float
    wall_s: float
    peak_rss_mib: float
    crc32c: str


def read_verified(blocks: Iterable[LocatedBlockProto], buffer: memoryview) -> str:
    """Reads blocks through the product and returns the checksum of all."""
    datanodes = Datanodes("bench")
    parts: list[tuple[Checksum, int]] = []
    for block in blocks:
        for offset in range(0, block.b.numBytes, len(buffer)):
            view = buffer[: min(len(buffer), block.b.numBytes - offset)]
            found = datanodes.read(address_of(block), block, offset, view, Algorithm.CRC32C)
            parts.append((found.checksum, len(view)))
    datanodes.close()
    return concatenation(parts).hex


def read_raw(blocks: Iterable[LocatedBlockProto], buffer: memoryview) -> str:
    """Receives the packets of blocks without looking at them. Returns no checksum."""
    for block in blocks:
        peer = Peer(address_of(block), socket.create_connection(address_of(block)), 60.0)
        header = ClientOperationHeaderProto(
            baseHeader=BaseHeaderProto(block=block.b, token=block.blockToken), clientName="bench"
        )
        ask = OpReadBlockProto(header=header, offset=0, len=block.b.numBytes, sendChecksums=False)
        peer.send(packet.request(packet.READ_BLOCK, ask))
        assert BlockOpResponseProto.FromString(peer.receive_message()).status == 0
        first = packet.parse_header(peer.receive(packet.HEADER_BYTES))
        packet_count = -(-block.b.numBytes // first.data_bytes)
        left = block.b.numBytes + packet_count * packet.HEADER_BYTES  # with the last packet, which is empty
        while left:
            size_bytes = min(left, len(buffer))
            peer.receive_into((buffer[:size_bytes],))
            left -= size_bytes
        peer.send(delimited(ClientReadStatusProto(status=0)))
        peer.close()
    return ""


def measure(contender: str, blocks: list[LocatedBlockProto]) -> Run:
    """Reads the blocks once in this process; the first one twice, the first time before the clock starts."""
    buffer = memoryview(bytearray(CONTENDERS[contender]))
    read = read_verified if contender.startswith("verified") else read_raw
    read(blocks[:1], buffer)
    before, start = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    crc32c = read(blocks, buffer)
    wall_s, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF)
    user_s = after.ru_utime - before.ru_utime
    return Run(user_s + after.ru_stime - before.ru_stime, user_s, wall_s, after.ru_maxrss / 1024, crc32c)


def measure_file(location: HdfsLocation, path: str, part_bytes: int) -> Run:
    """Reads a file through a source once in this process, part by part, each proven; its first part also before the
    clock starts."""
    buffer = memoryview(bytearray(part_bytes))
    parts: list[tuple[Checksum, int]] = []
    with closing(HdfsSource(location)) as source:
        file = source.stat(path)
        assert file is not None
        source.read_into(file, 0, buffer[: min(part_bytes, file.size_bytes)], Algorithm.CRC32C)
        before, start = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
        for offset in range(0, file.size_bytes, part_bytes):
            view = buffer[: min(part_bytes, file.size_bytes - offset)]
            found = source.read_into(file, offset, view, Algorithm.CRC32C)
            assert found.proven
            parts.append((found.checksum, len(view)))
        wall_s, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF)
    user_s = after.ru_utime - before.ru_utime
    cpu_s = user_s + after.ru_stime - before.ru_stime
    return Run(cpu_s, user_s, wall_s, after.ru_maxrss / 1024, concatenation(parts).hex)


def run_child(contender: str, blocks: Iterable[LocatedBlockProto]) -> Run:
    """Measures in a process of its own."""
    lines = "\n".join(base64.b64encode(block.SerializeToString()).decode() for block in blocks)
    command = [sys.executable, "-m", "bench.hdfs_read", "--child", contender]
    done = subprocess.run(command, input=lines, capture_output=True, text=True, timeout=600)
    if done.returncode:
        raise RuntimeError(f"{contender} failed: {done.stderr}")
    return Run(**json.loads(done.stdout))


def child(contender: str) -> None:
    """Reads the plan from standard input and prints one run."""
    blocks = [LocatedBlockProto.FromString(base64.b64decode(line)) for line in sys.stdin]
    print(json.dumps(asdict(measure(contender, blocks))))


def expected_crc32c(size_bytes: int) -> str:
    """Returns the checksum of the file, from its seed; needs its size in memory."""
    hasher = Hasher(Algorithm.CRC32C)
    hasher.update(content(1, size_bytes))
    return hasher.checksum.hex


def bench(size_bytes: int, run_count: int) -> dict[str, dict[str, float]]:
    """Runs every contender `run_count` times in turn and returns the medians."""
    with tempfile.TemporaryDirectory(prefix="bench-hdfs-") as folder:
        plan = HdfsCluster.start(Path(folder), datanode_count=1, replication=1, block_size=BLOCK_BYTES)
        with plan as cluster:
            cluster.make([FileSpec("/bench", size_bytes, seed=1)])
            blocks = located_blocks(cluster, "/bench")
            runs: dict[str, list[Run]] = {name: [] for name in CONTENDERS}
            for _ in range(run_count):
                for name, found in runs.items():
                    found.append(run_child(name, blocks))
    wrong = {run.crc32c for found in runs.values() for run in found} - {"", expected_crc32c(size_bytes)}
    assert not wrong, f"read other bytes than were written: {wrong}"
    return {name: medians(found, size_bytes / (1 << 30)) for name, found in runs.items()}


def medians(runs: list[Run], size_gib: float) -> dict[str, float]:
    """Returns the figures of one contender: medians, and the range of the CPU figure."""
    cpu = sorted(run.cpu_s / size_gib for run in runs)
    return {
        "cpu_s_per_gib": round(statistics.median(cpu), 3),
        "cpu_s_per_gib_min": round(cpu[0], 3),
        "cpu_s_per_gib_max": round(cpu[-1], 3),
        "user_s_per_gib": round(statistics.median(run.user_s / size_gib for run in runs), 3),
        "wall_s_per_gib": round(statistics.median(run.wall_s / size_gib for run in runs), 3),
        "peak_rss_mib": round(statistics.median(run.peak_rss_mib for run in runs), 1),
        "run_count": len(runs),
    }


def table(figures: dict[str, dict[str, float]]) -> str:
    """Returns the figures for people."""
    lines = ["contender        CPU s/GiB (min-max)     user   wall s/GiB  peak RSS MiB   to raw"]
    raw = figures["raw"]["cpu_s_per_gib"]
    for name, row in figures.items():
        spread = f"({row['cpu_s_per_gib_min']:.2f}-{row['cpu_s_per_gib_max']:.2f})"
        lines.append(
            f"{name:<16} {row['cpu_s_per_gib']:9.2f} {spread:<13} {row['user_s_per_gib']:6.2f} "
            f"{row['wall_s_per_gib']:12.2f} {row['peak_rss_mib']:13.1f} {row['cpu_s_per_gib'] / raw:8.2f}"
        )
    return "\n".join(lines)


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description="CPU cost of reading from a DataNode")
    parser.add_argument("--size-mib", type=int, default=2048, help="size of the file")
    parser.add_argument("--runs", type=int, default=5, help="passes per contender; medians are shown")
    parser.add_argument("--child", choices=CONTENDERS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(arguments.child)
        return
    figures = bench(arguments.size_mib * MIB, arguments.runs)
    print(table(figures), file=sys.stderr)
    print(json.dumps({"size_mib": arguments.size_mib, "contenders": figures}, indent=2))


if __name__ == "__main__":
    main()
