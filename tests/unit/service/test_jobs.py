"""Jobs and locations arrive as plain values; what a worker does not know is refused."""

from __future__ import annotations

import pytest

from blockferry.errors import BlockferryError
from blockferry.v1 import location_pb2, task_pb2
from service.jobs import (
    Job,
    OpenFiles,
    Transfer,
    TransferOptions,
    UntrustedStore,
    Verify,
    job_from_proto,
    location_from_proto,
)
from service.v1 import job_pb2
from stores.location import CredentialsKind, CredentialsReference, HdfsLocation, S3Location


def hdfs(root: str = "/warehouse") -> location_pb2.Location:
    return location_pb2.Location(hdfs=location_pb2.HdfsLocation(namenodes=["nn:8020"], root=root, user="alice"))


def s3(**values: object) -> location_pb2.Location:
    return location_pb2.Location(s3=location_pb2.S3Location(bucket="b", **values))  # type: ignore[arg-type]


def test_unspecified_options_become_the_defaults() -> None:
    job = job_pb2.Job(execution="tasks/t/executions/e", ledger_uri="/l", source=hdfs(), destination=s3())
    assert job_from_proto(job) == Job(
        "tasks/t/executions/e",
        "/l",
        HdfsLocation(("nn:8020",), "/warehouse", "alice"),
        S3Location("b"),
        TransferOptions(),
    )


@pytest.mark.parametrize("verify", list(Verify))
def test_every_verify_mode_has_its_twin(verify: Verify) -> None:
    options = task_pb2.Options(verify=f"VERIFY_{verify}")
    job = job_pb2.Job(source=hdfs(), destination=s3(), options=options)
    assert job_from_proto(job).options.verify is verify


def test_other_options_are_carried() -> None:
    options = task_pb2.Options(
        transfer=task_pb2.Options.TRANSFER_ALL,
        open_files=task_pb2.Options.OPEN_FILES_FAIL,
        untrusted_store=task_pb2.Options.UNTRUSTED_STORE_REFUSE,
        part_size_bytes=5 << 20,
        report_uri="/r",
    )
    found = job_from_proto(job_pb2.Job(source=hdfs(), destination=s3(), options=options)).options
    assert found == TransferOptions(
        transfer=Transfer.ALL,
        open_files=OpenFiles.FAIL,
        untrusted_store=UntrustedStore.REFUSE,
        part_size_bytes=5 << 20,
        report_uri="/r",
    )


@pytest.mark.parametrize(("asked", "kept"), [("", ""), ("a", "a/"), ("a/", "a/"), ("a/b", "a/b/")])
def test_a_prefix_ends_with_a_slash_or_is_empty(asked: str, kept: str) -> None:
    location = location_from_proto(s3(prefix=asked))
    assert isinstance(location, S3Location)
    assert location.prefix == kept


@pytest.mark.parametrize(("asked", "kept"), [("/", "/"), ("/a/", "/a"), ("/a/b", "/a/b")])
def test_a_root_ends_without_a_slash(asked: str, kept: str) -> None:
    location = location_from_proto(hdfs(asked))
    assert isinstance(location, HdfsLocation)
    assert location.root == kept


@pytest.mark.parametrize("kind", ["profile", "environment", "file"])
def test_credentials_stay_references(kind: str) -> None:
    reference = location_pb2.CredentialsReference(**{kind: "x"})
    location = location_from_proto(s3(credentials=reference))
    assert isinstance(location, S3Location)
    assert location.credentials == CredentialsReference(CredentialsKind(kind.upper()), "x")


def test_a_kind_that_the_worker_does_not_know_is_refused() -> None:
    with pytest.raises(BlockferryError) as caught:
        location_from_proto(location_pb2.Location(name="locations/x"))
    assert caught.value.reason == "INVALID_JOB"
