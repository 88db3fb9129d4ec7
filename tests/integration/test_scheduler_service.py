"""The scheduler over real sockets: its public API in front, scripted workers behind, a real database below."""

import asyncio
import signal
import threading
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest

from blockferry.errors import BlockferryError
from blockferry.status import from_rpc_error
from blockferry.v1 import (
    execution_pb2,
    execution_pb2_grpc,
    location_pb2,
    location_pb2_grpc,
    task_pb2,
    task_pb2_grpc,
)
from scheduler.api import register
from scheduler.bench import Limits
from scheduler.dispatch import Dispatcher
from scheduler.events import ShardMoved
from scheduler.record import ExecutionRecord, Fact
from scheduler.shards import Shard
from scheduler.store import Desk, Store
from scheduler.workers import WorkerKind, Workers
from service.backoff import Backoff
from service.server import Guard
from service.v1 import move_pb2, scan_pb2, verify_pb2
from tests.support.postgres import PostgresServer
from tests.support.scripted_workers import (
    FILE_BYTES,
    FILES,
    ScriptedWorkers,
    failure,
    forever,
    move_progress,
    planned,
    shard_moved,
)

State = execution_pb2.Execution
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
LIMITS = Limits(patience_s=20.0, report_patience_s=2.0, backoff=Backoff(base_s=0.02, ceiling_s=0.1, attempts=5))


@dataclass
class Peer:
    """A scheduler and stubs to call it."""

    locations: location_pb2_grpc.LocationServiceStub
    tasks: task_pb2_grpc.TaskServiceStub
    executions: execution_pb2_grpc.ExecutionServiceStub

    async def make_task(self, options: task_pb2.Options | None = None) -> str:
        """Creates two locations and a task; returns its name."""
        hdfs = location_pb2.Location(hdfs=location_pb2.HdfsLocation(namenodes=["127.0.0.1:8020"], root="/data"))
        s3 = location_pb2.Location(s3=location_pb2.S3Location(bucket="archive", endpoint="http://127.0.0.1:9000"))
        source = await self.locations.CreateLocation(location_pb2.CreateLocationRequest(location=hdfs))
        destination = await self.locations.CreateLocation(location_pb2.CreateLocationRequest(location=s3))
        task = task_pb2.Task(source=source.name, destination=destination.name, options=options)
        created = await self.tasks.CreateTask(task_pb2.CreateTaskRequest(task=task))
        return str(created.name)

    async def run(self, task: str, **fields: object) -> execution_pb2.Execution:
        """Starts a run."""
        request = execution_pb2.RunTaskRequest(name=task, **fields)  # type: ignore[arg-type]
        return await self.executions.RunTask(request, metadata=(("traceparent", TRACEPARENT),))

    async def get(self, name: str) -> execution_pb2.Execution:
        return await self.executions.GetExecution(execution_pb2.GetExecutionRequest(name=name))

    async def cancel(self, name: str) -> execution_pb2.Execution:
        return await self.executions.CancelExecution(execution_pb2.CancelExecutionRequest(name=name))

    async def watch(self, name: str, after_revision: int = 0) -> list[execution_pb2.Execution]:
        """Returns everything that a watch shows, up to the end."""
        request = execution_pb2.WatchExecutionRequest(name=name, after_revision=after_revision)
        return [message.execution async for message in self.executions.WatchExecution(request)]

    async def until(self, name: str, holds: Callable[[execution_pb2.Execution], bool]) -> execution_pb2.Execution:
        """Returns the first execution shown for which `holds`."""
        async for message in self.executions.WatchExecution(execution_pb2.WatchExecutionRequest(name=name)):
            if holds(message.execution):
                return message.execution
        raise AssertionError("the execution ended before")

    async def ended(self, name: str) -> execution_pb2.Execution:
        """Returns the final state."""
        return (await self.watch(name))[-1]


