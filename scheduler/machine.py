"""PURE: the execution state machine: which state follows which event, and what to do then.

Everything that may change an execution's state is in this file, and this file does nothing else: no clock, no network,
no database. `step` takes an execution and an event and returns the next execution and the commands to carry out;
`record.py` adds times and counters, `store.py` stores the result, `run.py` carries the commands out.

How it is read:
- `TRANSITIONS[state][event type]` is the state after the event alone. A pair that is absent is illegal.
- `GUARDS` says what must hold besides the state. An event whose guard fails is illegal too.
- `RULES` are the moves that follow from counts, whatever event made them so. They are tried from top to bottom after
  each event.

Phases overlap: a shard is moved as soon as it is planned and verified as soon as it is moved. The state names the
earliest phase that is not complete.

An execution that broke, or that a user has cancelled, is *ending*: its open calls are drained, then the report is
written, then it ends. The first reason to end wins. While it is ending, late facts are legal: they are counted, and
command nothing. The state of a broken execution stays what it was until the end: it names the phase that broke.

A dry run whose plan holds refused entries ends with SUCCESS: nothing was asked to be moved, so nothing failed to be
moved; the refused entries are listed in `failures`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

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
from scheduler.failures import entry_count


class State(StrEnum):
    """Where an execution stands. Mirrors `blockferry.v1.Execution.State`."""

    QUEUED = "QUEUED"
    LAUNCHING = "LAUNCHING"
    PREPARING = "PREPARING"
    TRANSFERRING = "TRANSFERRING"
    VERIFYING = "VERIFYING"
    SUCCESS = "SUCCESS"
    ERROR = "ERROR"
    CANCELLING = "CANCELLING"
    CANCELLED = "CANCELLED"


FINAL = frozenset({State.SUCCESS, State.ERROR, State.CANCELLED})
RUNNING = (State.LAUNCHING, State.PREPARING, State.TRANSFERRING, State.VERIFYING)


class VerifyMode(StrEnum):
    """What is proved. Mirrors `blockferry.v1.Options.Verify`."""

    ONLY_FILES_TRANSFERRED = "ONLY_FILES_TRANSFERRED"
    POINT_IN_TIME_CONSISTENT = "POINT_IN_TIME_CONSISTENT"
    NONE = "NONE"


@dataclass(frozen=True, slots=True)
class Ending:
    """Why an execution ends before its work is done, and in which final state."""

    state: State
    reason: str
    message: str
    coordinates: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Execution:
    """One run of a task, as far as the state machine sees it. All counts are of shards, and only grow.

    Attributes:
        claims_trusted: what the store keeps is a proof. Known once it is launched.
        planned: shards of the transfer, and `moved` of them.
        to_verify: shards that must be verified (of the transfer or of the check), and `verified` of them.
        failed_entries: entries that failed in any phase.
        ending: set once it broke or was cancelled.
        drained: no call is open any more. Only an ending execution is drained.
        reporting: the report is being written.
        reported: the report is written, or could not be.
    """

    name: str
    verify: VerifyMode = VerifyMode.ONLY_FILES_TRANSFERRED
    dry_run: bool = False
    state: State = State.QUEUED
    claims_trusted: bool = False
    planned: int = 0
    moved: int = 0
    to_verify: int = 0
    verified: int = 0
    failed_entries: int = 0
    scan_ended: bool = False
    check_scan_ended: bool = False
    ending: Ending | None = None
    drained: bool = False
    reporting: bool = False
    reported: bool = False

    @property
    def final(self) -> bool:
        """Returns whether it has ended."""
        return self.state in FINAL

    @property
    def checks(self) -> bool:
        """Returns whether both sides are compared in full after the transfer."""
        return self.verify is VerifyMode.POINT_IN_TIME_CONSISTENT and not self.dry_run


class IllegalTransition(Exception):
    """The event cannot happen to this execution."""

    def __init__(self, execution: Execution, event: Event) -> None:
        super().__init__(f"{type(event).__name__} cannot happen to {execution.name} in {execution.state}")
        self.execution = execution
        self.event = event


def _stays(state: State, *events: type[Event]) -> dict[type[Event], State]:
    return dict.fromkeys(events, state)


# What a call that was still open may tell after the decision to end.
LATE: tuple[type[Event], ...] = (
    Launched,
    ShardPlanned,
    ScanEnded,
    ShardMoved,
    ShardVerified,
    CheckShardPlanned,
    CheckScanEnded,
    Broken,
)
_REPORT: tuple[type[Event], ...] = (ReportWritten, ReportFailed)

# Which state follows which event. A pair that is absent is illegal.
TRANSITIONS: dict[State, dict[type[Event], State]] = {
    State.QUEUED: {Started: State.LAUNCHING, CancelAsked: State.CANCELLED},
    State.LAUNCHING: {
        Launched: State.PREPARING,
        **_stays(State.LAUNCHING, Broken, Drained, *_REPORT),
        CancelAsked: State.CANCELLING,
    },
    State.PREPARING: {
        **_stays(State.PREPARING, ShardPlanned, ScanEnded, ShardMoved, ShardVerified, Broken, Drained, *_REPORT),
        CancelAsked: State.CANCELLING,
    },
    State.TRANSFERRING: {
        **_stays(State.TRANSFERRING, ShardMoved, ShardVerified, Broken, Drained, *_REPORT),
        CancelAsked: State.CANCELLING,
    },
    State.VERIFYING: {
        **_stays(State.VERIFYING, CheckShardPlanned, CheckScanEnded, ShardVerified, Broken, Drained, *_REPORT),
        CancelAsked: State.CANCELLING,
    },
    State.CANCELLING: _stays(State.CANCELLING, *LATE, CancelAsked, Drained, *_REPORT),
    State.SUCCESS: _stays(State.SUCCESS, CancelAsked),
    State.ERROR: _stays(State.ERROR, *LATE, CancelAsked),
    State.CANCELLED: _stays(State.CANCELLED, *LATE, CancelAsked),
}

# What must hold besides the state. Late facts of an ending execution are not asked.
GUARDS: dict[type[Event], Callable[[Execution], bool]] = {
    ShardPlanned: lambda e: not e.scan_ended,
    ScanEnded: lambda e: not e.scan_ended,
    ShardMoved: lambda e: e.moved < e.planned and not e.dry_run,
    ShardVerified: lambda e: e.verified < e.to_verify,
    CheckShardPlanned: lambda e: e.checks and not e.check_scan_ended,
    CheckScanEnded: lambda e: e.checks and not e.check_scan_ended,
    Drained: lambda e: e.ending is not None and not e.drained,
    ReportWritten: lambda e: e.reporting,
    ReportFailed: lambda e: e.reporting,
}


@dataclass(frozen=True, slots=True)
class Rule:
    """A move that follows from counts: from `state`, `when` (in words) `holds`, to `after`, doing `command`."""

    state: State
    when: str
    holds: Callable[[Execution], bool]
    after: State
    command: Command | None = None
    change: Callable[[Execution], Execution] = lambda e: e


def _all_verified(e: Execution) -> bool:
    return e.verified == e.to_verify and (e.check_scan_ended or not e.checks)


def _may_report(e: Execution) -> bool:
    return e.ending is None and not e.reporting and not e.reported


def _with_report(e: Execution) -> Execution:
    return replace(e, reporting=True)


def _fails(e: Execution) -> bool:
    return e.reported and (e.ending is not None or (e.failed_entries > 0 and not e.dry_run))


RULES: tuple[Rule, ...] = (
    Rule(
        State.PREPARING,
        "plan complete",
        lambda e: e.scan_ended and not e.dry_run and e.ending is None,
        State.TRANSFERRING,
    ),
    Rule(
        State.PREPARING,
        "dry run: plan complete",
        lambda e: e.scan_ended and e.dry_run and _may_report(e),
        State.PREPARING,
        WriteReport(),
        _with_report,
    ),
    Rule(
        State.TRANSFERRING,
        "all shards moved, both sides to be checked",
        lambda e: e.moved == e.planned and e.checks and e.ending is None,
        State.VERIFYING,
        Scan(Purpose.CHECK),
    ),
    Rule(
        State.TRANSFERRING,
        "all shards moved",
        lambda e: e.moved == e.planned and not e.checks and e.ending is None,
        State.VERIFYING,
    ),
    Rule(
        State.VERIFYING,
        "all shards verified",
        lambda e: _all_verified(e) and _may_report(e),
        State.VERIFYING,
        WriteReport(),
        _with_report,
    ),
    *(Rule(state, "reported, broken or entries failed", _fails, State.ERROR) for state in RUNNING),
    *(
        Rule(state, "reported, nothing failed", lambda e: e.reported and not _fails(e), State.SUCCESS)
        for state in (State.PREPARING, State.VERIFYING)
    ),
    Rule(State.CANCELLING, "reported", lambda e: e.reported, State.CANCELLED),
)


def step(execution: Execution, event: Event) -> tuple[Execution, tuple[Command, ...]]:
    """Returns the execution after `event`, and what to do about it.

    Raises:
        IllegalTransition: `event` cannot happen to the execution.
    """
    if not legal(execution, event):
        raise IllegalTransition(execution, event)
    if execution.final:
        return execution, ()
    if execution.ending is not None:
        return _settled(_later(execution, event))
    state = TRANSITIONS[execution.state][type(event)]
    after, commands = _applied(replace(execution, state=state), event)
    return _settled((after, commands))


def legal(execution: Execution, event: Event) -> bool:
    """Returns whether `event` can happen to the execution."""
    kind = type(event)
    if execution.ending is not None and not execution.final:
        return kind in (*LATE, CancelAsked, *_REPORT) or (kind is Drained and not execution.drained)
    guard = GUARDS.get(kind, _always)
    return kind in TRANSITIONS[execution.state] and (execution.final or guard(execution))


def _always(_: Execution) -> bool:
    return True


def _applied(e: Execution, event: Event) -> tuple[Execution, tuple[Command, ...]]:
    """Returns what the event alone does to an execution that is not ending. `e` has the next state already."""
    match event:
        case Started():
            return e, (Launch(),)
        case Launched(claims_trusted):
            return replace(e, claims_trusted=claims_trusted), (Scan(Purpose.TRANSFER),)
        case Broken(reason, message, coordinates):
            return replace(e, ending=Ending(State.ERROR, reason, message, coordinates)), (Drain(),)
        case CancelAsked() if e.state is State.CANCELLED:
            return replace(e, ending=_cancelled()), ()
        case CancelAsked():
            # A report that is being written is drained with everything else, and written again.
            return replace(e, ending=_cancelled(), reporting=False), (Drain(),)
        case ShardMoved(verify_count=verify_count) if verify_count > 0:
            return counted(e, event), (VerifyShard(event.shard),)
        case ShardPlanned(cut):
            return counted(e, event), _first_commands(e, cut)
        case CheckShardPlanned(cut) if cut.verify_count > 0:
            return counted(e, event), (VerifyShard(cut.shard),)
        case _:
            return counted(e, event), ()


def _cancelled() -> Ending:
    return Ending(State.CANCELLED, "CANCELLED", "A user asked to stop.")


def _first_commands(e: Execution, cut: Cut) -> tuple[Command, ...]:
    if e.dry_run:
        return ()
    if cut.move_count > 0:
        return (MoveShard(cut.shard),)
    return (VerifyShard(cut.shard),) if verifies(e, cut) else ()


def verifies(e: Execution, cut: Cut) -> bool:
    """Returns whether a shard of the transfer is verified by itself, once it is moved."""
    return cut.verify_count > 0 and e.verify is VerifyMode.ONLY_FILES_TRANSFERRED and not e.dry_run


def _later(e: Execution, event: Event) -> tuple[Execution, tuple[Command, ...]]:
    """Returns what an event does to an ending execution."""
    match event:
        case Drained():
            return replace(e, drained=True, reporting=True), (WriteReport(),)
        case ReportWritten() | ReportFailed() if not e.reporting:
            return e, ()  # of the report that was drained
        case Broken() | CancelAsked() | Launched():
            return e, ()
        case _:
            return counted(e, event), ()


def counted(e: Execution, event: Event) -> Execution:
    """Returns the execution with the event's counts. Commands nothing."""
    match event:
        case ShardPlanned(cut):
            return replace(
                e,
                planned=e.planned + 1,
                moved=e.moved + (cut.move_count == 0 and not e.dry_run),
                to_verify=e.to_verify + verifies(e, cut),
                failed_entries=e.failed_entries + entry_count(cut.failures),
            )
        case CheckShardPlanned(cut):
            failed = e.failed_entries + entry_count(cut.failures)
            return replace(e, to_verify=e.to_verify + (cut.verify_count > 0), failed_entries=failed)
        case ShardMoved(failures=failures):
            return replace(e, moved=e.moved + 1, failed_entries=e.failed_entries + entry_count(failures))
        case ShardVerified(failures=failures):
            return replace(e, verified=e.verified + 1, failed_entries=e.failed_entries + entry_count(failures))
        case ScanEnded(tally):
            return replace(e, scan_ended=True, failed_entries=max(e.failed_entries, tally.failed_count))
        case CheckScanEnded(tally):
            return replace(e, check_scan_ended=True, failed_entries=max(e.failed_entries, tally.failed_count))
        case ReportWritten() | ReportFailed():
            return replace(e, reporting=False, reported=True)
        case _:
            return e


