"""`blockferry copy` end to end: real HDFS, real S3 server, the four services, Ray."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from tests.support.content import content
from tests.support.ferry import Ferry, composite_crc32c, objects
from tests.support.hdfs import HdfsCluster
from tests.support.s3 import RcloneServer, SeaweedServer, VersitygwServer
from tests.support.tree import FileSpec
from tests.support.trees import checksums, expected, odd_names, sizes


@pytest.fixture
def ferry(tmp_path: Path, seaweed: SeaweedServer) -> Ferry:
    return Ferry(tmp_path, seaweed)


def test_a_tree_with_everything_that_needs_care(
    hdfs: HdfsCluster, seaweed: SeaweedServer, ferry: Ferry, folder_name: str, bucket_name: str
) -> None:
    specs = (*odd_names(folder_name), *sizes(folder_name), *checksums(folder_name))
    hdfs.make(specs)
    seaweed.make_bucket(bucket_name)
    wanted = expected(specs, folder_name)

    planned = ferry.copy(f"{hdfs.uri}{folder_name}", f"s3://{bucket_name}/in", "--dry-run")
    assert (planned.exit_code, planned.state) == (0, "SUCCESS"), planned.errors
    assert planned.count("estimated_count") == len(wanted)
    assert {row["path"] for row in planned.rows("planned")} == set(wanted)
    assert objects(seaweed, bucket_name) == {}

    done = ferry.copy(f"{hdfs.uri}{folder_name}", f"s3://{bucket_name}/in")
    assert (done.exit_code, done.state) == (0, "SUCCESS"), done.errors
    assert objects(seaweed, bucket_name, "in/") == wanted
    assert done.count("transferred_count") == done.count("verified_count") == len(wanted)
    assert done.failed == {}
    proofs = {row["path"]: row["proof"] for row in done.rows("verified")}
    assert proofs["sizes/1"] == proofs["sums/crc32-large"] == "STORED_CHECKSUM"

    head = seaweed.client().head_object(Bucket=bucket_name, Key="in/sums/chunk-64", ChecksumMode="ENABLED")
    transferred = {row["path"]: row for row in done.rows("transferred")}
    assert head["ChecksumCRC32C"] == transferred["sums/chunk-64"]["checksum"]
    stored = composite_crc32c(hdfs, f"{folder_name}/sums/chunk-64")
    assert base64.b64decode(head["ChecksumCRC32C"]).hex() == stored

    again = ferry.copy(f"{hdfs.uri}{folder_name}", f"s3://{bucket_name}/in")
    assert (again.exit_code, again.state) == (0, "SUCCESS"), again.errors
    assert again.count("estimated_count") == 0
    assert again.count("skipped_count") == len(wanted)

    whole = ferry.copy(f"{hdfs.uri}{folder_name}", f"s3://{bucket_name}/in", "--verify", "POINT_IN_TIME_CONSISTENT")
    assert (whole.exit_code, whole.state) == (0, "SUCCESS"), (whole.errors, whole.execution)
    assert whole.count("verified_count") == len(wanted)


def test_a_name_that_the_store_would_change_is_refused_and_another_store_keeps_it(
    hdfs: HdfsCluster,
    seaweed: SeaweedServer,
    versitygw: VersitygwServer,
    ferry: Ferry,
    folder_name: str,
    bucket_name: str,
    tmp_path: Path,
) -> None:
    names = ("back\\slash", "back/slash")
    hdfs.make(tuple(FileSpec(f"{folder_name}/{name}", size=9, seed=index) for index, name in enumerate(names)))
    seaweed.make_bucket(bucket_name)
    refused = ferry.copy(f"{hdfs.uri}{folder_name}", f"s3://{bucket_name}")
    assert (refused.exit_code, refused.failed) == (1, {"back\\slash": "INVALID_KEY"}), refused.errors
    assert objects(seaweed, bucket_name) == {"back/": b"", "back/slash": content(1, 9)}
    versitygw.make_bucket(bucket_name)
    kept = Ferry(tmp_path / "other", versitygw).copy(f"{hdfs.uri}{folder_name}", f"s3://{bucket_name}")
    assert (kept.exit_code, kept.failed) == (0, {}), kept.errors
    assert objects(versitygw, bucket_name)["back\\slash"] == content(0, 9)


def test_metadata_goes_along(
    hdfs: HdfsCluster, seaweed: SeaweedServer, ferry: Ferry, folder_name: str, bucket_name: str
) -> None:
    hdfs.make(
        (
            FileSpec(f"{folder_name}/f", size=10, owner="alice", group="staff", mode=0o640, mtime_ms=1_700_000_000_123),
            FileSpec(
                f"{folder_name}/large", size=6 << 20, owner="bob", group="staff", mode=0o600, mtime_ms=1_600_000_000_000
            ),
        )
    )
    seaweed.make_bucket(bucket_name)
    source, destination = f"{hdfs.uri}{folder_name}", f"s3://{bucket_name}"
    assert ferry.copy(source, destination).exit_code == 0
    client = seaweed.client()
    small = client.head_object(Bucket=bucket_name, Key="f")["Metadata"]
    assert {key: small[key] for key in ("file-permissions", "file-owner", "file-group", "file-mtime")} == {
        "file-permissions": "0100640",
        "file-owner": "alice",
        "file-group": "staff",
        "file-mtime": "1700000000123",
    }
    assert "file-atime" in small
    assert client.head_object(Bucket=bucket_name, Key="large")["Metadata"]["file-owner"] == "bob"

    hdfs.shell("-chmod", "600", f"{folder_name}/f")
    changed = ferry.copy(source, destination)
    assert changed.exit_code == 0, changed.errors
    assert (changed.count("estimated_count"), changed.count("estimated_metadata_count")) == (1, 1)
    assert client.head_object(Bucket=bucket_name, Key="f")["Metadata"]["file-permissions"] == "0100600"


def test_one_file_is_copied_under_its_name(
    hdfs: HdfsCluster, seaweed: SeaweedServer, ferry: Ferry, folder_name: str, bucket_name: str
) -> None:
    hdfs.make((FileSpec(f"{folder_name}/one", size=1000, seed=5),))
    seaweed.make_bucket(bucket_name)
    done = ferry.copy(f"{hdfs.uri}{folder_name}/one", f"s3://{bucket_name}/x")
    assert done.exit_code == 0, done.errors
    assert set(objects(seaweed, bucket_name)) == {"x/one"}


def test_extra_missing_and_damaged_objects_are_found_at_a_point_in_time(
    hdfs: HdfsCluster, seaweed: SeaweedServer, ferry: Ferry, folder_name: str, bucket_name: str
) -> None:
    hdfs.make(tuple(FileSpec(f"{folder_name}/{name}", size=2000, seed=1) for name in ("same", "damaged")))
    seaweed.make_bucket(bucket_name)
    source, destination = f"{hdfs.uri}{folder_name}", f"s3://{bucket_name}"
    assert ferry.copy(source, destination).exit_code == 0
    client = seaweed.client()
    before = client.head_object(Bucket=bucket_name, Key="damaged")["Metadata"]
    client.put_object(Bucket=bucket_name, Key="damaged", Body=b"x" * 2000, Metadata=before, ChecksumAlgorithm="CRC32C")
    client.put_object(Bucket=bucket_name, Key="extra", Body=b"x")
    found = ferry.copy(source, destination, "--verify", "POINT_IN_TIME_CONSISTENT")
    assert (found.exit_code, found.state) == (1, "ERROR")
    assert found.failed == {"damaged": "CHECKSUM_FAILURE", "extra": "FILE_EXTRA"}


def test_a_store_that_accepts_false_claims_is_read_back_or_refused(
    hdfs: HdfsCluster, rclone_s3: RcloneServer, tmp_path: Path, folder_name: str, bucket_name: str
) -> None:
    hdfs.make((FileSpec(f"{folder_name}/a", size=3000), FileSpec(f"{folder_name}/b", size=6 << 20, seed=2)))
    rclone_s3.make_bucket(bucket_name)
    ferry = Ferry(tmp_path, rclone_s3)
    refused = ferry.copy(f"{hdfs.uri}{folder_name}", f"s3://{bucket_name}", "--untrusted-store", "REFUSE")
    assert (refused.exit_code, refused.error_code) == (1, "UNTRUSTED_STORE")
    assert not [key for key in objects(rclone_s3, bucket_name) if not key.startswith(".blockferry")]
    done = ferry.copy(f"{hdfs.uri}{folder_name}", f"s3://{bucket_name}")
    assert done.exit_code == 0, (done.errors, done.execution)
    assert {row["proof"] for row in done.rows("verified")} == {"READ_BACK"}
    assert done.count("read_back_bytes") == 3000 + (6 << 20)
