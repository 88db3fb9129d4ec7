"""The execution state machine: each rule by example, then all of them by random histories."""

import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.counters import MoveTally, ScanTally, VerifyTally
from scheduler.events import (
    Broken,
    CancelAsked,
    CheckScanEnded,
    CheckShardPlanned,
    Command,
    Cut,
    Drain,
    Drained,
    Event,
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
    Started,
    VerifyShard,
    WriteReport,
)
from scheduler.failures import PhaseFailure, PhaseName
from scheduler.machine import (
    FINAL,
    GUARDS,
    RULES,
    TRANSITIONS,
    Ending,
    Execution,
    IllegalTransition,
    State,
    VerifyMode,
    commands_to_resume,
    legal,
    outcome,
    step,
)

FAILED = (PhaseFailure(PhaseName.TRANSFER, "SOURCE_CHANGED", 10, "changed", (), 1, ("a",)),)
NAME = "tasks/t/executions/e"


def cut(shard: str = "000001", number: int = 1, move_count: int = 2, verify_count: int = 2) -> Cut:
    return Cut(shard, number, "a", ScanTally(), move_count, 10, verify_count)


def moved(shard: str = "000001", verify_count: int = 2, failures: tuple[PhaseFailure, ...] = ()) -> ShardMoved:
    return ShardMoved(shard, 1, f"{shard}.1", MoveTally(), verify_count, failures)


def verified(shard: str = "000001", failures: tuple[PhaseFailure, ...] = ()) -> ShardVerified:
    return ShardVerified(shard, 1, f"{shard}.1", VerifyTally(), failures)


EXAMPLES: tuple[Event, ...] = (
    Started(),
    Launched(True),
    ShardPlanned(cut()),
    ScanEnded(ScanTally()),
    moved(),
    verified(),
    CheckShardPlanned(cut("c000001")),
    CheckScanEnded(ScanTally()),
    ReportWritten("/r"),
    ReportFailed("R", "m"),
    CancelAsked(),
    Drained(),
    Broken("R", "m"),
)


def check(e: Execution) -> None:
    """Asserts what holds after every step."""
    assert 0 <= e.moved <= e.planned or e.dry_run
    assert 0 <= e.verified <= e.to_verify
    assert not (e.reporting and e.reported)
    assert e.drained <= (e.ending is not None)
    assert (e.state is State.CANCELLING) <= (e.ending is not None)
    assert not e.final or e.reported or e.state is State.CANCELLED
    if e.state in (State.TRANSFERRING, State.VERIFYING, State.SUCCESS):
        assert e.scan_ended
    if e.state in (State.VERIFYING, State.SUCCESS) and not e.dry_run:
        assert e.moved == e.planned
    if e.state is State.SUCCESS:
        assert e.ending is None
        assert e.dry_run or (e.failed_entries == 0 and e.verified == e.to_verify)
    if e.state is State.ERROR:
        assert e.ending is not None or e.failed_entries > 0


def play(e: Execution, *events: Event) -> tuple[Execution, tuple[Command, ...]]:
    """Returns the execution after all events, and the commands of the last one."""
    commands: tuple[Command, ...] = ()
    for event in events:
        e, commands = step(e, event)
        check(e)
    return e, commands


@pytest.fixture
def queued() -> Execution:
    return Execution(NAME)


@pytest.fixture
def preparing(queued: Execution) -> Execution:
    return play(queued, Started(), Launched(True))[0]


def test_examples_hold_every_event() -> None:
    assert {type(one) for one in EXAMPLES} == set(get_args(Event))


def test_every_state_has_a_row() -> None:
    assert set(TRANSITIONS) == set(State)


@pytest.mark.parametrize(
    ("state", "event"), tuple(itertools.product(State, EXAMPLES)), ids=lambda one: type(one).__name__
)
def test_pair_is_in_the_table_or_illegal(state: State, event: Event) -> None:
    """With every guard open, the table alone decides."""
    checks = isinstance(event, CheckShardPlanned | CheckScanEnded)
    mode = VerifyMode.POINT_IN_TIME_CONSISTENT if checks else VerifyMode.ONLY_FILES_TRANSFERRED
    reporting = isinstance(event, ReportWritten | ReportFailed)
    e = Execution(NAME, mode, state=state, planned=2, moved=1, to_verify=2, verified=1, reporting=reporting)
    if isinstance(event, Drained) or state is State.CANCELLING:
        kind = State.CANCELLED if state is State.CANCELLING else State.ERROR
        e = replace(e, ending=Ending(kind, "R", "m"))
    expected = type(event) in TRANSITIONS[state]
    if isinstance(event, Drained) and state is State.QUEUED:
        return  # a waiting execution is never ending
    assert legal(e, event) is expected
    if not expected:
        with pytest.raises(IllegalTransition, match=f"{type(event).__name__} cannot happen"):
            step(e, event)


