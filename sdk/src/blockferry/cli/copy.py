"""`blockferry copy`: the whole house for one run, through the public API like any other client."""

from __future__ import annotations

import hashlib
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from opentelemetry import trace
from rich.text import Text

from blockferry.cli.progress import follow
from blockferry.cli.show import ERR
from blockferry.client import Client
from blockferry.errors import BlockferryError
from blockferry.names import short_name
from blockferry.states import is_final
from blockferry.v1.execution_pb2 import Execution
from blockferry.v1.location_pb2 import Location
from blockferry.v1.task_pb2 import Options, Task
from service import telemetry
from service.house import House, HouseOptions


def run_copy(
    source: Location, destination: Location, options: Options, *, dry_run: bool, house: HouseOptions, quiet: bool
) -> Execution:
    """Starts the house, runs the copy to its end, ends the house; returns the execution as it ended.

    A copy that was broken off (even by kill -9) with the same state folder is taken up where it stood.

    Raises:
        BlockferryError: STATE_IN_USE, SERVICE_FAILED, and whatever the API answers.
    """
    telemetry.setup("cli", house.trace_file)
    span = trace.get_tracer("blockferry.cli").start_as_current_span("blockferry copy")
    try:
        with span, House(house) as running, Client(running.address, telemetry.outgoing_metadata) as client:
            task = _task(client, source, destination, options)
            execution = _open_run(client, task, dry_run) or client.run_task(task, dry_run=dry_run)
            with _cancelled_by_signal(client, execution.name):
                return follow(client.watch_execution(execution.name), quiet)
    finally:
        telemetry.shutdown()


def _task(client: Client, source: Location, destination: Location, options: Options) -> str:
    """Returns the task of this copy; the same copy has the same task in the same state folder."""
    source_name = _create(client, source)
    destination_name = _create(client, destination)
    task = Task(source=source_name, destination=destination_name, options=options)
    task_id = "copy-" + _digest(task.SerializeToString(deterministic=True))
    try:
        return client.create_task(task, task_id).name
    except BlockferryError as error:
        if error.reason != "ALREADY_EXISTS":
            raise
        return f"tasks/{task_id}"


def _create(client: Client, location: Location) -> str:
    location_id = f"{location.WhichOneof('store')}-{_digest(location.SerializeToString(deterministic=True))}"
    try:
        return client.create_location(location, location_id).name
    except BlockferryError as error:
        if error.reason != "ALREADY_EXISTS":
            raise
        return f"locations/{location_id}"


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=6).hexdigest()


def _open_run(client: Client, task: str, dry_run: bool) -> Execution | None:
    """Returns the run of the task that was broken off, if there is one of the same kind."""
    for execution in client.list_executions(task):
        if not is_final(execution) and execution.dry_run == dry_run:
            ERR.print(Text(f"going on with {short_name(execution.name)}, which was broken off"))
            return execution
    return None


@contextmanager
def _cancelled_by_signal(client: Client, execution: str) -> Iterator[None]:
    """The first SIGINT or SIGTERM cancels the execution, a second one ends the command at once."""
    asked = False

    def on_signal(number: int, _: FrameType | None) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True
        ERR.print(Text("cancelling; once more to leave at once (the next copy then goes on from here)"))
        client.cancel_execution(execution)

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
