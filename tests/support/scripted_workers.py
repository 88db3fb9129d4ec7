"""Workers that speak the internal protocol over a real socket and do what a test tells them, without any data.

They let a test of the scheduler die in the middle of a stream, stay silent, fail for good, or answer late.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import grpc
from google.protobuf.message import Message

from blockferry.v1 import location_pb2
from service.server import Guard
from service.v1 import (
    job_pb2,
    move_pb2,
    move_pb2_grpc,
    scan_pb2,
    scan_pb2_grpc,
    verify_pb2,
    verify_pb2_grpc,
)

FILES = 10  # per shard
FILE_BYTES = 100
Context = grpc.aio.ServicerContext[Message, Message]
Moves = Callable[[move_pb2.MoveShardRequest], AsyncIterator[move_pb2.MoveShardResponse]]
Verifies = Callable[[verify_pb2.VerifyShardRequest], AsyncIterator[verify_pb2.VerifyShardResponse]]
Scans = Callable[[scan_pb2.ScanRequest], AsyncIterator[scan_pb2.ScanResponse]]


def shard_name(number: int, purpose: int) -> str:
    """Returns a shard's name in the ledger."""
    return f"{'c' if purpose == scan_pb2.ScanRequest.PURPOSE_CHECK else ''}{number:06d}"


def planned(number: int, purpose: int, move_count: int = FILES, verify_count: int = FILES) -> scan_pb2.ScanResponse:
    """Returns the announcement of a shard of `FILES` files."""
    listed = number * FILES
    counts = scan_pb2.ScanCounts(
        source_listed_count=listed,
        source_listed_bytes=listed * FILE_BYTES,
        estimated_count=listed,
        estimated_bytes=listed * FILE_BYTES,
    )
    cursor = scan_pb2.ScanCursor(shard_number=number, last_path=f"file-{number:06d}", counts=counts)
    check = purpose == scan_pb2.ScanRequest.PURPOSE_CHECK
    shard = scan_pb2.ShardPlanned(
        shard=shard_name(number, purpose),
        move_count=0 if check else move_count,
        move_bytes=0 if check else move_count * FILE_BYTES,
        verify_count=verify_count,
        cursor=cursor,
    )
    return scan_pb2.ScanResponse(shard_planned=shard)


def scan_ended(shard_count: int) -> scan_pb2.ScanResponse:
    """Returns the end of a scan that planned so many shards."""
    listed = shard_count * FILES
    counts = scan_pb2.ScanCounts(
        source_listed_count=listed, estimated_count=listed, estimated_bytes=listed * FILE_BYTES
    )
    return scan_pb2.ScanResponse(scan_ended=scan_pb2.ScanEnded(counts=counts))


def move_progress(files: int) -> move_pb2.MoveShardResponse:
    """Returns a sign of life after so many files."""
    progress = move_pb2.MoveProgress(transferred_count=files, transferred_bytes=files * FILE_BYTES)
    return move_pb2.MoveShardResponse(progress=progress)


def shard_moved(
    request: move_pb2.MoveShardRequest, failures: tuple[job_pb2.FailureGroup, ...] = ()
) -> move_pb2.MoveShardResponse:
    """Returns the end of a shard's move."""
    failed = sum(group.failure_count for group in failures)
    counts = move_pb2.MoveProgress(
        transferred_count=FILES - failed,
        transferred_bytes=(FILES - failed) * FILE_BYTES,
        written_bytes=FILES * FILE_BYTES,
        failed_count=failed,
    )
    end = move_pb2.ShardMoved(receipts=f"{request.shard}.{request.attempt}", counts=counts, failures=failures)
    return move_pb2.MoveShardResponse(shard_moved=end)


def shard_verified(request: verify_pb2.VerifyShardRequest) -> verify_pb2.VerifyShardResponse:
    """Returns the end of a shard's proof."""
    counts = verify_pb2.VerifyProgress(verified_count=FILES, verified_bytes=FILES * FILE_BYTES)
    end = verify_pb2.ShardVerified(verdicts=f"{request.shard}.{request.attempt}", counts=counts)
    return verify_pb2.VerifyShardResponse(shard_verified=end)


def failure(reason: str, count: int, path: str) -> job_pb2.FailureGroup:
    """Returns a group of failed entries."""
    return job_pb2.FailureGroup(
        reason=reason, code=15, message=f"{path} differs.", failure_count=count, sample_paths=[path]
    )


async def forever() -> None:
    """Waits until the call is cancelled."""
    await asyncio.Event().wait()


@dataclass
class Calls:
    """What was asked, in order."""

    prepared: list[bool] = field(default_factory=list)
    scans: list[scan_pb2.ScanRequest] = field(default_factory=list)
    moves: list[tuple[str, int]] = field(default_factory=list)
    aborts: list[str] = field(default_factory=list)
    verifies: list[tuple[str, int]] = field(default_factory=list)
    reports: list[verify_pb2.WriteReportRequest] = field(default_factory=list)
    trace_ids: set[str] = field(default_factory=set)


