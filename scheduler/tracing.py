"""Spans and metrics of the scheduler. All spans of an execution are children of the context that `RunTask` was called
in, which is stored with the execution: one trace, however often the scheduler is started again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import metrics, trace

from blockferry.errors import BlockferryError
from scheduler.machine import State
from scheduler.record import ExecutionRecord, error_of
from service.telemetry import attached

_METER = metrics.get_meter("blockferry.scheduler")
EXECUTIONS = _METER.create_counter(
    "blockferry.scheduler.executions.count", description="Executions that came to a state"
)
SHARDS = _METER.create_counter("blockferry.scheduler.shards.count", description="Shards that came to a state")
STEPS = _METER.create_histogram("blockferry.scheduler.step.latency.seconds", unit="s", description="A step, stored")


@contextmanager
def call_span(name: str, traceparent: str, attributes: dict[str, str | int]) -> Iterator[None]:
    """Runs the block in a span of the execution whose context is `traceparent`. A BlockferryError is its status."""
    tracer = trace.get_tracer("blockferry.scheduler")
    with attached({"traceparent": traceparent}):
        span = tracer.start_as_current_span(
            name,
            attributes=attributes,
            kind=trace.SpanKind.CLIENT,
            record_exception=False,
            set_status_on_exception=False,
        )
        with span as current:
            try:
                yield
            except BlockferryError as error:
                current.set_status(trace.Status(trace.StatusCode.ERROR, str(error)))
                raise


def record_execution(record: ExecutionRecord) -> None:
    """Writes the span `execution`, from the call of `RunTask` to the end, once the execution has ended.

    It is written whole at the end because it outlives the process that began it.
    """
    state = record.execution.state
    attributes: dict[str, str | int] = {
        "execution": record.name,
        "state": str(state),
        "transferred_count": record.tally.move.transferred_count,
        "transferred_bytes": record.tally.move.transferred_bytes,
        "failed_count": record.tally.failed_count,
    }
    with attached({"traceparent": record.traceparent}):
        tracer = trace.get_tracer("blockferry.scheduler")
        span = tracer.start_span("execution", start_time=record.create_ms * 1_000_000, attributes=attributes)
    if state is State.ERROR:
        span.set_status(trace.Status(trace.StatusCode.ERROR, ": ".join(error_of(record))))
    span.end((record.end_ms or record.create_ms) * 1_000_000)
