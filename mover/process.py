"""What one process of the pool holds: opened stores, buffers, threads. Runs calls; knows neither Ray nor a shard.

Memory: peak_bytes = PART_THREADS * (part_bytes + 1 MiB) + MEDIUM_FILES * 4 MiB + SMALL_THREADS * 256 KiB, and what the
stores need; with parts of 64 MiB that is 170 MiB. For the pool: times actor_count. `part_bytes` is the larger of 64
MiB, the size that was asked, and size_of_file / 10,000. A part waits for a free buffer; that is what keeps the bound.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from functools import partial, reduce
from typing import Self

from opentelemetry import trace

from blockferry.errors import BlockferryError
from ledger.records import EntryFailure, PlanEntry, Receipt
from mover import measures
from mover.buffers import BufferPool, BuffersBySize
from mover.calls import (
    Aborted,
    AbortOrphans,
    AbortUpload,
    Answer,
    AskFeatures,
    BatchMoved,
    BeginUpload,
    Call,
    CallFailed,
    CompleteUpload,
    Effort,
    Errand,
    FeaturesKnown,
    Lane,
    MoveBatch,
    MovePart,
    Restated,
    ResumeUpload,
    StatSource,
    with_effort,
)
from mover.measures import EffortMeter
from mover.opened import OpenStores
from mover.stops import Stops
from mover.uploads import abort_orphans, begin_upload, complete_upload, move_part, resume_upload
from mover.worker import Gear, concerns_all, failure_of, move_entry
from service import telemetry
from service.backoff import Backoff
from service.concurrency import AdaptiveThreads
from stores.opening import open_sink, open_source

LOG = logging.getLogger("blockferry.mover")
TRACER = trace.get_tracer("blockferry.mover")

PART_THREADS = 2
"""Parts at once: while one is sent, the next is read."""
SMALL_CALLS = 2
"""Batches at once: while the last files of one are on their way, the next begins."""
CONTROL_THREADS = 4
SMALL_THREADS = 32
"""Small files at once, of all batches, where a store is far away: their latencies overlap."""
MEDIUM_FILES = 8
"""Of them, those at once that are larger than `SMALL_BYTES`."""
SMALL_BYTES = 256 << 10


class MoverProcess:
    """Runs the calls of one process. Threads may share it: one per call, as many as the lanes have."""

    def __init__(self, stores: OpenStores, backoff: Backoff) -> None:
        self._stores = stores
        self._backoff = backoff
        self._stops = Stops()
        self._part_buffers = BufferPool(PART_THREADS)
        small = BufferPool(SMALL_THREADS, SMALL_BYTES)  # without huge pages
        self._small_buffers = BuffersBySize(small, SMALL_BYTES, BufferPool(MEDIUM_FILES))
        self._threads = AdaptiveThreads(SMALL_THREADS, "small")

    @classmethod
    def over_any_store(cls) -> Self:
        """Returns a process that opens each location's store."""
        return cls(OpenStores(open_source, open_sink), Backoff())

    def run(self, call: Call, errand: Errand, carrier: Mapping[str, str]) -> Answer:
        """Returns the answer to a call, made below the span that `carrier` names. Blocks.

        Raises:
            BlockferryError: what concerns every entry alike (`worker.CONCERN_ALL`).
        """
        meter = EffortMeter()
        with telemetry.attached(carrier):
            try:
                answer = self._answer(call, errand, meter)
            except Exception as error:
                answer = CallFailed(_failure(error))
            finally:
                if call.lane is not Lane.CONTROL:
                    telemetry.flush()  # a process that is killed takes with it what it has not sent
        return with_effort(answer, meter.effort)

    def stop(self, run: str) -> None:
        """Makes the calls of a run end as soon as they look: before a request, and while they wait for another try."""
        self._stops.of(run).set()

    def close(self) -> None:
        """Ends threads and connections."""
        self._threads.close()
        self._stores.close()

    def _answer(self, call: Call, errand: Errand, meter: EffortMeter) -> Answer:
        gear = self._gear(call, errand)
        match call:
            case AskFeatures():
                return FeaturesKnown(gear.sink.features)
            case MoveBatch():
                return self._move_batch(gear, call, errand)
            case BeginUpload():
                return begin_upload(gear, call, errand.part_size_bytes, errand.resume, meter)
            case ResumeUpload():
                size = errand.part_size_bytes
                return resume_upload(gear, call.file, call.upload, size, self._threads, meter)
            case MovePart():
                return self._move_part(gear, call, errand, meter)
            case CompleteUpload():
                return complete_upload(gear, call.file, call.upload, call.parts, meter)
            case AbortUpload():
                gear.again(lambda: gear.sink.abort(call.upload), meter)
                return Aborted()
            case AbortOrphans():
                gear.again(lambda: abort_orphans(gear, call.path, call.since_ms), meter)
                return Aborted()
            case StatSource():
                return Restated(gear.again(lambda: gear.source.stat(call.path), meter))

    def _gear(self, call: Call, errand: Errand) -> Gear:
        light = isinstance(call, MoveBatch) and not call.heavy
        return Gear(
            source=self._stores.source(errand.source),
            sink=self._stores.sink(errand.destination),
            buffers=self._small_buffers if light else self._part_buffers,
            backoff=self._backoff,
            pause=self._stops.pause_of(errand.run),
        )

    def _move_batch(self, gear: Gear, call: MoveBatch, errand: Errand) -> BatchMoved:
        move = partial(move_object, gear, resume=errand.resume)
        # A heavy one waits for its buffer only, not behind small ones for a thread.
        moved = list(map(move, call.entries)) if call.heavy else self._threads.each(move, call.entries)
        effort = reduce(Effort.plus, (cost for _, cost in moved), Effort())
        return BatchMoved(tuple(receipt for receipt, _ in moved), effort)

    def _move_part(self, gear: Gear, call: MovePart, errand: Errand, meter: EffortMeter) -> Answer:
        facts: dict[str, str | int] = {
            "path": call.file.path,
            "part": call.range.number,
            "size_bytes": call.range.size,
            "pid": os.getpid(),
        }
        with TRACER.start_as_current_span("move part", attributes=facts):
            file = self._stores.with_layout(errand.source, gear, call.file, meter)
            return move_part(gear, file, call.upload, call.range, meter)


