"""The workers as the scheduler calls them. Proto messages of the internal calls stop here; whoever calls gets facts.

Every stream is watched: without a message for `SILENCE_S` it is broken. Errors of the transport (no ErrorInfo of the
worker's own) are retryable unless they say that the call itself is wrong.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar, cast

import grpc

from blockferry.errors import BlockferryError
from blockferry.status import DETAILS_KEY, from_rpc_error
from blockferry.v1 import location_pb2
from scheduler.counters import MoveTally, ScanTally, VerifyTally
from scheduler.events import Cut, Launched, Purpose, ShardMoved, ShardVerified
from scheduler.failures import PhaseName
from scheduler.messages import (
    Assignment,
    cursor_message,
    cut_of,
    failures_of,
    job_message,
    move_tally_of,
    scan_tally_of,
    verify_tally_of,
)
from scheduler.record import ScanPosition
from scheduler.shards import Shard
from service.telemetry import outgoing_metadata
from service.v1 import (
    move_pb2,
    move_pb2_grpc,
    scan_pb2,
    scan_pb2_grpc,
    verify_pb2,
    verify_pb2_grpc,
)

SILENCE_S = 60.0
PREPARE_S = 180.0
ABORT_S = 60.0
CHECK_S = 120.0
CHANNEL_OPTIONS = (
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.max_receive_message_length", 64 << 20),
    ("grpc.enable_retries", 0),  # a repeated call must have another attempt number
)
_FINAL_CODES = frozenset(
    {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.FAILED_PRECONDITION,
    }
)
Message = TypeVar("Message")


class WorkerKind(StrEnum):
    """Who is called."""

    SCANNER = "scanner"
    MOVER = "mover"
    VERIFIER = "verifier"


@dataclass(frozen=True, slots=True)
class ScanProgressed:
    """A sign of life of a scan."""

    tally: ScanTally


@dataclass(frozen=True, slots=True)
class ScanFinished:
    """The end of a good scan."""

    tally: ScanTally


@dataclass(frozen=True, slots=True)
class CheckedStep:
    """One step of a location's test."""

    step: str
    passed: bool
    reason: str
    message: str


