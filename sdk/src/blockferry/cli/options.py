"""Command-line values of a task's options, and how they become the API's. Pure but for typer's annotations."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

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


VerifyOption = Annotated[
    Verify,
    typer.Option(
        help="What is proved: each file that this run wrote; every file of both sides; or nothing but what the store "
        "checks while it takes the data.",
        case_sensitive=False,
    ),
]
TransferOption = Annotated[
    Transfer,
    typer.Option(help="Move what differs, or everything without a look at the destination.", case_sensitive=False),
]
OpenFilesOption = Annotated[
    OpenFiles,
    typer.Option(
        help="A file that is still being written: copy it up to its known length, or fail it as SOURCE_OPEN.",
        case_sensitive=False,
    ),
]
UntrustedStoreOption = Annotated[
    UntrustedStore,
    typer.Option(
        help="A store that accepts a false checksum: read each object back, or refuse the run.", case_sensitive=False
    ),
]
PartSizeOption = Annotated[
    str, typer.Option(help="Size of an S3 part, 5MiB to 5GiB. Default: a block, at most 64MiB.", metavar="SIZE")
]
ReportOption = Annotated[str, typer.Option(help="Folder where the report is written.", metavar="DIR")]
OutputOption = Annotated[Output, typer.Option("--output", "-o", help="Text for people, or one JSON document.")]

HdfsConf = Annotated[
    str, typer.Option(help="Folder with core-site.xml and hdfs-site.xml on the workers.", metavar="DIR")
]
HdfsUser = Annotated[
    str,
    typer.Option(
        help="User whose rights count: who asks (simple authentication), or whom the principal acts as (Kerberos). "
        "Default: the principal, else who runs the workers.",
        metavar="USER",
    ),
]
HdfsPrincipal = Annotated[
    str, typer.Option(help="Kerberos principal. Default: the ticket cache, where HDFS wants one.", metavar="PRINCIPAL")
]
HdfsKeytab = Annotated[str, typer.Option(help="Keytab of the principal on the workers.", metavar="FILE")]
Krb5Conf = Annotated[
    str, typer.Option(help="krb5.conf of this location on the workers. Default: the system's.", metavar="FILE")
]
KmsUri = Annotated[
    str,
    typer.Option(
        help="Key server of encryption zones: kms://https@HOST[;HOST]:PORT/kms. Default: what the site files or the "
        "NameNode say.",
        metavar="URI",
    ),
]
HdfsRpcProtection = Annotated[
    Protection | None,
    typer.Option(help="Least protection of calls to NameNodes. Default: what HDFS says.", case_sensitive=False),
]
HdfsTransferProtection = Annotated[
    Protection | None,
    typer.Option(help="Least protection of data from DataNodes. Default: what HDFS says.", case_sensitive=False),
]

DestHdfsConf = Annotated[str, typer.Option(help="--hdfs-conf of an HDFS destination.", metavar="DIR")]
DestHdfsUser = Annotated[str, typer.Option(help="--hdfs-user of an HDFS destination.", metavar="USER")]
DestHdfsPrincipal = Annotated[str, typer.Option(help="--hdfs-principal of an HDFS destination.", metavar="PRINCIPAL")]
DestHdfsKeytab = Annotated[str, typer.Option(help="--hdfs-keytab of an HDFS destination.", metavar="FILE")]
DestKrb5Conf = Annotated[str, typer.Option(help="--krb5-conf of an HDFS destination.", metavar="FILE")]
DestKmsUri = Annotated[str, typer.Option(help="--kms-uri of an HDFS destination.", metavar="URI")]

S3Endpoint = Annotated[str, typer.Option(help="URL of an S3-compatible store. Default: AWS.", metavar="URL")]
S3Region = Annotated[str, typer.Option(help="Region for signing. Default: us-east-1.")]
S3Addressing = Annotated[
    Addressing | None, typer.Option(help="Default: path with an endpoint, virtual without.", case_sensitive=False)
]
S3Profile = Annotated[str, typer.Option(help="Profile of the AWS configuration files on the workers.")]
S3CredentialsEnv = Annotated[
    str,
    typer.Option(
        help="Prefix of the workers' environment variables {PREFIX}_ACCESS_KEY_ID and {PREFIX}_SECRET_ACCESS_KEY.",
        metavar="PREFIX",
    ),
]
S3CredentialsFile = Annotated[str, typer.Option(help="AWS credentials file on the workers.", metavar="FILE")]
S3StorageClass = Annotated[str, typer.Option(help="Storage class of new objects.", metavar="CLASS")]
CaBundle = Annotated[str, typer.Option(help="Certificates that are trusted for https.", metavar="FILE")]


def task_options(
    verify: Verify,
    transfer: Transfer,
    open_files: OpenFiles,
    untrusted_store: UntrustedStore,
    part_size: str,
    report: str,
) -> Options:
    """Returns the API's options. Raises INVALID_SIZE."""
    return Options(
        verify=f"VERIFY_{verify}",
        transfer=f"TRANSFER_{transfer}",
        open_files=f"OPEN_FILES_{open_files}",
        untrusted_store=f"UNTRUSTED_STORE_{untrusted_store}",
        part_size_bytes=parse_size(part_size) if part_size else 0,
        report_uri=report,
    )
