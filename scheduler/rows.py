"""Executions and shards as rows of the tables, and back. Opens no connection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import cast

from scheduler.counters import Tally
from scheduler.failures import PhaseFailure
from scheduler.machine import Execution
from scheduler.phases import PhaseTimes
from scheduler.plain import from_plain, to_plain
from scheduler.record import ExecutionRecord, ScanPosition
from scheduler.shards import Shard, ShardState, Tries

Row = Mapping[str, object]


def execution_row(record: ExecutionRecord) -> dict[str, object]:
    """Returns the row of an execution, without its sequence."""
    return {
        "name": record.name,
        "task": record.task,
        "state": str(record.execution.state),
        "revision": record.revision,
        "dry_run": record.execution.dry_run,
        "options": record.options,
        "traceparent": record.traceparent,
        "ledger_uri": record.ledger_uri,
        "create_time_ms": record.create_ms,
        "launch_time_ms": record.launch_ms,
        "end_time_ms": record.end_ms,
        "control": to_plain(record.execution),
        "tally": to_plain(record.tally),
        "failures": to_plain(record.failures),
        "phases": to_plain(record.phases),
        "scans": [to_plain(record.scan), to_plain(record.check_scan)],
        "report_uri": record.report_uri,
        "report_error": record.report_error,
    }


def record_of(row: Row) -> ExecutionRecord:
    """Returns the execution of a row."""
    scan, check_scan = cast(list[object], row["scans"])
    return ExecutionRecord(
        execution=from_plain(Execution, row["control"]),
        task=cast(str, row["task"]),
        create_ms=cast(int, row["create_time_ms"]),
        options=bytes(cast(bytes, row["options"])),
        traceparent=cast(str, row["traceparent"]),
        ledger_uri=cast(str, row["ledger_uri"]),
        launch_ms=cast(int | None, row["launch_time_ms"]),
        end_ms=cast(int | None, row["end_time_ms"]),
        tally=from_plain(Tally, row["tally"]),
        failures=tuple(from_plain(PhaseFailure, one) for one in cast(list[object], row["failures"])),
        phases=tuple(from_plain(PhaseTimes, one) for one in cast(list[object], row["phases"])),
        scan=from_plain(ScanPosition, scan),
        check_scan=from_plain(ScanPosition, check_scan),
        report_uri=cast(str, row["report_uri"]),
        report_error=cast(str, row["report_error"]),
        revision=cast(int, row["revision"]),
    )


def shard_row(execution: str, shard: Shard) -> dict[str, object]:
    """Returns the row of a shard."""
    return {
        "execution": execution,
        "name": shard.name,
        "number": shard.number,
        "state": str(shard.state),
        "move_count": shard.move_count,
        "move_bytes": shard.move_bytes,
        "verify_count": shard.verify_count,
        "move_attempt": shard.moves.attempt,
        "move_broken": shard.moves.broken,
        "verify_attempt": shard.verifies.attempt,
        "verify_broken": shard.verifies.broken,
        "receipts": shard.receipts,
        "verdicts": shard.verdicts,
    }


def shard_of(row: Row) -> Shard:
    """Returns the shard of a row."""
    shard = Shard(cast(str, row["name"]), cast(int, row["number"]), ShardState(cast(str, row["state"])))
    return replace(
        shard,
        move_count=cast(int, row["move_count"]),
        move_bytes=cast(int, row["move_bytes"]),
        verify_count=cast(int, row["verify_count"]),
        moves=Tries(cast(int, row["move_attempt"]), cast(int, row["move_broken"])),
        verifies=Tries(cast(int, row["verify_attempt"]), cast(int, row["verify_broken"])),
        receipts=cast(str, row["receipts"]),
        verdicts=cast(str, row["verdicts"]),
    )
