"""Two listings in lock-step, beside what earlier executions have seen at the destination: the quick way through a tree
in which little has changed.

Where path, size and attributes at the source are those that were seen, and the listing shows the object that was seen,
nothing needs to be asked or decided. Such entries go by in runs of up to RUN_ENTRIES, without an object for each. What
is not just so becomes a pair as in `march`, with the attributes of the found object where they are known.

Costs 1 us an entry, with the reading of the sightings. Asks no store.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from ledger.sightings import Sightings
from scanner.march import Pair, Side, unordered
from stores.base import Condition, Stat

RUN_ENTRIES = 256


class Same(NamedTuple):
    """Entries in a row that stand at both ends and need nothing.

    Attributes:
        entry_count: how many.
        size_bytes: of all of them, at each end.
        path: of the last one.
        sightings: their rows are those from `begin` to `end`.
    """

    entry_count: int
    size_bytes: int
    path: str
    sightings: Sightings
    begin: int
    end: int


def skim(
    sources: Iterator[list[Stat]], founds: Iterator[list[Stat]], known: Iterator[Sightings], after: str, largest: int
) -> Iterator[Pair | Same | None]:
    """Yields what `march` yields, with runs of entries that need nothing in the place of their pairs.

    Args:
        sources: the source's listing in lists as it comes; an empty one stands for "nothing yet".
        founds: the destination's listing, likewise.
        known: by path.
        after: every path of both listings must be greater.
        largest: only objects of at most so many bytes are skimmed.

    Raises:
        BlockferryError: LIST_UNORDERED, see `march.in_order`.
    """
    source, found = _Line(sources, Side.SOURCE, after), _Line(founds, Side.DESTINATION, after)
    seen = _Seen(known)
    while True:
        if not (source.filled() and found.filled()):
            yield None
            continue
        one, other = source.first(), found.first()
        if one is None and other is None:
            return
        if one is not None and other is not None and one.path == other.path:
            if run := _run(source, found, seen, largest):
                yield run
            else:
                yield Pair(source.take(), seen.completed(found.take()))
        elif other is None or (one is not None and one.path < other.path):
            yield Pair(source.take(), None)
        else:
            yield Pair(None, found.take())


class _Line:
    """One listing, of which the first entries can be looked at."""

    __slots__ = ("_after", "_chunks", "_ended", "_side", "place", "stats")

    def __init__(self, chunks: Iterator[list[Stat]], side: Side, after: str) -> None:
        self._chunks = chunks
        self._side = side
        self._after = after
        self._ended = False
        self.stats: list[Stat] = []
        self.place = 0

    def filled(self) -> bool:
        """Returns whether it is known what comes next. Waits a moment for it."""
        if self.place < len(self.stats) or self._ended:
            return True
        stats = next(self._chunks, None)
        self._ended = stats is None
        self.stats, self.place = stats or [], 0
        self._check_order()
        return self._ended or bool(stats)

    def first(self) -> Stat | None:
        """Returns the next entry; None at the end."""
        return self.stats[self.place] if self.place < len(self.stats) else None

    def take(self) -> Stat:
        """Returns the next entry, and goes on."""
        self.place += 1
        return self.stats[self.place - 1]

    def _check_order(self) -> None:
        last = self._after
        for stat in self.stats:
            if stat.path <= last:
                raise unordered(self._side, last, stat.path)
            last = stat.path
        self._after = last


class _Seen:
    """The sightings around the path at which a scan is."""

    __slots__ = ("_tables", "row", "sightings")

    def __init__(self, tables: Iterator[Sightings]) -> None:
        self._tables = tables
        self.sightings = next(tables, None)
        self.row = 0

    def at(self, path: str) -> Sightings | None:
        """Goes on to a path. Returns the sightings whose `row` is of it, None when there is none."""
        while self.sightings is not None and self.sightings.paths[-1] < path:
            self.sightings, self.row = next(self._tables, None), 0
        if self.sightings is None:
            return None
        self.row = bisect_left(self.sightings.paths, path, self.row)
        return self.sightings if self.sightings.paths[self.row] == path else None

    def completed(self, found: Stat) -> Stat:
        """Returns an object as it was listed, with its attributes if they are known."""
        sightings = self.at(found.path)
        attributes = sightings.attributes_of(self.row, found) if sightings and found.attributes is None else None
        if sightings is None or attributes is None:
            return found
        return replace(found, attributes=attributes, seen_ms=sightings.seen_ms(self.row))


def _run(source: _Line, found: _Line, seen: _Seen, largest: int) -> Same | None:
    """Takes the next entries of both listings as far as they need nothing; None when that is not one."""
    path = source.stats[source.place].path
    known = seen.at(path)
    if known is None:
        return None
    begin, end, size_bytes = seen.row, seen.row + RUN_ENTRIES, 0
    count = 0
    # All in one expression and columns side by side: this is what a run costs where nothing has changed.
    for one, other, its_path, etag, modified_s, size, owner, group, permissions, mtime_ms in zip(
        source.stats[source.place : source.place + RUN_ENTRIES],
        found.stats[found.place : found.place + RUN_ENTRIES],
        known.paths[begin:end],
        known.etags[begin:end],
        known.modified_s[begin:end],
        known.sizes[begin:end],
        known.owners[begin:end],
        known.groups[begin:end],
        known.permissions[begin:end],
        known.mtimes_ms[begin:end],
        strict=False,
    ):
        wanted = one.attributes
        if not (
            one.path == other.path == its_path
            and other.version == etag
            and other.mtime_ms // 1000 == modified_s
            and one.size_bytes == other.size_bytes == size <= largest
            and one.kind is other.kind
            and one.condition is Condition.PLAIN
            and wanted is not None
            and wanted.mtime_ms == mtime_ms
            and wanted.owner == owner
            and wanted.group == group
            and wanted.permissions == permissions
        ):
            break
        path = its_path
        size_bytes += size
        count += 1
    if not count:
        return None
    source.place += count
    found.place += count
    return Same(count, size_bytes, path, known, begin, begin + count)
