"""What the mover counts, as OpenTelemetry instruments. No path of a file is ever an attribute."""

from __future__ import annotations

import time
from dataclasses import dataclass

from opentelemetry import metrics, trace
from opentelemetry.metrics import Histogram

from blockferry.errors import BlockferryError
from mover.calls import Effort

_METER = metrics.get_meter("blockferry.mover")
MOVED_BYTES = _METER.create_counter("blockferry.mover.moved.bytes", "By", "Bytes that the store has taken")
WRITTEN_BYTES = _METER.create_counter("blockferry.mover.written.bytes", "By", "Bytes sent, with repeated ones")
MOVED_FILES = _METER.create_counter("blockferry.mover.moved.files", "{file}", "Entries at the destination")
FAILED_FILES = _METER.create_counter("blockferry.mover.failed.files", "{file}", "Entries given up, by reason")
RETRIES = _METER.create_counter("blockferry.mover.retries.count", "{request}", "Requests made again, by reason")
READ_SECONDS = _METER.create_histogram("blockferry.mover.read.seconds", "s", "Reading one range from the source")
SEND_SECONDS = _METER.create_histogram("blockferry.mover.send.seconds", "s", "Sending one object or part")


class Timed:
    """Records how long the block took, also when it raises."""

    __slots__ = ("_began", "_histogram")

    def __init__(self, histogram: Histogram) -> None:
        self._histogram = histogram

    def __enter__(self) -> None:
        self._began = time.monotonic()

    def __exit__(self, *_: object) -> None:
        self._histogram.record(time.monotonic() - self._began)


@dataclass(slots=True)
class EffortMeter:
    """Counts what one call costs. Belongs to one thread."""

    written_bytes: int = 0
    retry_count: int = 0

    def wrote(self, size: int) -> None:
        """Counts bytes that are about to be sent."""
        self.written_bytes += size
        WRITTEN_BYTES.add(size)

    def retried(self, error: BlockferryError, attempt: int = 1) -> None:
        """Counts a request that is made again because of `error`, and notes it in the current span."""
        self.retry_count += 1
        RETRIES.add(1, {"reason": error.reason})
        facts: dict[str, str | int] = {"reason": error.reason, "message": error.message, "attempt": attempt}
        trace.get_current_span().add_event("retry", facts)

    def failed_over(self, count: int) -> None:
        """Counts replicas that failed before the one that was read."""
        if count:
            self.retry_count += count
            RETRIES.add(count, {"reason": "REPLICA_FAILED"})

    @property
    def effort(self) -> Effort:
        """What was counted up to now."""
        return Effort(self.written_bytes, self.retry_count)
