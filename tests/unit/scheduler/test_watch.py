"""Watching a run that a test changes by hand."""

import asyncio
from dataclasses import replace

import pytest

from blockferry.errors import BlockferryError
from scheduler.machine import Execution, State
from scheduler.record import ExecutionRecord
from scheduler.watch import Signal, watch


class Changing:
    """A run that a test changes."""

    def __init__(self) -> None:
        self.changed = Signal()
        self.closed = False
        self.record = ExecutionRecord(Execution("tasks/t/executions/e"), "tasks/t", 0)

    def view(self) -> ExecutionRecord:
        return self.record

    def change(self, state: State) -> None:
        execution = replace(self.record.execution, state=state)
        self.record = replace(self.record, execution=execution, revision=self.record.revision + 1)
        self.changed.fire()


def test_first_the_present_state_then_each_change_then_the_end() -> None:
    async def scenario() -> list[State]:
        run, shown = Changing(), []
        async for record in watch(run, 0, min_interval_s=0.0):
            shown.append(record.execution.state)
            if record.execution.state is not State.SUCCESS:
                run.change(State.PREPARING if record.execution.state is State.QUEUED else State.SUCCESS)
        return shown

    assert asyncio.run(scenario()) == [State.QUEUED, State.PREPARING, State.SUCCESS]


def test_changes_that_follow_fast_become_one() -> None:
    async def scenario() -> list[int]:
        run, shown = Changing(), []
        async for record in watch(run, 0, min_interval_s=0.05):
            shown.append(record.revision)
            if len(shown) == 1:
                for _ in range(100):
                    run.change(State.PREPARING)
                run.change(State.SUCCESS)
        return shown

    assert asyncio.run(scenario()) == [1, 102]


def test_nothing_older_than_the_given_revision_is_shown() -> None:
    async def scenario() -> list[int]:
        run = Changing()
        asyncio.get_running_loop().call_later(0.01, run.change, State.PREPARING)
        asyncio.get_running_loop().call_later(0.02, run.change, State.CANCELLED)
        return [record.revision async for record in watch(run, 2, min_interval_s=0.0)]

    assert asyncio.run(scenario()) == [3]


def test_quiet_run_gives_signs_of_life() -> None:
    async def scenario() -> list[int]:
        run, shown = Changing(), []
        async for record in watch(run, 0, 0.0, sign_of_life_s=0.01):
            shown.append(record.revision)
            if len(shown) == 3:
                run.change(State.SUCCESS)
        return shown

    assert asyncio.run(scenario()) == [1, 1, 1, 2]


def test_scheduler_that_lets_go_ends_the_watch_with_a_retryable_error() -> None:
    async def scenario() -> None:
        run = Changing()
        run.closed = True
        with pytest.raises(BlockferryError, match="SCHEDULER_STOPPING") as caught:
            async for _ in watch(run, 0):
                pass
        assert caught.value.retryable

    asyncio.run(scenario())
