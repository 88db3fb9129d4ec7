"""How a command reaches the API and how it ends: the client, the guard that turns errors into exit codes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.text import Text

from blockferry.calls import DEFAULT_ADDRESS
from blockferry.cli.options import Output
from blockferry.cli.show import ERR, OUT, as_json, print_summary
from blockferry.client import Client
from blockferry.errors import BlockferryError, Whose
from blockferry.v1.execution_pb2 import Execution

FAILED = 1  # the work failed, or some of it
WRONG_USE = 2  # the command line is wrong; nothing was begun

AddressOption = Annotated[
    str,
    typer.Option(help="Address of the scheduler.", metavar="HOST:PORT", envvar="BLOCKFERRY_ADDRESS", show_default=True),
]
ADDRESS = DEFAULT_ADDRESS
WRONG_USE_REASONS = frozenset(
    {"INVALID_URI", "INVALID_SIZE", "INVALID_OPTION", "INVALID_CREDENTIALS_REFERENCE", "INVALID_ARGUMENT"}
)


@contextmanager
def guarded() -> Iterator[None]:
    """Ends the process with a message and an exit code when the block raises `BlockferryError`."""
    try:
        yield
    except BlockferryError as error:
        ERR.print(Text(f"blockferry: {error}", style="red"))
        wrong = error.whose is Whose.CALLER and error.reason in WRONG_USE_REASONS
        raise typer.Exit(WRONG_USE if wrong else FAILED) from error


@contextmanager
def connected(address: str) -> Iterator[Client]:
    """Gives the client of a scheduler, guarded."""
    with guarded(), Client(address) as client:
        client.wait_until_ready(5.0)
        yield client


def end_with(ended: Execution, output: Output) -> None:
    """Prints an execution that has ended. Exit code 1 if it ended badly."""
    if output is Output.JSON:
        OUT.print(Text(as_json(ended)))
    else:
        print_summary(ended)
    if ended.state != Execution.STATE_SUCCESS:
        raise typer.Exit(FAILED)
