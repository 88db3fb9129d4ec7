"""The scheduler as a process: kill -9 in the middle, SIGTERM with open watches, and wrong use."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
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
from service.v1 import move_pb2
from tests.support.ports import free_port
from tests.support.processes import Child
from tests.support.scripted_workers import FILES, ScriptedWorkers, forever, move_progress, shard_moved

State = execution_pb2.Execution
ROOT = Path(__file__).resolve().parents[2]


class SchedulerProcess:
    """`python -m scheduler` on a port and a database that outlive it."""

    def __init__(self, folder: Path, url: str, workers: ScriptedWorkers) -> None:
        self.folder = folder
        self.port = free_port()
        addresses = tuple(f"--{kind}={workers.address}" for kind in ("scanner", "mover", "verifier"))
        store = ("--database-url", url, "--ledger", str(folder / "ledger"))
        self.command = (sys.executable, "-m", "scheduler", f"--listen=127.0.0.1:{self.port}", *store, *addresses)
        self.child: Child | None = None
        self.trace_file = folder / "spans.jsonl"

    async def start(self) -> None:
        """Returns when it answers."""
        environment = {"PYTHONPATH": f"{ROOT}:{ROOT / 'sdk' / 'src'}", "BLOCKFERRY_TRACE_FILE": str(self.trace_file)}
        self.child = Child.start("scheduler", self.command, self.folder / "scheduler.log", environment=environment)
        async with asyncio.timeout(60), grpc.aio.insecure_channel(f"127.0.0.1:{self.port}") as channel:
            await channel.channel_ready()

    def kill(self) -> None:
        assert self.child is not None
        self.child.signal(signal.SIGKILL)

    async def stop(self) -> int:
        assert self.child is not None
        return await asyncio.to_thread(self.child.stop)


def play(folder: Path, url: str, scenario: Callable[[SchedulerProcess, ScriptedWorkers], Awaitable[None]]) -> None:
    """Runs a scenario with a scheduler process and workers in this loop, within two minutes."""

    async def played() -> None:
        workers = ScriptedWorkers(4)
        await workers.start()
        process = SchedulerProcess(folder, url, workers)
        try:
            async with asyncio.timeout(120):
                await process.start()
                await scenario(process, workers)
        finally:
            if process.child is not None and process.child.alive():
                await process.stop()
            await workers.die()

    asyncio.run(played())


async def run_task(channel: grpc.aio.Channel) -> str:
    """Makes a task and starts it; returns the execution's name."""
    locations = location_pb2_grpc.LocationServiceStub(channel)
    tasks = task_pb2_grpc.TaskServiceStub(channel)
    for name, location in (
        ("a", location_pb2.Location(hdfs=location_pb2.HdfsLocation(namenodes=["127.0.0.1:8020"], root="/data"))),
        ("b", location_pb2.Location(s3=location_pb2.S3Location(bucket="archive"))),
    ):
        await locations.CreateLocation(location_pb2.CreateLocationRequest(location=location, location_id=name))
    task = task_pb2.Task(source="locations/a", destination="locations/b")
    await tasks.CreateTask(task_pb2.CreateTaskRequest(task=task, task_id="t"))
    executions = execution_pb2_grpc.ExecutionServiceStub(channel)
    return str((await executions.RunTask(execution_pb2.RunTaskRequest(name="tasks/t"))).name)


async def until(
    port: int, name: str, holds: Callable[[execution_pb2.Execution], bool | None], after_revision: int = 0
) -> execution_pb2.Execution:
    """Returns the first execution shown, newer than a revision, for which `holds`."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        request = execution_pb2.WatchExecutionRequest(name=name, after_revision=after_revision)
        async for message in execution_pb2_grpc.ExecutionServiceStub(channel).WatchExecution(request):
            assert message.execution.revision > after_revision
            if holds(message.execution):
                return message.execution
    raise AssertionError("the execution ended before")


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_execution_goes_on_after_kill_9(tmp_path: Path, kind: str, request: pytest.FixtureRequest) -> None:
    url = f"sqlite:///{tmp_path / 'x.db'}" if kind == "sqlite" else str(request.getfixturevalue("postgres_url"))

    async def scenario(process: SchedulerProcess, workers: ScriptedWorkers) -> None:
        killed = asyncio.Event()

        async def moves(request: move_pb2.MoveShardRequest) -> AsyncIterator[move_pb2.MoveShardResponse]:
            yield move_progress(3)
            if request.shard > "000002" and not killed.is_set():
                await forever()
            yield shard_moved(request)

        workers.moves = moves
        async with grpc.aio.insecure_channel(f"127.0.0.1:{process.port}") as channel:
            name = await run_task(channel)
            seen = await until(process.port, name, lambda one: one.counters.transferred_count == 2 * FILES + 6)
        process.kill()
        killed.set()
        await process.start()
        end = await until(process.port, name, lambda one: one.state == State.STATE_SUCCESS, seen.revision)
        assert end.counters.transferred_count == end.counters.verified_count == 4 * FILES
        assert len(workers.calls.scans) == 1 or workers.calls.scans[-1].cursor.shard_number > 0
        assert workers.calls.moves.count(("000001", 1)) == 1
        assert ("000001", 2) not in workers.calls.moves
        assert ("000003", 2) in workers.calls.moves
        assert await process.stop() == 0
        spans = process.trace_file.read_text()
        assert '"name": "execution"' in spans
        assert len(workers.calls.trace_ids) == 1
        assert spans.count(workers.calls.trace_ids.pop()) > 5

    play(tmp_path, url, scenario)


def test_sigterm_ends_watches_and_the_process(tmp_path: Path) -> None:
    async def scenario(process: SchedulerProcess, workers: ScriptedWorkers) -> None:
        async def moves(request: move_pb2.MoveShardRequest) -> AsyncIterator[move_pb2.MoveShardResponse]:
            yield move_progress(1)
            await forever()

        workers.moves = moves
        async with grpc.aio.insecure_channel(f"127.0.0.1:{process.port}") as channel:
            name = await run_task(channel)
            await until(process.port, name, lambda one: one.counters.transferred_count == 2)
            begun = asyncio.Event()
            watching = asyncio.create_task(until(process.port, name, lambda _: begun.set()))
            await begun.wait()
            assert await process.stop() == 0
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await watching
            error = from_rpc_error(caught.value)
            assert isinstance(error, BlockferryError)
            assert (error.reason, error.retryable) == ("SCHEDULER_STOPPING", True)  # not cut off by the drain's end

    play(tmp_path, f"sqlite:///{tmp_path / 'x.db'}", scenario)


def test_wrong_use_is_told(tmp_path: Path) -> None:
    def called(*arguments: str) -> "subprocess.CompletedProcess[str]":
        environment = {"PYTHONPATH": f"{ROOT}:{ROOT / 'sdk' / 'src'}"}
        command = (sys.executable, "-m", "scheduler", *arguments)
        return subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment, cwd=tmp_path)

    workers = ("--scanner=127.0.0.1:1", "--mover=127.0.0.1:1", "--verifier=127.0.0.1:1", "--ledger=/l")
    assert called().returncode == 2
    wrong_url = called(*workers, "--database-url=nonsense")
    assert wrong_url.returncode == 1
    assert "DATABASE_URL_INVALID" in wrong_url.stderr
    wrong_port = called(*workers, f"--database-url=sqlite:///{tmp_path / 'x.db'}", "--listen=256.0.0.1:80")
    assert wrong_port.returncode == 1
    assert "ADDRESS_IN_USE" in wrong_port.stderr
