"""What each protection of data transfer costs a reader: CPU seconds per GiB, beside Hadoop's client and hdfs-native.

    python -m bench.hdfs_protected [--size-mib 256] [--runs 3] [--only integrity] [--packets 65536]

Starts a KDC, and one after the other four clusters (a NameNode, a DataNode): with packets of 4 KiB, which is what every
protected DataNode sends by default (io.file.buffer.size), and of 64 KiB; with AES/CTR and without. Each client reads a
file of blocks of 128 MiB, with calls to the NameNode in the same protection:

    blockferry    parts of 64 MiB into one buffer, verified, after one that is read before the clock starts
    hdfs-native   the same in the peers' venv (`bench.compare` makes it); left out where that is not there
    Java          FsShell -cat to /dev/null: the process's CPU less that of a -cat of an empty file

Goals are the prototype's figures (CPU s/GiB at 4 KiB / 64 KiB) and a quarter. Prints a table on standard error and JSON
on standard output.
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
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.hdfs_read import MIB, Run, expected_crc32c, measure_file
from stores.location import HdfsLocation, Protection
from tests.support.hdfs import HdfsCluster
from tests.support.hdfs_daemons import client_command, client_environment
from tests.support.hdfs_profile import Kerberos, Profile
from tests.support.kdc import Kdc
from tests.support.tree import FileSpec

PART_BYTES = 64 * MIB
BLOCK_BYTES = 128 * MIB
PATH = "/bench"
NATIVE = Path(".cache/peers/hdfs_native/bin/python")


@dataclass(frozen=True, slots=True)
class Kind:
    """One way to protect a transfer. `goals` is what the prototype took with packets of 4 KiB and of 64 KiB."""

    protection: Protection
    aes: bool
    goals: tuple[float, float]


KINDS: Mapping[str, Kind] = {
    "authentication": Kind(Protection.AUTHENTICATION, True, (0.57, 0.44)),
    "integrity": Kind(Protection.INTEGRITY, True, (3.8, 2.3)),
    "privacy-rc4": Kind(Protection.PRIVACY, False, (8.0, 5.7)),
    "privacy-aes": Kind(Protection.PRIVACY, True, (1.5, 0.65)),
}
PACKETS = (4096, 65536)


def measure(location: HdfsLocation) -> Run:
    """Reads the file once in this process."""
    return measure_file(location, PATH.removeprefix("/"), PART_BYTES)


@dataclass(frozen=True, slots=True)
class Bench:
    """One cluster with its file, and one protection."""

    cluster: HdfsCluster
    kdc: Kdc
    kind: Kind

    def ours(self) -> Run:
        """Runs the product in a process of its own."""
        realm = self.kdc.realm
        location = HdfsLocation(
            (self.cluster.namenode,),
            "",
            principal=realm.principal("alice"),
            keytab=str(realm.keytab("alice")),
            krb5_conf=str(realm.krb5_conf),
            rpc_protection=self.kind.protection,
            transfer_protection=self.kind.protection,
        )
        return _child([sys.executable, "-m", "bench.hdfs_protected", "--child", json.dumps(asdict(location))], {})

    def native(self) -> Run:
        """Runs hdfs-native."""
        uri = f"hdfs://{self.cluster.namenode}"
        command = [str(NATIVE.absolute()), "bench/peers/hdfs_native_read.py", uri, PATH, str(PART_BYTES)]
        cache = self.kdc.kinit("alice", self.cluster.plan.folder / "alice.cache")
        environment = {**self.kdc.realm.client_environment(cache), "HADOOP_CONF_DIR": str(self._conf())}
        return _child(command, environment)

    def java(self) -> Run:
        """Runs Hadoop's own client twice: for the file, and for an empty one."""
        whole, start_only = (self._java_cat(path) for path in (PATH, f"{PATH}.empty"))
        return Run(
            whole.cpu_s - start_only.cpu_s,
            whole.user_s - start_only.user_s,
            whole.wall_s - start_only.wall_s,
            whole.peak_rss_mib,
            "",
        )

    def _java_cat(self, path: str) -> Run:
        """Java may compile as it likes here; the tests' clients are told to start quickly instead."""
        plan, arguments = self.cluster.plan, ("-cat", path)
        command = client_command(plan, self._conf(), "org.apache.hadoop.fs.FsShell", arguments)
        quick = [word for word in command if word != "-XX:TieredStopAtLevel=1"]
        environment = client_environment(plan, "alice")
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        done = subprocess.run(
            quick, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=900, check=False
        )
        wall_s, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
        if done.returncode:
            raise RuntimeError(done.stderr.decode(errors="replace")[-2000:])
        user_s = after.ru_utime - before.ru_utime
        return Run(user_s + after.ru_stime - before.ru_stime, user_s, wall_s, after.ru_maxrss / 1024, "")

    def _conf(self) -> Path:
        word = str(self.kind.protection)
        settings = {"hadoop.rpc.protection": word, "dfs.data.transfer.protection": word}
        return self.cluster.client_folder(f"bench-{word}", settings)


def _child(command: list[str], environment: Mapping[str, str]) -> Run:
    done = subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=900, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{command[:3]} failed: {done.stderr[-2000:]}")
    return Run(**json.loads(done.stdout))


