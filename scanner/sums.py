"""Sums over pairs and entries. PURE."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import astuple

from ledger.records import Action, PlanEntry
from scanner.facts import Counts
from scanner.march import Pair
from service.jobs import Verify
from stores.base import Kind

_MOVED = (Action.COPY, Action.METADATA)
_FAILED = (Action.REFUSE, Action.MISSING, Action.EXTRA)


class Sums:
    """Counts of a running scan; goes on from those of a cursor."""

    def __init__(self, counts: Counts) -> None:
        (
            self._source_count,
            self._source_bytes,
            self._found_count,
            self._found_bytes,
            self._moved_count,
            self._moved_bytes,
            self._folder_count,
            self._metadata_count,
            self._skipped_count,
            self._failed_count,
        ) = astuple(counts)

    def add(self, pair: Pair, entry: PlanEntry | None) -> None:
        """Counts a pair and what was decided about it."""
        source, found = pair
        if source is not None:
            self._source_count += 1
            self._source_bytes += source.size_bytes
        if found is not None:
            self._found_count += 1
            self._found_bytes += found.size_bytes
        if entry is None:
            return
        action = entry.action
        if action is Action.SKIP:
            self._skipped_count += 1
        elif action in _MOVED:
            self._add_moved(entry)
        elif action in _FAILED:
            self._failed_count += 1

    def add_same(self, count: int, size_bytes: int) -> None:
        """Counts entries that stand at both ends and need nothing; `size_bytes` is of all of them."""
        self._source_count += count
        self._source_bytes += size_bytes
        self._found_count += count
        self._found_bytes += size_bytes
        self._skipped_count += count

    def _add_moved(self, entry: PlanEntry) -> None:
        self._moved_count += 1
        if entry.action is Action.METADATA:
            self._metadata_count += 1
        elif entry.source is not None:
            self._moved_bytes += entry.source.size_bytes
        if entry.source is not None and entry.source.kind is Kind.FOLDER:
            self._folder_count += 1

    def counts(self) -> Counts:
        """Returns the sums up to now."""
        return Counts(
            source_listed_count=self._source_count,
            source_listed_bytes=self._source_bytes,
            destination_listed_count=self._found_count,
            destination_listed_bytes=self._found_bytes,
            estimated_count=self._moved_count,
            estimated_bytes=self._moved_bytes,
            estimated_folder_count=self._folder_count,
            estimated_metadata_count=self._metadata_count,
            skipped_count=self._skipped_count,
            failed_count=self._failed_count,
        )


def move_totals(entries: Iterable[PlanEntry]) -> tuple[int, int]:
    """Returns how many entries of a shard must be moved, and the bytes that must be sent for them."""
    moved = [entry for entry in entries if entry.action in _MOVED]
    sent = (entry.source.size_bytes for entry in moved if entry.action is Action.COPY and entry.source is not None)
    return len(moved), sum(sent)


def verify_count(entries: Iterable[PlanEntry], verify: Verify) -> int:
    """Returns how many entries of a shard must be verified.

    Entries CHECK always: they are what a check is for. What is moved, only by ONLY_FILES_TRANSFERRED: with
    POINT_IN_TIME_CONSISTENT the check that comes after the transfer proves it together with everything else.
    """
    wanted = (*_MOVED, Action.CHECK) if verify is Verify.ONLY_FILES_TRANSFERRED else (Action.CHECK,)
    return sum(1 for entry in entries if entry.action in wanted)
