"""PURE: what an execution has done, as sums. Holds no state of its own and asks nobody for the time.

An execution's tally = the counts of its scan + the sums of its finished shards + what open attempts have done so far.
The last part is never stored: an attempt that breaks takes its part back by disappearing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import TypeVar


@dataclass(frozen=True, slots=True)
class ScanTally:
    """What a scan has found up to some path. Mirrors `service.v1.ScanCounts`; absolute, so never added up."""

    source_listed_count: int = 0
    source_listed_bytes: int = 0
    destination_listed_count: int = 0
    destination_listed_bytes: int = 0
    estimated_count: int = 0
    estimated_bytes: int = 0
    estimated_folder_count: int = 0
    estimated_metadata_count: int = 0
    skipped_count: int = 0
    failed_count: int = 0


@dataclass(frozen=True, slots=True)
class MoveTally:
    """What one attempt, or all finished shards, have moved. Mirrors `service.v1.MoveProgress`."""

    transferred_count: int = 0
    transferred_bytes: int = 0
    written_bytes: int = 0
    failed_count: int = 0
    retry_count: int = 0


@dataclass(frozen=True, slots=True)
class VerifyTally:
    """What one attempt, or all finished shards, have proved. Mirrors `service.v1.VerifyProgress`."""

    verified_count: int = 0
    verified_bytes: int = 0
    failed_count: int = 0
    read_back_bytes: int = 0
    retry_count: int = 0


@dataclass(frozen=True, slots=True)
class Tally:
    """What an execution has done.

    Attributes:
        scan: as of the last shard that was planned, or of the end of the scan.
        move: sum of the shards that are moved.
        verify: sum of the shards that are verified; `failed_count` holds a check's one-sided entries too.
        to_verify_count: entries that are to be verified. Grows with planning.
        broken_call_count: calls to workers that broke and were made again.
    """

    scan: ScanTally = ScanTally()
    move: MoveTally = MoveTally()
    verify: VerifyTally = VerifyTally()
    to_verify_count: int = 0
    broken_call_count: int = 0

    @property
    def failed_count(self) -> int:
        """Returns how many entries failed, in whatever phase."""
        return self.scan.failed_count + self.move.failed_count + self.verify.failed_count

    @property
    def planned_count(self) -> int:
        """Returns of how many entries `failed_count` are a part."""
        planned = self.scan.estimated_count + self.scan.failed_count
        return max(planned, self.to_verify_count, self.failed_count)


Summand = TypeVar("Summand", MoveTally, VerifyTally)


def added(first: Summand, second: Summand) -> Summand:
    """Returns the sum, field by field."""
    sums = {one.name: getattr(first, one.name) + getattr(second, one.name) for one in fields(first)}
    return replace(first, **sums)


@dataclass(frozen=True, slots=True)
class Live:
    """What the open attempts of one execution have done so far. `scan` is absent unless a transfer scan is open."""

    scan: ScanTally | None = None
    moves: tuple[MoveTally, ...] = ()
    verifies: tuple[VerifyTally, ...] = ()


def with_live(tally: Tally, live: Live) -> Tally:
    """Returns the tally with what is under way."""
    return replace(
        tally,
        scan=live.scan or tally.scan,
        move=_sum(tally.move, live.moves),
        verify=_sum(tally.verify, live.verifies),
    )


def _sum(start: Summand, more: Iterable[Summand]) -> Summand:
    for one in more:
        start = added(start, one)
    return start
