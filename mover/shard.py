"""Moves one shard: plan in, receipts out. Runs on the event loop and waits for the pool; touches no data itself.

A failed entry is a receipt; a failed call is an error, and then no receipts are written: what the store has taken is
found by the next attempt, and begun uploads are noted in the ledger.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass

from opentelemetry import trace

from blockferry.errors import BlockferryError
from ledger.failures import FailureGroup, group_failures
from ledger.ledger import Ledger
from ledger.records import EntryFailure, Note, PlanEntry, Receipt, UploadIntent, UploadNote
from mover.batches import Sorting, halves, sort_entries
from mover.calls import (
    Aborted,
    AbortOrphans,
    AbortUpload,
    Answer,
    AskFeatures,
    BatchMoved,
    CallFailed,
    Errand,
    FeaturesKnown,
    Lane,
    MoveBatch,
)
from mover.counts import MoveCounts
from mover.drive import ShardDesk, drive
from mover.parts import DEFAULT_PART_BYTES, part_sizes
from mover.pool import Pool
from mover.transfer import PartPolicy, start
from service.jobs import Job
from stores.base import SinkFeatures

LOG = logging.getLogger("blockferry.mover")
MOST_ILL = 24
"""So many entries one after the other that fail by a fault of the store itself: then the shard is given back."""
TRACER = trace.get_tracer("blockferry.mover")


@dataclass(frozen=True, slots=True)
class ShardOrder:
    """What is to be moved.

    Attributes:
        run: another one for every call, also for the same attempt: a run that was stopped stays so.
        claims_trusted: what the store keeps is a proof; else nothing that an earlier attempt left is taken over.
    """

    run: str
    job: Job
    shard: str
    attempt: int
    claims_trusted: bool

    @property
    def errand(self) -> Errand:
        """What all calls of this order share."""
        return Errand(
            run=self.run,
            source=self.job.source,
            destination=self.job.destination,
            part_size_bytes=self.job.options.part_size_bytes,
            resume=self.attempt > 1 and self.claims_trusted,
        )


@dataclass(frozen=True, slots=True)
class ShardResult:
    """The end of a shard's move. `receipts`: their name in the ledger."""

    receipts: str
    counts: MoveCounts
    failures: tuple[FailureGroup, ...]


