"""Where the peers run: one real HDFS, one S3 server, trees, buckets, and what the servers count of themselves."""

from __future__ import annotations

import grp
import json
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from bench.null_sink.process import FarSink, NullSink
from bench.peers.contract import HdfsSide, S3Side
from bench.workloads import BLOCK, Workload, changed
from tests.support.content import content
from tests.support.hadoop_tools import get_page
from tests.support.hdfs import HdfsCluster
from tests.support.hdfs_settings import METRICS_PERIOD_S
from tests.support.s3 import S3Server, SeaweedServer, VersitygwServer
from tests.support.tree import FileSpec, folder

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import ObjectIdentifierTypeDef

TARGETS: Mapping[str, type[S3Server]] = {
    "seaweed": SeaweedServer,
    "versitygw": VersitygwServer,
    "null": NullSink,
    "far": FarSink,
}
_PREFIX = "data"
_SAMPLES = 8
_BATCH = 25_000
_SAMPLE_BYTES = 1 << 20
_DATANODE_COUNTERS = {
    "BytesRead": "bytes read",
    "ReadBlockOpNumOps": "block reads",
    "BlockChecksumOpNumOps": "checksums",
}


@dataclass(frozen=True, slots=True)
class Counts:
    """What the servers have used and counted since their start."""

    cpu_s: Mapping[str, float]
    hdfs: Mapping[str, int]
    sink: Mapping[str, int]
    operations: Mapping[str, int]


@dataclass(slots=True)
class Stage:
    """The servers and what they hold. Trees are made once."""

    cluster: HdfsCluster
    server: S3Server
    scale: float
    trees: dict[str, tuple[FileSpec, ...]] = field(default_factory=dict)

    def tree(self, workload: Workload) -> tuple[FileSpec, ...]:
        """Returns the files of a workload; they are in HDFS."""
        if workload.root not in self.trees:
            self.trees[workload.root] = workload.tree(self.scale)
            # all below take this group; one that the machine does not know could not be kept by `fs -get -p`
            self.cluster.make((folder(workload.root, group=grp.getgrgid(os.getgid()).gr_name),))
            for batch in _batches(self.trees[workload.root]):
                self.cluster.make(batch)
        return self.trees[workload.root]

    def change(self, workload: Workload) -> tuple[FileSpec, ...]:
        """Writes every hundredth file anew and returns these."""
        other = changed(self.tree(workload))
        self.cluster.make(other)
        return other

    def source(self, workload: Workload) -> HdfsSide:
        """Returns the workload's folder, read by the superuser."""
        plan = self.cluster.plan
        return HdfsSide(self.cluster.namenode, workload.root, self.cluster.conf_folder, plan.superuser)

    def sink(self, bucket: str) -> S3Side:
        """Returns a prefix in a bucket."""
        server = self.server
        keys = (server.access_key, server.secret_key, server.region, server.ca_file)
        return S3Side(server.endpoint, bucket, _PREFIX, *keys)

    def drop(self, bucket: str) -> None:
        """Deletes a bucket with all that is in it."""
        client = self.server.client()
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
            keys: list[ObjectIdentifierTypeDef] = [{"Key": item["Key"]} for item in page.get("Contents", ())]
            if keys:
                client.delete_objects(Bucket=bucket, Delete={"Objects": keys, "Quiet": True})
        client.delete_bucket(Bucket=bucket)

    def objects(self, bucket: str) -> Mapping[str, tuple[int, str]]:
        """Returns size and time of each object below the prefix, without the ones that stand for folders."""
        pages = self.server.client().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{_PREFIX}/")
        items = (item for page in pages for item in page.get("Contents", ()))
        return {
            item["Key"]: (item["Size"], str(item["LastModified"])) for item in items if not item["Key"].endswith("/")
        }

    def fault(self, workload: Workload, bucket: str, fresh: tuple[FileSpec, ...] = ()) -> str:
        """Returns what is wrong at the destination; empty when it is what the source is.

        All keys and sizes are compared, and the bytes of some smaller files, where the target keeps bytes.
        fresh: files that were changed after the tree was made; these are sampled.
        """
        tree, found = self.tree(workload), self.objects(bucket)
        wanted = {_key(spec, workload): spec.size for spec in tree}
        if {key: size for key, (size, _) in found.items()} != wanted:
            right = sum(key in found and found[key][0] == size for key, size in wanted.items())
            return f"{right} of {len(wanted)} files arrived, and {len(found.keys() - wanted.keys())} other objects"
        if isinstance(self.server, NullSink):
            return ""
        client = self.server.client()
        for spec in _sample(fresh or tree):
            body = client.get_object(Bucket=bucket, Key=_key(spec, workload))["Body"].read()
            if body != content(spec.seed, spec.size):
                return f"{spec.path} has other bytes"
        return ""

    def counts(self) -> Counts:
        """Returns the present counts; waits until what the daemons show is not older than the call."""
        time.sleep(METRICS_PERIOD_S + 0.2)
        daemons = {"NameNode": self.cluster.pid("namenode"), "DataNode": self.cluster.pid("datanode1")}
        cpu = {name: _cpu_s(pid) for name, pid in {**daemons, "S3": self.server.pid}.items()}
        counters = self.server.counters() if isinstance(self.server, NullSink) else {}
        operations = counters.get("requests", {})
        sink = {"S3 requests": sum(operations.values()), "S3 bytes": counters["received_bytes"]} if counters else {}
        return Counts(cpu, self._hdfs_counts(), sink, operations)

    def _hdfs_counts(self) -> Mapping[str, int]:
        plan = self.cluster.plan
        data = _bean(plan.datanodes[0].http, "Hadoop:service=DataNode,name=DataNodeActivity*")
        calls = _bean(plan.namenode.http, f"Hadoop:service=NameNode,name=RpcActivityForPort{plan.namenode.rpc}")
        found = {title: int(data[name]) for name, title in _DATANODE_COUNTERS.items()}
        return {**found, "NameNode calls": int(calls["RpcProcessingTimeNumOps"])}


