"""What a scan tells: planned shards, signs of life, its end. Plain values; `api.py` makes messages of them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ledger.failures import FailureGroup


class ScanPurpose(StrEnum):
    """What a scan is for."""

    TRANSFER = "TRANSFER"
    CHECK = "CHECK"


@dataclass(frozen=True, slots=True)
class Counts:
    """What was found so far. Same fields and meanings as `service.v1.ScanCounts`; bytes are `_bytes`."""

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
class Cursor:
    """Where a scan stands after a shard: every path up to `last_path` is in shards up to `shard_number` or needs
    nothing. `counts` are those of all paths up to there."""

    shard_number: int = 0
    last_path: str = ""
    counts: Counts = Counts()


@dataclass(frozen=True, slots=True)
class PlannedShard:
    """A shard whose file is in the ledger. `move_bytes` are those of its entries COPY."""

    name: str
    move_count: int
    move_bytes: int
    verify_count: int
    cursor: Cursor
    failures: tuple[FailureGroup, ...] = ()


@dataclass(frozen=True, slots=True)
class Listed:
    """A sign of life: counts up to now."""

    counts: Counts


@dataclass(frozen=True, slots=True)
class Scanned:
    """The end of a good scan, with all counts."""

    counts: Counts


Fact = PlannedShard | Listed | Scanned


def shard_name(purpose: ScanPurpose, number: int, attempt: int) -> str:
    """Returns a shard's name in the ledger, e.g. `000017`; of a check `c000017`; cut by a second attempt `000017-2`.

    A scan that lost its caller can write one more plan before it notices. That file has a name that nobody reads. Had
    it the name of a shard that the next attempt has announced, entries of that shard could be lost.
    """
    name = f"{'c' if purpose is ScanPurpose.CHECK else ''}{number:06d}"
    return name if attempt <= 1 else f"{name}-{attempt}"
