"""No Rust library in the memory of a worker: neither in the services mover and verifier nor in their actors."""

from __future__ import annotations

import re
from pathlib import Path

import psutil
import pytest

from blockferry import Client
from blockferry.v1.execution_pb2 import Execution
from blockferry.v1.location_pb2 import HdfsLocation, Location, S3Location
from blockferry.v1.task_pb2 import Task
from service.house import House, HouseOptions
from tests.support.hdfs import HdfsCluster
from tests.support.s3 import SeaweedServer
from tests.support.tree import FileSpec

# What the Rust compiler leaves in every library that it makes, stripped or not: paths of its standard library in
# panic messages.
MARK = re.compile(rb"/rustc/[0-9a-f]{40}/|library/(?:core|alloc|std)/src/|rust_eh_personality|rust_panic")


def rust_libraries(pid: int) -> set[str]:
    """Returns the mapped libraries of a process that Rust has made."""
    mapped = {Path(entry.path) for entry in psutil.Process(pid).memory_maps() if ".so" in entry.path}
    return {str(path) for path in mapped if path.is_file() and MARK.search(path.read_bytes())}


def test_the_mark_finds_a_rust_library() -> None:
    """The test itself can fail: a library that is Rust is on the machine of the developers, and is found."""
    grimp = __import__("importlib.util").util.find_spec("grimp._rustgrimp")
    assert grimp is not None
    assert MARK.search(Path(grimp.origin).read_bytes())


def test_workers_and_actors_load_no_rust(
    hdfs: HdfsCluster,
    seaweed: SeaweedServer,
    folder_name: str,
    bucket_name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", seaweed.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", seaweed.secret_key)
    hdfs.make(
        (FileSpec(f"{folder_name}/large", size=7 << 20), FileSpec(f"{folder_name}/crc32", 99, checksum_type="CRC32"))
    )
    seaweed.make_bucket(bucket_name)
    with House(HouseOptions(tmp_path / "state", actor_count=2, prover_patience_s=0)) as house, Client(house.address) as client:
        source = client.create_location(Location(hdfs=HdfsLocation(namenodes=[hdfs.namenode], root=folder_name)))
        sink = client.create_location(Location(s3=S3Location(bucket=bucket_name, endpoint=seaweed.endpoint)))
        task = client.create_task(Task(source=source.name, destination=sink.name))
        *_, ended = client.watch_execution(client.run_task(task.name).name)
        assert ended.state == Execution.STATE_SUCCESS, ended
        tree = psutil.Process(house.pid("ray")).children(recursive=True)
        titles = {process.pid: " ".join(process.cmdline()) for process in tree}
        for kind in ("MoverActor", "ProverActor"):
            assert any(kind in title for title in titles.values()), titles
        actors = [pid for pid, title in titles.items() if "Actor" in title]
        workers = [house.pid("mover"), house.pid("verifier"), *actors]
        assert {pid: found for pid in workers if (found := rust_libraries(pid))} == {}
