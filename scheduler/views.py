"""An execution as its public message. Decides nothing and asks nobody."""

from __future__ import annotations

from dataclasses import replace

from google.protobuf import json_format, timestamp_pb2

from blockferry.v1 import execution_pb2, failure_pb2, task_pb2
from scheduler.counters import Tally
from scheduler.failures import PhaseFailure
from scheduler.machine import State, outcome
from scheduler.phases import PhaseTimes
from scheduler.record import ExecutionRecord, error_of


def timestamp(time_ms: int) -> timestamp_pb2.Timestamp:
    """Returns a time given in milliseconds since 1970 UTC."""
    return timestamp_pb2.Timestamp(seconds=time_ms // 1000, nanos=time_ms % 1000 * 1_000_000)


def execution_message(record: ExecutionRecord) -> execution_pb2.Execution:
    """Returns the whole resource."""
    state = record.execution.state
    code, detail = error_of(record) if state is State.ERROR else ("", "")
    message = execution_pb2.Execution(
        name=record.name,
        state=f"STATE_{state}",
        counters=_counters(record.tally),
        failures=[_failure(one) for one in record.failures],
        phases=[_phase(one) for one in record.phases],
        error_code=code,
        error_detail=detail,
        create_time=timestamp(record.create_ms),
        traceparent=record.traceparent,
        options=task_pb2.Options.FromString(record.options),
        dry_run=record.execution.dry_run,
        ledger_uri=record.ledger_uri,
        report_uri=record.report_uri,
        report_error=record.report_error,
        revision=record.revision,
    )
    if record.launch_ms is not None:
        message.launch_time.CopyFrom(timestamp(record.launch_ms))
    if record.end_ms is not None:
        message.end_time.CopyFrom(timestamp(record.end_ms))
    return message


def summary_json(record: ExecutionRecord, now_ms: int) -> str:
    """Returns the execution as it will be once its report is written, as a JSON object with the proto's field names."""
    ended = replace(record, execution=replace(record.execution, state=outcome(record.execution)), end_ms=now_ms)
    return json_format.MessageToJson(
        execution_message(ended), preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )


def _counters(tally: Tally) -> execution_pb2.Counters:
    scan, move, verify = tally.scan, tally.move, tally.verify
    return execution_pb2.Counters(
        source_listed_count=scan.source_listed_count,
        source_listed_bytes=scan.source_listed_bytes,
        destination_listed_count=scan.destination_listed_count,
        destination_listed_bytes=scan.destination_listed_bytes,
        estimated_count=scan.estimated_count,
        estimated_bytes=scan.estimated_bytes,
        estimated_folder_count=scan.estimated_folder_count,
        estimated_metadata_count=scan.estimated_metadata_count,
        skipped_count=scan.skipped_count,
        prepare_failed_count=scan.failed_count,
        transferred_count=move.transferred_count,
        transferred_bytes=move.transferred_bytes,
        written_bytes=move.written_bytes,
        transfer_failed_count=move.failed_count,
        verified_count=verify.verified_count,
        verified_bytes=verify.verified_bytes,
        verify_failed_count=verify.failed_count,
        read_back_bytes=verify.read_back_bytes,
        estimated_verify_count=tally.to_verify_count,
        retry_count=move.retry_count + verify.retry_count + tally.broken_call_count,
    )


def _failure(one: PhaseFailure) -> failure_pb2.Failure:
    return failure_pb2.Failure(
        reason=one.reason,
        code=one.code,
        message=one.message,
        metadata=dict(one.metadata),
        failure_count=one.failure_count,
        sample_paths=one.sample_paths,
        phase=one.phase,
    )


def _phase(one: PhaseTimes) -> execution_pb2.Phase:
    message = execution_pb2.Phase(name=one.name, status=f"STATUS_{one.status}")
    if one.start_ms is not None:
        message.start_time.CopyFrom(timestamp(one.start_ms))
    if one.end_ms is not None:
        message.end_time.CopyFrom(timestamp(one.end_ms))
    return message
