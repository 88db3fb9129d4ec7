"""The scanner's servicer. The only file here that knows messages: inside are the values of `facts.py`."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from dataclasses import asdict
from functools import partial

import grpc
from opentelemetry import trace

from blockferry.errors import BlockferryError, Whose
from blockferry.v1 import location_pb2
from ledger.ledger import Ledger
from scanner.facts import Counts, Cursor, Fact, Listed, PlannedShard, Purpose, Scanned
from scanner.prepare import check_location, prepare
from scanner.scan import Scan, run
from scanner.stream import Facts, Stream
from service.jobs import Job, failure_groups_to_proto, job_from_proto, location_from_proto
from service.v1 import scan_pb2, scan_pb2_grpc
from stores.base import Check
from stores.opening import open_sink, open_source

_TRACER = trace.get_tracer("blockferry.scanner")
TURN_S = 30.0  # how long a new scan waits for an earlier one of the same ledger to stop
_PURPOSES = {
    scan_pb2.ScanRequest.PURPOSE_TRANSFER: Purpose.TRANSFER,
    scan_pb2.ScanRequest.PURPOSE_CHECK: Purpose.CHECK,
}


class ScanServicer(scan_pb2_grpc.ScanServiceServicer):
    """Carries out the calls of `service.v1.ScanService`."""

    def __init__(self) -> None:
        self._running: dict[tuple[str, Purpose], Stream] = {}

    async def Scan(
        self,
        request: scan_pb2.ScanRequest,
        context: grpc.aio.ServicerContext[scan_pb2.ScanRequest, scan_pb2.ScanResponse],
    ) -> AsyncIterator[scan_pb2.ScanResponse]:
        """Lists, and tells each shard. Cancelling the call ends the scan."""
        job, purpose, cursor = job_from_proto(request.job), _purpose(request), _cursor(request.cursor)
        begin = partial(_scan_job, job, purpose, cursor, request.attempt)
        stream = await self._take_turn((job.ledger_uri, purpose), Stream(begin, cursor.counts))
        async for fact in stream.facts():
            yield _response(fact)

    async def _take_turn(self, key: tuple[str, Purpose], stream: Stream) -> Stream:
        """Returns the stream when an earlier scan with the same plan files has ended.

        A scan whose caller is gone could else still write the shard that it has cut, in the place of the one that the
        new scan has announced under the same name, with other entries.
        """
        while (earlier := self._running.get(key)) is not None and not earlier.ended.done():
            earlier.stop()
            try:
                await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(earlier.ended)), TURN_S)
            except TimeoutError as error:
                raise _busy(key[0]) from error
        self._running[key] = stream
        return stream

    async def Prepare(
        self,
        request: scan_pb2.PrepareRequest,
        context: grpc.aio.ServicerContext[scan_pb2.PrepareRequest, scan_pb2.PrepareResponse],
    ) -> scan_pb2.PrepareResponse:
        """Tries both ends of a job."""
        probe = await asyncio.to_thread(prepare, job_from_proto(request.job), request.dry_run)
        return scan_pb2.PrepareResponse(claims_trusted=probe.trusted, claims_detail=probe.detail)

    async def CheckLocation(
        self,
        request: scan_pb2.CheckLocationRequest,
        context: grpc.aio.ServicerContext[scan_pb2.CheckLocationRequest, scan_pb2.CheckLocationResponse],
    ) -> scan_pb2.CheckLocationResponse:
        """Tries one location step by step."""
        checks = await asyncio.to_thread(check_location, location_from_proto(request.location), request.write)
        return scan_pb2.CheckLocationResponse(checks=[_check(check) for check in checks])


def register(server: grpc.aio.Server) -> tuple[str, ...]:
    """Adds the servicer to a server; returns the full names of its services."""
    scan_pb2_grpc.add_ScanServiceServicer_to_server(ScanServicer(), server)  # type: ignore[no-untyped-call]
    return (scan_pb2.DESCRIPTOR.services_by_name["ScanService"].full_name,)


def _scan_job(job: Job, purpose: Purpose, cursor: Cursor, attempt: int, stop: threading.Event) -> Facts:
    with _TRACER.start_as_current_span("scan") as span:
        span.set_attribute("blockferry.execution", job.execution)
        span.set_attribute("blockferry.purpose", purpose)
        span.set_attribute("blockferry.attempt", attempt)
        source, sink = open_source(job.source), open_sink(job.destination)
        try:
            yield from run(Scan(source, sink, Ledger(job.ledger_uri), purpose, job.options, cursor), stop)
        finally:
            source.close()


def _busy(ledger_uri: str) -> BlockferryError:
    text = f"An earlier scan into the ledger {ledger_uri} has not stopped within {TURN_S} s: try again later."
    return BlockferryError("SCAN_BUSY", text, retryable=True, retry_after_s=TURN_S, ledger=ledger_uri)


def _purpose(request: scan_pb2.ScanRequest) -> Purpose:
    purpose = _PURPOSES.get(request.purpose)
    if purpose is None:
        text = f"A scan is for a transfer or for a check, not for purpose {request.purpose}: set `purpose`."
        raise BlockferryError("INVALID_ARGUMENT", text, whose=Whose.CALLER, purpose=request.purpose)
    return purpose


def _cursor(cursor: scan_pb2.ScanCursor) -> Cursor:
    fields = scan_pb2.ScanCounts.DESCRIPTOR.fields_by_name
    counts = Counts(**{name: getattr(cursor.counts, name) for name in fields})
    return Cursor(cursor.shard_number, cursor.last_path, counts)


def _counts(counts: Counts) -> scan_pb2.ScanCounts:
    return scan_pb2.ScanCounts(**asdict(counts))


def _response(fact: Fact) -> scan_pb2.ScanResponse:
    match fact:
        case PlannedShard():
            return scan_pb2.ScanResponse(shard_planned=_planned(fact))
        case Listed(counts):
            return scan_pb2.ScanResponse(progress=scan_pb2.ScanProgress(counts=_counts(counts)))
        case Scanned(counts):
            return scan_pb2.ScanResponse(scan_ended=scan_pb2.ScanEnded(counts=_counts(counts)))


def _planned(shard: PlannedShard) -> scan_pb2.ShardPlanned:
    cursor = scan_pb2.ScanCursor(
        shard_number=shard.cursor.shard_number,
        last_path=shard.cursor.last_path,
        counts=_counts(shard.cursor.counts),
    )
    return scan_pb2.ShardPlanned(
        shard=shard.name,
        move_count=shard.move_count,
        move_bytes=shard.move_bytes,
        verify_count=shard.verify_count,
        cursor=cursor,
        failures=failure_groups_to_proto(shard.failures),
    )


def _check(check: Check) -> location_pb2.LocationCheck:
    return location_pb2.LocationCheck(
        step=check.step,
        result=location_pb2.LocationCheck.RESULT_PASSED if check.passed else location_pb2.LocationCheck.RESULT_FAILED,
        reason=check.reason,
        message=check.message,
    )
