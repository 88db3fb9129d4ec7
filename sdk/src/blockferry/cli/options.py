"""The options of a task and of its locations on the command line, and how a task's become the API's. Pure but for
typer's annotations."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from blockferry.cli.groups import Group
from blockferry.cli.sizes import parse_size
from blockferry.v1.task_pb2 import Options


class Verify(StrEnum):
    """Mirrors `Options.Verify`."""

    ONLY_FILES_TRANSFERRED = "ONLY_FILES_TRANSFERRED"
    POINT_IN_TIME_CONSISTENT = "POINT_IN_TIME_CONSISTENT"
    NONE = "NONE"


class Transfer(StrEnum):
    """Mirrors `Options.Transfer`."""

    CHANGED = "CHANGED"
    ALL = "ALL"


class OpenFiles(StrEnum):
    """Mirrors `Options.OpenFiles`."""

    COPY = "COPY"
    FAIL = "FAIL"


class UntrustedStore(StrEnum):
    """Mirrors `Options.UntrustedStore`."""

    READ_BACK = "READ_BACK"
    REFUSE = "REFUSE"


class Addressing(StrEnum):
    """How a bucket is named in a request."""

    PATH = "path"
    VIRTUAL = "virtual"


class Protection(StrEnum):
    """Mirrors `HdfsLocation.Protection`; the words are Hadoop's."""

    AUTHENTICATION = "authentication"
    INTEGRITY = "integrity"
    PRIVACY = "privacy"


class Output(StrEnum):
    """What is printed on standard output."""

    TEXT = "text"
    JSON = "json"


OutputOption = Annotated[Output, typer.Option("--output", "-o", help="Text for people, or one JSON document.")]


@dataclass(frozen=True, slots=True)
class TaskOptions:
    """How something is moved."""

    verify: Annotated[
        Verify,
        typer.Option(
            help="What is proved: each file that this run wrote; every file of both sides; or nothing but what the "
            "store checks while it takes the data.",
            case_sensitive=False,
        ),
    ] = Verify.ONLY_FILES_TRANSFERRED
    transfer: Annotated[
        Transfer,
        typer.Option(help="Move what differs, or everything without a look at the destination.", case_sensitive=False),
    ] = Transfer.CHANGED
    open_files: Annotated[
        OpenFiles,
        typer.Option(
            help="A file that is still being written: copy it up to its known length, or fail it as SOURCE_OPEN.",
            case_sensitive=False,
        ),
    ] = OpenFiles.COPY
    untrusted_store: Annotated[
        UntrustedStore,
        typer.Option(
            help="A store that accepts a false checksum: read each object back, or refuse the run.",
            case_sensitive=False,
        ),
    ] = UntrustedStore.READ_BACK
    part_size: Annotated[
        str, typer.Option(help="Size of an S3 part, 5MiB to 5GiB. Default: a block, at most 64MiB.", metavar="SIZE")
    ] = ""
    report: Annotated[str, typer.Option(help="Folder where the report is written.", metavar="DIR")] = ""

    def absolute(self) -> TaskOptions:
        """Returns the same with paths that do not depend on the current folder."""
        return replace(self, report=_absolute(self.report))

    def message(self) -> Options:
        """Returns the API's options. Raises INVALID_SIZE."""
        return Options(
            verify=f"VERIFY_{self.verify}",
            transfer=f"TRANSFER_{self.transfer}",
            open_files=f"OPEN_FILES_{self.open_files}",
            untrusted_store=f"UNTRUSTED_STORE_{self.untrusted_store}",
            part_size_bytes=parse_size(self.part_size) if self.part_size else 0,
            report_uri=self.report,
        )


@dataclass(frozen=True, slots=True)
class HdfsOptions:
    """What the URI of an HDFS location cannot say. Empty: the default."""

    hdfs_conf: Annotated[
        str, typer.Option(help="Folder with core-site.xml and hdfs-site.xml on the workers.", metavar="DIR")
    ] = ""
    hdfs_user: Annotated[
        str,
        typer.Option(
            help="User whose rights count: who asks (simple authentication), or whom the principal acts as (Kerberos). "
            "Default: the principal, else who runs the workers.",
            metavar="USER",
        ),
    ] = ""
    hdfs_principal: Annotated[
        str,
        typer.Option(help="Kerberos principal. Default: the ticket cache, where HDFS wants one.", metavar="PRINCIPAL"),
    ] = ""
    hdfs_keytab: Annotated[str, typer.Option(help="Keytab of the principal on the workers.", metavar="FILE")] = ""
    krb5_conf: Annotated[
        str, typer.Option(help="krb5.conf of this location on the workers. Default: the system's.", metavar="FILE")
    ] = ""
    kms_uri: Annotated[
        str,
        typer.Option(
            help="Key server of encryption zones: kms://https@HOST[;HOST]:PORT/kms. Default: what the site files or "
            "the NameNode say.",
            metavar="URI",
        ),
    ] = ""
    hdfs_rpc_protection: Annotated[
        Protection | None,
        typer.Option(help="Least protection of calls to NameNodes. Default: what HDFS says.", case_sensitive=False),
    ] = None
    hdfs_transfer_protection: Annotated[
        Protection | None,
        typer.Option(help="Least protection of data from DataNodes. Default: what HDFS says.", case_sensitive=False),
    ] = None

    def absolute(self) -> HdfsOptions:
        """Returns the same with paths that do not depend on the current folder."""
        return replace(
            self,
            hdfs_conf=_absolute(self.hdfs_conf),
            hdfs_keytab=_absolute(self.hdfs_keytab),
            krb5_conf=_absolute(self.krb5_conf),
        )


@dataclass(frozen=True, slots=True)
class S3Options:
    """What the URI of an S3 location cannot say. Empty: the default."""

    s3_endpoint: Annotated[str, typer.Option(help="URL of an S3-compatible store. Default: AWS.", metavar="URL")] = ""
    s3_region: Annotated[str, typer.Option(help="Region for signing. Default: us-east-1.")] = ""
    s3_addressing: Annotated[
        Addressing | None, typer.Option(help="Default: path with an endpoint, virtual without.", case_sensitive=False)
    ] = None
    s3_profile: Annotated[str, typer.Option(help="Profile of the AWS configuration files on the workers.")] = ""
    s3_credentials_env: Annotated[
        str,
        typer.Option(
            help="Prefix of the workers' environment variables {PREFIX}_ACCESS_KEY_ID and {PREFIX}_SECRET_ACCESS_KEY.",
            metavar="PREFIX",
        ),
    ] = ""
    s3_credentials_file: Annotated[str, typer.Option(help="AWS credentials file on the workers.", metavar="FILE")] = ""
    s3_storage_class: Annotated[str, typer.Option(help="Storage class of new objects.", metavar="CLASS")] = ""
    ca_bundle: Annotated[str, typer.Option(help="Certificates that are trusted for https.", metavar="FILE")] = ""


Task = Annotated[TaskOptions, Group("How it is moved")]
Hdfs = Annotated[HdfsOptions, Group("HDFS")]
DestHdfs = Annotated[HdfsOptions, Group("HDFS as a destination", "dest", "of an HDFS destination.")]
S3 = Annotated[S3Options, Group("S3")]


def _absolute(path: str) -> str:
    return str(Path(path).absolute()) if path else ""
