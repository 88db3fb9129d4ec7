"""The servicer of protos/service/v1/move.proto: messages in, dataclasses inside, messages out."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator, Callable

import grpc

from ledger.ledger import Ledger
from mover.counts import MoveCounts
from mover.pool import Pool
from mover.shard import ShardMove, ShardOrder, ShardResult, abort_uploads
from service.jobs import failure_groups_to_proto, job_from_proto
from service.v1 import move_pb2, move_pb2_grpc

LOG = logging.getLogger("blockferry.mover")
SIGN_OF_LIFE_S = 1.0

Response = move_pb2.MoveShardResponse
Key = tuple[str, str]


class MoveServicer(move_pb2_grpc.MoveServiceServicer):
    """Moves shards over one pool. Several shards share its hands; each call is one stream."""

    def __init__(self, pool: Pool, rise: Callable[[], None] = lambda: None) -> None:
        """`rise` asks for actors where there are none yet: a shard that failed once may have an entry that ends its
        process, which must not be this one again."""
        self._pool = pool
        self._rise = rise
        self._moves: dict[Key, asyncio.Task[ShardResult]] = {}

    async def MoveShard(
        self, request: move_pb2.MoveShardRequest, context: grpc.aio.ServicerContext[move_pb2.MoveShardRequest, Response]
    ) -> AsyncIterator[Response]:
        """Streams progress every second, then the result. An earlier attempt that still runs here is stopped first."""
        job = job_from_proto(request.job)
        order = ShardOrder(_run(request), job, request.shard, request.attempt, request.claims_trusted)
        key = (order.job.execution, order.shard)
        await self._stop(key)
        if order.attempt > 1:
            self._rise()
        move = ShardMove(order, Ledger(order.job.ledger_uri), self._pool)
        task = self._moves[key] = asyncio.create_task(move.run())
        try:
            while not (await asyncio.wait({task}, timeout=SIGN_OF_LIFE_S))[0]:
                yield Response(progress=_progress(move.counts))
            yield Response(shard_moved=_shard_moved(task.result()))
        finally:
            await _ended(task)
            if self._moves.get(key) is task:
                del self._moves[key]

    async def AbortUploads(
        self,
        request: move_pb2.AbortUploadsRequest,
        context: grpc.aio.ServicerContext[move_pb2.AbortUploadsRequest, move_pb2.AbortUploadsResponse],
    ) -> move_pb2.AbortUploadsResponse:
        """Stops what runs of the shard, then aborts its noted uploads."""
        order = ShardOrder(_run(request), job_from_proto(request.job), request.shard, attempt=0, claims_trusted=False)
        await self._stop((order.job.execution, order.shard))
        count = await abort_uploads(order, Ledger(order.job.ledger_uri), self._pool)
        LOG.info('action="uploads_aborted" shard=%s count=%d', order.shard, count)
        return move_pb2.AbortUploadsResponse(aborted_count=count)

    async def _stop(self, key: Key) -> None:
        if task := self._moves.get(key):
            await _ended(task)


async def _ended(task: asyncio.Task[ShardResult]) -> None:
    """Cancels a move and waits until its calls have ended (`pool.STOP_S` at most)."""
    task.cancel()
    await asyncio.wait({task})


def _run(request: move_pb2.MoveShardRequest | move_pb2.AbortUploadsRequest) -> str:
    return f"{request.job.execution}/{request.shard}/{uuid.uuid4().hex}"


def _progress(counts: MoveCounts) -> move_pb2.MoveProgress:
    return move_pb2.MoveProgress(
        transferred_count=counts.transferred_count,
        transferred_bytes=counts.transferred_bytes,
        written_bytes=counts.written_bytes,
        failed_count=counts.failed_count,
        retry_count=counts.retry_count,
    )


def _shard_moved(result: ShardResult) -> move_pb2.ShardMoved:
    return move_pb2.ShardMoved(
        receipts=result.receipts,
        counts=_progress(result.counts),
        failures=failure_groups_to_proto(result.failures),
    )
