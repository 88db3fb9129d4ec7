"""Dataclasses as JSON values, and executions and shards as rows."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.counters import Tally
from scheduler.events import Broken, CallBroken, CallKind, ShardMoved
from scheduler.failures import PhaseFailure
from scheduler.machine import Ending, Execution, State, VerifyMode
from scheduler.phases import PhaseTimes
from scheduler.plain import from_plain, to_plain
from scheduler.record import ExecutionRecord, ScanPosition
from scheduler.rows import execution_row, record_of, shard_of, shard_row
from scheduler.shards import Shard


@settings(max_examples=40, deadline=None)
@given(st.from_type(ExecutionRecord))
def test_execution_comes_back_from_its_row(record: ExecutionRecord) -> None:
    row = execution_row(record)
    stored = {key: json.loads(json.dumps(value)) for key, value in row.items() if key != "options"}
    assert record_of(stored | {"options": row["options"]}) == record


@settings(deadline=None)
@given(st.from_type(Shard))
def test_shard_comes_back_from_its_row(shard: Shard) -> None:
    assert shard_of(shard_row("tasks/t/executions/e", shard)) == shard


@settings(deadline=None)
@given(st.one_of(*(st.from_type(kind) for kind in (Ending, Tally, PhaseFailure, PhaseTimes, ScanPosition, ShardMoved))))
def test_value_comes_back_from_json(value: object) -> None:
    assert from_plain(type(value), json.loads(json.dumps(to_plain(value)))) == value


def test_row_of_an_older_version_takes_defaults() -> None:
    assert from_plain(Execution, {"name": "n"}) == Execution("n")
    assert from_plain(ScanPosition, {"number": 3, "gone": 1}) == ScanPosition(number=3)


def test_row_without_what_is_needed_is_an_error() -> None:
    with pytest.raises(ValueError, match="Execution lacks name"):
        from_plain(Execution, {})


def test_enums_and_tuples_are_themselves_again() -> None:
    e = Execution("n", VerifyMode.NONE, state=State.ERROR, ending=Ending(State.ERROR, "R", "m", (("path", "a"),)))
    back = from_plain(Execution, to_plain(e))
    assert back == e
    assert isinstance(back.verify, VerifyMode)


def test_events_have_a_plain_form() -> None:
    broken = CallBroken(CallKind.MOVE, "000001", 1, "R", "m", True, (("host", "h"),))
    assert to_plain(broken) == {
        "work": "MOVE",
        "shard": "000001",
        "attempt": 1,
        "reason": "R",
        "message": "m",
        "retryable": True,
        "coordinates": [["host", "h"]],
    }
    assert from_plain(Broken, to_plain(Broken("R", "m"))) == Broken("R", "m")


def test_value_without_plain_form_is_refused() -> None:
    with pytest.raises(TypeError, match="object has no plain form"):
        to_plain(object())
