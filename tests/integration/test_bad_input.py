"""Bad input gets a clear error with its reason and the cure, fails what it must, and loses nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.ferry import Ferried, Ferry, objects
from tests.support.hdfs import HdfsCluster
from tests.support.ports import free_port
from tests.support.s3 import SeaweedServer
from tests.support.tree import FileSpec


@pytest.fixture
def ferry(tmp_path: Path, seaweed: SeaweedServer) -> Ferry:
    return Ferry(tmp_path, seaweed)


@pytest.fixture
def bucket(seaweed: SeaweedServer, bucket_name: str) -> str:
    seaweed.make_bucket(bucket_name)
    return bucket_name


def ended_with(run: Ferried, error_code: str, *words: str) -> None:
    assert (run.exit_code, run.state, run.error_code) == (1, "ERROR", error_code), (run.execution, run.errors)
    detail = str(run.execution["error_detail"])
    assert all(word in detail for word in words), detail


def test_a_missing_path(hdfs: HdfsCluster, ferry: Ferry, bucket: str) -> None:
    ended_with(ferry.copy(f"{hdfs.uri}/no/such/folder", f"s3://{bucket}"), "SOURCE_NOT_FOUND", "/no/such/folder")


def test_no_permission_for_the_root(hdfs: HdfsCluster, ferry: Ferry, bucket: str, folder_name: str) -> None:
    hdfs.make((FileSpec(f"{folder_name}/f", size=1),))
    hdfs.shell("-chmod", "700", folder_name)
    run = ferry.copy(f"{hdfs.uri}{folder_name}", f"s3://{bucket}", "--hdfs-user", "bob")
    ended_with(run, "ACCESS_DENIED", folder_name)


def test_no_permission_for_one_folder_fails_the_execution(
    hdfs: HdfsCluster, ferry: Ferry, bucket: str, folder_name: str
) -> None:
    hdfs.make((FileSpec(f"{folder_name}/a", size=1), FileSpec(f"{folder_name}/closed/f", size=1)))
    hdfs.shell("-chmod", "700", f"{folder_name}/closed")
    run = ferry.copy(f"{hdfs.uri}{folder_name}", f"s3://{bucket}", "--hdfs-user", "bob")
    ended_with(run, "ACCESS_DENIED", "closed")


def test_no_permission_for_one_file_fails_that_file_alone(
    hdfs: HdfsCluster, seaweed: SeaweedServer, ferry: Ferry, bucket: str, folder_name: str
) -> None:
    hdfs.make((FileSpec(f"{folder_name}/closed", size=5, mode=0o600), FileSpec(f"{folder_name}/open", size=5)))
    run = ferry.copy(f"{hdfs.uri}{folder_name}", f"s3://{bucket}", "--hdfs-user", "bob")
    assert (run.exit_code, run.error_code, run.failed) == (1, "FILES_FAILED", {"closed": "ACCESS_DENIED"}), run.errors
    assert set(objects(seaweed, bucket)) == {"open"}


def test_a_wrong_bucket(hdfs: HdfsCluster, ferry: Ferry, folder_name: str) -> None:
    hdfs.make((FileSpec(f"{folder_name}/f", size=1),))
    ended_with(ferry.copy(f"{hdfs.uri}{folder_name}", "s3://no-such-bucket-here"), "BUCKET_NOT_FOUND", "no-such-bucket")


def test_wrong_keys_and_no_secret_is_shown(
    hdfs: HdfsCluster, seaweed: SeaweedServer, bucket: str, folder_name: str, tmp_path: Path
) -> None:
    hdfs.make((FileSpec(f"{folder_name}/f", size=1),))
    ferry = Ferry(tmp_path, seaweed, secret_key="wrong-secret-that-nobody-may-see")
    run = ferry.copy(f"{hdfs.uri}{folder_name}", f"s3://{bucket}", "--trace-file", str(tmp_path / "spans"))
    ended_with(run, "CREDENTIALS_REFUSED")
    written = (path for path in tmp_path.rglob("*") if path.is_file())
    assert not [path for path in written if b"wrong-secret-that" in path.read_bytes()]
    assert "wrong-secret-that" not in run.errors


def test_the_namenode_is_down(ferry: Ferry, bucket: str) -> None:
    port = free_port()
    ended_with(ferry.copy(f"hdfs://127.0.0.1:{port}/", f"s3://{bucket}"), "NAMENODE_UNAVAILABLE", str(port))


def test_s3_is_down(hdfs: HdfsCluster, ferry: Ferry, folder_name: str) -> None:
    hdfs.make((FileSpec(f"{folder_name}/f", size=1),))
    endpoint = f"http://127.0.0.1:{free_port()}"
    run = ferry.copy(f"{hdfs.uri}{folder_name}", "s3://bucket", "--s3-endpoint", endpoint)
    ended_with(run, "STORE_UNAVAILABLE", endpoint)


def test_a_path_that_is_no_valid_key(
    hdfs: HdfsCluster, seaweed: SeaweedServer, ferry: Ferry, bucket: str, folder_name: str
) -> None:
    long = "/".join("x" * 200 for _ in range(6))
    control = "bell\x07"
    hdfs.make((FileSpec(f"{folder_name}/{long}", size=1), FileSpec(f"{folder_name}/{control}", size=1)))
    hdfs.make((FileSpec(f"{folder_name}/good", size=1),))
    run = ferry.copy(f"{hdfs.uri}{folder_name}", f"s3://{bucket}")
    assert (run.exit_code, run.error_code) == (1, "FILES_FAILED"), run.errors
    assert run.failed[long] == run.failed[control] == "INVALID_KEY"
    assert "good" in objects(seaweed, bucket)


@pytest.mark.parametrize("size", [1500, (6 << 20) + 5])
def test_an_open_file_is_copied_up_to_its_known_length(
    hdfs: HdfsCluster, seaweed: SeaweedServer, ferry: Ferry, bucket: str, folder_name: str, size: int
) -> None:
    hdfs.make((FileSpec(f"{folder_name}/closed", size=7),))
    held = hdfs.hold_open(f"{folder_name}/open", size, seed=3)
    try:
        run = ferry.copy(f"{hdfs.uri}{folder_name}", f"s3://{bucket}")
    finally:
        held.close()
    assert (run.exit_code, run.failed) == (0, {}), (run.errors, run.execution)
    found = objects(seaweed, bucket)
    from tests.support.content import content

    assert content(3, size).startswith(found["open"])
    assert len(found["open"]) == int(
        next(row for row in run.rows("transferred") if row["path"] == "open")["size_bytes"]
    )


def test_an_open_file_fails_by_option(
    hdfs: HdfsCluster, seaweed: SeaweedServer, ferry: Ferry, bucket: str, folder_name: str
) -> None:
    hdfs.make((FileSpec(f"{folder_name}/closed", size=7),))
    held = hdfs.hold_open(f"{folder_name}/open", 1500, seed=3)
    try:
        run = ferry.copy(f"{hdfs.uri}{folder_name}", f"s3://{bucket}", "--open-files", "FAIL")
    finally:
        held.close()
    assert (run.exit_code, run.failed) == (1, {"open": "SOURCE_OPEN"}), run.errors
    assert set(objects(seaweed, bucket)) == {"closed"}


def test_every_replica_is_corrupt(
    hdfs: HdfsCluster, seaweed: SeaweedServer, ferry: Ferry, bucket: str, folder_name: str
) -> None:
    hdfs.make((FileSpec(f"{folder_name}/bad", size=5000), FileSpec(f"{folder_name}/good", size=5000)))
    for replica in hdfs.replicas(f"{folder_name}/bad").values():
        data = bytearray(replica.read_bytes())
        data[4000] ^= 1
        replica.write_bytes(data)
    run = ferry.copy(f"{hdfs.uri}{folder_name}", f"s3://{bucket}")
    assert (run.exit_code, run.failed) == (1, {"bad": "SOURCE_CORRUPT"}), run.errors
    assert set(objects(seaweed, bucket)) == {"good"}


def test_every_replica_of_a_block_is_lost(
    hdfs: HdfsCluster, seaweed: SeaweedServer, ferry: Ferry, bucket: str, folder_name: str
) -> None:
    hdfs.make((FileSpec(f"{folder_name}/lost", size=5000), FileSpec(f"{folder_name}/good", size=5000)))
    for replica in hdfs.replicas(f"{folder_name}/lost").values():
        replica.unlink()
    run = ferry.copy(f"{hdfs.uri}{folder_name}", f"s3://{bucket}")
    assert (run.exit_code, run.failed) == (1, {"lost": "SOURCE_CORRUPT"}), run.errors
    assert set(objects(seaweed, bucket)) == {"good"}


def test_one_corrupt_replica_is_passed_over_and_reported(
    hdfs: HdfsCluster, ferry: Ferry, bucket: str, folder_name: str
) -> None:
    hdfs.make((FileSpec(f"{folder_name}/f", size=5000),))
    damaged = next(iter(hdfs.replicas(f"{folder_name}/f").values()))
    data = bytearray(damaged.read_bytes())
    data[100] ^= 1
    damaged.write_bytes(data)
    run = ferry.copy(f"{hdfs.uri}{folder_name}", f"s3://{bucket}")
    assert (run.exit_code, run.failed) == (0, {}), run.errors
