"""What a worker is asked to do, as plain values. The proto messages of jobs and locations stop here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from blockferry.errors import BlockferryError, Whose
from blockferry.v1 import location_pb2, task_pb2
from service.v1 import job_pb2
from stores.location import (
    CredentialsKind,
    CredentialsReference,
    HdfsLocation,
    Location,
    Protection,
    S3Location,
)


class Verify(StrEnum):
    """What is proved. Mirrors `blockferry.v1.Options.Verify`."""

    ONLY_FILES_TRANSFERRED = "ONLY_FILES_TRANSFERRED"
    POINT_IN_TIME_CONSISTENT = "POINT_IN_TIME_CONSISTENT"
    NONE = "NONE"


class Transfer(StrEnum):
    """Which files are moved. Mirrors `blockferry.v1.Options.Transfer`."""

    CHANGED = "CHANGED"
    ALL = "ALL"


class OpenFiles(StrEnum):
    """What happens to a file that is still being written. Mirrors `blockferry.v1.Options.OpenFiles`."""

    COPY = "COPY"
    FAIL = "FAIL"


class UntrustedStore(StrEnum):
    """What happens when a store accepts false claims. Mirrors `blockferry.v1.Options.UntrustedStore`."""

    READ_BACK = "READ_BACK"
    REFUSE = "REFUSE"


@dataclass(frozen=True, slots=True)
class TransferOptions:
    """How a job is done. `part_size_bytes` 0: one block is one part."""

    verify: Verify = Verify.ONLY_FILES_TRANSFERRED
    transfer: Transfer = Transfer.CHANGED
    open_files: OpenFiles = OpenFiles.COPY
    untrusted_store: UntrustedStore = UntrustedStore.READ_BACK
    part_size_bytes: int = 0
    report_uri: str = ""


@dataclass(frozen=True, slots=True)
class Job:
    """What every call to a worker needs to know."""

    execution: str
    ledger_uri: str
    source: Location
    destination: Location
    options: TransferOptions
    earlier_ledger_uris: tuple[str, ...] = ()


class GroupedFailure(Protocol):
    """Entries that failed in the same way (`ledger.failures.FailureGroup`)."""

    @property
    def reason(self) -> str: ...
    @property
    def code(self) -> int: ...
    @property
    def message(self) -> str: ...
    @property
    def metadata(self) -> tuple[tuple[str, str], ...]: ...
    @property
    def failure_count(self) -> int: ...
    @property
    def sample_paths(self) -> tuple[str, ...]: ...


def job_from_proto(job: job_pb2.Job) -> Job:
    """Returns a call's job.

    Raises:
        BlockferryError: INVALID_JOB, when a location is of a kind that this worker cannot reach.
    """
    return Job(
        execution=job.execution,
        ledger_uri=job.ledger_uri,
        source=location_from_proto(job.source),
        destination=location_from_proto(job.destination),
        options=_options(job.options),
        earlier_ledger_uris=tuple(job.earlier_ledger_uris),
    )


def _options(options: task_pb2.Options) -> TransferOptions:
    verify = task_pb2.Options.Verify.Name(options.verify).removeprefix("VERIFY_")
    transfer = task_pb2.Options.Transfer.Name(options.transfer).removeprefix("TRANSFER_")
    open_files = task_pb2.Options.OpenFiles.Name(options.open_files).removeprefix("OPEN_FILES_")
    untrusted = task_pb2.Options.UntrustedStore.Name(options.untrusted_store).removeprefix("UNTRUSTED_STORE_")
    default = TransferOptions()
    return TransferOptions(
        verify=Verify(verify) if options.verify else default.verify,
        transfer=Transfer(transfer) if options.transfer else default.transfer,
        open_files=OpenFiles(open_files) if options.open_files else default.open_files,
        untrusted_store=UntrustedStore(untrusted) if options.untrusted_store else default.untrusted_store,
        part_size_bytes=options.part_size_bytes,
        report_uri=options.report_uri,
    )


def location_from_proto(location: location_pb2.Location) -> Location:
    """Returns where a store is.

    Raises:
        BlockferryError: INVALID_JOB, when it is of a kind that this worker cannot reach.
    """
    match location.WhichOneof("store"):
        case "hdfs":
            return _hdfs_location(location.hdfs)
        case "s3":
            return _s3_location(location.s3)
        case other:
            raise BlockferryError(
                "INVALID_JOB",
                f"The location {location.name!r} is of a kind ({other}) that this worker does not know: update it.",
                whose=Whose.CALLER,
                location=location.name,
                kind=other,
            )


def _hdfs_location(hdfs: location_pb2.HdfsLocation) -> HdfsLocation:
    protections = {
        location_pb2.HdfsLocation.PROTECTION_AUTHENTICATION: Protection.AUTHENTICATION,
        location_pb2.HdfsLocation.PROTECTION_INTEGRITY: Protection.INTEGRITY,
        location_pb2.HdfsLocation.PROTECTION_PRIVACY: Protection.PRIVACY,
    }
    return HdfsLocation(
        namenodes=tuple(hdfs.namenodes),
        root=hdfs.root.rstrip("/") or "/",
        user=hdfs.user,
        nameservice=hdfs.nameservice,
        conf_dir=hdfs.conf_dir,
        principal=hdfs.principal,
        keytab=hdfs.keytab,
        krb5_conf=hdfs.krb5_conf,
        kms_uri=hdfs.kms_uri,
        rpc_protection=protections.get(hdfs.rpc_protection),
        transfer_protection=protections.get(hdfs.transfer_protection),
    )


def _s3_location(s3: location_pb2.S3Location) -> S3Location:
    style = {
        location_pb2.S3Location.ADDRESSING_STYLE_PATH: True,
        location_pb2.S3Location.ADDRESSING_STYLE_VIRTUAL: False,
    }
    return S3Location(
        bucket=s3.bucket,
        prefix=s3.prefix if not s3.prefix or s3.prefix.endswith("/") else s3.prefix + "/",
        endpoint=s3.endpoint,
        region=s3.region,
        path_style=style.get(s3.addressing_style),
        credentials=_credentials(s3.credentials),
        ca_bundle=s3.ca_bundle,
        storage_class=s3.storage_class,
    )


def _credentials(reference: location_pb2.CredentialsReference) -> CredentialsReference:
    match reference.WhichOneof("reference"):
        case "profile":
            return CredentialsReference(CredentialsKind.PROFILE, reference.profile)
        case "environment":
            return CredentialsReference(CredentialsKind.ENVIRONMENT, reference.environment)
        case "file":
            return CredentialsReference(CredentialsKind.FILE, reference.file)
        case _:
            return CredentialsReference()


def failure_groups_to_proto(groups: Iterable[GroupedFailure]) -> list[job_pb2.FailureGroup]:
    """Returns grouped failures as messages."""
    return [
        job_pb2.FailureGroup(
            reason=group.reason,
            code=group.code,
            message=group.message,
            metadata=dict(group.metadata),
            failure_count=group.failure_count,
            sample_paths=group.sample_paths,
        )
        for group in groups
    ]