def move_object(gear: Gear, entry: PlanEntry, resume: bool) -> tuple[Receipt, Effort]:
    """Moves one entry of a batch. Returns its receipt, with the failure when it failed, and what it cost.

    Raises:
        BlockferryError: what concerns every entry alike.
    """
    meter = EffortMeter()
    facts: dict[str, str | int] = {"path": entry.path, "action": entry.action.value, "pid": os.getpid()}
    with telemetry.span(TRACER, "move object", facts) as span:
        try:
            receipt = move_entry(gear, entry, resume, meter)
            measures.MOVED_FILES.add(1)
        except Exception as error:
            failure = _failure(error)
            span.set_status(trace.StatusCode.ERROR, f"{failure.reason}: {failure.message}")
            measures.FAILED_FILES.add(1, {"reason": failure.reason})
            receipt = _failed_receipt(entry, failure, meter)
    return receipt, meter.effort


def _failed_receipt(entry: PlanEntry, failure: EntryFailure, meter: EffortMeter) -> Receipt:
    return Receipt(
        path=entry.path,
        action=entry.action,
        size_bytes=entry.source.size_bytes if entry.source else 0,
        source_version=entry.source.version if entry.source else "",
        attempts=1 + meter.retry_count,
        failure=failure,
    )


def _failure(error: Exception) -> EntryFailure:
    """Returns why an entry fails. Raises the error again when it concerns every entry."""
    if isinstance(error, BlockferryError):
        if concerns_all(error):
            raise error
        return failure_of(error)
    LOG.error('action="entry_failed" error=%s', type(error).__name__, exc_info=error)
    text = f"A fault of ours ({type(error).__name__}: {error}): see the mover's log."
    return EntryFailure("INTERNAL", text)