def test_start_launches(queued: Execution) -> None:
    after, commands = step(queued, Started())
    assert (after.state, commands) == (State.LAUNCHING, (Launch(),))


def test_launch_scans_and_keeps_the_stores_trust(queued: Execution) -> None:
    after, commands = play(queued, Started(), Launched(True))
    assert (after.state, after.claims_trusted, commands) == (State.PREPARING, True, (Scan(Purpose.TRANSFER),))


def test_planned_shard_is_moved_at_once(preparing: Execution) -> None:
    after, commands = step(preparing, ShardPlanned(cut()))
    assert (after.state, after.planned, commands) == (State.PREPARING, 1, (MoveShard("000001"),))


def test_shard_with_nothing_to_move_is_verified_at_once(preparing: Execution) -> None:
    after, commands = step(preparing, ShardPlanned(cut(move_count=0)))
    assert (after.moved, after.to_verify, commands) == (1, 1, (VerifyShard("000001"),))


def test_shard_with_nothing_to_do_is_complete(preparing: Execution) -> None:
    after, commands = step(preparing, ShardPlanned(cut(move_count=0, verify_count=0)))
    assert (after.moved, after.to_verify, commands) == (1, 0, ())


def test_moved_shard_is_verified_while_others_are_planned(preparing: Execution) -> None:
    after, commands = play(preparing, ShardPlanned(cut()), moved())
    assert (after.state, commands) == (State.PREPARING, (VerifyShard("000001"),))


def test_states_follow_the_earliest_phase_that_is_not_complete(preparing: Execution) -> None:
    after, _ = play(preparing, ShardPlanned(cut()), ShardPlanned(cut("000002", 2)), moved())
    after, _ = play(after, verified(), ScanEnded(ScanTally()))
    assert after.state is State.TRANSFERRING
    after, _ = play(after, moved("000002"))
    assert after.state is State.VERIFYING
    after, commands = play(after, verified("000002"))
    assert (after.state, after.reporting, commands) == (State.VERIFYING, True, (WriteReport(),))
    after, commands = play(after, ReportWritten("/r"))
    assert (after.state, commands) == (State.SUCCESS, ())


def test_empty_plan_is_reported_at_once(preparing: Execution) -> None:
    after, commands = step(preparing, ScanEnded(ScanTally()))
    assert (after.state, commands) == (State.VERIFYING, (WriteReport(),))
    assert play(after, ReportWritten("/r"))[0].state is State.SUCCESS


def test_report_that_fails_does_not_fail_the_execution(preparing: Execution) -> None:
    after, _ = play(preparing, ScanEnded(ScanTally()), ReportFailed("ACCESS_DENIED", "closed"))
    assert after.state is State.SUCCESS


def test_failed_entries_end_with_error_after_all_is_done(preparing: Execution) -> None:
    after, _ = play(preparing, ShardPlanned(cut()), moved(failures=FAILED), ScanEnded(ScanTally()), verified())
    assert outcome(after) is State.ERROR
    assert play(after, ReportWritten("/r"))[0].state is State.ERROR


def test_refused_entries_end_with_error(preparing: Execution) -> None:
    after, _ = play(preparing, ScanEnded(ScanTally(failed_count=1)), ReportWritten("/r"))
    assert after.state is State.ERROR


def test_dry_run_moves_nothing_and_ends_well_with_refused_entries() -> None:
    e, _ = play(Execution(NAME, dry_run=True), Started(), Launched(False))
    after, commands = play(e, ShardPlanned(replace(cut(), failures=FAILED)))
    assert commands == ()
    after, commands = play(after, ScanEnded(ScanTally(failed_count=1)))
    assert (after.state, commands) == (State.PREPARING, (WriteReport(),))
    assert play(after, ReportWritten("/r"))[0].state is State.SUCCESS


def test_verify_none_completes_a_shard_when_it_is_moved() -> None:
    e, _ = play(Execution(NAME, VerifyMode.NONE), Started(), Launched(True), ShardPlanned(cut()))
    assert e.to_verify == 0
    after, commands = play(e, ScanEnded(ScanTally()), moved(verify_count=0))
    assert (after.state, commands) == (State.VERIFYING, (WriteReport(),))