class ShardMove:
    """One attempt at one shard. `counts` can be read at any time; `run` once."""

    def __init__(self, order: ShardOrder, ledger: Ledger, pool: Pool) -> None:
        self._order = order
        self._pool = pool
        self._ledger = ledger
        self._desk = ShardDesk(order.shard, order.errand, ledger, pool, self._count)
        self._receipts: dict[str, Receipt] = {}
        self._ill_streak = 0
        self.counts = MoveCounts()

    async def run(self) -> ShardResult:
        """Moves the shard and writes its receipts.

        Raises:
            BlockferryError: the ledger or a store cannot be reached; then no receipts are written. Uploads that were
                begun stay, and their notes.
        """
        order = self._order
        facts: dict[str, str | int] = {"shard": order.shard, "attempt": order.attempt}
        with TRACER.start_as_current_span("move shard", attributes=facts):
            try:
                entries = await asyncio.to_thread(self._ledger.read_plan, order.shard)
                await self._move(entries)
            except BaseExceptionGroup as group:
                await self._pool.stop(order.errand.run)
                raise _first(group) from group
            except asyncio.CancelledError:
                # Calls that nobody waits for any more end before the shard is given to somebody else.
                await self._pool.stop(order.errand.run)
                raise
            return await self._write(entries)

    async def _move(self, entries: tuple[PlanEntry, ...]) -> None:
        asked = self._order.job.options.part_size_bytes
        policy = PartPolicy(
            part_bytes=asked or DEFAULT_PART_BYTES,
            window=self._pool.seats(Lane.PARTS),
            single_bytes=part_sizes(0, asked, await self._features()).single,
            since_ms=time.time_ns() // 1_000_000,
        )
        sorting = sort_entries(entries, policy.single_bytes)
        notes = await self._notes(sorting)
        files: Iterator[MoveBatch | PlanEntry] = iter((*sorting.heavy, *sorting.large))
        batches = iter(sorting.batches)
        async with asyncio.TaskGroup() as group:
            for _ in range(self._pool.seats(Lane.PARTS)):
                group.create_task(self._move_files(files, policy, notes))
            for _ in range(self._pool.seats(Lane.SMALL)):
                group.create_task(self._move_batches(batches))
        for folders in map(iter, sorting.folders):
            async with asyncio.TaskGroup() as group:
                for _ in range(self._pool.seats(Lane.SMALL)):
                    group.create_task(self._move_batches(folders))

    async def _features(self) -> SinkFeatures:
        answer = await self._desk.ask(AskFeatures())
        match answer:
            case FeaturesKnown():
                return answer.features
            case CallFailed(failure=failure):
                raise _error(failure)
            case _:
                raise AssertionError(f"{answer} does not tell the sink's limits")

    async def _notes(self, sorting: Sorting) -> dict[str, Note]:
        """Returns what earlier attempts noted, by path, and aborts the uploads of files that do not go in parts now."""
        notes = {note.path: note for note in await asyncio.to_thread(self._ledger.upload_notes, self._order.shard)}
        large = {entry.path for entry in sorting.large}
        for path in notes.keys() - large:
            await abort_noted(self._desk, notes[path])
        return {path: note for path, note in notes.items() if path in large}

    async def _move_batches(self, batches: Iterator[MoveBatch]) -> None:
        for batch in batches:
            await self._move_batch(batch)

    async def _move_batch(self, batch: MoveBatch) -> None:
        answer = await self._desk.ask(batch)
        match answer:
            case BatchMoved():
                self._keep(answer.receipts)
            case CallFailed(failure=failure) if parts := halves(batch):
                LOG.warning('action="batch_divided" entries=%d reason=%s', len(batch.entries), failure.reason)
                for half in parts:
                    await self._move_batch(half)
            case CallFailed(failure=failure):
                self._keep(tuple(Receipt(entry.path, entry.action, failure=failure) for entry in batch.entries))
            case _:
                raise AssertionError(f"{answer} is no answer to a batch")

    async def _move_files(
        self, files: Iterator[MoveBatch | PlanEntry], policy: PartPolicy, notes: dict[str, Note]
    ) -> None:
        for file in files:
            if isinstance(file, MoveBatch):
                await self._move_batch(file)
            elif file.source is not None:
                begun = start(file, file.source, policy, notes.get(file.path), self._order.claims_trusted)
                self._keep((await drive(self._desk, begun),))

    def _keep(self, receipts: tuple[Receipt, ...]) -> None:
        """Keeps receipts of finished entries.

        Raises:
            BlockferryError: STORE_UNAVAILABLE, when so many in a row failed by it that the store is ill, not a key.
        """
        for receipt in receipts:
            ill = receipt.failure is not None and receipt.failure.reason == "STORE_UNAVAILABLE"
            self._ill_streak = self._ill_streak + 1 if ill else 0
            if receipt.failure is not None and self._ill_streak == MOST_ILL:
                raise _error(receipt.failure)
        self._receipts.update((receipt.path, receipt) for receipt in receipts)
        self.counts = self.counts.with_receipts(receipts)

    def _count(self, answer: Answer) -> None:
        self.counts = self.counts.after(answer)

    async def _write(self, entries: tuple[PlanEntry, ...]) -> ShardResult:
        name = f"{self._order.shard}.{self._order.attempt}"
        receipts = [self._receipts[entry.path] for entry in entries if entry.path in self._receipts]
        await asyncio.to_thread(self._ledger.write_receipts, name, receipts)
        failed = ((receipt.path, receipt.failure) for receipt in receipts if receipt.failure is not None)
        LOG.info('action="shard_moved" receipts=%s %s', name, self.counts)
        return ShardResult(name, self.counts, group_failures(failed))


async def abort_noted(desk: ShardDesk, note: Note) -> EntryFailure | None:
    """Aborts an upload and drops its note. Returns why that was not possible; then the note stays."""
    match note:
        case UploadNote():
            answer = await desk.ask(AbortUpload(note.upload))
        case UploadIntent():
            answer = await desk.ask(AbortOrphans(note.path, note.since_ms))
    match answer:
        case Aborted():
            await asyncio.to_thread(desk.ledger.drop_upload, desk.shard, note.path)
            return None
        case CallFailed(failure=failure):
            return failure
        case _:
            raise AssertionError(f"{answer} is no answer to an abort")


async def abort_uploads(order: ShardOrder, ledger: Ledger, pool: Pool) -> int:
    """Aborts every noted upload of a shard. Returns how many.

    Raises:
        BlockferryError: one could not be aborted; the others were, and the call can be repeated.
    """
    desk = ShardDesk(order.shard, order.errand, ledger, pool, lambda _: None)
    notes = await asyncio.to_thread(ledger.upload_notes, order.shard)
    failures = [failure for note in notes if (failure := await abort_noted(desk, note)) is not None]
    if failures:
        raise _error(failures[0])
    return len(notes)


def _error(failure: EntryFailure) -> BlockferryError:
    error = BlockferryError(failure.reason, failure.message, retryable=True)
    error.coordinates = dict(failure.coordinates)
    return error


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Returns one error of a group: what went wrong, rather than what was stopped because of it."""
    leaves = [leaf for leaf in _leaves(group) if not isinstance(leaf, asyncio.CancelledError)]
    stopped = [leaf for leaf in leaves if isinstance(leaf, BlockferryError) and leaf.reason == "CANCELLED"]
    return next((leaf for leaf in leaves if leaf not in stopped), leaves[0])


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error
