"""Resource names and their short forms."""

from __future__ import annotations

import pytest

from blockferry.names import execution_name, location_name, short_name, task_name
from blockferry.states import is_final
from blockferry.v1.execution_pb2 import Execution


def test_ids_become_names_and_names_stay() -> None:
    assert location_name("a") == location_name("locations/a") == "locations/a"
    assert task_name("a") == task_name("tasks/a") == "tasks/a"
    assert execution_name("t/e") == execution_name("tasks/t/executions/e") == "tasks/t/executions/e"


@pytest.mark.parametrize("name", ["locations/a", "tasks/t", "tasks/t/executions/e"])
def test_short_names_leave_the_collections_out(name: str) -> None:
    short = short_name(name)
    assert "locations" not in short
    assert "tasks" not in short
    assert name in {location_name(short), task_name(short), execution_name(short)}


@pytest.mark.parametrize("state", Execution.State.values())
def test_exactly_three_states_are_final(state: int) -> None:
    names = {"STATE_SUCCESS", "STATE_ERROR", "STATE_CANCELLED"}
    assert is_final(Execution(state=state)) == (Execution.State.Name(state) in names)  # type: ignore[arg-type]


def test_a_state_of_a_newer_server_counts_as_running() -> None:
    assert not is_final(Execution(state=77))  # type: ignore[arg-type]
