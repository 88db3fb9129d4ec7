"""The command `blockferry`: its commands and their words."""

from __future__ import annotations

import os
import signal
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from blockferry.cli import options as o
from blockferry.cli import resources
from blockferry.cli.session import FAILED, guarded
from blockferry.cli.show import ERR, OUT, as_json, print_summary
from blockferry.cli.uris import HdfsOptions, StoreOptions, parse_destination, parse_location
from blockferry.errors import BlockferryError, Whose
from blockferry.v1.execution_pb2 import Execution

if TYPE_CHECKING:
    from service.house import House

# What Ray and its actors cost before their first byte (docs/decisions/2026-11-21-ray-when-it-is-worth-it.md).
PATIENCE_S = 5.0

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Moves data out of Hadoop HDFS into S3-compatible object stores and proves every byte.",
)
app.add_typer(resources.location, name="location")
app.add_typer(resources.task, name="task")
app.add_typer(resources.execution, name="execution")


class Service(StrEnum):
    """The four services."""

    SCHEDULER = "scheduler"
    SCANNER = "scanner"
    MOVER = "mover"
    VERIFIER = "verifier"


def _default_state() -> Path:
    home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(home) / "blockferry"


DEFAULT_STATE = _default_state()
State = Annotated[
    Path,
    typer.Option(help="Folder of the database, the ledgers and the logs.", metavar="DIR", envvar="BLOCKFERRY_STATE"),
]
DatabaseUrl = Annotated[
    str,
    typer.Option(help="SQLAlchemy URL of SQLite or PostgreSQL. Default: SQLite in the state folder.", metavar="URL"),
]
Actors = Annotated[
    int, typer.Option(help="Ray actors of the mover; half as many of the verifier. Default: one a processor.", min=0)
]
TraceFile = Annotated[str, typer.Option(help="Append every span to this file as a JSON line.", metavar="FILE")]


@app.command()
def copy(
    source: Annotated[str, typer.Argument(help="hdfs://HOST:PORT/path", metavar="SOURCE")],
    destination: Annotated[str, typer.Argument(help="s3://bucket/prefix", metavar="DESTINATION")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be moved, move nothing.")] = False,
    verify: o.VerifyOption = o.Verify.ONLY_FILES_TRANSFERRED,
    transfer: o.TransferOption = o.Transfer.CHANGED,
    open_files: o.OpenFilesOption = o.OpenFiles.COPY,
    untrusted_store: o.UntrustedStoreOption = o.UntrustedStore.READ_BACK,
    part_size: o.PartSizeOption = "",
    report: o.ReportOption = "",
    hdfs_conf: o.HdfsConf = "",
    hdfs_user: o.HdfsUser = "",
    hdfs_principal: o.HdfsPrincipal = "",
    hdfs_keytab: o.HdfsKeytab = "",
    krb5_conf: o.Krb5Conf = "",
    kms_uri: o.KmsUri = "",
    hdfs_rpc_protection: o.HdfsRpcProtection = None,
    hdfs_transfer_protection: o.HdfsTransferProtection = None,
    dest_hdfs_conf: o.DestHdfsConf = "",
    dest_hdfs_user: o.DestHdfsUser = "",
    dest_hdfs_principal: o.DestHdfsPrincipal = "",
    dest_hdfs_keytab: o.DestHdfsKeytab = "",
    dest_krb5_conf: o.DestKrb5Conf = "",
    dest_kms_uri: o.DestKmsUri = "",
    s3_endpoint: o.S3Endpoint = "",
    s3_region: o.S3Region = "",
    s3_addressing: o.S3Addressing = None,
    s3_profile: o.S3Profile = "",
    s3_credentials_env: o.S3CredentialsEnv = "",
    s3_credentials_file: o.S3CredentialsFile = "",
    s3_storage_class: o.S3StorageClass = "",
    ca_bundle: o.CaBundle = "",
    state: State = DEFAULT_STATE,
    database_url: DatabaseUrl = "",
    actors: Actors = 0,
    trace_file: TraceFile = "",
    output: o.OutputOption = o.Output.TEXT,
) -> None:
    """Copy a folder or a file once: start everything on this machine, move, verify, report, end.

    Exit code 0: every file was transferred and verified. 1: something failed; the report names each file.
    2: the command line is wrong. What the destination already has is not moved again, and a copy that was broken off
    goes on where it stood when it is started again.
    """
    with guarded():
        _need_services()
        from blockferry.cli.copy import run_copy
        from service.house import HouseOptions

        hdfs = HdfsOptions(
            hdfs_conf,
            hdfs_user,
            hdfs_principal,
            hdfs_keytab,
            krb5_conf,
            kms_uri,
            hdfs_rpc_protection or "",
            hdfs_transfer_protection or "",
        )
        dest_hdfs = HdfsOptions(
            dest_hdfs_conf, dest_hdfs_user, dest_hdfs_principal, dest_hdfs_keytab, dest_krb5_conf, dest_kms_uri
        )
        stores = StoreOptions(
            hdfs.absolute(),
            s3_endpoint,
            s3_region,
            s3_addressing or "",
            s3_profile,
            s3_credentials_env,
            s3_credentials_file,
            s3_storage_class,
            ca_bundle,
        )
        ended = run_copy(
            parse_location(source, stores),
            parse_destination(destination, stores, dest_hdfs.absolute()),
            o.task_options(
                verify, transfer, open_files, untrusted_store, part_size, str(Path(report).absolute()) if report else ""
            ),
            dry_run=dry_run,
            house=HouseOptions(state, "127.0.0.1:0", database_url, actors, trace_file, PATIENCE_S),
            quiet=output is o.Output.JSON,
        )
    if output is o.Output.JSON:
        OUT.print(Text(as_json(ended)))
    else:
        print_summary(ended)
    if ended.state != Execution.STATE_SUCCESS:
        raise typer.Exit(FAILED)


@app.command()
def up(
    listen: Annotated[str, typer.Option(help="Address of the public API.", metavar="HOST:PORT")] = "127.0.0.1:7640",
    state: State = DEFAULT_STATE,
    database_url: DatabaseUrl = "",
    actors: Actors = 0,
    trace_file: TraceFile = "",
) -> None:
    """Run all services on this machine until SIGTERM or Ctrl-C; then open calls are drained."""
    with guarded():
        _need_services()
        from service import telemetry
        from service.house import House, HouseOptions

        telemetry.setup("house", trace_file)
        with House(HouseOptions(state, listen, database_url, actors, trace_file)) as house:
            OUT.print(Text(f"blockferry is up: {house.address} (logs: {house.logs})"))
            _until_asked(house)
            if house.failure is not None:
                raise house.failure
        OUT.print(Text("blockferry is down"))


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []})
def serve(service: Service, context: typer.Context) -> None:
    """Run one service in the foreground. What follows its name are its own options: see `serve NAME --help`."""
    with guarded():
        _need_services()
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", service.value, *context.args])  # noqa: S606 - our own module


def _until_asked(house: House) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: house.ask_to_stop())
    house.wait()


def _need_services() -> None:
    try:
        import service.house  # noqa: F401
    except ModuleNotFoundError as error:
        text = (
            f"The services are not installed here (no module {error.name}): install blockferry-services, "
            "or speak to a running house with --address."
        )
        raise BlockferryError("SERVICES_MISSING", text, whose=Whose.CALLER) from error


def main() -> None:
    """Runs the command line."""
    try:
        app()
    except KeyboardInterrupt:
        ERR.print(Text("blockferry: left at once"))
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