def test_point_in_time_scans_again_when_all_is_moved() -> None:
    e, _ = play(Execution(NAME, VerifyMode.POINT_IN_TIME_CONSISTENT), Started(), Launched(True), ShardPlanned(cut()))
    after, commands = play(e, ScanEnded(ScanTally()), moved(verify_count=0))
    assert (after.state, commands) == (State.VERIFYING, (Scan(Purpose.CHECK),))
    after, commands = play(after, CheckShardPlanned(cut("c000001")))
    assert commands == (VerifyShard("c000001"),)
    after, commands = play(after, CheckScanEnded(ScanTally()))
    assert commands == ()
    after, commands = play(after, verified("c000001"))
    assert commands == (WriteReport(),)


def test_point_in_time_with_one_sided_entries_ends_with_error() -> None:
    e, _ = play(Execution(NAME, VerifyMode.POINT_IN_TIME_CONSISTENT), Started(), Launched(True), ScanEnded(ScanTally()))
    extra = replace(cut("c000001", verify_count=0), failures=FAILED)
    after, _ = play(e, CheckShardPlanned(extra), CheckScanEnded(ScanTally()), ReportWritten("/r"))
    assert after.state is State.ERROR


def test_broken_execution_drains_then_reports_then_ends(preparing: Execution) -> None:
    after, commands = play(preparing, ShardPlanned(cut()), Broken("LIST_FAILED", "m"))
    assert (after.state, commands) == (State.PREPARING, (Drain(),))
    after, commands = play(after, Drained())
    assert commands == (WriteReport(),)
    after, commands = play(after, ReportFailed("X", "m"))
    assert (after.state, commands) == (State.ERROR, ())
    assert after.ending is not None
    assert after.ending.reason == "LIST_FAILED"


def test_late_facts_of_an_ending_execution_command_nothing(preparing: Execution) -> None:
    e, _ = play(preparing, ShardPlanned(cut()), CancelAsked())
    for event in (ShardPlanned(cut("000002", 2)), moved(), ScanEnded(ScanTally()), Broken("R", "m")):
        e, commands = play(e, event)
        assert (e.state, commands) == (State.CANCELLING, ())
    assert (e.planned, e.moved) == (2, 1)


def test_waiting_execution_is_cancelled_at_once(queued: Execution) -> None:
    assert step(queued, CancelAsked())[1] == ()
    assert step(queued, CancelAsked())[0].state is State.CANCELLED


def test_cancel_twice_changes_nothing(preparing: Execution) -> None:
    once, commands = step(preparing, CancelAsked())
    assert commands == (Drain(),)
    assert step(once, CancelAsked()) == (once, ())


def test_cancel_after_the_end_changes_nothing(preparing: Execution) -> None:
    for end in (
        play(preparing, ScanEnded(ScanTally()), ReportWritten("/r"))[0],
        play(preparing, Broken("R", "m"), Drained(), ReportWritten("/r"))[0],
        play(preparing, CancelAsked(), Drained(), ReportWritten("/r"))[0],
    ):
        assert end.final
        assert step(end, CancelAsked()) == (end, ())


def test_cancel_of_a_broken_execution_leaves_its_error(preparing: Execution) -> None:
    after, commands = play(preparing, Broken("R", "m"), CancelAsked())
    assert commands == ()
    assert play(after, Drained(), ReportWritten("/r"))[0].state is State.ERROR


def test_cancel_drains_the_report_and_writes_it_again(preparing: Execution) -> None:
    reporting, _ = play(preparing, ScanEnded(ScanTally()))
    after, commands = play(reporting, CancelAsked())
    assert (after.reporting, commands) == (False, (Drain(),))
    assert play(after, ReportWritten("/late"))[0] == after
    after, commands = play(after, Drained())
    assert commands == (WriteReport(),)
    assert play(after, ReportWritten("/r"))[0].state is State.CANCELLED


@pytest.mark.parametrize("event", [ScanEnded(ScanTally()), ShardPlanned(cut("000009", 9))])
def test_plan_ends_once(preparing: Execution, event: Event) -> None:
    ended, _ = play(preparing, ShardPlanned(cut()), ScanEnded(ScanTally()))
    with pytest.raises(IllegalTransition):
        step(ended, event)


def test_guards_are_of_events_in_the_table() -> None:
    in_table = {kind for row in TRANSITIONS.values() for kind in row}
    assert set(GUARDS) <= in_table


def test_rules_lead_on() -> None:
    order = list(State)
    for rule in RULES:
        assert rule.after in FINAL or order.index(rule.after) >= order.index(rule.state)


