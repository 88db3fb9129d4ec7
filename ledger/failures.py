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
    "CIPHERTEXT_REFUSED": 3,
    "ENCRYPTION_UNSUPPORTED": 12,
    "ERASURE_CODING_UNSUPPORTED": 12,
    "FILE_EXTRA": 9,
    "FILE_MISSING": 5,
    "FILE_TOO_LARGE": 9,
    "INTERNAL": 13,
    "INVALID_KEY": 3,
    "KMS_KEY_UNKNOWN": 5,
    "KMS_LOGIN_REFUSED": 16,
    "KMS_NOT_CONFIGURED": 9,
    "KMS_UNAVAILABLE": 14,
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


class FailureTally:
    """Groups failures as they come. Memory: one failure and 5 paths per reason. Not for several threads at once."""

    def __init__(self) -> None:
        self._first: dict[str, EntryFailure] = {}
        self._counts: dict[str, int] = {}
        self._samples: dict[str, list[str]] = {}

    def add(self, path: str, failure: EntryFailure) -> None:
        """Counts the failure of one path."""
        reason = failure.reason
        self._first.setdefault(reason, failure)
        self._counts[reason] = self._counts.get(reason, 0) + 1
        paths = self._samples.setdefault(reason, [])
        if len(paths) < SAMPLE_PATH_COUNT:
            paths.append(path)

    @property
    def count(self) -> int:
        """How many failures were added."""
        return sum(self._counts.values())

    def groups(self) -> tuple[FailureGroup, ...]:
        """Returns one group per reason, the most frequent first, then by reason."""
        return tuple(self._group(reason) for reason in sorted(self._counts, key=self._rank))

    def _rank(self, reason: str) -> tuple[int, str]:
        return -self._counts[reason], reason

    def _group(self, reason: str) -> FailureGroup:
        return FailureGroup(
            reason=reason,
            code=_CODES.get(reason, _UNKNOWN),
            message=self._first[reason].message,
            metadata=self._first[reason].coordinates,
            failure_count=self._counts[reason],
            sample_paths=tuple(self._samples[reason]),
        )


def group_failures(failed: Iterable[tuple[str, EntryFailure]]) -> tuple[FailureGroup, ...]:
    """Returns one group per reason, the most frequent first (then by reason), with up to 5 paths each, from (path,
    failure)."""
    tally = FailureTally()
    for path, failure in failed:
        tally.add(path, failure)
    return tally.groups()
