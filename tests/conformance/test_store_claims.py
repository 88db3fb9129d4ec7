"""The probe: servers that verify claims are trusted, one that believes anything is not, and nothing is left behind."""

from pathlib import Path

import pytest

from blockferry.errors import BlockferryError
from stores.claim_probe import probe_claims
from stores.faulty import Fault, FaultySink, Harm, Script
from stores.memory import MemoryStore
from stores.s3 import S3Store
from tests.support.s3 import RcloneServer, S3Server
from tests.support.stores_under_test import StoreUnderTest, location_at


def _uploads(server: S3Server, bucket: str) -> int:
    return len(server.client().list_multipart_uploads(Bucket=bucket).get("Uploads", ()))


def test_an_honest_store_is_trusted(tried: StoreUnderTest) -> None:
    tried.put("file", b"x")
    probe = tried.store.probe_claims()
    assert (probe.trusted, probe.accepted) == (True, ())
    assert tried.paths() == ["file"]


def test_the_probe_leaves_no_upload(s3_server: S3Server, bucket_name: str, tmp_path: Path) -> None:
    bucket = s3_server.make_bucket(bucket_name)
    store = S3Store(location_at(s3_server, bucket, tmp_path, "pre/fix/"))
    assert store.probe_claims().trusted
    assert _uploads(s3_server, bucket) == 0
    assert list(store.list_tree()) == []


def test_the_checks_of_an_honest_store_pass(tried: StoreUnderTest) -> None:
    checks = tried.store.checks(write=True)
    assert all(check.passed for check in checks), checks
    assert checks[-1].step == "checksum claims"
    assert tried.paths() == []


def test_checks_without_writing_write_nothing(s3_server: S3Server, bucket_name: str, tmp_path: Path) -> None:
    bucket = s3_server.make_bucket(bucket_name)
    checks = S3Store(location_at(s3_server, bucket, tmp_path)).checks(write=False)
    assert [check.step for check in checks] == ["credentials found", "endpoint", "credentials", "bucket", "list"]
    assert all(check.passed for check in checks)


class TestNegativeControl:
    """rclone serve s3 accepts every false claim, and its HEAD echoes the false one."""

    def test_rclone_is_not_trusted(self, rclone_s3: RcloneServer, bucket_name: str, tmp_path: Path) -> None:
        bucket = rclone_s3.make_bucket(bucket_name)
        store = S3Store(location_at(rclone_s3, bucket, tmp_path))
        probe = store.probe_claims()
        assert not probe.trusted
        assert probe.accepted == ("put", "part", "completion")
        assert "put, part, completion" in probe.detail
        assert [entry.path for entry in store.list_tree()] == []

    def test_the_checks_of_rclone_say_so(self, rclone_s3: RcloneServer, bucket_name: str, tmp_path: Path) -> None:
        bucket = rclone_s3.make_bucket(bucket_name)
        *before, claims = S3Store(location_at(rclone_s3, bucket, tmp_path)).checks(write=True)
        assert all(check.passed for check in before), before
        assert (claims.step, claims.passed, claims.reason) == ("checksum claims", False, "CLAIMS_NOT_VERIFIED")

    def test_a_store_in_memory_that_believes_is_not_trusted(self) -> None:
        probe = MemoryStore("believer", honest=False).probe_claims()
        assert (probe.trusted, probe.accepted) == (False, ("put", "part", "completion"))


def test_a_store_that_cannot_be_asked_raises(tried: StoreUnderTest) -> None:
    for method in ("put", "begin", "put_part", "complete", "stat"):
        script = Script(Fault(method, Harm.FAIL, call=0))
        with pytest.raises(BlockferryError) as raised:
            probe_claims(_Removing(tried, script))
        assert raised.value.reason == "STORE_UNAVAILABLE"
        assert tried.paths() == []


class _Removing(FaultySink):
    """A sink under a script that can also remove."""

    def __init__(self, tried: StoreUnderTest, script: Script) -> None:
        super().__init__(tried.store, script)
        self._tried = tried

    def delete(self, path: str) -> None:
        self._tried.store.delete(path)
