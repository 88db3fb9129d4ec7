"""Traces, metrics and logs of every process: the only file that imports the OpenTelemetry SDK and its exporters.

Where they go is said by environment variables alone, so that services, actors and the command line agree:

- `OTEL_EXPORTER_OTLP_ENDPOINT` (and the other standard ones): traces and metrics go to that collector by OTLP/gRPC.
- `BLOCKFERRY_TRACE_FILE`: every ended span is appended to that file as one JSON line. All processes of a house share
  the file: a batch is one write in append mode.
- `BLOCKFERRY_LOG_LEVEL`: INFO when unset. Log lines go to standard error as `key=value`, with the trace id.

No path of a file ever becomes an attribute of a metric.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from opentelemetry import context, metrics, propagate, trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

TRACE_FILE = "BLOCKFERRY_TRACE_FILE"
LOG_LEVEL = "BLOCKFERRY_LOG_LEVEL"
_NO_SPAN = nullcontext(trace.INVALID_SPAN)
_OTLP = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT")


class SpanFile(SpanExporter):
    """Appends ended spans to a file, one JSON object per line. Each batch is one write, so processes can share it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Writes one batch."""
        lines = "".join(span.to_json(indent=None) + "\n" for span in spans).encode()
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(descriptor, lines)
        finally:
            os.close(descriptor)
        return SpanExportResult.SUCCESS


class TraceLog(logging.Formatter):
    """One event per line: time, level, logger, trace id, then the message."""

    def format(self, record: logging.LogRecord) -> str:
        """Returns the line of a record."""
        span = trace.get_current_span().get_span_context()
        trace_id = f"{span.trace_id:032x}" if span.is_valid else "-"
        head = f"{self.formatTime(record)} {record.levelname} {record.name} pid={record.process} trace_id={trace_id}"
        return f"{head} {super().format(record)}"


def setup(service: str, trace_file: str = "", leaf: bool = False) -> None:
    """Sets this process's tracer, meter and log handler up. Later calls change nothing.

    Args:
        service: name of the process, e.g. `mover`.
        trace_file: where spans go besides the collector; empty: where the environment says.
        leaf: this process hands no trace on, but to actors of its own. Where nobody takes its spans, none is recorded
            then, which saves 0.1 ms of CPU a file; its log lines still carry the trace id.
    """
    if isinstance(trace.get_tracer_provider(), TracerProvider):
        return
    resource = Resource.create({"service.name": f"blockferry-{service}", "process.pid": os.getpid()})
    trace_file = trace_file or os.environ.get(TRACE_FILE, "")
    by_otlp = any(os.environ.get(name) for name in _OTLP)
    unheard = leaf and not trace_file and not by_otlp
    tracers = TracerProvider(ALWAYS_OFF if unheard else None, resource)
    if trace_file:
        tracers.add_span_processor(BatchSpanProcessor(SpanFile(Path(trace_file)), schedule_delay_millis=500))
    if by_otlp:
        _export_by_otlp(tracers, resource)
    trace.set_tracer_provider(tracers)
    _log_to_stderr()


def _export_by_otlp(tracers: TracerProvider, resource: Resource) -> None:
    # Imported only when asked for: the exporters cost every process 20 MB, the metrics of the SDK a tenth of a second.
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    reader = PeriodicExportingMetricReader(OTLPMetricExporter())
    metrics.set_meter_provider(MeterProvider(resource=resource, metric_readers=[reader]))


def _log_to_stderr() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(TraceLog())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(os.environ.get(LOG_LEVEL, "INFO").upper())
    for noisy in ("botocore", "urllib3", "alembic", "ray"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def span(tracer: trace.Tracer, name: str, facts: Mapping[str, str | int]) -> AbstractContextManager[trace.Span]:
    """Begins a span below the present one, for what is done thousands of times a second: where nobody takes this
    process's spans (`leaf` of `setup`) none is made."""
    if getattr(trace.get_tracer_provider(), "sampler", None) is ALWAYS_OFF:
        return _NO_SPAN
    return tracer.start_as_current_span(name, attributes=facts)


def flush() -> None:
    """Sends what waits to be exported. To be called after each larger piece of work: a worker can be killed without
    warning."""
    provider = trace.get_tracer_provider()
    if isinstance(provider, TracerProvider):
        provider.force_flush(timeout_millis=5_000)


def shutdown() -> None:
    """Sends what waits to be exported and ends the exporters."""
    provider = trace.get_tracer_provider()
    if isinstance(provider, TracerProvider):
        provider.shutdown()
    if shut_down := getattr(metrics.get_meter_provider(), "shutdown", None):  # the SDK's has it, the API's has not
        shut_down()


def carrier() -> dict[str, str]:
    """Returns the current span as W3C headers (`traceparent`): metadata of calls, an argument of every Ray call."""
    headers: dict[str, str] = {}
    propagate.inject(headers)
    return headers


def outgoing_metadata() -> tuple[tuple[str, str], ...]:
    """Returns the current span as metadata of a gRPC call."""
    return tuple(carrier().items())


@contextmanager
def attached(headers: Mapping[str, str]) -> Iterator[None]:
    """Runs the block under the remote span that `headers` names."""
    token = context.attach(propagate.extract(dict(headers)))
    try:
        yield
    finally:
        context.detach(token)