@contextmanager
def running(folder: Path, kdc: Kdc, packet_bytes: int, aes: bool, size_bytes: int) -> Iterator[HdfsCluster]:
    """Starts a cluster with its files."""
    profile = Profile(kerberos=Kerberos(kdc.realm, aes=aes))
    settings = {"io.file.buffer.size": str(packet_bytes)}
    start = HdfsCluster.start(
        folder, datanode_count=1, replication=1, block_size=BLOCK_BYTES, settings=settings, profile=profile
    )
    with start as cluster:
        cluster.make((FileSpec(PATH, size_bytes, seed=1, owner="alice"), FileSpec(f"{PATH}.empty", owner="alice")))
        yield cluster


def bench(
    size_bytes: int, run_count: int, names: tuple[str, ...], packets: tuple[int, ...] = PACKETS
) -> list[dict[str, object]]:
    """Returns a row for each protection, packet size and client."""
    rows: list[dict[str, object]] = []
    wanted_crc = expected_crc32c(size_bytes)
    with tempfile.TemporaryDirectory(prefix="bench-protected-") as folder, Kdc.start(Path(folder) / "kdc") as kdc:
        for packet_bytes in packets:
            for aes in (True, False):
                kinds = {name: kind for name, kind in KINDS.items() if name in names and kind.aes == aes}
                if not kinds:
                    continue
                with running(Path(folder) / f"{packet_bytes}-{aes}", kdc, packet_bytes, aes, size_bytes) as cluster:
                    for name, kind in kinds.items():
                        stage = Bench(cluster, kdc, kind)
                        found = compared(stage, name, packet_bytes, size_bytes, run_count, wanted_crc)
                        print(table(found), file=sys.stderr, flush=True)
                        rows += found
    return rows


def compared(
    stage: Bench, name: str, packet_bytes: int, size_bytes: int, run_count: int, wanted_crc: str
) -> list[dict[str, object]]:
    """Runs every client in turn, and returns their rows."""
    clients: dict[str, Callable[[], Run]] = {"blockferry": stage.ours}
    if NATIVE.exists():
        clients["hdfs-native"] = stage.native
    clients["Java"] = stage.java
    runs: dict[str, list[Run]] = {client: [] for client in clients}
    for _ in range(run_count):
        for client, run in clients.items():
            try:
                runs[client].append(run())
            except (RuntimeError, subprocess.TimeoutExpired) as error:
                if client == "blockferry":
                    raise
                print(f"{client} cannot read with {name}: {str(error)[-300:]}", file=sys.stderr)
    assert {run.crc32c for run in runs["blockferry"]} == {wanted_crc}
    gib = size_bytes / (1 << 30)
    return [
        row(name, packet_bytes, client, [run.cpu_s / gib for run in found], [run.wall_s / gib for run in found])
        for client, found in runs.items()
        if found
    ]


def row(name: str, packet_bytes: int, client: str, cpu: list[float], wall: list[float]) -> dict[str, object]:
    """Returns the figures of one client: medians, and the range of the CPU figure."""
    return {
        "protection": name,
        "packet_bytes": packet_bytes,
        "client": client,
        "cpu_s_per_gib": round(statistics.median(cpu), 2),
        "cpu_s_per_gib_min": round(min(cpu), 2),
        "cpu_s_per_gib_max": round(max(cpu), 2),
        "wall_s_per_gib": round(statistics.median(wall), 2),
        "goal": KINDS[name].goals[PACKETS.index(packet_bytes)] if client == "blockferry" else None,
        "run_count": len(cpu),
    }


def table(rows: list[dict[str, object]]) -> str:
    """Returns the figures for people."""
    lines = ["protection      packets  client        CPU s/GiB (min-max)     wall s/GiB  prototype"]
    for each in rows:
        spread = f"({each['cpu_s_per_gib_min']:.2f}-{each['cpu_s_per_gib_max']:.2f})"
        goal = f"{each['goal']:9.2f}" if each["goal"] else ""
        lines.append(
            f"{each['protection']:<15} {each['packet_bytes'] // 1024:>4} KiB  {each['client']:<12} "  # type: ignore[operator]
            f"{each['cpu_s_per_gib']:9.2f} {spread:<14} {each['wall_s_per_gib']:9.2f} {goal}"
        )
    return "\n".join(lines)


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description="CPU cost of protected reading")
    parser.add_argument("--size-mib", type=int, default=256, help="size of the file")
    parser.add_argument("--runs", type=int, default=3, help="passes per client; medians are shown")
    parser.add_argument("--only", default=",".join(KINDS), help="protections, by comma")
    parser.add_argument("--packets", default=",".join(map(str, PACKETS)), help="sizes of packets in bytes, by comma")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        fields = json.loads(arguments.child)
        fields["namenodes"] = tuple(fields["namenodes"])
        for key in ("rpc_protection", "transfer_protection"):
            fields[key] = Protection(fields[key])
        print(json.dumps(asdict(measure(HdfsLocation(**fields)))))
        return
    packets = tuple(int(size) for size in arguments.packets.split(","))
    rows = bench(arguments.size_mib * MIB, arguments.runs, tuple(arguments.only.split(",")), packets)
    print(table(rows), file=sys.stderr)
    print(json.dumps({"size_mib": arguments.size_mib, "rows": rows}, indent=2))


if __name__ == "__main__":
    main()
