"""What became of each entry of a shard: its plan, receipt and verdict side by side. PURE."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from ledger.records import Action, EntryFailure, PlanEntry, Receipt, Verdict


class FailedPhase(StrEnum):
    """The phase in which an entry failed."""

    PREPARE = "PREPARE"
    TRANSFER = "TRANSFER"
    VERIFY = "VERIFY"


class Result(StrEnum):
    """How far an entry came."""

    PLANNED = "PLANNED"  # nothing was done: a dry run, or the execution ended before
    SKIPPED = "SKIPPED"
    TRANSFERRED = "TRANSFERRED"  # and not verified
    VERIFIED = "VERIFIED"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One entry with all that is known of it. `failure` and `phase` are both set or both absent."""

    entry: PlanEntry
    receipt: Receipt | None
    verdict: Verdict | None
    result: Result
    phase: FailedPhase | None = None
    failure: EntryFailure | None = None

    @property
    def size_bytes(self) -> int:
        """Of the source, or for what is at the destination only of that."""
        stat = self.entry.source or self.entry.found
        return stat.size_bytes if stat else 0


def outcomes(
    entries: Iterable[PlanEntry], receipts: Iterable[Receipt] = (), verdicts: Iterable[Verdict] = ()
) -> Iterator[Outcome]:
    """Yields one outcome per entry, in the plan's order. Needs memory for the receipts and verdicts given."""
    receipt_of = {receipt.path: receipt for receipt in receipts}
    verdict_of = {verdict.path: verdict for verdict in verdicts}
    for entry in entries:
        yield _outcome(entry, receipt_of.get(entry.path), verdict_of.get(entry.path))


def _outcome(entry: PlanEntry, receipt: Receipt | None, verdict: Verdict | None) -> Outcome:
    phase, failure = _failure(entry, receipt, verdict)
    if failure is not None:
        return Outcome(entry, receipt, verdict, Result.FAILED, phase, failure)
    if entry.action is Action.SKIP:
        return Outcome(entry, receipt, verdict, Result.SKIPPED)
    if verdict is not None:
        return Outcome(entry, receipt, verdict, Result.VERIFIED)
    return Outcome(entry, receipt, verdict, Result.TRANSFERRED if receipt else Result.PLANNED)


def _failure(
    entry: PlanEntry, receipt: Receipt | None, verdict: Verdict | None
) -> tuple[FailedPhase | None, EntryFailure | None]:
    """Returns the last failure: an entry has one at most, but a check keeps what it planned in its verdict as well."""
    if verdict is not None and verdict.failure is not None:
        return FailedPhase.VERIFY, verdict.failure
    if receipt is not None and receipt.failure is not None:
        return FailedPhase.TRANSFER, receipt.failure
    if entry.failure is not None:
        one_sided = entry.action in (Action.MISSING, Action.EXTRA)
        return FailedPhase.VERIFY if one_sided else FailedPhase.PREPARE, entry.failure
    return None, None
