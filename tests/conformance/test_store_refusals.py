"""What real servers refuse, and what is between them and us: each with its reason, its place, and no secret."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from blockferry.errors import BlockferryError, Whose
from stores.base import Check
from stores.checksum import Algorithm
from stores.location import CredentialsKind, CredentialsReference, S3Location
from stores.s3 import S3Store
from tests.support.ports import free_port
from tests.support.s3 import S3Server, SeaweedServer
from tests.support.stores_under_test import ATTRIBUTES, crc32c, credentials_file, location_at

_SECRET = "a-secret-that-must-not-be-seen"


def _calls(store: S3Store) -> dict[str, Callable[[], object]]:
    return {
        "list": lambda: list(store.list_tree()),
        "stat": lambda: store.stat("file"),
        "put": lambda: store.put("file", b"x", crc32c(b"x"), ATTRIBUTES),
        "begin": lambda: store.begin("file", Algorithm.CRC32C, ATTRIBUTES),
        "read": lambda: list(store.read("file")),
        "probe": store.probe_claims,
    }


def _refused(location: S3Location, call: str) -> BlockferryError:
    with pytest.raises(BlockferryError) as raised:
        _calls(S3Store(location))[call]()
    error = raised.value
    assert error.coordinates["endpoint"] == location.endpoint
    assert error.coordinates["bucket"] == location.bucket
    assert _SECRET not in f"{error!r}{error}{error.__cause__!r}{error.coordinates}"
    return error


def _checks(location: S3Location) -> tuple[Check, ...]:
    return S3Store(location).checks(write=True)


@pytest.mark.parametrize("call", ["list", "stat", "put", "begin", "probe"])
def test_a_missing_bucket(s3_server: S3Server, tmp_path: Path, call: str) -> None:
    error = _refused(location_at(s3_server, "no-such-bucket", tmp_path), call)
    assert (error.reason, error.retryable, error.whose) == ("BUCKET_NOT_FOUND", False, Whose.CALLER)


def test_the_checks_of_a_missing_bucket(s3_server: S3Server, tmp_path: Path) -> None:
    checks = _checks(location_at(s3_server, "no-such-bucket", tmp_path))
    assert [(check.step, check.passed) for check in checks] == [
        ("credentials found", True), ("endpoint", True), ("credentials", True), ("bucket", False),
    ]  # fmt: skip
    assert checks[-1].reason == "BUCKET_NOT_FOUND"


@pytest.mark.parametrize("call", ["list", "put", "begin", "read"])
def test_a_wrong_secret(s3_server: S3Server, s3_bucket: str, tmp_path: Path, call: str) -> None:
    keys = credentials_file(tmp_path, s3_server.access_key, _SECRET)
    error = _refused(replace(location_at(s3_server, s3_bucket, tmp_path), credentials=keys), call)
    assert (error.reason, error.retryable, error.whose) == ("CREDENTIALS_REFUSED", False, Whose.CALLER)


@pytest.mark.parametrize("call", ["list", "put", "begin"])
def test_an_unknown_access_key(s3_server: S3Server, s3_bucket: str, tmp_path: Path, call: str) -> None:
    keys = credentials_file(tmp_path, "NOSUCHKEY", _SECRET)
    error = _refused(replace(location_at(s3_server, s3_bucket, tmp_path), credentials=keys), call)
    assert (error.reason, error.retryable) == ("CREDENTIALS_REFUSED", False)


def test_a_head_with_a_wrong_secret_is_no_missing_object(s3_server: S3Server, s3_bucket: str, tmp_path: Path) -> None:
    keys = credentials_file(tmp_path, s3_server.access_key, _SECRET)
    error = _refused(replace(location_at(s3_server, s3_bucket, tmp_path), credentials=keys), "stat")
    assert (error.reason, error.retryable) == ("ACCESS_DENIED", False), "its answer has no body that could say more"


def test_the_checks_with_a_wrong_secret(s3_server: S3Server, s3_bucket: str, tmp_path: Path) -> None:
    keys = credentials_file(tmp_path, s3_server.access_key, _SECRET)
    checks = _checks(replace(location_at(s3_server, s3_bucket, tmp_path), credentials=keys))
    assert [(check.step, check.passed) for check in checks] == [
        ("credentials found", True), ("endpoint", True), ("credentials", False),
    ]  # fmt: skip
    assert _SECRET not in repr(checks)


@pytest.mark.parametrize("call", ["list", "stat", "put", "begin", "read", "probe"])
def test_nobody_listens_at_the_endpoint(tmp_path: Path, call: str) -> None:
    location = S3Location(
        "bucket", endpoint=f"http://127.0.0.1:{free_port()}", credentials=credentials_file(tmp_path, "KEY", _SECRET)
    )
    error = _refused(location, call)
    assert (error.reason, error.retryable, error.whose) == ("STORE_UNAVAILABLE", True, Whose.SINK)
    checks = _checks(location)
    assert [(check.step, check.passed) for check in checks] == [("credentials found", True), ("endpoint", False)]


def test_a_host_that_does_not_exist(tmp_path: Path) -> None:
    keys = credentials_file(tmp_path, "KEY", _SECRET)
    error = _refused(S3Location("bucket", endpoint="http://no-such-host.invalid:9000", credentials=keys), "list")
    assert (error.reason, error.retryable) == ("STORE_UNAVAILABLE", True)


def test_an_endpoint_without_a_scheme(tmp_path: Path) -> None:
    keys = credentials_file(tmp_path, "KEY", _SECRET)
    error = _refused(S3Location("bucket", endpoint="127.0.0.1:9000", credentials=keys), "list")
    assert (error.reason, error.retryable, error.whose) == ("INVALID_ENDPOINT", False, Whose.CALLER)


def test_no_credentials_are_told_by_the_checks() -> None:
    reference = CredentialsReference(CredentialsKind.ENVIRONMENT, "NO_SUCH_PREFIX")
    (check,) = _checks(S3Location("bucket", endpoint="http://127.0.0.1:1", credentials=reference))
    assert (check.step, check.passed, check.reason) == ("credentials found", False, "CREDENTIALS_MISSING")


def test_a_key_that_is_too_long_with_the_prefix(s3_server: S3Server, s3_bucket: str, tmp_path: Path) -> None:
    store = S3Store(location_at(s3_server, s3_bucket, tmp_path, "p" * 100 + "/"))
    store.check_path("x" * 923)
    with pytest.raises(BlockferryError) as raised:
        store.check_path("x" * 924)
    assert raised.value.reason == "INVALID_KEY"


def test_a_limit_that_only_the_store_knows_is_learnt_from_its_answer(
    versitygw: S3Server, s3_server: S3Server, s3_bucket: str, tmp_path: Path
) -> None:
    store = S3Store(location_at(versitygw, s3_bucket, tmp_path))
    if s3_server is not versitygw:
        pytest.skip("a limit of versitygw: 255 bytes between slashes")
    with pytest.raises(BlockferryError) as raised:
        store.put("x" * 300, b"x", crc32c(b"x"), ATTRIBUTES)
    assert (raised.value.reason, raised.value.retryable) == ("INVALID_KEY", False)


class TestTls:
    """Certificates of an authority of our own, at a server that speaks https."""

    def test_the_authority_is_given(self, seaweed_tls: SeaweedServer, tmp_path: Path) -> None:
        bucket = seaweed_tls.make_bucket("trusted")
        store = S3Store(location_at(seaweed_tls, bucket, tmp_path))
        body = bytes(1 << 20)
        store.put("file", body, crc32c(body), ATTRIBUTES)
        assert b"".join(store.read("file")) == body
        assert all(check.passed for check in store.checks(write=True))

    @pytest.mark.parametrize("call", ["list", "put", "stat", "read"])
    def test_the_authority_is_not_given(self, seaweed_tls: SeaweedServer, tmp_path: Path, call: str) -> None:
        error = _refused(replace(location_at(seaweed_tls, "bucket", tmp_path), ca_bundle=""), call)
        assert (error.reason, error.retryable, error.whose) == ("TLS_UNTRUSTED", False, Whose.CALLER)
        assert "--ca-bundle" in error.message

    def test_the_bundle_is_no_file(self, seaweed_tls: SeaweedServer, tmp_path: Path) -> None:
        location = replace(location_at(seaweed_tls, "bucket", tmp_path), ca_bundle=str(tmp_path / "missing.pem"))
        with pytest.raises(BlockferryError) as raised:
            S3Store(location).stat("file")
        assert (raised.value.reason, raised.value.retryable) == ("TLS_UNTRUSTED", False)

    def test_http_to_the_port_of_https(self, seaweed_tls: SeaweedServer, tmp_path: Path) -> None:
        endpoint = seaweed_tls.endpoint.replace("https://", "http://")
        error = _refused(replace(location_at(seaweed_tls, "bucket", tmp_path), endpoint=endpoint), "list")
        assert not error.reason.startswith("CREDENTIALS")

    def test_https_to_the_port_of_http(self, seaweed: SeaweedServer, tmp_path: Path) -> None:
        endpoint = seaweed.endpoint.replace("http://", "https://")
        error = _refused(replace(location_at(seaweed, "bucket", tmp_path), endpoint=endpoint), "list")
        assert error.reason == "STORE_UNAVAILABLE"
        assert "http://" in error.message
