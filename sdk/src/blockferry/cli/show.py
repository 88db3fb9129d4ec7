"""What people see of an execution: the summary, the failures, tables of resources. Prints; decides nothing."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from rich.console import Console
from rich.table import Table
from rich.text import Text

from blockferry.cli.sizes import show_duration, show_size
from blockferry.names import short_name
from blockferry.v1.execution_pb2 import Execution
from blockferry.v1.location_pb2 import LocationCheck

OUT = Console(highlight=False, soft_wrap=True)
ERR = Console(stderr=True, highlight=False, soft_wrap=True)


def state_name(execution: Execution) -> str:
    """Returns the state's name; a state that this version does not know by its number."""
    known = execution.state in Execution.State.values()
    return Execution.State.Name(execution.state).removeprefix("STATE_") if known else f"STATE {execution.state}"


def as_json(message: Message) -> str:
    """Returns a message as indented JSON, with the field names of the proto files."""
    return json.dumps(as_dict(message), indent=2, ensure_ascii=False)


def as_dict(message: Message) -> dict[str, object]:
    """Returns a message as plain values, with the field names of the proto files and zero counts."""
    return MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)


def print_json_list(messages: Iterable[Message]) -> None:
    """Prints messages as one JSON array."""
    OUT.print(Text(json.dumps([as_dict(message) for message in messages], indent=2, ensure_ascii=False)))


def print_table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Prints a table; names are shown as they are, never as markup."""
    table = Table(*titles, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    OUT.print(table)


def print_summary(execution: Execution) -> None:
    """Prints how an execution stands or has ended: counts, throughput, failures, where the report is."""
    counters = execution.counters
    seconds = _duration_s(execution)
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_row("execution", Text(short_name(execution.name)))
    table.add_row("state", Text(state_name(execution) + (" (dry run)" if execution.dry_run else "")))
    table.add_row("listed", f"{counters.source_listed_count:,} entries, {show_size(counters.source_listed_bytes)}")
    verb = "would transfer" if execution.dry_run else "to transfer"
    table.add_row(verb, f"{counters.estimated_count:,} entries, {show_size(counters.estimated_bytes)}")
    table.add_row("already there", f"{counters.skipped_count:,} entries")
    if not execution.dry_run:
        rate = f", {show_size(counters.transferred_bytes / seconds)}/s" if seconds else ""
        moved = f"{counters.transferred_count:,} entries, {show_size(counters.transferred_bytes)}{rate}"
        table.add_row("transferred", moved)
        table.add_row("verified", f"{counters.verified_count:,} entries, {show_size(counters.verified_bytes)}")
        if counters.read_back_bytes:
            table.add_row("read back", show_size(counters.read_back_bytes))
        if counters.retry_count:
            table.add_row("retries", f"{counters.retry_count:,}")
    failed = counters.prepare_failed_count + counters.transfer_failed_count + counters.verify_failed_count
    table.add_row("failed", Text(f"{failed:,} entries", style="red" if failed else ""))
    table.add_row("time", show_duration(seconds))
    OUT.print(table)
    if execution.error_code:
        OUT.print(Text(f"{execution.error_code}: {execution.error_detail}", style="red"))
    print_failures(execution)
    if execution.report_uri:
        OUT.print(Text(f"report: {execution.report_uri}"))
    if execution.report_error:
        OUT.print(Text(f"report: {execution.report_error}", style="red"))


def print_failures(execution: Execution) -> None:
    """Prints the failures of single entries by reason, with samples."""
    for failure in execution.failures:
        OUT.print(Text(f"{failure.reason} ({failure.phase.lower()}, {failure.failure_count:,}): {failure.message}"))
        for path in failure.sample_paths:
            OUT.print(Text(f"    {path}"))


def print_checks(checks: Iterable[LocationCheck]) -> bool:
    """Prints the steps of a location's test; returns whether all passed."""
    passed = True
    for check in checks:
        good = check.result == LocationCheck.RESULT_PASSED
        passed &= good
        line = Text("PASSED " if good else "FAILED ", style="green" if good else "red")
        OUT.print(line + Text(check.step + (f" {check.reason}" if check.reason else "") + f": {check.message}"))
    return passed


def _duration_s(execution: Execution) -> float:
    if not execution.HasField("end_time"):
        return 0.0
    begin = execution.launch_time if execution.HasField("launch_time") else execution.create_time
    return max(0.0, (execution.end_time.ToDatetime() - begin.ToDatetime()).total_seconds())
