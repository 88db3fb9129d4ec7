"""Two listings in lock-step, beside what earlier executions have seen at the destination: the quick way through a tree
in which little has changed.

Where path, size and attributes at the source are those that were seen, and the listing shows the object that was seen,
nothing needs to be asked or decided. Such entries go by in runs of up to RUN_ENTRIES, without an object for each. What
is not just so becomes a pair as in `march`, with the attributes of the found object where they are known and enough.

Costs 1 us an entry, with the reading of the sightings. Files that are being written count as any others here: whoever
refuses them must not skim. Asks no store.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice, pairwise
from operator import lt
from typing import NamedTuple

from ledger.sightings import Sightings
from scanner.march import Pair, Side, unordered
from stores.base import Attributes, Kind, SinkRow, SourceRow, Stat, Stretch

RUN_ENTRIES = 256
_NOTHING = Stretch((), (), ().__getitem__)
_Rows = tuple[Sequence[SourceRow | SinkRow | None] | Sequence[SourceRow] | Sequence[SinkRow], int]


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
    sources: Iterator[Stretch | None],
    founds: Iterator[Stretch | None],
    known: Iterator[Sightings],
    after: str,
    largest: int,
) -> Iterator[Pair | Same | None]:
    """Yields what `march` yields, with runs of entries that need nothing in the place of their pairs.

    Args:
        sources: the source's listing in stretches; None stands for "nothing yet".
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
        elif run := _run(source, found, seen, largest):
            yield run
        elif source.path is None and found.path is None:
            return
        elif source.path == found.path:
            stat = source.take()
            yield Pair(stat, seen.completed(found.take(), stat))
        elif found.path is None or (source.path is not None and source.path < found.path):
            yield Pair(source.take(), None)
        else:
            yield Pair(None, found.take())


class _Line:
    """One listing, of which the next entries can be looked at.

    Attributes:
        path: of the next one; None at the end.
        stretch: where that is, at index `place`.
    """

    __slots__ = ("_after", "_ended", "_side", "_stretches", "path", "place", "stretch")

    def __init__(self, stretches: Iterator[Stretch | None], side: Side, after: str) -> None:
        self._stretches = stretches
        self._side = side
        self._after = after
        self._ended = False
        self.path: str | None = None
        self.stretch = _NOTHING
        self.place = 0

    def filled(self) -> bool:
        """Returns whether it is known what comes next. Waits a moment for it."""
        if self.path is not None or self._ended:
            return True
        stretch = next(self._stretches, _NOTHING)
        if stretch is None:
            return False
        self._ended = stretch is _NOTHING
        self.stretch = stretch
        self._check_order(stretch.paths)
        self._go_to(0)
        return True

    def skip(self, count: int) -> None:
        """Goes on by so many entries of the stretch."""
        self._go_to(self.place + count)

    def take(self) -> Stat:
        """Returns the next entry, and goes on."""
        stat = self.stretch.stat_at(self.place)
        self._go_to(self.place + 1)
        return stat

    def _go_to(self, place: int) -> None:
        self.place = place
        self.path = self.stretch.paths[place] if place < len(self.stretch.paths) else None

    def _check_order(self, paths: Sequence[str]) -> None:
        if not paths:
            return
        if paths[0] > self._after and all(map(lt, paths, islice(paths, 1, None))):
            self._after = paths[-1]
            return
        last, path = next((last, path) for last, path in pairwise((self._after, *paths)) if path <= last)
        raise unordered(self._side, last, path)


class _Seen:
    """The sightings around the path at which a scan is. `row` is an index in `sightings`."""

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

    def completed(self, found: Stat, source: Stat) -> Stat:
        """Returns an object as it was listed, with its attributes if they are known and decide what is done."""
        sightings = self.at(found.path)
        attributes = sightings.attributes_of(self.row, found) if sightings and found.attributes is None else None
        if sightings is None or attributes is None or not _decides(attributes, source):
            return found
        return replace(found, attributes=attributes, seen_ms=sightings.seen_ms(self.row))


def _decides(known: Attributes, source: Stat) -> bool:
    """Returns whether a file is copied anew, or an entry needs nothing. A change of attributes alone begins with what
    the store says: its proof is the checksum that it kept before."""
    wanted = source.attributes
    if wanted is None:
        return False
    is_other_file = source.kind is Kind.FILE and wanted.mtime_ms != known.mtime_ms
    return is_other_file or replace(known, atime_ms=wanted.atime_ms) == wanted


def _run(source: _Line, found: _Line, seen: _Seen, largest: int) -> Same | None:
    """Takes the next entries of both listings as far as they need nothing; None when that is not one."""
    if source.path is None or source.path != found.path or (known := seen.at(source.path)) is None:
        return None
    begin = seen.row
    # Lists of tuples are compared without a step of Python for each.
    count = _common(
        (source.stretch.rows, source.place),
        (found.stretch.rows, found.place),
        (known.sources, begin),
        (known.sinks, begin),
    )
    if count == 0 or max(known.sizes[begin : begin + count]) > largest:
        return None
    source.skip(count)
    found.skip(count)
    end = begin + count
    seen.row = end - 1
    return Same(count, sum(known.sizes[begin:end]), known.paths[end - 1], known, begin, end)


def _common(source: _Rows, found: _Rows, sources: _Rows, sinks: _Rows) -> int:
    """Returns for how many rows what is listed is what was seen. Each argument is some rows and where to begin."""
    count = min(RUN_ENTRIES, *(len(rows) - place for rows, place in (source, found, sources, sinks)))
    ours, theirs, known_ours, known_theirs = (
        rows[place : place + count] for rows, place in (source, found, sources, sinks)
    )
    if ours == known_ours and theirs == known_theirs:
        return count
    same = (
        one == other and two == four
        for one, other, two, four in zip(ours, known_ours, theirs, known_theirs, strict=True)
    )
    return next((place for place, equal in enumerate(same) if not equal), count)
