"""PURE: everything that is known about one execution, and how each fact changes it.

A fact is an event of the state machine, or a broken call. `advance` is the whole decision: from the record, the shard
that the fact is about, the fact and the time, it gives the next record, the next shard, and what to do. The caller
stores the former in one transaction and then carries the latter out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from blockferry.errors import placed
from scheduler import shards
from scheduler.counters import ScanTally, Tally, added
from scheduler.events import (
    Broken,
    CallBroken,
    CallKind,
    CheckScanEnded,
    CheckShardPlanned,
    Command,
    Cut,
    Event,
    Purpose,
    ReportFailed,
    ReportWritten,
    ScanEnded,
    ShardMoved,
    ShardPlanned,
    ShardVerified,
    Started,
)
from scheduler.failures import PhaseFailure, entry_count, merged
from scheduler.machine import Execution, State, commands_to_resume, outcome, step, verifies
from scheduler.phases import PENDING_PHASES, PhaseTimes, phases_after
from scheduler.shards import Shard, Tries

Fact = Event | CallBroken


@dataclass(frozen=True, slots=True)
class ScanPosition:
    """Where a scan stands: after its shard `number` (0: at the begin), which ended with `last_path`."""

    tries: Tries = field(default_factory=Tries)
    number: int = 0
    last_path: str = ""
    tally: ScanTally = field(default_factory=ScanTally)


@dataclass(frozen=True, slots=True)
class ExecutionRecord:
    """One execution with its history's sums. Times in milliseconds since 1970 UTC; None: not yet.

    Attributes:
        task: resource name of the task.
        options: serialised `blockferry.v1.Options` of this run; opaque here.
        traceparent: the context that all spans of the execution are children of.
        revision: grows with each change. At least the milliseconds since `create_ms`, so that it goes on growing over
            a restart that has forgotten the changes of live counters (they are not stored).
    """

    execution: Execution
    task: str
    create_ms: int
    options: bytes = b""
    traceparent: str = ""
    ledger_uri: str = ""
    launch_ms: int | None = None
    end_ms: int | None = None
    tally: Tally = field(default_factory=Tally)
    failures: tuple[PhaseFailure, ...] = ()
    phases: tuple[PhaseTimes, ...] = PENDING_PHASES
    scan: ScanPosition = ScanPosition()
    check_scan: ScanPosition = ScanPosition()
    report_uri: str = ""
    report_error: str = ""
    revision: int = 1

    @property
    def name(self) -> str:
        """Returns the resource name."""
        return self.execution.name

    def position(self, purpose: Purpose) -> ScanPosition:
        """Returns where the scan for `purpose` stands."""
        return self.check_scan if purpose is Purpose.CHECK else self.scan

    def with_position(self, purpose: Purpose, position: ScanPosition) -> ExecutionRecord:
        """Returns the record with the scan for `purpose` at another place."""
        if purpose is Purpose.CHECK:
            return replace(self, check_scan=position)
        return replace(self, scan=position)


@dataclass(frozen=True, slots=True)
class Advance:
    """What a fact leads to. `stale`: the fact is of an old attempt; nothing changed. `shard`: the changed one."""

    record: ExecutionRecord
    shard: Shard | None = None
    commands: tuple[Command, ...] = ()
    stale: bool = False


def next_revision(record: ExecutionRecord, now_ms: int) -> int:
    """Returns the revision of the next change."""
    return max(record.revision + 1, now_ms - record.create_ms)


def advance(record: ExecutionRecord, shard: Shard | None, fact: Fact, now_ms: int) -> Advance:
    """Returns what `fact` leads to. `shard` is the one that the fact names, if it is known.

    Raises:
        IllegalTransition: the fact cannot happen to the execution.
    """
    match fact:
        case ShardPlanned(cut):
            return _planned(record, Purpose.TRANSFER, cut, fact, now_ms)
        case CheckShardPlanned(cut):
            return _planned(record, Purpose.CHECK, cut, fact, now_ms)
        case ShardMoved():
            after = shards.moved(shard, fact) if shard else None
            return _shard_done(record, after, fact, now_ms)
        case ShardVerified():
            after = shards.verified(shard, fact) if shard else None
            return _shard_done(record, after, fact, now_ms)
        case CallBroken():
            return _call_broken(record, shard, fact, now_ms)
        case _:
            return _stepped(record, None, fact, now_ms)


def _planned(record: ExecutionRecord, purpose: Purpose, cut: Cut, fact: Event, now_ms: int) -> Advance:
    position = record.position(purpose)
    if cut.number <= position.number:
        return Advance(record, stale=True)
    # A scan that gets on is not one that breaks again and again: its broken calls are forgotten.
    tries = replace(position.tries, broken=0)
    moved_on = ScanPosition(tries, cut.number, cut.last_path, cut.tally)
    e = record.execution
    checking = purpose is Purpose.CHECK
    shard = shards.planned(cut, moves=not checking and not e.dry_run, verifies=checking or verifies(e, cut))
    return _stepped(record.with_position(purpose, moved_on), shard, fact, now_ms)


def _shard_done(record: ExecutionRecord, shard: Shard | None, fact: Event, now_ms: int) -> Advance:
    if shard is None:
        return Advance(record, stale=True)
    if isinstance(fact, ShardMoved):
        fact = replace(fact, verify_count=shard.verify_count)
    return _stepped(record, shard, fact, now_ms)


def _call_broken(record: ExecutionRecord, shard: Shard | None, fact: CallBroken, now_ms: int) -> Advance:
    tally = replace(record.tally, broken_call_count=record.tally.broken_call_count + 1)
    record_after = replace(record, tally=tally)
    if fact.work in (CallKind.SCAN, CallKind.CHECK_SCAN):
        purpose = Purpose.CHECK if fact.work is CallKind.CHECK_SCAN else Purpose.TRANSFER
        position = record.position(purpose)
        if position.tries.attempt != fact.attempt or record.execution.final:
            return Advance(record, stale=True)
        tries = position.tries.broke()
        record_after = record_after.with_position(purpose, replace(position, tries=tries))
        if tries.given_up(fact.retryable):
            return _stepped(record_after, None, _given_up(fact, tries), now_ms)
        return Advance(replace(record_after, revision=next_revision(record, now_ms)))
    after = shards.broken(shard, fact) if shard else None
    if after is None:
        return Advance(record, stale=True)
    if after.state is shards.ShardState.FAILED:
        tries = after.moves if fact.work is CallKind.MOVE else after.verifies
        return _stepped(record_after, after, _given_up(fact, tries), now_ms)
    return Advance(replace(record_after, revision=next_revision(record, now_ms)), after)


def _given_up(fact: CallBroken, tries: Tries) -> Broken:
    where = f"Shard {fact.shard}" if fact.shard else "The listing"
    attempts = f" after {tries.broken} broken calls" if fact.retryable else ""
    coordinates = dict(fact.coordinates) | ({"shard": fact.shard} if fact.shard else {})
    coordinates["attempt"] = str(fact.attempt)
    return Broken(fact.reason, f"{where} was given up{attempts}: {fact.message}", tuple(coordinates.items()))


def _stepped(record: ExecutionRecord, shard: Shard | None, event: Event, now_ms: int) -> Advance:
    execution, commands = step(record.execution, event)
    if execution == record.execution and shard is None and not commands:
        return Advance(record, stale=True)  # e.g. cancelled twice
    record = _with_counts(replace(record, revision=next_revision(record, now_ms)), event, shard)
    phases = phases_after(record.phases, execution, commands, record.tally, now_ms)
    launch_ms = now_ms if isinstance(event, Started) else record.launch_ms
    end_ms = now_ms if execution.final else None
    record = replace(record, execution=execution, phases=phases, launch_ms=launch_ms, end_ms=end_ms)
    return Advance(record, shard, commands)


def _with_counts(record: ExecutionRecord, event: Event, shard: Shard | None) -> ExecutionRecord:
    """Returns the record with what the event adds to its sums, failures and report."""
    tally = record.tally
    match event:
        case ShardPlanned(cut):
            to_verify = tally.to_verify_count + (shard.verify_count if shard else 0)
            tally = replace(tally, scan=cut.tally, to_verify_count=to_verify)
            return replace(record, tally=tally, failures=merged(record.failures, cut.failures))
        case CheckShardPlanned(cut):
            failed = tally.verify.failed_count + entry_count(cut.failures)
            verify = replace(tally.verify, failed_count=failed)
            tally = replace(tally, verify=verify, to_verify_count=tally.to_verify_count + cut.verify_count)
            return replace(record, tally=tally, failures=merged(record.failures, cut.failures))
        case ScanEnded(scan):
            position = replace(record.scan, tally=scan)
            return replace(record, tally=replace(tally, scan=scan), scan=position)
        case CheckScanEnded(scan):
            return replace(record, check_scan=replace(record.check_scan, tally=scan))
        case ShardMoved(tally=moved, failures=failures):
            tally = replace(tally, move=added(tally.move, moved))
            return replace(record, tally=tally, failures=merged(record.failures, failures))
        case ShardVerified(tally=verified, failures=failures):
            tally = replace(tally, verify=added(tally.verify, verified))
            return replace(record, tally=tally, failures=merged(record.failures, failures))
        case ReportWritten(uri):
            return replace(record, report_uri=uri, report_error="")
        case ReportFailed(reason, message):
            return replace(record, report_error=f"{reason}: {message}")
        case _:
            return record


def error_of(record: ExecutionRecord) -> tuple[str, str]:
    """Returns code and detail of an execution that ends, or would end now, with ERROR. Else both are empty."""
    execution = record.execution
    if outcome(execution) is not State.ERROR:
        return "", ""
    if execution.ending is not None:
        return execution.ending.reason, placed(execution.ending.message, execution.ending.coordinates)
    if not execution.failed_entries:
        return "", ""
    failed, planned = record.tally.failed_count, record.tally.planned_count
    detail = f"{failed:,} of {planned:,} entries failed"
    if record.failures:
        worst = record.failures[0]
        text = placed(worst.message, worst.metadata)
        detail += f"; the most frequent reason is {worst.reason} ({worst.failure_count:,}): {text}"
    return "FILES_FAILED", detail


def resumed(record: ExecutionRecord, known: Iterable[Shard]) -> tuple[Command, ...]:
    """Returns everything that is to be done after a restart: what was under way is begun again."""
    commands = commands_to_resume(record.execution)
    if record.execution.final or record.execution.ending is not None:
        return commands
    return (*commands, *shards.resumed(known))