def difference(before: Counts, after: Counts) -> Counts:
    """PURE: returns what was used and counted between two looks."""
    cpu = {name: value - before.cpu_s[name] for name, value in after.cpu_s.items()}
    hdfs = {name: value - before.hdfs[name] for name, value in after.hdfs.items()}
    sink = {name: value - before.sink[name] for name, value in after.sink.items()}
    operations = {name: value - before.operations.get(name, 0) for name, value in after.operations.items()}
    return Counts(cpu, hdfs, sink, {name: value for name, value in operations.items() if value})


@contextmanager
def open_stage(target: str, tls: bool, scale: float) -> Iterator[Stage]:
    """Starts the servers (one DataNode, so that a block has one place) and ends them."""
    with (
        tempfile.TemporaryDirectory() as name,
        HdfsCluster.start(Path(name, "hdfs"), datanode_count=1, replication=1, block_size=BLOCK) as cluster,
        TARGETS[target].start(Path(name, "s3"), tls=tls) as server,
    ):
        yield Stage(cluster, server, scale)


def _batches(tree: tuple[FileSpec, ...]) -> Iterator[tuple[FileSpec, ...]]:
    """Yields a tree in pieces: 350 small files are made in a second, and a command has ten minutes."""
    return (tree[at : at + _BATCH] for at in range(0, len(tree), _BATCH))


def _key(spec: FileSpec, workload: Workload) -> str:
    return _PREFIX + spec.path.removeprefix(workload.root)


def _sample(tree: tuple[FileSpec, ...]) -> tuple[FileSpec, ...]:
    small = [spec for spec in tree if spec.size <= _SAMPLE_BYTES]
    return tuple(small[:: max(1, len(small) // _SAMPLES)])[:_SAMPLES]


def _cpu_s(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


def _bean(port: int, query: str) -> Mapping[str, int]:
    return dict(json.loads(get_page(port, f"/jmx?qry={query}"))["beans"][0])