class HeldStore(Store):
    """A store that takes its time to save that a shard is moved."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.saving = threading.Event()
        self.go_on = threading.Event()

    def save_step(
        self, before_revision: int, record: ExecutionRecord, shard: Shard | None, fact: Fact, now_ms: int
    ) -> None:
        if isinstance(fact, ShardMoved):
            self.saving.set()
            assert self.go_on.wait(30)
        super().save_step(before_revision, record, shard, fact, now_ms)


@asynccontextmanager
async def scheduler(
    url: str, workers: ScriptedWorkers, limits: Limits = LIMITS, silence_s: float = 60.0, store: Store | None = None
) -> AsyncIterator[Peer]:
    """Runs a scheduler in this loop."""
    desk = Desk(store or Store(url))
    clients = Workers(dict.fromkeys(WorkerKind, workers.address), silence_s)
    dispatcher = Dispatcher(desk, clients, limits)
    await dispatcher.start()
    server = grpc.aio.server(interceptors=(Guard(),))
    register(server, desk, dispatcher, "/ledgers")
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield Peer(
                location_pb2_grpc.LocationServiceStub(channel),
                task_pb2_grpc.TaskServiceStub(channel),
                execution_pb2_grpc.ExecutionServiceStub(channel),
            )
            await dispatcher.let_go()
            assert [name for task in asyncio.all_tasks() if (name := coroutine_name(task)).startswith("Run.")] == []
    finally:
        await server.stop(1.0)
        await dispatcher.close()


def coroutine_name(task: asyncio.Task[object]) -> str:
    """Returns the name of what a task runs."""
    return str(getattr(task.get_coro(), "__qualname__", ""))


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database, of both kinds."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'blockferry.db'}"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'blockferry.db'}"


def play(scenario: Callable[[ScriptedWorkers], Awaitable[None]], shard_count: int = 3) -> None:
    """Runs a scenario with workers, within a minute."""

    async def played() -> None:
        workers = ScriptedWorkers(shard_count)
        await workers.start()
        async with asyncio.timeout(60):
            try:
                await scenario(workers)
            finally:
                await workers.die()

    asyncio.run(played())


async def refused(call: Awaitable[object]) -> BlockferryError:
    """Returns the error of a call."""
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return from_rpc_error(error)
    raise AssertionError("the call succeeded")


def test_a_scan_is_told_of_earlier_ledgers_between_the_same_locations(url: str) -> None:
    async def scenario(workers: ScriptedWorkers) -> None:
        async with scheduler(url, workers) as peer:
            task = await peer.make_task()
            found = await peer.tasks.GetTask(task_pb2.GetTaskRequest(name=task))
            found.name, found.options.verify = "", task_pb2.Options.VERIFY_POINT_IN_TIME_CONSISTENT
            other = (await peer.tasks.CreateTask(task_pb2.CreateTaskRequest(task=found))).name
            first = await peer.ended((await peer.run(task)).name)
            waiting = [await peer.run(task), await peer.run(task)]
            second, third = [await peer.ended(one.name) for one in waiting]
            await peer.ended((await peer.run(other)).name)
            await peer.ended((await peer.run(await peer.make_task())).name)
            told = [tuple(scan.job.earlier_ledger_uris) for scan in workers.calls.scans]
            assert told == [(), (first.ledger_uri,), (second.ledger_uri,), (third.ledger_uri,), (), ()], (
                "the newest one's; those of a task with the same ends too, but not of other ends or to a check"
            )

    play(scenario)


def test_execution_moves_and_proves_every_shard(url: str) -> None:
    async def scenario(workers: ScriptedWorkers) -> None:
        async with scheduler(url, workers) as peer:
            execution = await peer.run(await peer.make_task())
            end = await peer.ended(execution.name)
            assert end.state == State.STATE_SUCCESS, end
            assert end.counters.transferred_count == 3 * FILES
            assert end.counters.transferred_bytes == 3 * FILES * FILE_BYTES
            assert end.counters.verified_count == 3 * FILES
            assert end.counters.estimated_verify_count == 3 * FILES
            assert [phase.status for phase in end.phases] == [execution_pb2.Phase.STATUS_SUCCESS] * 3
            assert end.report_uri == f"{end.ledger_uri}/report"
            assert sorted(workers.calls.moves) == [(f"{n:06d}", 1) for n in (1, 2, 3)]
            report = workers.calls.reports[0]
            first = report.shards[0]
            assert (first.shard, first.receipts, first.verdicts) == ("000001", "000001.1", "000001.1")
            assert '"state": "STATE_SUCCESS"' in report.summary_json
            assert await peer.get(execution.name) == end

    play(scenario)


def test_all_calls_of_an_execution_are_of_one_trace(sqlite_url: str) -> None:
    async def scenario(workers: ScriptedWorkers) -> None:
        async with scheduler(sqlite_url, workers) as peer:
            execution = await peer.run(await peer.make_task())
            end = await peer.ended(execution.name)
            assert end.traceparent.split("-")[1] == TRACEPARENT.split("-")[1]
            assert workers.calls.trace_ids == {TRACEPARENT.split("-")[1]}

    play(scenario)


def test_dry_run_moves_nothing(sqlite_url: str) -> None:
    async def scenario(workers: ScriptedWorkers) -> None:
        async with scheduler(sqlite_url, workers) as peer:
            execution = await peer.run(await peer.make_task(), dry_run=True)
            end = await peer.ended(execution.name)
            assert end.state == State.STATE_SUCCESS
            assert end.counters.estimated_count == 3 * FILES
            assert workers.calls.moves == workers.calls.verifies == []
            assert workers.calls.prepared == [True]
            assert len(workers.calls.reports) == 1

    play(scenario)


def test_point_in_time_checks_both_sides_after_the_transfer(sqlite_url: str) -> None:
    async def scenario(workers: ScriptedWorkers) -> None:
        async with scheduler(sqlite_url, workers) as peer:
            options = task_pb2.Options(verify=task_pb2.Options.VERIFY_POINT_IN_TIME_CONSISTENT)
            execution = await peer.run(await peer.make_task(options))
            end = await peer.ended(execution.name)
            assert end.state == State.STATE_SUCCESS
            assert sorted(workers.calls.verifies) == [(f"c{n:06d}", 1) for n in (1, 2, 3)]
            assert [scan.purpose for scan in workers.calls.scans] == [
                scan_pb2.ScanRequest.PURPOSE_TRANSFER,
                scan_pb2.ScanRequest.PURPOSE_CHECK,
            ]

    play(scenario)


def test_verify_none_ends_after_the_move(sqlite_url: str) -> None:
    async def scenario(workers: ScriptedWorkers) -> None:
        async with scheduler(sqlite_url, workers) as peer:
            task = await peer.make_task()
            execution = await peer.run(task, options=task_pb2.Options(verify=task_pb2.Options.VERIFY_NONE))
            end = await peer.ended(execution.name)
            assert end.state == State.STATE_SUCCESS
            assert end.options.transfer == task_pb2.Options.TRANSFER_CHANGED
            assert workers.calls.verifies == []
            assert end.phases[2].status == execution_pb2.Phase.STATUS_PENDING

    play(scenario)


def test_failed_entries_end_with_files_failed(sqlite_url: str) -> None:
    async def scenario(workers: ScriptedWorkers) -> None:
        async def moves(request: move_pb2.MoveShardRequest) -> AsyncIterator[move_pb2.MoveShardResponse]:
            yield shard_moved(request, (failure("SOURCE_CHANGED", 1, f"f{request.shard}"),))

        workers.moves = moves
        async with scheduler(sqlite_url, workers) as peer:
            end = await peer.ended((await peer.run(await peer.make_task())).name)
            assert (end.state, end.error_code) == (State.STATE_ERROR, "FILES_FAILED")
            assert end.error_detail.startswith("3 of 30 entries failed; the most frequent reason is SOURCE_CHANGED (3)")
            group = end.failures[0]
            assert (group.reason, group.failure_count, group.phase) == ("SOURCE_CHANGED", 3, "TRANSFER")
            assert sorted(group.sample_paths) == ["f000001", "f000002", "f000003"]
            assert [phase.status for phase in end.phases][1] == execution_pb2.Phase.STATUS_ERROR

    play(scenario)


def test_stream_that_breaks_is_begun_again_under_the_next_attempt(sqlite_url: str) -> None:
    async def scenario(workers: ScriptedWorkers) -> None:
        async def moves(request: move_pb2.MoveShardRequest) -> AsyncIterator[move_pb2.MoveShardResponse]:
            yield move_progress(4)
            if request.attempt < 3:
                raise BlockferryError("SINK_BUSY", "503.", retryable=True)
            yield shard_moved(request)

        workers.moves = moves
        async with scheduler(sqlite_url, workers) as peer:
            end = await peer.ended((await peer.run(await peer.make_task())).name)
            assert end.state == State.STATE_SUCCESS
            assert end.counters.transferred_count == 3 * FILES
            assert end.counters.retry_count == 6
            assert sorted(workers.calls.moves) == [(f"{n:06d}", attempt) for n in (1, 2, 3) for attempt in (1, 2, 3)]
            assert {one.receipts for one in workers.calls.reports[0].shards} == {f"{n:06d}.3" for n in (1, 2, 3)}

    play(scenario)


def test_shard_that_always_breaks_is_given_up_after_five_attempts(sqlite_url: str) -> None:
    async def scenario(workers: ScriptedWorkers) -> None:
        async def verifies(
            request: verify_pb2.VerifyShardRequest,
        ) -> AsyncIterator[verify_pb2.VerifyShardResponse]:
            raise BlockferryError("STORE_DOWN", "The store does not answer.", retryable=True)
            yield verify_pb2.VerifyShardResponse()

        workers.verifies = verifies
        async with scheduler(sqlite_url, workers) as peer:
            end = await peer.ended((await peer.run(await peer.make_task())).name)
            assert (end.state, end.error_code) == (State.STATE_ERROR, "STORE_DOWN")
            assert "after 5 broken calls" in end.error_detail
            assert workers.calls.verifies.count(("000001", 5)) + workers.calls.verifies.count(("000002", 5)) >= 1
            assert end.report_uri

    play(scenario, shard_count=1)


def test_error_that_no_retry_cures_breaks_at_once_and_ends_open_calls(sqlite_url: str) -> None:
    async def scenario(workers: ScriptedWorkers) -> None:
        other_moves = asyncio.Event()
        cancelled = asyncio.Event()

        async def moves(request: move_pb2.MoveShardRequest) -> AsyncIterator[move_pb2.MoveShardResponse]:
            if request.shard == "000001":
                other_moves.set()
                try:
                    await forever()
                finally:
                    cancelled.set()
            await other_moves.wait()
            raise BlockferryError("ACCESS_DENIED", "The bucket refuses the keys.")
            yield move_progress(0)

        workers.moves = moves
        async with scheduler(sqlite_url, workers) as peer:
            end = await peer.ended((await peer.run(await peer.make_task())).name)
            assert (end.state, end.error_code) == (State.STATE_ERROR, "ACCESS_DENIED")
            await cancelled.wait()
            assert ("000002", 2) not in workers.calls.moves

    play(scenario)


@pytest.mark.parametrize("reason", ["ACCESS_DENIED", "SOURCE_NOT_FOUND"])
def test_launch_that_fails_is_the_executions_error(sqlite_url: str, reason: str) -> None:
    async def scenario(workers: ScriptedWorkers) -> None:
        workers.prepare_error = BlockferryError(reason, "No such folder.", path="/data")
        async with scheduler(sqlite_url, workers) as peer:
            end = await peer.ended((await peer.run(await peer.make_task())).name)
            assert (end.state, end.error_code) == (State.STATE_ERROR, reason)
            assert end.error_detail == "No such folder. [path: /data]"
            assert end.phases[0].status == execution_pb2.Phase.STATUS_ERROR
            assert workers.calls.scans == []

    play(scenario)


def test_store_that_accepts_false_claims_is_refused_by_option(sqlite_url: str) -> None:
    async def scenario(workers: ScriptedWorkers) -> None:
        workers.claims_trusted = False
        async with scheduler(sqlite_url, workers) as peer:
            options = task_pb2.Options(untrusted_store=task_pb2.Options.UNTRUSTED_STORE_REFUSE)
            end = await peer.ended((await peer.run(await peer.make_task(options))).name)
            assert (end.state, end.error_code) == (State.STATE_ERROR, "UNTRUSTED_STORE")

    play(scenario)


def test_failed_listing_fails_the_execution(sqlite_url: str) -> None:
    async def scenario(workers: ScriptedWorkers) -> None:
        async def scans(request: scan_pb2.ScanRequest) -> AsyncIterator[scan_pb2.ScanResponse]:
            yield planned(1, request.purpose)
            raise BlockferryError("LIST_FAILED", "The listing of /data/x broke.", path="x")

        workers.scans = scans
        async with scheduler(sqlite_url, workers) as peer:
            end = await peer.ended((await peer.run(await peer.make_task())).name)
            assert (end.state, end.error_code) == (State.STATE_ERROR, "LIST_FAILED")

    play(scenario)


def test_scan_that_breaks_goes_on_from_its_cursor(sqlite_url: str) -> None:
    async def scenario(workers: ScriptedWorkers) -> None:
        async def scans(request: scan_pb2.ScanRequest) -> AsyncIterator[scan_pb2.ScanResponse]:
            if request.attempt == 1:
                yield planned(1, request.purpose)
                yield planned(2, request.purpose)
                raise BlockferryError("UNAVAILABLE", "The NameNode is away.", retryable=True)
            async for message in workers.scan_well(request):
                yield message

        workers.scans = scans
        async with scheduler(sqlite_url, workers) as peer:
            end = await peer.ended((await peer.run(await peer.make_task())).name)
            assert end.state == State.STATE_SUCCESS
            assert [scan.cursor.shard_number for scan in workers.calls.scans] == [0, 2]
            assert workers.calls.scans[1].cursor.last_path == "file-000002"
            assert end.counters.transferred_count == 3 * FILES

    play(scenario)


def test_silent_stream_counts_as_broken(sqlite_url: str) -> None:
    async def scenario(workers: ScriptedWorkers) -> None:
        async def moves(request: move_pb2.MoveShardRequest) -> AsyncIterator[move_pb2.MoveShardResponse]:
            if request.attempt == 1:
                await forever()
            yield shard_moved(request)

        workers.moves = moves
        async with scheduler(sqlite_url, workers, silence_s=0.3) as peer:
            end = await peer.ended((await peer.run(await peer.make_task())).name)
            assert end.state == State.STATE_SUCCESS
            assert ("000001", 2) in workers.calls.moves

    play(scenario)


def test_worker_that_dies_and_comes_back_loses_nothing(sqlite_url: str) -> None:
    async def scenario(workers: ScriptedWorkers) -> None:
        dead = asyncio.Event()

        async def moves(request: move_pb2.MoveShardRequest) -> AsyncIterator[move_pb2.MoveShardResponse]:
            yield move_progress(5)
            if not dead.is_set():
                await forever()
            yield shard_moved(request)

        workers.moves = moves
        async with scheduler(sqlite_url, workers) as peer:
            execution = await peer.run(await peer.make_task())
            await peer.until(execution.name, lambda one: one.counters.transferred_count == 10)
            dead.set()
            await workers.die()
            await peer.until(execution.name, lambda one: one.counters.transferred_count == 0)
            await workers.start()
            end = await peer.ended(execution.name)
            assert end.state == State.STATE_SUCCESS
            assert end.counters.transferred_count == 3 * FILES

    play(scenario)


def test_worker_that_stays_away_breaks_the_execution(sqlite_url: str) -> None:
    async def scenario(workers: ScriptedWorkers) -> None:
        limits = Limits(patience_s=0.5, report_patience_s=0.2, backoff=LIMITS.backoff)
        async with scheduler(sqlite_url, workers, limits) as peer:
            task = await peer.make_task()
            await workers.die()
            end = await peer.ended((await peer.run(task)).name)
            assert (end.state, end.error_code) == (State.STATE_ERROR, "WORKER_UNAVAILABLE")
            assert end.report_error.startswith("WORKER_UNAVAILABLE")

    play(scenario)


def test_report_that_cannot_be_written_does_not_fail_the_execution(sqlite_url: str) -> None:
    async def scenario(workers: ScriptedWorkers) -> None:
        workers.report_error = BlockferryError("ACCESS_DENIED", "The folder is closed.")
        async with scheduler(sqlite_url, workers) as peer:
            end = await peer.ended((await peer.run(await peer.make_task())).name)
            assert end.state == State.STATE_SUCCESS
            assert (end.report_uri, end.report_error) == ("", "ACCESS_DENIED: The folder is closed.")

    play(scenario)


def test_cancel_ends_open_calls_and_can_be_asked_twice(url: str) -> None:
    async def scenario(workers: ScriptedWorkers) -> None:
        async def moves(request: move_pb2.MoveShardRequest) -> AsyncIterator[move_pb2.MoveShardResponse]:
            yield move_progress(1)
            await forever()

        workers.moves = moves
        async with scheduler(url, workers) as peer:
            execution = await peer.run(await peer.make_task())
            await peer.until(execution.name, lambda one: one.counters.transferred_count > 0)
            cancelling = await peer.cancel(execution.name)
            assert cancelling.state == State.STATE_CANCELLING
            await peer.cancel(execution.name)
            end = await peer.ended(execution.name)
            assert end.state == State.STATE_CANCELLED
            assert end.error_code == ""
            assert end.counters.transferred_count == 0
            assert await peer.cancel(execution.name) == end

    play(scenario)


def test_executions_of_a_task_wait_for_each_other_in_order(url: str) -> None:
    async def scenario(workers: ScriptedWorkers) -> None:
        go = asyncio.Event()

        async def moves(request: move_pb2.MoveShardRequest) -> AsyncIterator[move_pb2.MoveShardResponse]:
            await go.wait()
            yield shard_moved(request)

        workers.moves = moves
        async with scheduler(url, workers) as peer:
            task = await peer.make_task()
            names = [(await peer.run(task)).name for _ in range(4)]
            states = [(await peer.get(name)).state for name in names]
            assert states[0] != State.STATE_QUEUED
            assert states[1:] == [State.STATE_QUEUED] * 3
            assert (await peer.cancel(names[2])).state == State.STATE_CANCELLED
            go.set()
            ends = [await peer.ended(name) for name in names]
            assert [end.state for end in ends] == [
                State.STATE_SUCCESS,
                State.STATE_SUCCESS,
                State.STATE_CANCELLED,
                State.STATE_SUCCESS,
            ]
            assert ends[0].end_time.ToNanoseconds() <= ends[1].launch_time.ToNanoseconds()
            assert ends[1].end_time.ToNanoseconds() <= ends[3].launch_time.ToNanoseconds()
            listed = await peer.executions.ListExecutions(execution_pb2.ListExecutionsRequest(parent=task))
            assert [one.name for one in listed.executions] == names[::-1]

    play(scenario)


def test_queue_holds_fifty(sqlite_url: str) -> None:
    async def scenario(workers: ScriptedWorkers) -> None:
        async def scans(request: scan_pb2.ScanRequest) -> AsyncIterator[scan_pb2.ScanResponse]:
            await forever()
            yield planned(1, request.purpose)

        workers.scans = scans
        async with scheduler(sqlite_url, workers) as peer:
            task = await peer.make_task()
            for _ in range(51):
                await peer.run(task)
            error = await refused(peer.run(task))
            assert error.reason == "QUEUE_FULL"

    play(scenario)


def test_scheduler_that_is_restarted_goes_on(url: str) -> None:
    async def scenario(workers: ScriptedWorkers) -> None:
        slow = True

        async def moves(request: move_pb2.MoveShardRequest) -> AsyncIterator[move_pb2.MoveShardResponse]:
            yield move_progress(5)
            if slow and request.shard != "000001":
                await forever()
            yield shard_moved(request)

        async def scans(request: scan_pb2.ScanRequest) -> AsyncIterator[scan_pb2.ScanResponse]:
            if slow:
                for number in (1, 2, 3):
                    yield planned(number, request.purpose)
                await forever()
            async for message in workers.scan_well(request):
                yield message

        workers.moves, workers.scans = moves, scans
        async with scheduler(url, workers) as peer:
            task = await peer.make_task()
            execution = await peer.run(task)
            waiting = await peer.run(task)
            seen = await peer.until(execution.name, lambda one: one.counters.verified_count == FILES)
        slow = False
        async with scheduler(url, workers) as peer:
            shown = await peer.watch(execution.name, after_revision=seen.revision)
            assert shown[0].revision > seen.revision
            end = shown[-1]
            assert end.state == State.STATE_SUCCESS
            assert end.counters.transferred_count == 5 * FILES
            assert (await peer.ended(waiting.name)).state == State.STATE_SUCCESS
            assert workers.calls.moves.count(("000001", 1)) == 2  # once for each execution
            assert ("000001", 2) not in workers.calls.moves
            assert ("000002", 2) in workers.calls.moves
            assert [scan.cursor.shard_number for scan in workers.calls.scans][:2] == [0, 3]

    play(scenario, shard_count=5)


def test_step_that_is_stored_while_the_scheduler_ends_begins_nothing(sqlite_url: str) -> None:
    async def scenario(workers: ScriptedWorkers) -> None:
        store = HeldStore(sqlite_url)
        async with scheduler(sqlite_url, workers, store=store) as peer:
            execution = await peer.run(await peer.make_task())
            await asyncio.to_thread(store.saving.wait, 30)
            watching = asyncio.create_task(peer.watch(execution.name))
            # `let_go` ends the watches first; only then the step is stored.
            watching.add_done_callback(lambda _: store.go_on.set())
        assert workers.calls.verifies == []
        async with scheduler(sqlite_url, workers) as peer:
            end = await peer.ended(execution.name)
            assert (end.state, end.error_code) == (State.STATE_SUCCESS, "")
            assert end.counters.verified_count == FILES

    play(scenario, shard_count=1)


def test_half_moved_shards_leave_no_upload_when_an_execution_is_cancelled(sqlite_url: str) -> None:
    async def scenario(workers: ScriptedWorkers) -> None:
        async def moves(request: move_pb2.MoveShardRequest) -> AsyncIterator[move_pb2.MoveShardResponse]:
            if request.shard == "000001":
                yield shard_moved(request)
                return
            yield move_progress(1)
            await forever()

        workers.moves = moves
        workers.abort_errors = [BlockferryError("S3_UNAVAILABLE", "The store is away.", retryable=True)]
        async with scheduler(sqlite_url, workers) as peer:
            execution = await peer.run(await peer.make_task())
            await peer.until(execution.name, lambda one: one.counters.transferred_count == FILES + 2)
            await peer.cancel(execution.name)
            assert (await peer.ended(execution.name)).state == State.STATE_CANCELLED
        assert sorted(workers.calls.aborts)[0] == "000002"
        assert set(workers.calls.aborts) == {"000002", "000003"}
        assert len(workers.calls.aborts) == 3  # one was asked again

    play(scenario, shard_count=4)


@pytest.mark.parametrize("reason", ["MOVE_REFUSED", "WORKER_UNAVAILABLE"])
def test_uploads_that_cannot_be_aborted_do_not_hold_up_the_end(sqlite_url: str, reason: str) -> None:
    async def scenario(workers: ScriptedWorkers) -> None:
        async def moves(request: move_pb2.MoveShardRequest) -> AsyncIterator[move_pb2.MoveShardResponse]:
            raise BlockferryError("MOVE_REFUSED", "It is wrong.")
            yield move_progress(1)

        workers.moves = moves
        workers.abort_errors = [BlockferryError(reason, "No.") for _ in range(2)]
        async with scheduler(sqlite_url, workers) as peer:
            end = await peer.ended((await peer.run(await peer.make_task())).name)
            assert (end.state, end.error_code) == (State.STATE_ERROR, "MOVE_REFUSED")
        assert workers.calls.aborts

    play(scenario)


def test_cancelling_execution_is_cancelled_after_a_restart(sqlite_url: str) -> None:
    async def scenario(workers: ScriptedWorkers) -> None:
        async with scheduler(sqlite_url, workers) as peer:

            async def scans(request: scan_pb2.ScanRequest) -> AsyncIterator[scan_pb2.ScanResponse]:
                await forever()
                yield planned(1, request.purpose)

            workers.scans = scans
            execution = await peer.run(await peer.make_task())
            await peer.until(execution.name, lambda one: one.state == State.STATE_PREPARING)
            await workers.die()
            await peer.cancel(execution.name)
        await workers.start()
        async with scheduler(sqlite_url, workers) as peer:
            assert (await peer.ended(execution.name)).state == State.STATE_CANCELLED

    play(scenario)


def test_request_id_starts_one_run_only(url: str) -> None:
    async def scenario(workers: ScriptedWorkers) -> None:
        async with scheduler(url, workers) as peer:
            task = await peer.make_task()
            request_id = str(uuid.uuid4())
            first = await peer.run(task, request_id=request_id)
            again = await peer.run(task, request_id=request_id)
            assert first.name == again.name
            error = await refused(peer.run(task, request_id=request_id, dry_run=True))
            assert error.reason == "REQUEST_ID_REUSED"

    play(scenario)


def test_watch_goes_on_after_a_revision_and_only_grows(sqlite_url: str) -> None:
    async def scenario(workers: ScriptedWorkers) -> None:
        async with scheduler(sqlite_url, workers) as peer:
            shown = await peer.watch((await peer.run(await peer.make_task())).name)
            revisions = [one.revision for one in shown]
            assert revisions == sorted(set(revisions))
            assert await peer.watch(shown[-1].name, shown[-1].revision) == []
            assert await peer.watch(shown[-1].name, shown[-1].revision - 1) == [shown[-1]]

    play(scenario)


def test_location_is_tested_by_the_scanner(sqlite_url: str) -> None:
    async def scenario(workers: ScriptedWorkers) -> None:
        async with scheduler(sqlite_url, workers) as peer:
            await peer.make_task()
            listed = await peer.locations.ListLocations(location_pb2.ListLocationsRequest())
            request = location_pb2.TestLocationRequest(name=listed.locations[0].name)
            answer = await peer.locations.TestLocation(request)
            assert [check.step for check in answer.checks] == ["list"]

    play(scenario)


def test_pages_and_errors_of_the_public_api(url: str) -> None:
    async def scenario(workers: ScriptedWorkers) -> None:
        async with scheduler(url, workers) as peer:
            for name in ("b", "a-1", "a", "c"):
                hdfs = location_pb2.HdfsLocation(namenodes=["nn:8020"], root="/data")
                request = location_pb2.CreateLocationRequest(
                    location=location_pb2.Location(hdfs=hdfs), location_id=name
                )
                await peer.locations.CreateLocation(request)
            first = await peer.locations.ListLocations(location_pb2.ListLocationsRequest(page_size=3))
            assert [one.name for one in first.locations] == ["locations/a", "locations/a-1", "locations/b"]
            rest = await peer.locations.ListLocations(
                location_pb2.ListLocationsRequest(page_size=3, page_token=first.next_page_token)
            )
            assert [one.name for one in rest.locations] == ["locations/c"]
            assert rest.next_page_token == ""
            other = location_pb2.ListLocationsRequest(page_size=2, page_token=first.next_page_token)
            assert (await refused(peer.locations.ListLocations(other))).reason == "INVALID_PAGE_TOKEN"
            assert (await refused(peer.locations.CreateLocation(request))).reason == "ALREADY_EXISTS"
            assert (await refused(peer.get("tasks/x/executions/y"))).reason == "EXECUTION_NOT_FOUND"
            assert (await refused(peer.run("tasks/x"))).reason == "TASK_NOT_FOUND"
            missing = location_pb2.GetLocationRequest(name="locations/x")
            assert (await refused(peer.locations.GetLocation(missing))).reason == "LOCATION_NOT_FOUND"
            bad = await refused(peer.locations.GetLocation(location_pb2.GetLocationRequest(name="x")))
            assert (bad.reason, bad.coordinates["field"]) == ("INVALID_ARGUMENT", "name")

    play(scenario)


def test_validate_only_makes_nothing(sqlite_url: str) -> None:
    async def scenario(workers: ScriptedWorkers) -> None:
        async with scheduler(sqlite_url, workers) as peer:
            task = await peer.make_task()
            await peer.run(task, validate_only=True)
            request = task_pb2.CreateTaskRequest(
                task=await peer.tasks.GetTask(task_pb2.GetTaskRequest(name=task)), task_id="t", validate_only=True
            )
            assert (await peer.tasks.CreateTask(request)).name == "tasks/t"
            assert len((await peer.tasks.ListTasks(task_pb2.ListTasksRequest())).tasks) == 1
            listed = await peer.executions.ListExecutions(execution_pb2.ListExecutionsRequest(parent="tasks/-"))
            assert list(listed.executions) == []

    play(scenario)


def test_database_that_goes_away_only_holds_the_execution_up() -> None:
    async def scenario(workers: ScriptedWorkers) -> None:
        away = asyncio.Event()

        async def moves(request: move_pb2.MoveShardRequest) -> AsyncIterator[move_pb2.MoveShardResponse]:
            yield move_progress(1)
            await away.wait()
            yield shard_moved(request)

        workers.moves = moves
        async with scheduler(server.make_database("away"), workers) as peer:
            execution = await peer.run(await peer.make_task())
            await peer.until(execution.name, lambda one: one.counters.transferred_count == 2)
            assert server.child is not None
            server.child.signal(signal.SIGINT)  # a fast shutdown
            await asyncio.to_thread(server.child.process.wait, 30)
            away.set()
            error = await refused(peer.locations.ListLocations(location_pb2.ListLocationsRequest()))
            assert (error.reason, error.retryable) == ("STORE_UNAVAILABLE", True)
            await asyncio.to_thread(server.start_process)
            end = await peer.ended(execution.name)
            assert (end.state, end.counters.transferred_count) == (State.STATE_SUCCESS, 3 * FILES)

    with PostgresServer.start() as server:
        play(scenario)


def test_execution_that_another_scheduler_has_taken_is_let_go(sqlite_url: str) -> None:
    async def scenario(workers: ScriptedWorkers) -> None:
        go = asyncio.Event()

        async def moves(request: move_pb2.MoveShardRequest) -> AsyncIterator[move_pb2.MoveShardResponse]:
            yield move_progress(1)
            if not go.is_set():
                await forever()
            yield shard_moved(request)

        workers.moves = moves
        async with scheduler(sqlite_url, workers) as first:
            execution = await first.run(await first.make_task())
            await first.until(execution.name, lambda one: one.counters.transferred_count == 2)
            go.set()
            async with scheduler(sqlite_url, workers) as second:
                assert (await second.ended(execution.name)).state == State.STATE_SUCCESS
                error = await refused(first.cancel(execution.name))
                assert error.reason == "REVISION_CONFLICT"
                assert (await first.get(execution.name)).state == State.STATE_SUCCESS
                assert (await second.get(execution.name)).state == State.STATE_SUCCESS

    play(scenario)