class ScriptedWorkers(
    scan_pb2_grpc.ScanServiceServicer, move_pb2_grpc.MoveServiceServicer, verify_pb2_grpc.VerifyServiceServicer
):
    """A scanner, a mover and a verifier in one server. Replace `scans`, `moves`, `verifies` to misbehave."""

    def __init__(self, shard_count: int = 3) -> None:
        self.shard_count = shard_count
        self.calls = Calls()
        self.port = 0
        self.scans: Scans = self.scan_well
        self.moves: Moves = self.move_well
        self.verifies: Verifies = self.verify_well
        self.prepare_error: Exception | None = None
        self.abort_errors: list[Exception] = []
        self.report_error: Exception | None = None
        self.claims_trusted = True
        self._server: grpc.aio.Server | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Listens; again on the same port after `die`."""
        self._server = grpc.aio.server(interceptors=(Guard(),), options=(("grpc.so_reuseport", 0),))
        scan_pb2_grpc.add_ScanServiceServicer_to_server(self, self._server)
        move_pb2_grpc.add_MoveServiceServicer_to_server(self, self._server)
        verify_pb2_grpc.add_VerifyServiceServicer_to_server(self, self._server)
        self.port = self._server.add_insecure_port(f"127.0.0.1:{self.port}")
        await self._server.start()

    async def die(self) -> None:
        """Ends the server and breaks every open stream."""
        assert self._server is not None
        await self._server.stop(None)

    async def scan_well(self, request: scan_pb2.ScanRequest) -> AsyncIterator[scan_pb2.ScanResponse]:
        """Plans the shards behind the cursor."""
        for number in range(request.cursor.shard_number + 1, self.shard_count + 1):
            yield planned(number, request.purpose)
        yield scan_ended(self.shard_count)

    async def move_well(self, request: move_pb2.MoveShardRequest) -> AsyncIterator[move_pb2.MoveShardResponse]:
        """Moves a shard in two steps."""
        yield move_progress(FILES // 2)
        yield shard_moved(request)

    async def verify_well(
        self, request: verify_pb2.VerifyShardRequest
    ) -> AsyncIterator[verify_pb2.VerifyShardResponse]:
        """Proves a shard."""
        yield shard_verified(request)

    async def Prepare(self, request: scan_pb2.PrepareRequest, context: Context) -> scan_pb2.PrepareResponse:
        self._note_trace(context)
        self.calls.prepared.append(request.dry_run)
        if self.prepare_error is not None:
            raise self.prepare_error
        return scan_pb2.PrepareResponse(claims_trusted=self.claims_trusted, claims_detail="all refused")

    async def CheckLocation(
        self, request: scan_pb2.CheckLocationRequest, context: Context
    ) -> scan_pb2.CheckLocationResponse:
        check = location_pb2.LocationCheck(step="list", result=location_pb2.LocationCheck.RESULT_PASSED, message="ok")
        return scan_pb2.CheckLocationResponse(checks=[check])

    async def Scan(self, request: scan_pb2.ScanRequest, context: Context) -> AsyncIterator[scan_pb2.ScanResponse]:
        self._note_trace(context)
        self.calls.scans.append(request)
        async for message in self.scans(request):
            yield message

    async def MoveShard(
        self, request: move_pb2.MoveShardRequest, context: Context
    ) -> AsyncIterator[move_pb2.MoveShardResponse]:
        self._note_trace(context)
        self.calls.moves.append((request.shard, request.attempt))
        async for message in self.moves(request):
            yield message

    async def AbortUploads(
        self, request: move_pb2.AbortUploadsRequest, context: Context
    ) -> move_pb2.AbortUploadsResponse:
        self._note_trace(context)
        self.calls.aborts.append(request.shard)
        if self.abort_errors:
            raise self.abort_errors.pop(0)
        return move_pb2.AbortUploadsResponse(aborted_count=1)

    async def VerifyShard(
        self, request: verify_pb2.VerifyShardRequest, context: Context
    ) -> AsyncIterator[verify_pb2.VerifyShardResponse]:
        self._note_trace(context)
        self.calls.verifies.append((request.shard, request.attempt))
        async for message in self.verifies(request):
            yield message

    async def WriteReport(
        self, request: verify_pb2.WriteReportRequest, context: Context
    ) -> AsyncIterator[verify_pb2.WriteReportResponse]:
        self._note_trace(context)
        self.calls.reports.append(request)
        if self.report_error is not None:
            raise self.report_error
        yield verify_pb2.WriteReportResponse()
        yield verify_pb2.WriteReportResponse(report_uri=f"{request.job.ledger_uri}/report")

    def _note_trace(self, context: Context) -> None:
        for key, value in context.invocation_metadata() or ():
            if key == "traceparent":
                self.calls.trace_ids.add(str(value).split("-")[1])
