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
from tests.support.kdc import Kdc
from tests.support.s3 import SeaweedServer
from tests.support.tree import FileSpec

# What the Rust compiler leaves in every library that it makes, stripped or not: paths of its standard library in
# panic messages.
MARK = re.compile(rb"/rustc/[0-9a-f]{40}/|library/(?:core|alloc|std)/src/|rust_eh_personality|rust_panic")


def libraries(pid: int) -> set[Path]:
    """Returns the mapped libraries of a process."""
    mapped = {Path(entry.path) for entry in psutil.Process(pid).memory_maps() if ".so" in entry.path}
    return {path for path in mapped if path.is_file()}


def rust_libraries(pid: int) -> set[str]:
    """Returns the mapped libraries of a process that Rust has made."""
    return {str(path) for path in libraries(pid) if MARK.search(path.read_bytes())}


def test_the_mark_finds_a_rust_library() -> None:
    """The test itself can fail: a library that is Rust is on the machine of the developers, and is found."""
    grimp = __import__("importlib.util").util.find_spec("grimp._rustgrimp")
    assert grimp is not None
    assert MARK.search(Path(grimp.origin).read_bytes())


def test_workers_and_actors_load_no_rust_with_kerberos_and_encryption(
    kms_kerberos_hdfs: HdfsCluster,
    kdc: Kdc,
    seaweed: SeaweedServer,
    folder_name: str,
    bucket_name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A task that needs everything at once: tickets, privacy of RPC and of transfer, and a file's key of the KMS."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", seaweed.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", seaweed.secret_key)
    root = f"/zone128{folder_name}"
    kms_kerberos_hdfs.make(
        (FileSpec(f"{root}/large", size=7 << 20), FileSpec(f"{root}/crc32", 99, checksum_type="CRC32"))
    )
    seaweed.make_bucket(bucket_name)
    where = HdfsLocation(
        namenodes=[kms_kerberos_hdfs.namenode],
        root=root,
        principal=kdc.realm.principal("alice"),
        keytab=str(kdc.realm.keytab("alice")),
        krb5_conf=str(kdc.realm.krb5_conf),
        rpc_protection=HdfsLocation.PROTECTION_PRIVACY,
        transfer_protection=HdfsLocation.PROTECTION_PRIVACY,
    )
    with House(HouseOptions(tmp_path / "state", actor_count=2)) as house, Client(house.address) as client:
        source = client.create_location(Location(hdfs=where))
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
        movers = [libraries(pid) for pid, title in titles.items() if "MoverActor" in title]
        names = [{path.name.partition(".so")[0] for path in found} for found in movers]
        assert any({"libkrb5", "libgssapi_krb5", "libcrypto"} <= found for found in names), names
        assert {pid: found for pid in workers if (found := rust_libraries(pid))} == {}
