"""One open execution: its record in memory, the calls that are under way for it, and the steps that change it.

Every change goes through `take`: decide (pure), store, then carry the commands out, one step at a time. A step that was
begun is finished even if the call that told the fact is cancelled meanwhile.

The open stream is the lease of a shard. When it breaks, the shard goes back and is given out again under the next
attempt. Bounds: `Slots` limits the calls of all executions together; a waiting shard costs one task and about 1 KB.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from functools import partial

from blockferry.errors import BlockferryError
from scheduler.counters import Live, MoveTally, ScanTally, VerifyTally, with_live
from scheduler.events import (
    Broken,
    CallBroken,
    CallKind,
    CheckScanEnded,
    CheckShardPlanned,
    Command,
    Cut,
    Drain,
    Drained,
    Launch,
    Launched,
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
from scheduler.record import Advance, ExecutionRecord, Fact, advance, next_revision, resumed
from scheduler.shards import BROKEN_LIMIT, Shard, given_out
from scheduler.store import Desk, Store
from scheduler.tracing import EXECUTIONS, SHARDS, STEPS, call_span
from scheduler.views import summary_json
from scheduler.watch import Signal
from scheduler.workers import ScanFinished, ScanProgressed, WorkerKind, Workers
from service.backoff import Backoff

LOG = logging.getLogger("blockferry.scheduler")


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is done at once, and how long is waited.

    Attributes:
        moving: shards that are moved at once, of all executions.
        verifying: shards that are verified at once, of all executions.
        patience_s: how long a worker may be unreachable before the execution breaks.
        report_patience_s: the same for the report of an execution that was cancelled or broke.
        backoff: waits between broken calls.
    """

    moving: int = 2
    verifying: int = 2
    patience_s: float = 300.0
    report_patience_s: float = 30.0
    backoff: Backoff = field(default_factory=partial(Backoff, base_s=0.5, attempts=BROKEN_LIMIT))


@dataclass(frozen=True, slots=True)
class Bench:
    """What all runs share. `now_ms`: milliseconds since 1970 UTC."""

    desk: Desk
    workers: Workers
    limits: Limits
    moving: asyncio.Semaphore
    verifying: asyncio.Semaphore
    now_ms: Callable[[], int]


