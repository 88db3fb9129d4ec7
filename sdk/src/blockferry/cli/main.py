"""The command `blockferry`: its commands and their words."""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from blockferry.cli import options as o
from blockferry.cli import resources
from blockferry.cli.groups import Group, grouped
from blockferry.cli.session import end_with, guarded
from blockferry.cli.show import ERR, OUT
from blockferry.cli.uris import parse_destination, parse_location
from blockferry.errors import BlockferryError, Whose

if TYPE_CHECKING:
    from service.house import House, HouseOptions

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


@dataclass(frozen=True, slots=True)
class OwnHouse:
    """How the services are run that a command starts on this machine."""

    state: Annotated[
        Path,
        typer.Option(
            help="Folder of the database, the ledgers and the logs.", metavar="DIR", envvar="BLOCKFERRY_STATE"
        ),
    ] = DEFAULT_STATE
    database_url: Annotated[
        str,
        typer.Option(
            help="SQLAlchemy URL of SQLite or PostgreSQL. Default: SQLite in the state folder.", metavar="URL"
        ),
    ] = ""
    actors: Annotated[
        int,
        typer.Option(help="Processes that move; half as many prove. Default: one a processor.", min=0),
    ] = 0
    trace_file: Annotated[str, typer.Option(help="Append every span to this file as a JSON line.", metavar="FILE")] = ""

    def options(self, listen: str, patience_s: float = 0.0) -> HouseOptions:
        """Returns what `service.house` wants. Needs the services."""
        from service.house import HouseOptions

        return HouseOptions(self.state, listen, self.database_url, self.actors, self.trace_file, patience_s)


Own = Annotated[OwnHouse, Group("The services on this machine")]


@app.command()
@grouped
def copy(
    *,
    source: Annotated[str, typer.Argument(help="hdfs://HOST:PORT/path", metavar="SOURCE")],
    destination: Annotated[str, typer.Argument(help="s3://bucket/prefix", metavar="DESTINATION")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be moved, move nothing.")] = False,
    output: o.OutputOption = o.Output.TEXT,
    task: o.Task,
    hdfs: o.Hdfs,
    dest_hdfs: o.DestHdfs,
    s3: o.S3,
    house: Own,
) -> None:
    """Copy a folder or a file once: start everything on this machine, move, verify, report, end.

    Exit code 0: every file was transferred and verified. 1: something failed; the report names each file.
    2: the command line is wrong. What the destination already has is not moved again, and a copy that was broken off
    goes on where it stood when it is started again.
    """
    with guarded():
        _need_services()
        from blockferry.cli.copy import run_copy

        ended = run_copy(
            parse_location(source, hdfs.absolute(), s3),
            parse_destination(destination, dest_hdfs.absolute(), s3),
            task.absolute().message(),
            dry_run=dry_run,
            house=house.options("127.0.0.1:0", PATIENCE_S),
            quiet=output is o.Output.JSON,
        )
    end_with(ended, output)


@app.command()
@grouped
def up(
    *,
    listen: Annotated[str, typer.Option(help="Address of the public API.", metavar="HOST:PORT")] = "127.0.0.1:7640",
    house: Own,
) -> None:
    """Run all services on this machine until SIGTERM or Ctrl-C; then open calls are drained."""
    with guarded():
        _need_services()
        from service import telemetry
        from service.house import House

        telemetry.setup("house", house.trace_file)
        with House(house.options(listen)) as running:
            OUT.print(Text(f"blockferry is up: {running.address} (logs: {running.logs})"))
            _until_asked(running)
            if running.failure is not None:
                raise running.failure
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