def _settled(pair: tuple[Execution, tuple[Command, ...]]) -> tuple[Execution, tuple[Command, ...]]:
    """Takes the moves that follow from counts alone, until none is left."""
    execution, commands = pair
    for rule in RULES:
        if execution.state is rule.state and rule.holds(execution):
            execution = replace(rule.change(execution), state=rule.after)
            commands = (*commands, rule.command) if rule.command else commands
    return execution, commands


def outcome(e: Execution) -> State:
    """Returns the final state that the execution will have if nothing else happens from now on."""
    if e.ending is not None:
        return e.ending.state
    return State.ERROR if e.failed_entries > 0 and not e.dry_run else State.SUCCESS


def commands_to_resume(e: Execution) -> tuple[Command, ...]:
    """Returns what is to be done after a restart, besides the open shards (see `shards.resumed`)."""
    if e.final or e.state is State.QUEUED:
        return ()
    if e.reporting:
        return (WriteReport(),)
    if e.ending is not None:
        return (Drain(),)
    match e.state:
        case State.LAUNCHING:
            return (Launch(),)
        case State.PREPARING:
            return (Scan(Purpose.TRANSFER),)
        case State.VERIFYING if e.checks and not e.check_scan_ended:
            return (Scan(Purpose.CHECK),)
        case _:
            return ()
