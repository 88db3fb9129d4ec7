"""Groups the failures of entries by reason. PURE."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ledger.records import EntryFailure

SAMPLE_PATH_COUNT = 5

# Canonical gRPC status codes (grpc.StatusCode) of what can go wrong with one entry. All others are UNKNOWN.
_UNKNOWN = 2
_CODES = {
    "ACCESS_DENIED": 7,
    "CHECKSUM_FAILURE": 15,
    "CHECKSUM_REJECTED": 15,
    "ENCRYPTION_ZONE_UNSUPPORTED": 12,
    "ERASURE_CODING_UNSUPPORTED": 12,
    "FILE_EXTRA": 9,
    "FILE_MISSING": 5,
    "FILE_TOO_LARGE": 9,
    "INTERNAL": 13,
    "INVALID_KEY": 3,
    "METADATA_FAILURE": 15,
    "NOT_FOUND": 5,
    "OBJECT_MISSING": 5,
    "SIZE_DIFFERS": 15,
    "SOURCE_CHANGED": 10,
    "SOURCE_CORRUPT": 15,
    "SOURCE_OPEN": 9,
    "SYMLINK_UNSUPPORTED": 12,
    "UNAVAILABLE": 14,
}


@dataclass(frozen=True, slots=True)
class FailureGroup:
    """Entries that failed for the same reason. `message` and `metadata` are of the first one; `code` is gRPC's."""

    reason: str
    code: int
    message: str
    metadata: tuple[tuple[str, str], ...]
    failure_count: int
    sample_paths: tuple[str, ...]


def group_failures(failed: Iterable[tuple[str, EntryFailure]]) -> tuple[FailureGroup, ...]:
    """Returns one group per reason, the most frequent first (then by reason), with up to 5 paths each, from (path,
    failure). Needs memory for one failure per reason only."""
    first: dict[str, EntryFailure] = {}
    counts: dict[str, int] = {}
    samples: dict[str, list[str]] = {}
    for path, failure in failed:
        first.setdefault(failure.reason, failure)
        counts[failure.reason] = counts.get(failure.reason, 0) + 1
        paths = samples.setdefault(failure.reason, [])
        if len(paths) < SAMPLE_PATH_COUNT:
            paths.append(path)
    return tuple(
        FailureGroup(
            reason=reason,
            code=_CODES.get(reason, _UNKNOWN),
            message=first[reason].message,
            metadata=first[reason].coordinates,
            failure_count=counts[reason],
            sample_paths=tuple(samples[reason]),
        )
        for reason in sorted(counts, key=lambda reason: (-counts[reason], reason))
    )