# Random histories: a world of workers that carries commands out in any order, breaks, cancels and restarts.


class World:
    """Carries out commands one at a time, in an order that is drawn."""

    def __init__(self, e: Execution, plan: tuple[tuple[int, int], ...]) -> None:
        self.e = e
        self.plan = plan
        self.open: list[Command] = []
        self.done: dict[str, str] = {}
        self.next_cut = {Purpose.TRANSFER: 0, Purpose.CHECK: 0}

    def tell(self, event: Event) -> None:
        was_final = self.e.final
        self.e, commands = step(self.e, event)
        check(self.e)
        assert not (was_final and commands), "a finished execution commands nothing"
        assert len(set(commands)) == len(commands)
        self.open += commands

    def carry_out(self, command: Command, fails: bool) -> None:
        self.open.remove(command)
        match command:
            case Launch():
                self.tell(Broken("X", "m") if fails else Launched(True))
            case Scan(purpose):
                self.scan(purpose)
            case MoveShard(shard):
                self.done[shard] = "moved"
                number = int(shard.removeprefix("c")) - 1
                follows = self.plan[number][1] if self.e.verify is VerifyMode.ONLY_FILES_TRANSFERRED else 0
                self.tell(moved(shard, follows, FAILED if fails else ()))
            case VerifyShard(shard):
                self.done[shard] = "verified"
                self.tell(verified(shard, FAILED if fails else ()))
            case WriteReport():
                self.tell(ReportFailed("X", "m") if fails else ReportWritten("/r"))
            case Drain():
                self.open = []
                self.tell(Drained())

    def scan(self, purpose: Purpose) -> None:
        number = self.next_cut[purpose]
        checking = purpose is Purpose.CHECK
        if number == len(self.plan):
            self.tell(CheckScanEnded(ScanTally()) if checking else ScanEnded(ScanTally()))
            return
        self.next_cut[purpose] += 1
        move_count, verify_count = self.plan[number]
        one = cut(f"{'c' if checking else ''}{number + 1:06d}", number + 1, move_count, verify_count)
        self.open.append(Scan(purpose))
        self.tell(CheckShardPlanned(one) if checking else ShardPlanned(one))

    def restart(self) -> None:
        """Forgets all calls and begins again what the stored state says."""
        shards = [one for one in self.open if isinstance(one, MoveShard | VerifyShard)]
        keeps_shards = self.e.ending is None
        self.open = [*commands_to_resume(self.e), *(shards if keeps_shards else [])]


def worlds() -> st.SearchStrategy[World]:
    plans = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), max_size=5).map(tuple)
    return st.builds(
        lambda mode, dry_run, plan: World(Execution(NAME, mode, dry_run), plan),
        st.sampled_from(VerifyMode),
        st.booleans(),
        plans,
    )


@settings(max_examples=200, deadline=None)
@given(worlds(), st.data())
def test_every_history_ends_and_counts_are_consistent(world: World, data: st.DataObject) -> None:
    world.tell(Started())
    steps: Iterator[int] = iter(range(400))
    while not world.e.final:
        assert next(steps, None) is not None, "it does not end"
        what = data.draw(st.sampled_from(("go", "go", "go", "go", "fail", "cancel", "break", "restart")))
        match what:
            case "cancel":
                world.tell(CancelAsked())
            case "break" if world.e.state is not State.QUEUED:
                world.tell(Broken("X", "m"))
            case "restart":
                world.restart()
            case _:
                assert world.open, "nothing is under way, and it has not ended"
                world.carry_out(data.draw(st.sampled_from(world.open)), what == "fail")
    assert [one for one in world.open if isinstance(one, WriteReport)] == []


@settings(max_examples=200, deadline=None)
@given(worlds(), st.lists(st.integers(0, 5), max_size=100), st.sets(st.integers(0, 60)))
def test_restarts_do_not_change_the_end(world: World, order: list[int], restarts: set[int]) -> None:
    world.tell(Started())
    picks = itertools.chain(order, itertools.repeat(0))
    for number in range(300):
        if world.e.final:
            break
        if number in restarts:
            world.restart()
        world.carry_out(world.open[next(picks) % len(world.open)], False)
    assert world.e.state is State.SUCCESS
    assert world.e.planned == len(world.plan)
    transfers = {name for name, what in world.done.items() if not name.startswith("c")}
    if not world.e.dry_run:
        assert {f"{n + 1:06d}" for n, (moves, _) in enumerate(world.plan) if moves} <= transfers
