"""PURE: how the three phases of an execution stand, derived from each step of the state machine."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from scheduler.counters import Tally
from scheduler.events import Command, MoveShard, VerifyShard
from scheduler.failures import PhaseName
from scheduler.machine import FINAL, Execution, State, VerifyMode


class PhaseStatus(StrEnum):
    """How a phase stands. Mirrors `blockferry.v1.Phase.Status`."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    SUCCESS = "SUCCESS"
    ERROR = "ERROR"


@dataclass(frozen=True, slots=True)
class PhaseTimes:
    """One phase. Times in milliseconds since 1970 UTC; None: not yet."""

    name: PhaseName
    status: PhaseStatus = PhaseStatus.PENDING
    start_ms: int | None = None
    end_ms: int | None = None


PENDING_PHASES = tuple(PhaseTimes(name) for name in PhaseName)
_ORDER = (State.QUEUED, State.LAUNCHING, State.PREPARING, State.TRANSFERRING, State.VERIFYING)


def phases_after(
    phases: tuple[PhaseTimes, ...], after: Execution, commands: tuple[Command, ...], tally: Tally, now_ms: int
) -> tuple[PhaseTimes, ...]:
    """Returns the phases after a step that led to `after` and asked for `commands`."""
    failed = {
        PhaseName.PREPARE: tally.scan.failed_count,
        PhaseName.TRANSFER: tally.move.failed_count,
        PhaseName.VERIFY: tally.verify.failed_count,
    }
    result: list[PhaseTimes] = []
    for phase in phases:
        if phase.status is PhaseStatus.PENDING and _begins(phase.name, after, commands):
            phase = replace(phase, status=PhaseStatus.RUNNING, start_ms=now_ms)
        if phase.status is PhaseStatus.RUNNING and _complete(phase.name, after):
            status = PhaseStatus.ERROR if failed[phase.name] else PhaseStatus.SUCCESS
            phase = replace(phase, status=status, end_ms=now_ms)
        elif phase.status is PhaseStatus.RUNNING and after.ending is not None:
            phase = replace(phase, status=PhaseStatus.ERROR, end_ms=now_ms)
        result.append(phase)
    return tuple(result)


def _begins(name: PhaseName, after: Execution, commands: tuple[Command, ...]) -> bool:
    if after.state in FINAL or after.state is State.CANCELLING:
        return False
    broken = after.ending is not None
    position = _ORDER.index(after.state)
    match name:
        case PhaseName.PREPARE:
            # An execution that cannot be launched broke while it was prepared.
            return position >= _ORDER.index(State.PREPARING) or (broken and after.state is State.LAUNCHING)
        case PhaseName.TRANSFER:
            moving = any(isinstance(command, MoveShard) for command in commands)
            return moving or position >= _ORDER.index(State.TRANSFERRING)
        case PhaseName.VERIFY:
            verifying = any(isinstance(command, VerifyShard) for command in commands)
            return verifying or (after.state is State.VERIFYING and after.verify is not VerifyMode.NONE)


def _complete(name: PhaseName, after: Execution) -> bool:
    match name:
        case PhaseName.PREPARE:
            return after.scan_ended
        case PhaseName.TRANSFER:
            return after.scan_ended and after.moved == after.planned and not after.dry_run
        case PhaseName.VERIFY:
            scans_ended = after.scan_ended and (after.check_scan_ended or not after.checks)
            return scans_ended and after.verified == after.to_verify and after.moved == after.planned
