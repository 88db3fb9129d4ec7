"""How commands become calls to workers, and their messages become facts. Changes nothing itself: it tells the run.

The open stream is the lease of a shard. When it breaks, the shard goes back and is given out again under the next
attempt, after a wait. An unreachable worker is waited for before an attempt is begun, so its absence uses none up.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import AbstractContextManager, aclosing
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol, TypeVar

from blockferry.errors import BlockferryError
from scheduler.bench import Bench
from scheduler.counters import MoveTally, ScanTally, VerifyTally
from scheduler.earlier import MOST_LEDGERS, earlier_ledgers
from scheduler.events import (
    CallBroken,
    CallKind,
    CheckScanEnded,
    CheckShardPlanned,
    Cut,
    Launch,
    MoveShard,
    Purpose,
    ReportFailed,
    ReportWritten,
    Scan,
    ScanEnded,
    ShardMoved,
    ShardPlanned,
    ShardVerified,
    VerifyShard,
    WriteReport,
)
from scheduler.messages import Assignment
from scheduler.record import Advance, ExecutionRecord, Fact
from scheduler.shards import Shard, Tries
from scheduler.tracing import call_span
from scheduler.views import summary_json
from scheduler.workers import ScanFinished, ScanProgressed, WorkerKind

LOG = logging.getLogger("blockferry.scheduler")
Progress = ScanTally | MoveTally | VerifyTally
Attempt = Callable[[], Awaitable[None]]
T = TypeVar("T")


class Teller(Protocol):
    """Who is told what the workers say: a run."""

    record: ExecutionRecord

    async def take(self, fact: Fact) -> Advance: ...
    async def give_out(self, kind: CallKind, shard: str) -> None: ...
    def shard(self, name: str) -> Shard: ...
    def shards(self) -> tuple[Shard, ...]: ...
    def tries(self, kind: CallKind, shard: str) -> Tries: ...
    def note(self, kind: CallKind, shard: str, progress: Progress | None) -> None: ...


@dataclass(frozen=True, slots=True)
class Calls:
    """The calls of one execution. `refuses_untrusted`: a store that accepts false checksums ends the execution."""

    bench: Bench
    work: Assignment
    refuses_untrusted: bool
    run: Teller

    async def carry_out(self, command: Launch | Scan | MoveShard | VerifyShard | WriteReport) -> None:
        """Returns when the command is done, or nothing more is to be tried.

        Raises:
            BlockferryError: the execution cannot go on.
        """
        match command:
            case Launch():
                await self._launch()
            case Scan(Purpose.TRANSFER):
                await self._repeat(CallKind.SCAN, "", partial(self._scan, Purpose.TRANSFER))
            case Scan(Purpose.CHECK):
                await self._repeat(CallKind.CHECK_SCAN, "", partial(self._scan, Purpose.CHECK))
            case MoveShard(shard):
                await self._repeat(CallKind.MOVE, shard, partial(self._move, shard))
            case VerifyShard(shard):
                await self._repeat(CallKind.VERIFY, shard, partial(self._verify, shard))
            case WriteReport():
                await self._report()

    async def abort_uploads(self, shards: Iterable[str]) -> None:
        """Leaves nothing of these half-moved shards at the store. What cannot be aborted is logged and stays there."""
        await asyncio.gather(*(self._abort(shard) for shard in shards))

    async def _abort(self, shard: str) -> None:
        try:
            await self.bench.workers.ready(WorkerKind.MOVER, self.bench.limits.report_patience_s)
            count = await self._tried("abort uploads", partial(self.bench.workers.abort_uploads, self.work, shard))
        except BlockferryError as error:
            text = 'action="uploads_left" execution=%s shard=%s error="%s"'
            LOG.error(text, self.work.execution, shard, error)
            return
        LOG.info('action="uploads_aborted" execution=%s shard=%s count=%d', self.work.execution, shard, count)

    async def _launch(self) -> None:
        dry_run = self.run.record.execution.dry_run
        for kind in WorkerKind:
            await self.bench.workers.ready(kind, self.bench.limits.patience_s)
        work = await self._informed()
        launched = await self._tried("prepare", partial(self.bench.workers.prepare, work, dry_run))
        if self.refuses_untrusted and not launched.claims_trusted and not dry_run:
            text = "The destination accepts false checksums, and the options refuse such a store: "
            text += launched.claims_detail or "it cannot prove what it keeps."
            raise BlockferryError("UNTRUSTED_STORE", text)
        await self.run.take(launched)

    async def _tried(self, name: str, call: Callable[[], Awaitable[T]]) -> T:
        """Returns what `call` does, made again after a wait while its errors are retryable."""
        attempts = self.bench.limits.backoff.attempts
        for attempt in range(1, attempts + 1):
            try:
                with self._span(name, {"attempt": attempt}):
                    return await call()
            except BlockferryError as error:
                if not error.retryable or attempt == attempts:
                    raise
                await self._wait(attempt, error)
        raise AssertionError("a backoff allows one attempt at least")

    async def _repeat(self, kind: CallKind, shard: str, call: Attempt) -> None:
        """Makes a call again and again, each time under the next attempt, until it is done or given up."""
        while (error := await self._attempt(kind, shard, call)) is not None:
            attempt, coordinates = self.run.tries(kind, shard).attempt, tuple(error.coordinates.items())
            broken = CallBroken(kind, shard, attempt, error.reason, error.message, error.retryable, coordinates)
            result = await self.run.take(broken)
            if result.stale or result.record.execution.ending is not None:
                return
            await self._wait(self.run.tries(kind, shard).broken, error)

    async def _attempt(self, kind: CallKind, shard: str, call: Attempt) -> BlockferryError | None:
        """Makes a call under the next attempt. Returns the error that broke it."""
        async with self._place(kind):
            await self.bench.workers.ready(_WORKERS[kind], self.bench.limits.patience_s)
            await self.run.give_out(kind, shard)
            attempt = self.run.tries(kind, shard).attempt
            try:
                with self._span(kind.lower().replace("_", " "), {"shard": shard, "attempt": attempt}):
                    await call()
            except BlockferryError as error:
                return error
            finally:
                self.run.note(kind, shard, None)
        return None

    def _place(self, kind: CallKind) -> asyncio.Semaphore:
        match kind:
            case CallKind.MOVE:
                return self.bench.moving
            case CallKind.VERIFY:
                return self.bench.verifying
            case _:
                return asyncio.Semaphore()  # an execution has one scan at a time anyway

    async def _scan(self, purpose: Purpose) -> None:
        position = self.run.record.position(purpose)
        checking = purpose is Purpose.CHECK
        work = self.work if checking else await self._informed()
        async with aclosing(self.bench.workers.scan(work, purpose, position)) as messages:
            async for message in messages:
                match message:
                    case Cut():
                        await self.run.take(CheckShardPlanned(message) if checking else ShardPlanned(message))
                    case ScanProgressed(tally) if not checking:
                        self.run.note(CallKind.SCAN, "", tally)
                    case ScanFinished(tally):
                        await self.run.take(CheckScanEnded(tally) if checking else ScanEnded(tally))

    async def _informed(self) -> Assignment:
        """Returns the assignment with what earlier executions have left. Not before it is needed: one that waits in the
        queue does not know yet what those before it will leave."""
        name = self.work.execution
        records = await self.bench.desk.ask(lambda store: store.earlier_executions(name, MOST_LEDGERS))
        return replace(self.work, earlier_ledger_uris=earlier_ledgers(records))

    async def _move(self, name: str) -> None:
        trusted = self.run.record.execution.claims_trusted
        await self._follow(CallKind.MOVE, name, self.bench.workers.move(self.work, self.run.shard(name), trusted))

    async def _verify(self, name: str) -> None:
        trusted = self.run.record.execution.claims_trusted
        await self._follow(CallKind.VERIFY, name, self.bench.workers.verify(self.work, self.run.shard(name), trusted))

    async def _follow(
        self,
        kind: CallKind,
        shard: str,
        stream: AsyncGenerator[MoveTally | ShardMoved, None] | AsyncGenerator[VerifyTally | ShardVerified, None],
    ) -> None:
        async with aclosing(stream) as messages:
            async for message in messages:
                match message:
                    case MoveTally() | VerifyTally():
                        self.run.note(kind, shard, message)
                    case ShardMoved() | ShardVerified():
                        await self.run.take(message)

    async def _report(self) -> None:
        try:
            uri = await self._tried("write report", self._write_report)
        except BlockferryError as error:
            await self.run.take(ReportFailed(error.reason, error.message))
            return
        await self.run.take(ReportWritten(uri))

    async def _write_report(self) -> str:
        limits, record = self.bench.limits, self.run.record
        patience_s = limits.patience_s if record.execution.ending is None else limits.report_patience_s
        await self.bench.workers.ready(WorkerKind.VERIFIER, patience_s)
        summary = summary_json(record, self.bench.now_ms())
        return await self.bench.workers.write_report(self.work, summary, self.run.shards())

    async def _wait(self, broken: int, error: BlockferryError) -> None:
        LOG.warning('action="call_broken" execution=%s error="%s"', self.run.record.name, error)
        delay_s = self.bench.limits.backoff.delay_s(broken, random.random(), error.retry_after_s)  # noqa: S311 - jitter
        await asyncio.sleep(delay_s)

    def _span(self, name: str, attributes: dict[str, str | int]) -> AbstractContextManager[None]:
        record = self.run.record
        return call_span(name, record.traceparent, {"execution": record.name, **attributes})


_WORKERS = {
    CallKind.SCAN: WorkerKind.SCANNER,
    CallKind.CHECK_SCAN: WorkerKind.SCANNER,
    CallKind.MOVE: WorkerKind.MOVER,
    CallKind.VERIFY: WorkerKind.VERIFIER,
}
