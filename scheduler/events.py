"""PURE: what can happen to an execution (events, past facts) and what is to be done (commands, imperatives)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from scheduler.counters import MoveTally, ScanTally, VerifyTally
from scheduler.failures import PhaseFailure


class Purpose(StrEnum):
    """What a scan is for. Mirrors `service.v1.ScanRequest.Purpose`."""

    TRANSFER = "TRANSFER"
    CHECK = "CHECK"


@dataclass(frozen=True, slots=True)
class Cut:
    """A shard whose plan is in the ledger.

    Attributes:
        shard: its name in the ledger, e.g. `000017`; of a check `c000017`.
        number: from 1, without gaps, per scan.
        last_path: every path up to and including this one is in shards up to this one.
        tally: what the scan has found up to there.
        move_count: entries that must be moved.
        move_bytes: their bytes.
        verify_count: entries that can be verified.
        failures: entries that were refused, or that a check found on one side only.
    """

    shard: str
    number: int
    last_path: str
    tally: ScanTally
    move_count: int
    move_bytes: int
    verify_count: int
    failures: tuple[PhaseFailure, ...] = ()


@dataclass(frozen=True, slots=True)
class Started:
    """The execution's turn has come: no earlier one of its task is open."""


@dataclass(frozen=True, slots=True)
class Launched:
    """Both ends answer. `claims_trusted`: the store refuses false checksums, so what it keeps is a proof."""

    claims_trusted: bool
    claims_detail: str = ""


@dataclass(frozen=True, slots=True)
class ShardPlanned:
    """The scan for the transfer has cut a shard."""

    cut: Cut


@dataclass(frozen=True, slots=True)
class ScanEnded:
    """The scan for the transfer has walked both sides to the end."""

    tally: ScanTally


@dataclass(frozen=True, slots=True)
class ShardMoved:
    """Every entry of a shard has a receipt. `verify_count`: entries that must be verified now."""

    shard: str
    attempt: int
    receipts: str
    tally: MoveTally
    verify_count: int
    failures: tuple[PhaseFailure, ...] = ()


@dataclass(frozen=True, slots=True)
class ShardVerified:
    """Every entry of a shard has a verdict."""

    shard: str
    attempt: int
    verdicts: str
    tally: VerifyTally
    failures: tuple[PhaseFailure, ...] = ()


@dataclass(frozen=True, slots=True)
class CheckShardPlanned:
    """The scan of the check has cut a shard."""

    cut: Cut


@dataclass(frozen=True, slots=True)
class CheckScanEnded:
    """The scan of the check has walked both sides to the end."""

    tally: ScanTally


@dataclass(frozen=True, slots=True)
class ReportWritten:
    """The report is at `uri`."""

    uri: str


@dataclass(frozen=True, slots=True)
class ReportFailed:
    """The report could not be written. The execution ends as it would have."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class CancelAsked:
    """A user asked to stop."""


@dataclass(frozen=True, slots=True)
class Drained:
    """No call for this execution is open any more."""


@dataclass(frozen=True, slots=True)
class Broken:
    """The execution cannot go on: launch or listing failed, or a shard was given up."""

    reason: str
    message: str
    coordinates: tuple[tuple[str, str], ...] = ()


Event = (
    Started
    | Launched
    | ShardPlanned
    | ScanEnded
    | ShardMoved
    | ShardVerified
    | CheckShardPlanned
    | CheckScanEnded
    | ReportWritten
    | ReportFailed
    | CancelAsked
    | Drained
    | Broken
)


class CallKind(StrEnum):
    """Calls that are made again under a new attempt when they break."""

    SCAN = "SCAN"
    CHECK_SCAN = "CHECK_SCAN"
    MOVE = "MOVE"
    VERIFY = "VERIFY"


@dataclass(frozen=True, slots=True)
class CallBroken:
    """A call to a worker broke. Changes a shard (or scan), and through it perhaps the execution; see `record`.

    `shard` is empty for a scan. `retryable`: the same call can succeed later.
    """

    work: CallKind
    shard: str
    attempt: int
    reason: str
    message: str
    retryable: bool
    coordinates: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Launch:
    """Call `ScanService.Prepare`."""


@dataclass(frozen=True, slots=True)
class Scan:
    """Open `ScanService.Scan`, from where the last stored shard ended."""

    purpose: Purpose


@dataclass(frozen=True, slots=True)
class MoveShard:
    """Open `MoveService.MoveShard`."""

    shard: str


@dataclass(frozen=True, slots=True)
class VerifyShard:
    """Open `VerifyService.VerifyShard`."""

    shard: str


@dataclass(frozen=True, slots=True)
class WriteReport:
    """Open `VerifyService.WriteReport`."""


@dataclass(frozen=True, slots=True)
class Drain:
    """Cancel every open call of the execution, then tell `Drained`."""


Command = Launch | Scan | MoveShard | VerifyShard | WriteReport | Drain
