"""Two listings in lock-step: what stands at the same path becomes one pair. PURE: asks no store and waits for nobody.

Listings may hold `None` between entries: "nothing yet". It is passed on, so that those behind can look at their clocks
while a slow store keeps silent.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import NamedTuple

from blockferry.errors import BlockferryError, Whose
from stores.base import Kind, Stat

# Stands for "no more entries": the root itself, which no listing holds. Compared by identity.
_END = Stat("", Kind.FOLDER, size_bytes=0, mtime_ms=0)


class Side(StrEnum):
    """Which end of a transfer."""

    SOURCE = "source"
    DESTINATION = "destination"


class Pair(NamedTuple):
    """What stands at one path: at the source, at the destination, or at both. A tuple, because millions are made."""

    source: Stat | None
    found: Stat | None

    @property
    def path(self) -> str:
        """The path of both."""
        present = self.source or self.found
        return present.path if present else ""


def march(sources: Iterator[Stat | None], founds: Iterator[Stat | None]) -> Iterator[Pair | None]:
    """Yields one pair for each path of either listing, in key order, and `None` where a listing had nothing yet.

    Args:
        sources: the source's listing, in strictly rising key order (see `in_order`).
        founds: the destination's listing, likewise. Never ends without having been complete: errors are raised by it.
    """
    source, found = next(sources, _END), next(founds, _END)
    while source is not _END or found is not _END:
        if source is None or found is None:
            yield None
            source = next(sources, _END) if source is None else source
            found = next(founds, _END) if found is None else found
        elif found is _END or (source is not _END and source.path < found.path):
            yield Pair(source, None)
            source = next(sources, _END)
        elif source is _END or found.path < source.path:
            yield Pair(None, found)
            found = next(founds, _END)
        else:
            yield Pair(source, found)
            source, found = next(sources, _END), next(founds, _END)


def in_order(stats: Iterable[Stat | None], side: Side, after: str) -> Iterator[Stat | None]:
    """Yields a listing as it is.

    Args:
        stats: the listing.
        side: whose it is.
        after: every path must be greater.

    Raises:
        BlockferryError: LIST_UNORDERED, when a path is not greater than the one before: in such a listing a file could
            be overlooked.
    """
    last = after
    for stat in stats:
        if stat is not None:
            path = stat.path
            if path <= last:
                raise unordered(side, last, path)
            last = path
        yield stat


def unordered(side: Side, last: str, path: str) -> BlockferryError:
    """Returns the error of a listing that shows `path` after `last`."""
    cure = " Transfer without listing the destination (--transfer ALL)." if side is Side.DESTINATION else ""
    return BlockferryError(
        "LIST_UNORDERED",
        f"The {side} lists {path!r} after {last!r}, which is not the order of the names' UTF-8 bytes, so files could "
        f"be overlooked.{cure}",
        whose=Whose.SOURCE if side is Side.SOURCE else Whose.SINK,
        path=path,
        last=last,
        side=side,
    )