class Workers:
    """Channels to one scanner, one mover and one verifier. Must be made and used in one event loop."""

    def __init__(self, addresses: dict[WorkerKind, str], silence_s: float = SILENCE_S) -> None:
        """Opens channels; connects when they are first used. `addresses`: `HOST:PORT` by kind."""
        self._addresses = addresses
        self._silence_s = silence_s
        self._channels = {
            kind: grpc.aio.insecure_channel(address, options=CHANNEL_OPTIONS) for kind, address in addresses.items()
        }
        self._scanner = scan_pb2_grpc.ScanServiceStub(self._channels[WorkerKind.SCANNER])
        self._mover = move_pb2_grpc.MoveServiceStub(self._channels[WorkerKind.MOVER])
        self._verifier = verify_pb2_grpc.VerifyServiceStub(self._channels[WorkerKind.VERIFIER])

    async def close(self) -> None:
        """Closes the channels and breaks what is open on them."""
        for channel in self._channels.values():
            await channel.close()

    async def ready(self, kind: WorkerKind, patience_s: float) -> None:
        """Returns when the worker can be called.

        Raises:
            BlockferryError: WORKER_UNAVAILABLE, when it cannot be for `patience_s`.
        """
        try:
            async with asyncio.timeout(patience_s):
                await self._channels[kind].channel_ready()
        except TimeoutError as error:
            address = self._addresses[kind]
            text = f"The {kind} at {address} did not answer for {patience_s:.0f} s: start it, then run the task again."
            raise BlockferryError("WORKER_UNAVAILABLE", text, worker=kind, address=address) from error

    async def prepare(self, work: Assignment, dry_run: bool) -> Launched:
        """Tries both ends before anything begins. Raises what the execution would meet."""
        request = scan_pb2.PrepareRequest(job=job_message(work), dry_run=dry_run)
        call = self._scanner.Prepare(request, timeout=PREPARE_S, metadata=outgoing_metadata())
        answer: scan_pb2.PrepareResponse = await _answer(call)
        return Launched(answer.claims_trusted, answer.claims_detail)

    async def check_location(self, location: bytes, write: bool) -> tuple[CheckedStep, ...]:
        """Returns the steps of a location's test as the scanner sees it."""
        message = location_pb2.Location.FromString(location)
        request = scan_pb2.CheckLocationRequest(location=message, write=write)
        call = self._scanner.CheckLocation(request, timeout=CHECK_S, metadata=outgoing_metadata())
        answer: scan_pb2.CheckLocationResponse = await _answer(call)
        passed = location_pb2.LocationCheck.RESULT_PASSED
        return tuple(CheckedStep(one.step, one.result == passed, one.reason, one.message) for one in answer.checks)

    async def scan(
        self, work: Assignment, purpose: Purpose, position: ScanPosition
    ) -> AsyncGenerator[Cut | ScanProgressed | ScanFinished, None]:
        """Yields what a scan finds from `position` on. The last one is `ScanFinished`."""
        phase = PhaseName.PREPARE if purpose is Purpose.TRANSFER else PhaseName.VERIFY
        request = scan_pb2.ScanRequest(
            job=job_message(work),
            purpose=f"PURPOSE_{purpose}",
            cursor=cursor_message(position) if position.number else None,
            attempt=position.tries.attempt,
        )
        stream = self._scanner.Scan(request, metadata=outgoing_metadata())
        ended = False
        async with aclosing(self._watched(stream, WorkerKind.SCANNER)) as messages:
            async for message in messages:
                match message.WhichOneof("message"):
                    case "shard_planned":
                        yield cut_of(message.shard_planned, phase)
                    case "progress":
                        yield ScanProgressed(scan_tally_of(message.progress.counts))
                    case "scan_ended":
                        ended = True
                        yield ScanFinished(scan_tally_of(message.scan_ended.counts))
        if not ended:
            raise _ended_early("Scan")

    async def move(self, work: Assignment, shard: Shard, trusted: bool) -> AsyncGenerator[MoveTally | ShardMoved, None]:
        """Yields how the move of a shard gets on. The last one is `ShardMoved`."""
        attempt = shard.moves.attempt
        request = move_pb2.MoveShardRequest(
            job=job_message(work), shard=shard.name, attempt=attempt, claims_trusted=trusted
        )
        stream = self._mover.MoveShard(request, metadata=outgoing_metadata())
        ended = False
        async with aclosing(self._watched(stream, WorkerKind.MOVER)) as messages:
            async for message in messages:
                match message.WhichOneof("message"):
                    case "progress":
                        yield move_tally_of(message.progress)
                    case "shard_moved":
                        end = message.shard_moved
                        failures = failures_of(end.failures, PhaseName.TRANSFER)
                        tally = move_tally_of(end.counts)
                        ended = True
                        yield ShardMoved(shard.name, attempt, end.receipts, tally, shard.verify_count, failures)
        if not ended:
            raise _ended_early("MoveShard")

    async def abort_uploads(self, work: Assignment, shard: str) -> int:
        """Aborts what moves of a shard have left at the store. Returns how many uploads that were."""
        request = move_pb2.AbortUploadsRequest(job=job_message(work), shard=shard)
        call = self._mover.AbortUploads(request, timeout=ABORT_S, metadata=outgoing_metadata())
        answer: move_pb2.AbortUploadsResponse = await _answer(call)
        return answer.aborted_count

    async def verify(
        self, work: Assignment, shard: Shard, trusted: bool
    ) -> AsyncGenerator[VerifyTally | ShardVerified, None]:
        """Yields how the proof of a shard gets on. The last one is `ShardVerified`."""
        attempt = shard.verifies.attempt
        request = verify_pb2.VerifyShardRequest(
            job=job_message(work), shard=shard.name, attempt=attempt, receipts=shard.receipts, claims_trusted=trusted
        )
        stream = self._verifier.VerifyShard(request, metadata=outgoing_metadata())
        ended = False
        async with aclosing(self._watched(stream, WorkerKind.VERIFIER)) as messages:
            async for message in messages:
                match message.WhichOneof("message"):
                    case "progress":
                        yield verify_tally_of(message.progress)
                    case "shard_verified":
                        end = message.shard_verified
                        failures = failures_of(end.failures, PhaseName.VERIFY)
                        ended = True
                        yield ShardVerified(shard.name, attempt, end.verdicts, verify_tally_of(end.counts), failures)
        if not ended:
            raise _ended_early("VerifyShard")

    async def write_report(self, work: Assignment, summary_json: str, shards: Iterable[Shard]) -> str:
        """Writes the report and returns where it is."""
        counting = [
            verify_pb2.ReportShard(shard=one.name, receipts=one.receipts, verdicts=one.verdicts) for one in shards
        ]
        request = verify_pb2.WriteReportRequest(job=job_message(work), summary_json=summary_json, shards=counting)
        stream = self._verifier.WriteReport(request, metadata=outgoing_metadata())
        report_uri = ""
        async with aclosing(self._watched(stream, WorkerKind.VERIFIER)) as messages:
            async for message in messages:
                report_uri = message.report_uri or report_uri
        if not report_uri:
            raise _ended_early("WriteReport")
        return report_uri

    async def _watched(
        self, stream: grpc.aio.UnaryStreamCall[object, Message], kind: WorkerKind
    ) -> AsyncGenerator[Message, None]:
        """Yields the messages of a stream; cancels it when nobody reads on."""
        try:
            while True:
                async with asyncio.timeout(self._silence_s):
                    message = await stream.read()
                if message is grpc.aio.EOF:
                    return
                yield cast(Message, message)
        except TimeoutError as error:
            text = f"The {kind} at {self._addresses[kind]} gave no sign of life for {self._silence_s:.0f} s."
            raise BlockferryError("STREAM_SILENT", text, retryable=True, worker=kind) from error
        except grpc.aio.AioRpcError as error:
            raise _error(error) from error
        finally:
            stream.cancel()


async def _answer(call: grpc.aio.UnaryUnaryCall[object, Message]) -> Message:
    try:
        return await call
    except grpc.aio.AioRpcError as error:
        raise _error(error) from error


def _error(error: grpc.aio.AioRpcError) -> BlockferryError:
    told = from_rpc_error(error)
    if not any(key == DETAILS_KEY for key, _ in error.trailing_metadata() or ()):
        told.retryable = error.code() not in _FINAL_CODES
    return told


def _ended_early(method: str) -> BlockferryError:
    text = f"{method} ended without its last message: the worker stopped in the middle."
    return BlockferryError("STREAM_ENDED", text, retryable=True, method=method)
