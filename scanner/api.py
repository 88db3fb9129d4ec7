"""The scanner's servicer. The only file here that knows messages: inside are the values of `facts.py`."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import aclosing, closing
from dataclasses import asdict, replace
from functools import partial

import grpc
from opentelemetry import trace

from blockferry.errors import BlockferryError, Whose
from blockferry.v1 import location_pb2
from ledger.ledger import Ledger
from ledger.sightings_files import SightingsWriter
from ledger.sightings_files import read as read_sightings
from ledger.traits import read_traits
from scanner.facts import Counts, Cursor, Fact, Listed, PlannedShard, Scanned, ScanPurpose
from scanner.prepare import check_location, prepare
from scanner.scan import ScanOrder, run
from scanner.stream import Facts, Stream
from service.jobs import Job, failure_groups_to_proto, job_from_proto, location_from_proto
from service.v1 import scan_pb2, scan_pb2_grpc
from stores.base import Check
from stores.opening import open_sink, open_source

_TRACER = trace.get_tracer("blockferry.scanner")
_PURPOSES = {
    scan_pb2.ScanRequest.PURPOSE_TRANSFER: ScanPurpose.TRANSFER,
    scan_pb2.ScanRequest.PURPOSE_CHECK: ScanPurpose.CHECK,
}


class ScanServicer(scan_pb2_grpc.ScanServiceServicer):
    """Carries out the calls of `service.v1.ScanService`. Holds nothing between calls."""

    async def Scan(
        self,
        request: scan_pb2.ScanRequest,
        context: grpc.aio.ServicerContext[scan_pb2.ScanRequest, scan_pb2.ScanResponse],
    ) -> AsyncIterator[scan_pb2.ScanResponse]:
        """Lists, and tells each shard. Cancelling the call ends the scan."""
        job, purpose, cursor = (
            job_from_proto(request.job),
            purpose_from_proto(request),
            cursor_from_proto(request.cursor),
        )
        begin = partial(_scan_job, job, purpose, cursor, request.attempt)
        stream = Stream(begin, cursor.counts)
        context.add_done_callback(lambda _: stream.stop())  # type: ignore[arg-type] # the stubs want a class of theirs
        async with aclosing(stream.facts()) as facts:
            async for fact in facts:
                yield response_to_proto(fact)

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
    scan_pb2_grpc.add_ScanServiceServicer_to_server(ScanServicer(), server)
    return (scan_pb2.DESCRIPTOR.services_by_name["ScanService"].full_name,)


def _scan_job(job: Job, purpose: ScanPurpose, cursor: Cursor, attempt: int, stop: threading.Event) -> Facts:
    with _TRACER.start_as_current_span("scan") as span:
        span.set_attribute("blockferry.execution", job.execution)
        span.set_attribute("blockferry.purpose", purpose)
        span.set_attribute("blockferry.attempt", attempt)
        with closing(open_source(job.source)) as source, closing(open_sink(job.destination)) as sink:
            order = ScanOrder(source, sink, Ledger(job.ledger_uri), purpose, job.options, cursor, attempt)
            yield from run(with_sightings(order, job), stop)


def with_sightings(order: ScanOrder, job: Job) -> ScanOrder:
    """Returns the order with what earlier executions, and earlier attempts of this one, have seen at the destination,
    where that counts, and with the place where this scan's are kept."""
    traits = read_traits((job.ledger_uri,))
    if order.purpose is not ScanPurpose.TRANSFER or (traits is not None and not traits.lists_changes):
        return order
    keeper = SightingsWriter(Ledger(job.ledger_uri).folder, order.attempt)
    if traits is None:
        return replace(order, keeper=keeper)
    own = (job.ledger_uri,) if order.attempt > 1 else ()
    return replace(order, keeper=keeper, seen=partial(read_sightings, (*own, *job.earlier_ledger_uris)))


def purpose_from_proto(request: scan_pb2.ScanRequest) -> ScanPurpose:
    """Returns what a scan is for. Raises INVALID_ARGUMENT when the request does not say it."""
    purpose = _PURPOSES.get(request.purpose)
    if purpose is None:
        text = f"A scan is for a transfer or for a check, not for purpose {request.purpose}: set `purpose`."
        raise BlockferryError("INVALID_ARGUMENT", text, whose=Whose.CALLER, purpose=request.purpose)
    return purpose


def cursor_from_proto(cursor: scan_pb2.ScanCursor) -> Cursor:
    """Returns where to go on; from the begin, when the message is empty."""
    fields = scan_pb2.ScanCounts.DESCRIPTOR.fields_by_name
    counts = Counts(**{name: getattr(cursor.counts, name) for name in fields})
    return Cursor(cursor.shard_number, cursor.last_path, counts)


def _counts(counts: Counts) -> scan_pb2.ScanCounts:
    return scan_pb2.ScanCounts(**asdict(counts))


def response_to_proto(fact: Fact) -> scan_pb2.ScanResponse:
    """Returns a fact as a message of the stream."""
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
