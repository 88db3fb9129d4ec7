"""One open execution: its record in memory, the calls that are under way for it, and the steps that change it.

Every change goes through `take`: decide (pure), store, then begin the commands, one step at a time. A step that was
begun is finished even if the call that told the fact is cancelled meanwhile.

Memory: a record, and per shard its row (about 1 KB) and, while it waits, one task.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from blockferry.errors import BlockferryError
from scheduler.bench import Bench
from scheduler.calls import Calls, Progress
from scheduler.counters import Live, MoveTally, ScanTally, VerifyTally, with_live
from scheduler.events import (
    Broken,
    CallBroken,
    CallKind,
    Command,
    Drain,
    Drained,
    Launch,
    MoveShard,
    Purpose,
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
from scheduler.shards import Shard, Tries, given_out
from scheduler.store import Store
from scheduler.tracing import EXECUTIONS, SHARDS, STEPS
from scheduler.watch import Signal

LOG = logging.getLogger("blockferry.scheduler")
T = TypeVar("T")


class Run:
    """An execution that has not ended, or has just done so."""

    def __init__(
        self,
        bench: Bench,
        record: ExecutionRecord,
        shards: tuple[Shard, ...],
        work: Assignment,
        refuses_untrusted: bool,
        when_over: Callable[[Run], None],
    ) -> None:
        """Begins nothing yet. `when_over` is called once, when it has ended or another scheduler has taken it."""
        self.record = record
        self.changed = Signal()
        self.closed = False
        self._shown = record
        self._bench = bench
        self._calls = Calls(bench, work, refuses_untrusted, self)
        self._shards = {shard.name: shard for shard in shards}
        self._when_over = when_over
        self._live: dict[tuple[CallKind, str], Progress] = {}
        self._live_changed = False
        self._stored_revision = record.revision
        self._turn = asyncio.Lock()
        self._open: set[asyncio.Task[None]] = set()
        self._steps: set[asyncio.Task[object]] = set()
        self._draining: asyncio.Task[None] | None = None

    def view(self) -> ExecutionRecord:
        """Returns the execution as it is now, with what open attempts have done so far."""
        # While a step is being stored its revision is taken already: live changes wait for it.
        if self._live_changed and not self._turn.locked():
            self.record = replace(self.record, revision=next_revision(self.record, self._bench.now_ms()))
            self._show()
        return self._shown

    def shard(self, name: str) -> Shard:
        """Returns a shard as it is now."""
        return self._shards[name]

    def shards(self) -> tuple[Shard, ...]:
        """Returns all shards by name."""
        return tuple(self._shards[name] for name in sorted(self._shards))

    def tries(self, kind: CallKind, shard: str) -> Tries:
        """Returns how often a call was made, and how often it broke."""
        match kind:
            case CallKind.MOVE:
                return self._shards[shard].moves
            case CallKind.VERIFY:
                return self._shards[shard].verifies
            case _:
                return self.record.position(_PURPOSES[kind]).tries

    def note(self, kind: CallKind, shard: str, progress: Progress | None) -> None:
        """Takes what an open attempt has done so far; None once it is over. Never stored."""
        if self._live.get((kind, shard)) == progress:
            return
        if progress is None:
            del self._live[kind, shard]
        else:
            self._live[kind, shard] = progress
        self._live_changed = True
        self.changed.fire()

    def resume(self) -> None:
        """Begins again what was under way when the scheduler ended."""
        self._begin(resumed(self.record, self._shards.values()))

    async def take(self, fact: Fact) -> Advance:
        """Returns what `fact` led to, once it is stored and the commands are begun.

        Raises:
            IllegalTransition: the fact cannot happen now.
            BlockferryError: REVISION_CONFLICT; the run has let go of the execution then.
        """
        return await self._finished(asyncio.create_task(self._take(fact)))

    async def give_out(self, kind: CallKind, shard: str) -> None:
        """Stores the next attempt before it is begun, so that no two calls ever share a number."""
        await self._finished(asyncio.create_task(self._give_out(kind, shard)))

    async def close(self) -> None:
        """Breaks all calls and forgets the execution, which goes on with the next scheduler.

        A step that is under way is finished, and begins nothing any more.
        """
        self.closed = True
        self.changed.fire()
        draining = (self._draining,) if self._draining else ()
        for call in (*self._open, *draining):
            call.cancel()
        await asyncio.gather(*self._open, *draining, *self._steps, return_exceptions=True)

    async def _finished(self, step: asyncio.Task[T]) -> T:
        """Returns the step's result. The step goes on when its caller is cancelled."""
        self._steps.add(step)
        step.add_done_callback(self._steps.discard)
        return await asyncio.shield(step)

    async def _take(self, fact: Fact) -> Advance:
        async with self._turn:
            begin_s, now_ms = time.perf_counter(), self._bench.now_ms()
            named = fact.shard if isinstance(fact, ShardMoved | ShardVerified | CallBroken) else ""
            result = advance(self.record, self._shards.get(named), fact, now_ms)
            if result.stale:
                return result
            await self._store(lambda store, before: store.save_step(before, result.record, result.shard, fact, now_ms))
            self._settle(fact, result)
            STEPS.record(time.perf_counter() - begin_s)
            self._begin(result.commands)
            return result

    async def _give_out(self, kind: CallKind, name: str) -> None:
        async with self._turn:
            record, shard = self.record, None
            if kind in (CallKind.MOVE, CallKind.VERIFY):
                shard = given_out(self._shards[name])
            else:
                position = record.position(_PURPOSES[kind])
                record = record.with_position(_PURPOSES[kind], replace(position, tries=position.tries.next()))
            record = replace(record, revision=next_revision(record, self._bench.now_ms()))
            await self._store(lambda store, before: store.save_attempt(before, record, shard))
            self._remember(record, shard)

    async def _store(self, save: Callable[[Store, int], None]) -> None:
        """Stores a change; waits for a database that is away, as long as it takes."""
        attempt = 0
        while True:
            try:
                await self._bench.desk.ask(lambda store: save(store, self._stored_revision))
                return
            except BlockferryError as error:
                if not error.retryable:
                    self._let_go(error)
                    raise
                attempt += 1
                LOG.warning('action="store_retry" execution=%s error="%s"', self.record.name, error)
                await asyncio.sleep(self._bench.limits.backoff.delay_s(attempt, random.random()))  # noqa: S311 - jitter

    def _settle(self, fact: Fact, result: Advance) -> None:
        """Takes a stored step into memory, and the live counts that it replaces out of it."""
        before = self.record.execution.state
        match fact:
            case ShardMoved(shard):
                self._live.pop((CallKind.MOVE, shard), None)
            case ShardVerified(shard):
                self._live.pop((CallKind.VERIFY, shard), None)
            case ShardPlanned() | ScanEnded():
                self._live.pop((CallKind.SCAN, ""), None)
        self._remember(result.record, result.shard)
        self._log(fact, result.shard)
        if before is not self.record.execution.state:
            EXECUTIONS.add(1, {"state": str(self.record.execution.state)})
        if self.record.execution.final:
            self._when_over(self)

    def _remember(self, record: ExecutionRecord, shard: Shard | None) -> None:
        self.record, self._stored_revision = record, record.revision
        if shard is not None:
            self._shards[shard.name] = shard
            SHARDS.add(1, {"state": str(shard.state)})
        self._show()
        self.changed.fire()

    def _show(self) -> None:
        self._live_changed = False
        values = tuple(self._live.values())
        live = Live(
            scan=next((one for one in values if isinstance(one, ScanTally)), None),
            moves=tuple(one for one in values if isinstance(one, MoveTally)),
            verifies=tuple(one for one in values if isinstance(one, VerifyTally)),
        )
        self._shown = replace(self.record, tally=with_live(self.record.tally, live))

    def _log(self, fact: Fact, shard: Shard | None) -> None:
        name, state, revision = self.record.name, self.record.execution.state, self.record.revision
        text = 'action="%s" execution=%s shard=%s state=%s revision=%d'
        LOG.info(text, type(fact).__name__, name, shard.name if shard else "", state, revision)

    def _let_go(self, error: BlockferryError) -> None:
        LOG.error('action="let_go" execution=%s error="%s"', self.record.name, error)
        for call in self._open:
            call.cancel()
        self.closed = True
        self.changed.fire()
        self._when_over(self)

    def _begin(self, commands: tuple[Command, ...]) -> None:
        if self.closed:
            return  # a step that was finished while the run was let go of: the next scheduler begins what follows
        for command in commands:
            if isinstance(command, Drain):
                self._draining = asyncio.create_task(self._drain())
                continue
            call = asyncio.create_task(self._carry_out(command))
            self._open.add(call)
            call.add_done_callback(self._open.discard)

    async def _carry_out(self, command: Launch | Scan | MoveShard | VerifyShard | WriteReport) -> None:
        try:
            await self._calls.carry_out(command)
        except BlockferryError as error:
            if not self.closed:
                await self.take(Broken(error.reason, error.message, tuple(error.coordinates.items())))
        except Exception as error:
            if self.closed:
                return  # the channel was closed under the call
            LOG.exception('action="command_failed" execution=%s command=%s', self.record.name, command)
            text = f"The scheduler failed by a fault of ours ({type(error).__name__}: {error}): see its log."
            await self.take(Broken("INTERNAL", text))

    async def _drain(self) -> None:
        calls = tuple(self._open)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        await self._calls.abort_uploads(name for name, shard in self._shards.items() if shard.half_moved)
        await self.take(Drained())


_PURPOSES = {CallKind.SCAN: Purpose.TRANSFER, CallKind.CHECK_SCAN: Purpose.CHECK}
