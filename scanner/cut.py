"""Entries into shards: bounded by number, by bytes and by age. PURE: the time is an argument.

A shard holds at most `max_entries` entries and less than `max_bytes` bytes besides its last entry: a file that is
larger than the bound closes the shard that it comes into, so it shares it at most with what came before it.
"""

from __future__ import annotations

from dataclasses import dataclass

from ledger.records import Action, PlanEntry


@dataclass(frozen=True, slots=True)
class Bounds:
    """When a shard is closed.

    Attributes:
        max_entries: 2,000 plan rows are 80 KB of Parquet and 10 ms of writing. The scheduler's database grows by one
            row a shard, so 100 million files are 50,000 rows.
        max_bytes: 4 GiB is some ten seconds of moving: what is moved again after a crash, and the grain in which
            movers share the work.
        max_age_s: since its first entry. So the movers have work while a slow listing goes on.
        first_entries: of the first shard of an execution, which is small, so that its first byte moves at once.
        first_bytes: likewise.
    """

    max_entries: int = 2_000
    max_bytes: int = 4 << 30
    max_age_s: float = 5.0
    first_entries: int = 64
    first_bytes: int = 256 << 20


class Cutter:
    """Collects the entries of one shard at a time. Whoever calls it takes a shard as soon as it is offered."""

    def __init__(self, bounds: Bounds, is_first: bool) -> None:
        self._bounds = bounds
        self._max_entries = bounds.first_entries if is_first else bounds.max_entries
        self._max_bytes = bounds.first_bytes if is_first else bounds.max_bytes
        self._entries: list[PlanEntry] = []
        self._bytes = 0
        self._begun_s = 0.0

    def add(self, entry: PlanEntry, now_s: float) -> tuple[PlanEntry, ...]:
        """Takes an entry. Returns the shard that it completes, or nothing.

        Args:
            entry: with a greater path than all before.
            now_s: of a clock that never goes back.
        """
        if not self._entries:
            self._begun_s = now_s
        self._entries.append(entry)
        self._bytes += data_bytes(entry)
        if len(self._entries) >= self._max_entries or self._bytes >= self._max_bytes:
            return self.flush()
        return self.tick(now_s)

    def tick(self, now_s: float) -> tuple[PlanEntry, ...]:
        """Returns the open shard when it is old enough to be closed, or nothing."""
        if self._entries and now_s - self._begun_s >= self._bounds.max_age_s:
            return self.flush()
        return ()

    def flush(self) -> tuple[PlanEntry, ...]:
        """Returns what was collected, which may be nothing, and begins a new shard."""
        shard = tuple(self._entries)
        if shard:
            self._max_entries, self._max_bytes = self._bounds.max_entries, self._bounds.max_bytes
        self._entries, self._bytes = [], 0
        return shard


def data_bytes(entry: PlanEntry) -> int:
    """Returns how many bytes somebody must send or check because of an entry."""
    if entry.source is not None and entry.action in (Action.COPY, Action.CHECK):
        return entry.source.size_bytes
    return 0
