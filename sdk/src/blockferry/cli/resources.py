"""`blockferry location | task | execution …`: the public API on the command line."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from blockferry.cli import options as o
from blockferry.cli.groups import grouped
from blockferry.cli.progress import follow
from blockferry.cli.session import ADDRESS, FAILED, AddressOption, connected, end_with
from blockferry.cli.show import OUT, as_json, print_checks, print_json_list, print_summary, print_table, state_name
from blockferry.cli.sizes import show_size
from blockferry.cli.uris import parse_location
from blockferry.client import Client
from blockferry.names import location_name, short_name
from blockferry.v1.execution_pb2 import Execution
from blockferry.v1.location_pb2 import LocationCheck
from blockferry.v1.task_pb2 import Options, Task

location = typer.Typer(no_args_is_help=True, help="Endpoints that data is moved between.")
task = typer.Typer(no_args_is_help=True, help="What is moved from where to where, and how.")
execution = typer.Typer(no_args_is_help=True, help="Runs of tasks.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="Id or resource name.")]


@location.command("create")
@grouped
def create_location(
    *,
    name: Name,
    uri: Annotated[str, typer.Argument(help="hdfs://HOST:PORT/path or s3://bucket/prefix.")],
    description: str = "",
    hdfs: o.Hdfs,
    s3: o.S3,
    address: AddressOption = ADDRESS,
    output: o.OutputOption = o.Output.TEXT,
) -> None:
    """Create a location. Credentials are named, never given: the workers find them."""
    with connected(address) as client:
        wanted = parse_location(uri, hdfs, s3)
        wanted.description = description
        made = client.create_location(wanted, name)
        OUT.print(Text(as_json(made) if output is o.Output.JSON else made.name))


@location.command("list")
def list_locations(address: AddressOption = ADDRESS, output: o.OutputOption = o.Output.TEXT) -> None:
    """List all locations."""
    with connected(address) as client:
        found = tuple(client.list_locations())
        if output is o.Output.JSON:
            print_json_list(found)
        else:
            print_table(("NAME", "URI"), ((short_name(item.name), item.uri) for item in found))


@location.command("show")
def show_location(name: Name, address: AddressOption = ADDRESS) -> None:
    """Show one location as JSON."""
    with connected(address) as client:
        OUT.print(Text(as_json(client.get_location(name))))


@location.command("test")
def test_location(
    name: Name,
    write: Annotated[bool, typer.Option("--write", help="Try to write and delete, too.")] = False,
    address: AddressOption = ADDRESS,
    output: o.OutputOption = o.Output.TEXT,
) -> None:
    """Try a location step by step, from where the data will be moved. Exit code 1 if a step failed."""
    with connected(address) as client:
        checks = client.test_location(name, write)
    if output is o.Output.JSON:
        print_json_list(checks)
        passed = all(check.result == LocationCheck.RESULT_PASSED for check in checks)
    else:
        passed = print_checks(checks)
    if not passed:
        raise typer.Exit(FAILED)


@task.command("create")
@grouped
def create_task(
    *,
    name: Name,
    source: Annotated[str, typer.Option(help="Location that is read.")],
    destination: Annotated[str, typer.Option(help="Location that is written.")],
    description: str = "",
    options: o.Task,
    address: AddressOption = ADDRESS,
    output: o.OutputOption = o.Output.TEXT,
) -> None:
    """Create a task."""
    with connected(address) as client:
        wanted = Task(
            source=location_name(source),
            destination=location_name(destination),
            description=description,
            options=options.message(),
        )
        made = client.create_task(wanted, name)
        OUT.print(Text(as_json(made) if output is o.Output.JSON else made.name))


@task.command("list")
def list_tasks(address: AddressOption = ADDRESS, output: o.OutputOption = o.Output.TEXT) -> None:
    """List all tasks."""
    with connected(address) as client:
        found = tuple(client.list_tasks())
        if output is o.Output.JSON:
            print_json_list(found)
        else:
            rows = ((short_name(item.name), short_name(item.source), short_name(item.destination)) for item in found)
            print_table(("NAME", "SOURCE", "DESTINATION"), rows)


@task.command("show")
def show_task(name: Name, address: AddressOption = ADDRESS) -> None:
    """Show one task as JSON."""
    with connected(address) as client:
        OUT.print(Text(as_json(client.get_task(name))))


@task.command("run")
def run_task(
    name: Name,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Plan only.")] = False,
    verify: Annotated[o.Verify | None, typer.Option(help="Instead of the task's.", case_sensitive=False)] = None,
    transfer: Annotated[o.Transfer | None, typer.Option(help="Instead of the task's.", case_sensitive=False)] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Show its progress until it ends.")] = False,
    address: AddressOption = ADDRESS,
    output: o.OutputOption = o.Output.TEXT,
) -> None:
    """Start a run of a task."""
    own = Options(verify=f"VERIFY_{verify}" if verify else None, transfer=f"TRANSFER_{transfer}" if transfer else None)
    with connected(address) as client:
        begun = client.run_task(name, dry_run=dry_run, options=own)
        if watch:
            _watch(client, begun.name, output)
        else:
            OUT.print(Text(as_json(begun) if output is o.Output.JSON else short_name(begun.name)))


@execution.command("list")
def list_executions(
    name: Annotated[str, typer.Argument(metavar="TASK", help="A task; all tasks when left out.")] = "-",
    address: AddressOption = ADDRESS,
    output: o.OutputOption = o.Output.TEXT,
) -> None:
    """List the executions of a task, newest first."""
    with connected(address) as client:
        found = tuple(client.list_executions(name))
        if output is o.Output.JSON:
            print_json_list(found)
        else:
            print_table(("EXECUTION", "STATE", "TRANSFERRED", "BYTES", "FAILED"), (_row(item) for item in found))


@execution.command("show")
def show_execution(name: Name, address: AddressOption = ADDRESS, output: o.OutputOption = o.Output.TEXT) -> None:
    """Show one execution."""
    with connected(address) as client:
        found = client.get_execution(name)
        if output is o.Output.JSON:
            OUT.print(Text(as_json(found)))
        else:
            print_summary(found)


@execution.command("watch")
def watch_execution(name: Name, address: AddressOption = ADDRESS, output: o.OutputOption = o.Output.TEXT) -> None:
    """Show the progress of an execution until it ends. Exit code 1 if it ended badly."""
    with connected(address) as client:
        _watch(client, name, output)


@execution.command("cancel")
def cancel_execution(name: Name, address: AddressOption = ADDRESS) -> None:
    """Stop an execution. What was moved stays."""
    with connected(address) as client:
        OUT.print(Text(state_name(client.cancel_execution(name))))


def _watch(client: Client, name: str, output: o.Output) -> None:
    end_with(follow(client.watch_execution(name), quiet=output is o.Output.JSON), output)


def _row(item: Execution) -> tuple[str, ...]:
    counters = item.counters
    failed = counters.prepare_failed_count + counters.transfer_failed_count + counters.verify_failed_count
    return (
        short_name(item.name),
        state_name(item),
        f"{counters.transferred_count:,}",
        show_size(counters.transferred_bytes),
        f"{failed:,}",
    )