class Run:
    """An execution that has not ended, or has just done so."""

    def __init__(
        self,
        bench: Bench,
        record: ExecutionRecord,
        shards: tuple[Shard, ...],
        work: Assignment,
        refuses_untrusted: bool,
        when_ended: Callable[[Run], None],
    ) -> None:
        self.changed = Signal()
        self.record = self._shown = record
        self.closed = False
        self._bench = bench
        self._shards = {shard.name: shard for shard in shards}
        self._work = work
        self._refuses_untrusted = refuses_untrusted
        self._when_ended = when_ended
        self._live: dict[tuple[CallKind, str], ScanTally | MoveTally | VerifyTally] = {}
        self._live_changed = False
        self._stored_revision = record.revision
        self._turn = asyncio.Lock()
        self._calls: set[asyncio.Task[None]] = set()
        self._steps: set[asyncio.Task[Advance]] = set()
        self._draining: asyncio.Task[None] | None = None

    def view(self) -> ExecutionRecord:
        """Returns the execution as it is now, with what open attempts have done so far."""
        # While a step is being stored its revision is taken already: live changes wait for it.
        if self._live_changed and not self._turn.locked():
            self.record = replace(self.record, revision=next_revision(self.record, self._bench.now_ms()))
            self._show()
        return self._shown

    def _show(self) -> None:
        self._live_changed = False
        values = tuple(self._live.values())
        live = Live(
            scan=next((one for one in values if isinstance(one, ScanTally)), None),
            moves=tuple(one for one in values if isinstance(one, MoveTally)),
            verifies=tuple(one for one in values if isinstance(one, VerifyTally)),
        )
        self._shown = replace(self.record, tally=with_live(self.record.tally, live))

    def resume(self) -> None:
        """Begins again what was under way when the scheduler ended."""
        self._carry_out(resumed(self.record, self._shards.values()))

    async def take(self, fact: Fact) -> Advance:
        """Returns what `fact` led to, once it is stored and the commands are begun.

        Raises:
            IllegalTransition: the fact cannot happen now.
            BlockferryError: REVISION_CONFLICT; the run has let go of the execution then.
        """
        step = asyncio.ensure_future(self._take(fact))
        self._steps.add(step)
        step.add_done_callback(self._steps.discard)
        return await asyncio.shield(step)

    async def close(self) -> None:
        """Breaks all calls and forgets the execution, which goes on with the next scheduler."""
        self.closed = True
        self.changed.fire()
        calls = tuple(self._calls) + ((self._draining,) if self._draining else ())
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, *self._steps, return_exceptions=True)

    async def _take(self, fact: Fact) -> Advance:
        async with self._turn:
            begin = time.perf_counter()
            now_ms = self._bench.now_ms()
            named = fact.shard if isinstance(fact, ShardMoved | ShardVerified | CallBroken) else ""
            known = self._shards.get(named)
            result = advance(self.record, known, fact, now_ms)
            if result.stale:
                return result
            await self._store(lambda store, before: store.save_step(before, result.record, result.shard, fact, now_ms))
            self._settle(fact, result)
            STEPS.record(time.perf_counter() - begin)
            self._carry_out(result.commands)
            return result

    def _settle(self, fact: Fact, result: Advance) -> None:
        """Takes a stored step into memory, and the live counts that it replaces out of it."""
        before, self.record = self.record, result.record
        self._stored_revision = result.record.revision
        match fact:
            case ShardMoved(shard):
                self._live.pop((CallKind.MOVE, shard), None)
            case ShardVerified(shard):
                self._live.pop((CallKind.VERIFY, shard), None)
            case ShardPlanned() | ScanEnded():
                self._live.pop((CallKind.SCAN, ""), None)
        if result.shard is not None:
            self._shards[result.shard.name] = result.shard
            SHARDS.add(1, {"state": str(result.shard.state)})
        self._show()
        LOG.info(
            'action="%s" execution=%s shard=%s state=%s revision=%d',
            type(fact).__name__,
            self.record.name,
            result.shard.name if result.shard else "",
            self.record.execution.state,
            self.record.revision,
        )
        if before.execution.state is not self.record.execution.state:
            EXECUTIONS.add(1, {"state": str(self.record.execution.state)})
        self.changed.fire()
        if self.record.execution.final:
            self._when_ended(self)

    async def _store(self, save: Callable[[Store, int], None]) -> None:
        """Stores a change; waits for a database that is away, as long as it takes."""
        attempt = 0
        while True:
            try:
                return await self._bench.desk.ask(lambda store: save(store, self._stored_revision))
            except BlockferryError as error:
                if not error.retryable:
                    self._let_go(error)
                    raise
                attempt += 1
                LOG.warning('action="store_retry" execution=%s error="%s"', self.record.name, error)
                await asyncio.sleep(self._bench.limits.backoff.delay_s(attempt, random.random()))  # noqa: S311

    def _let_go(self, error: BlockferryError) -> None:
        LOG.error('action="let_go" execution=%s error="%s"', self.record.name, error)
        for call in self._calls:
            call.cancel()
        self.closed = True
        self.changed.fire()
        self._when_ended(self)

    def _carry_out(self, commands: tuple[Command, ...]) -> None:
        for command in commands:
            match command:
                case Launch():
                    self._begin(self._launch())
                case Scan(purpose):
                    kind = CallKind.CHECK_SCAN if purpose is Purpose.CHECK else CallKind.SCAN
                    self._begin(self._repeat(kind, "", partial(self._scan, purpose)))
                case MoveShard(shard):
                    self._begin(self._repeat(CallKind.MOVE, shard, partial(self._move, shard)))
                case VerifyShard(shard):
                    self._begin(self._repeat(CallKind.VERIFY, shard, partial(self._verify, shard)))
                case WriteReport():
                    self._begin(self._report())
                case Drain():
                    self._draining = asyncio.create_task(self._drain())

    def _begin(self, call: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(self._guarded(call))
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)

    async def _guarded(self, call: Coroutine[None, None, None]) -> None:
        try:
            await call
        except BlockferryError as error:
            await self._break(error)
        except Exception as error:
            LOG.exception('action="run_failed" execution=%s', self.record.name)
            text = f"The scheduler failed by a fault of ours ({type(error).__name__}: {error}): see its log."
            await self._break(BlockferryError("INTERNAL", text))

    async def _break(self, error: BlockferryError) -> None:
        if error.reason != "REVISION_CONFLICT":
            await self.take(Broken(error.reason, error.message, tuple(error.coordinates.items())))

    async def _drain(self) -> None:
        calls = tuple(self._calls)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        self._live.clear()
        await self.take(Drained())

    # Calls.

    async def _launch(self) -> None:
        limits, dry_run = self._bench.limits, self.record.execution.dry_run
        for kind in WorkerKind:
            await self._bench.workers.ready(kind, limits.patience_s)
        attributes: dict[str, str | int] = {"execution": self.record.name}
        with call_span("prepare", self.record.traceparent, attributes):
            launched = await self._with_backoff(lambda: self._bench.workers.prepare(self._work, dry_run))
        if self._refuses_untrusted and not launched.claims_trusted and not dry_run:
            text = "The destination accepts false checksums, and the options refuse such a store: "
            text += launched.claims_detail or "it cannot prove what it keeps."
            raise BlockferryError("UNTRUSTED_STORE", text)
        await self.take(launched)

    async def _with_backoff(self, call: Callable[[], Awaitable[Launched]]) -> Launched:
        backoff = self._bench.limits.backoff
        for attempt in range(1, backoff.attempts):
            try:
                return await call()
            except BlockferryError as error:
                if not error.retryable:
                    raise
                LOG.warning('action="call_broken" execution=%s error="%s"', self.record.name, error)
                await asyncio.sleep(backoff.delay_s(attempt, random.random(), error.retry_after_s))  # noqa: S311
        return await call()

    async def _repeat(self, kind: CallKind, shard: str, attempt_once: Callable[[], Awaitable[None]]) -> None:
        """Makes a call again and again, each time under the next attempt, until it is done or given up."""
        while True:
            error = await self._attempt(kind, shard, attempt_once)
            if error is None:
                return
            tries = self._tries(kind, shard)
            broken = CallBroken(
                kind, shard, tries, error.reason, error.message, error.retryable, tuple(error.coordinates.items())
            )
            LOG.warning('action="call_broken" execution=%s shard=%s error="%s"', self.record.name, shard, error)
            result = await self.take(broken)
            if result.stale or result.record.execution.ending is not None:
                return
            wait_s = self._bench.limits.backoff.delay_s(self._broken_count(kind, shard), random.random())  # noqa: S311
            await asyncio.sleep(max(wait_s, error.retry_after_s or 0.0))

    async def _attempt(
        self, kind: CallKind, shard: str, attempt_once: Callable[[], Awaitable[None]]
    ) -> BlockferryError | None:
        """Makes a call under the next attempt. Returns the error that broke it."""
        async with self._slot(kind):
            await self._bench.workers.ready(_worker_of(kind), self._bench.limits.patience_s)
            await self._give_out(kind, shard)
            attributes: dict[str, str | int] = {
                "execution": self.record.name,
                "shard": shard,
                "attempt": self._tries(kind, shard),
            }
            try:
                with call_span(kind.lower().replace("_", " "), self.record.traceparent, attributes):
                    await attempt_once()
            except BlockferryError as error:
                return error
            finally:
                if self._live.pop((kind, shard), None) is not None:
                    self._touch()
        return None

    def _slot(self, kind: CallKind) -> asyncio.Semaphore:
        match kind:
            case CallKind.MOVE:
                return self._bench.moving
            case CallKind.VERIFY:
                return self._bench.verifying
            case _:
                return asyncio.Semaphore()

    async def _give_out(self, kind: CallKind, shard: str) -> None:
        """Stores the next attempt before it is begun, so that no two calls ever share a number."""
        step = asyncio.ensure_future(self._store_attempt(kind, shard))
        await asyncio.shield(step)

    async def _store_attempt(self, kind: CallKind, name: str) -> None:
        async with self._turn:
            record, shard = self.record, None
            if kind in (CallKind.MOVE, CallKind.VERIFY):
                shard = given_out(self._shards[name])
            else:
                purpose = _purpose_of(kind)
                position = record.position(purpose)
                record = record.with_position(purpose, replace(position, tries=position.tries.next()))
            record = replace(record, revision=next_revision(record, self._bench.now_ms()))
            await self._store(lambda store, before: store.save_attempt(before, record, shard))
            self.record, self._stored_revision = record, record.revision
            if shard is not None:
                self._shards[name] = shard
            self._show()

    def _tries(self, kind: CallKind, shard: str) -> int:
        match kind:
            case CallKind.MOVE:
                return self._shards[shard].moves.attempt
            case CallKind.VERIFY:
                return self._shards[shard].verifies.attempt
            case _:
                return self.record.position(_purpose_of(kind)).tries.attempt

    def _broken_count(self, kind: CallKind, shard: str) -> int:
        match kind:
            case CallKind.MOVE:
                return self._shards[shard].moves.broken
            case CallKind.VERIFY:
                return self._shards[shard].verifies.broken
            case _:
                return self.record.position(_purpose_of(kind)).tries.broken

    async def _scan(self, purpose: Purpose) -> None:
        position = self.record.position(purpose)
        checking = purpose is Purpose.CHECK
        async with aclosing(self._bench.workers.scan(self._work, purpose, position)) as told:
            async for message in told:
                match message:
                    case Cut():
                        await self.take(CheckShardPlanned(message) if checking else ShardPlanned(message))
                    case ScanProgressed(tally) if not checking:
                        self._note(CallKind.SCAN, "", tally)
                    case ScanFinished(tally):
                        await self.take(CheckScanEnded(tally) if checking else ScanEnded(tally))

    async def _move(self, name: str) -> None:
        trusted = self.record.execution.claims_trusted
        await self._follow(CallKind.MOVE, name, self._bench.workers.move(self._work, self._shards[name], trusted))

    async def _verify(self, name: str) -> None:
        trusted = self.record.execution.claims_trusted
        await self._follow(CallKind.VERIFY, name, self._bench.workers.verify(self._work, self._shards[name], trusted))

    async def _follow(
        self,
        kind: CallKind,
        shard: str,
        stream: AsyncGenerator[MoveTally | ShardMoved, None] | AsyncGenerator[VerifyTally | ShardVerified, None],
    ) -> None:
        async with aclosing(stream) as told:
            async for message in told:
                match message:
                    case MoveTally() | VerifyTally():
                        self._note(kind, shard, message)
                    case ShardMoved() | ShardVerified():
                        await self.take(message)

    async def _report(self) -> None:
        limits = self._bench.limits
        ending = self.record.execution.ending is not None
        patience_s = limits.report_patience_s if ending else limits.patience_s
        summary = summary_json(self.record, self._bench.now_ms())
        for attempt in range(1, limits.backoff.attempts + 1):
            try:
                await self._bench.workers.ready(WorkerKind.VERIFIER, patience_s)
                with call_span("write report", self.record.traceparent, {"execution": self.record.name}):
                    shards = tuple(self._shards[name] for name in sorted(self._shards))
                    uri = await self._bench.workers.write_report(self._work, summary, shards)
                await self.take(ReportWritten(uri))
                return
            except BlockferryError as error:
                if not error.retryable or attempt == limits.backoff.attempts:
                    await self.take(ReportFailed(error.reason, error.message))
                    return
                await asyncio.sleep(limits.backoff.delay_s(attempt, random.random()))  # noqa: S311

    def _note(self, kind: CallKind, shard: str, tally: ScanTally | MoveTally | VerifyTally) -> None:
        if self._live.get((kind, shard)) != tally:
            self._live[kind, shard] = tally
            self._touch()

    def _touch(self) -> None:
        self._live_changed = True
        self.changed.fire()


def _purpose_of(kind: CallKind) -> Purpose:
    return Purpose.CHECK if kind is CallKind.CHECK_SCAN else Purpose.TRANSFER


def _worker_of(kind: CallKind) -> WorkerKind:
    match kind:
        case CallKind.MOVE:
            return WorkerKind.MOVER
        case CallKind.VERIFY:
            return WorkerKind.VERIFIER
        case _:
            return WorkerKind.SCANNER
