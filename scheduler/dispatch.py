"""The open executions of this scheduler: takes new ones in, starts them when it is their turn, resumes them all after a
restart. What one execution does is in `run.py`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator

from blockferry.errors import BlockferryError
from blockferry.v1 import task_pb2
from scheduler.bench import Bench, Limits
from scheduler.events import CancelAsked, Started
from scheduler.machine import IllegalTransition, State
from scheduler.messages import Assignment
from scheduler.record import ExecutionRecord
from scheduler.requests import RequestId
from scheduler.run import Run
from scheduler.shards import Shard
from scheduler.store import Desk, Store
from scheduler.tracing import EXECUTIONS, record_execution
from scheduler.watch import watch
from scheduler.workers import CheckedStep, WorkerKind, Workers

LOG = logging.getLogger("blockferry.scheduler")
WAITING_LIMIT = 50  # executions of one task that may be QUEUED
CHECK_PATIENCE_S = 10.0


class Dispatcher:
    """Keeps every open execution going. Must be made and used in one event loop."""

    def __init__(self, desk: Desk, workers: Workers, limits: Limits) -> None:
        self._desk = desk
        self._workers = workers
        self._bench = Bench(
            desk, workers, limits, asyncio.Semaphore(limits.moving), asyncio.Semaphore(limits.verifying), now_ms
        )
        self._runs: dict[str, Run] = {}
        self._taking_in = asyncio.Lock()
        self._promoting = asyncio.Lock()
        self._promotions: set[asyncio.Task[None]] = set()
        self._closing = False

    async def start(self) -> None:
        """Makes the tables if need be, and goes on with every execution that has not ended."""
        await self._desk.ask(Store.migrate)
        for record in await self._desk.ask(Store.open_executions):
            await self._adopt(record)
        for run in tuple(self._runs.values()):
            LOG.info('action="resume" execution=%s state=%s', run.record.name, run.record.execution.state)
            run.resume()
        for task in {run.record.task for run in self._runs.values()}:
            await self._promote(task)

    async def let_go(self) -> None:
        """Ends all calls and watches. The executions stay open in the store, and go on with the next scheduler."""
        self._closing = True
        for run in tuple(self._runs.values()):
            await run.close()
        for promotion in tuple(self._promotions):
            promotion.cancel()

    async def close(self) -> None:
        """Lets go of everything and closes channels and store. May be called after `let_go`, once."""
        await self.let_go()
        await self._workers.close()
        self._desk.close()

    async def submit(self, record: ExecutionRecord, request: RequestId) -> ExecutionRecord:
        """Takes a new execution in, or returns the one that the same request has made.

        Raises:
            BlockferryError: QUEUE_FULL, REQUEST_ID_REUSED, SCHEDULER_STOPPING.
        """
        if self._closing:
            text = "The scheduler is about to end: call again in a moment."
            raise BlockferryError("SCHEDULER_STOPPING", text, retryable=True, retry_after_s=1.0)
        # One at a time: the queue's order is the order of the store.
        async with self._taking_in:
            stored = await self._desk.ask(lambda store: store.create_execution(record, request, WAITING_LIMIT))
            if stored.name != record.name:
                return await self.execution(stored.name)
            EXECUTIONS.add(1, {"state": str(State.QUEUED)})
            await self._adopt(stored)
        await self._promote(record.task)
        return await self.execution(record.name)

    async def execution(self, name: str) -> ExecutionRecord:
        """Returns an execution as it is now. Raises EXECUTION_NOT_FOUND."""
        if run := self._runs.get(name):
            return run.view()
        return await self._desk.ask(lambda store: store.execution(name))

    def as_now(self, record: ExecutionRecord) -> ExecutionRecord:
        """Returns a stored execution with what open attempts have done since."""
        run = self._runs.get(record.name)
        return run.view() if run else record

    async def cancel(self, name: str) -> ExecutionRecord:
        """Asks an execution to end. No error when it has ended, or is ending. Raises EXECUTION_NOT_FOUND."""
        run = self._runs.get(name)
        if run is not None:
            await run.take(CancelAsked())
            return run.view()
        return await self.execution(name)

    async def watch(self, name: str, after_revision: int) -> AsyncGenerator[ExecutionRecord, None]:
        """Yields an execution each time it changes, see `watch.watch`. Raises EXECUTION_NOT_FOUND."""
        run = self._runs.get(name)
        if run is None:
            record = await self.execution(name)
            if record.revision > after_revision:
                yield record
            return
        async for record in watch(run, after_revision):
            yield record

    async def check_location(self, name: str, write: bool) -> tuple[CheckedStep, ...]:
        """Returns the steps of a location's test. Raises LOCATION_NOT_FOUND, WORKER_UNAVAILABLE."""
        location = await self._desk.ask(lambda store: store.catalog.location(name))
        await self._workers.ready(WorkerKind.SCANNER, CHECK_PATIENCE_S)
        return await self._workers.check_location(location.resource, write)

    async def _adopt(self, record: ExecutionRecord) -> None:
        work, shards = await self._desk.ask(lambda store: _load(store, record))
        options = task_pb2.Options.FromString(record.options)
        refuses = options.untrusted_store == task_pb2.Options.UNTRUSTED_STORE_REFUSE
        self._runs[record.name] = Run(self._bench, record, shards, work, refuses, self._when_over)

    async def _promote(self, task: str) -> None:
        """Starts the oldest waiting execution of a task, unless another one is under way."""
        async with self._promoting:
            while (run := self._next_of(task)) is not None:
                try:
                    await run.take(Started())
                    return
                except IllegalTransition:
                    LOG.info('action="start_missed" execution=%s', run.record.name)  # it was cancelled meanwhile
                except BlockferryError as error:
                    LOG.error('action="start_failed" execution=%s error="%s"', run.record.name, error)
                    return

    def _next_of(self, task: str) -> Run | None:
        runs = [run for run in self._runs.values() if run.record.task == task and not run.record.execution.final]
        waiting = all(run.record.execution.state is State.QUEUED for run in runs)
        return runs[0] if runs and waiting else None

    def _when_over(self, run: Run) -> None:
        self._runs.pop(run.record.name, None)
        if run.record.execution.final:
            record_execution(run.record)
        if not self._closing:
            promotion = asyncio.create_task(self._promote(run.record.task))
            self._promotions.add(promotion)
            promotion.add_done_callback(self._promotions.discard)


def _load(store: Store, record: ExecutionRecord) -> tuple[Assignment, tuple[Shard, ...]]:
    task = store.catalog.task(record.task)
    source, destination = store.catalog.location(task.source), store.catalog.location(task.destination)
    work = Assignment(record.name, record.ledger_uri, source.resource, destination.resource, record.options)
    return work, store.shards(record.name)


def now_ms() -> int:
    """Returns the milliseconds since 1970 UTC."""
    return time.time_ns() // 1_000_000
