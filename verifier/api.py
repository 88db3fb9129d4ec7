"""The verifier's servicer. The only file here that knows messages: inside are frozen dataclasses."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from contextlib import aclosing

import grpc
from opentelemetry import metrics, trace

from blockferry.errors import BlockferryError, Whose
from ledger.ledger import Ledger
from ledger.report import ShardNames, write_report
from service import telemetry
from service.jobs import failure_groups_to_proto, job_from_proto
from service.v1 import verify_pb2, verify_pb2_grpc
from verifier.pool import Provers
from verifier.shard import PROGRESS_S, ProofCounts, ShardProved, ShardWork, prove_shard

_METER = metrics.get_meter("blockferry.verifier")
_ENTRIES = _METER.create_counter("blockferry.verifier.proved.entries")
_BYTES = _METER.create_counter("blockferry.verifier.proved.bytes", unit="By")
_READ_BACK = _METER.create_counter("blockferry.verifier.read_back.bytes", unit="By")
_RETRIES = _METER.create_counter("blockferry.verifier.retries")


class VerifyServicer(verify_pb2_grpc.VerifyServiceServicer):
    """Carries out the calls of `service.v1.VerifyService`. Holds the pool of provers, and nothing between calls."""

    def __init__(self, provers: Provers) -> None:
        """Begins to start the provers; calls wait until they are ready."""
        self._provers = provers
        self._started = asyncio.ensure_future(provers.start())

    async def VerifyShard(
        self,
        request: verify_pb2.VerifyShardRequest,
        context: grpc.aio.ServicerContext[verify_pb2.VerifyShardRequest, verify_pb2.VerifyShardResponse],
    ) -> AsyncIterator[verify_pb2.VerifyShardResponse]:
        """Proves a shard. Cancelling the call stops the work."""
        work, ledger = _shard_work(request), Ledger(request.job.ledger_uri)
        _tell_span(request)
        started = self._start_again_if_failed()
        while not (await asyncio.wait((started,), timeout=PROGRESS_S))[0]:
            yield _response(ProofCounts())
        started.result()
        last = ProofCounts()
        async with aclosing(prove_shard(work, ledger, self._provers, telemetry.carrier())) as facts:
            async for fact in facts:
                counts = fact.counts if isinstance(fact, ShardProved) else fact
                _measure(last, counts)
                last = counts
                yield _response(fact)

    async def WriteReport(
        self,
        request: verify_pb2.WriteReportRequest,
        context: grpc.aio.ServicerContext[verify_pb2.WriteReportRequest, verify_pb2.WriteReportResponse],
    ) -> AsyncIterator[verify_pb2.WriteReportResponse]:
        """Writes the report in a thread. Cancelling the call ends it after the shard that it is at."""
        stop = threading.Event()
        writing = asyncio.create_task(asyncio.to_thread(_write_report, request, stop))
        try:
            while not (await asyncio.wait((writing,), timeout=PROGRESS_S))[0]:
                yield verify_pb2.WriteReportResponse()
            yield verify_pb2.WriteReportResponse(report_uri=writing.result())
        finally:
            stop.set()

    async def close(self) -> None:
        """Ends the provers."""
        await asyncio.wait((self._started,))
        await self._provers.close()

    def _start_again_if_failed(self) -> asyncio.Future[None]:
        started = self._started
        if started.done() and (started.cancelled() or started.exception() is not None):
            self._started = asyncio.ensure_future(self._provers.start())
        return self._started


def register(server: grpc.aio.Server, servicer: VerifyServicer) -> tuple[str, ...]:
    """Adds the servicer to a server; returns the full names of its services."""
    verify_pb2_grpc.add_VerifyServiceServicer_to_server(servicer, server)
    return (verify_pb2.DESCRIPTOR.services_by_name["VerifyService"].full_name,)


def _shard_work(request: verify_pb2.VerifyShardRequest) -> ShardWork:
    if request.attempt < 1:
        text = f"The attempt must be 1 or more, not {request.attempt}: set `attempt`."
        raise BlockferryError("INVALID_ARGUMENT", text, whose=Whose.CALLER, attempt=request.attempt)
    job = job_from_proto(request.job)
    return ShardWork(
        source=job.source,
        destination=job.destination,
        shard=request.shard,
        attempt=request.attempt,
        receipts=request.receipts,
        claims_trusted=request.claims_trusted,
    )


def _tell_span(request: verify_pb2.VerifyShardRequest) -> None:
    span = trace.get_current_span()
    span.set_attribute("blockferry.execution", request.job.execution)
    span.set_attribute("blockferry.shard", request.shard)
    span.set_attribute("blockferry.attempt", request.attempt)


def _response(fact: ProofCounts | ShardProved) -> verify_pb2.VerifyShardResponse:
    if isinstance(fact, ProofCounts):
        return verify_pb2.VerifyShardResponse(progress=_progress(fact))
    end = verify_pb2.ShardVerified(
        verdicts=fact.verdicts, counts=_progress(fact.counts), failures=failure_groups_to_proto(fact.failures)
    )
    return verify_pb2.VerifyShardResponse(shard_verified=end)


def _progress(counts: ProofCounts) -> verify_pb2.VerifyProgress:
    return verify_pb2.VerifyProgress(
        verified_count=counts.verified_count,
        verified_bytes=counts.verified_bytes,
        failed_count=counts.failed_count,
        read_back_bytes=counts.read_back_bytes,
        retry_count=counts.retry_count,
    )


def _measure(last: ProofCounts, now: ProofCounts) -> None:
    _ENTRIES.add(now.verified_count - last.verified_count, {"result": "verified"})
    _ENTRIES.add(now.failed_count - last.failed_count, {"result": "failed"})
    _BYTES.add(now.verified_bytes - last.verified_bytes)
    _READ_BACK.add(now.read_back_bytes - last.read_back_bytes)
    _RETRIES.add(now.retry_count - last.retry_count)


def _write_report(request: verify_pb2.WriteReportRequest, stop: threading.Event) -> str:
    def raise_if_stopped() -> None:
        if stop.is_set():
            raise BlockferryError("REPORT_CANCELLED", "The report was given up because its call was cancelled.")

    shards = tuple(ShardNames(shard.shard, shard.receipts, shard.verdicts) for shard in request.shards)
    uri = request.job.options.report_uri
    return write_report(Ledger(request.job.ledger_uri), _summary(request.summary_json), shards, uri, raise_if_stopped)


def _summary(text: str) -> dict[str, object]:
    try:
        summary = json.loads(text)
    except ValueError as error:
        raise _no_summary(str(error)) from error
    if not isinstance(summary, dict):
        raise _no_summary(f"it is a {type(summary).__name__}")
    return summary


def _no_summary(detail: str) -> BlockferryError:
    text = f"The summary of a report must be a JSON object: {detail}. Set `summary_json`."
    return BlockferryError("INVALID_ARGUMENT", text, whose=Whose.CALLER, field="summary_json")
