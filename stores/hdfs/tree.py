"""A whole tree in key order from the pages of its folders. PURE.

A folder's key is its path with a slash, so `a-b` and `a.txt` come before `a/` and all that is in it: a folder is held
back until no smaller key can follow. Memory: for each folder on the way down one page, and the folders held back (each
one's name begins the next one's, so there are at most as many as a name has characters).

A page that cannot be had raises where its entries would have come: it is never taken for an empty folder.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from operator import attrgetter
from typing import Generic, Protocol

from stores.base import Kind
from stores.hdfs.names import Entry, Page, in_name_order

_by_path = attrgetter("path")


class Pages(Protocol[Entry]):
    """Where pages come from."""

    def page(self, folder: str, start_after: bytes) -> Page[Entry]:
        """Returns the entries of a folder (relative; empty or with a slash at its end) that follow a name."""
        ...

    def announce(self, folder: str) -> bool:
        """Is told that a folder's first page is wanted soon. Returns False if that is too early: tell again later.

        A folder that was announced is asked for, unless the walk ends or fails before.
        """
        ...


def walk(pages: Pages[Entry], after: str = "") -> Iterator[Entry]:
    """Yields every entry below the root whose path is greater than `after`, in key order.

    Folders that lie wholly before `after` are not listed. What `pages` raises comes through.
    """
    for run in runs(pages, after):
        yield from run


def runs(pages: Pages[Entry], after: str = "") -> Iterator[list[Entry]]:
    """Yields what `walk` yields in lists, none empty: of a folder's entries up to and with the next folder in it."""
    levels = [_Level(pages, "", after)]
    while levels:
        run = levels[-1].next_run()
        if not run:
            levels.pop()
            continue
        _announce(pages, levels)
        last = run[-1]
        if last.kind is not Kind.FOLDER:
            yield run
            continue
        if before := run if last.path > after else run[:-1]:
            yield before
        levels.append(_Level(pages, last.path, after))


def _announce(pages: Pages[Entry], levels: list[_Level[Entry]]) -> None:
    """Tells which folders come next, the nearest first, until it is enough."""
    for level in reversed(levels):
        if not level.announce_next():
            return


class _Level(Generic[Entry]):
    """One folder on the way down: its entries in key order, in runs that end with a folder to be entered."""

    __slots__ = ("_after", "_announced", "_chunks", "_folders", "_held", "_pages", "_place", "_ready")

    def __init__(self, pages: Pages[Entry], folder: str, after: str) -> None:
        self._pages = pages
        self._after = after if after.startswith(folder) else ""  # else all of it comes after `after`
        self._chunks = in_name_order(folder, lambda start_after: pages.page(folder, start_after))
        self._held: list[Entry] = []
        self._ready: list[Entry] = []
        self._folders: list[int] = []  # indices in `_ready`
        self._place = 0
        self._announced = 0  # as many of `_folders` were announced, or entered without

    def next_run(self) -> list[Entry]:
        """Returns the next entries up to and with the next folder; an empty list at the end."""
        while self._place >= len(self._ready):
            if not self._advance():
                return []
        begin = self._place
        entered = bisect_left(self._folders, begin)
        self._place = self._folders[entered] + 1 if entered < len(self._folders) else len(self._ready)
        self._announced = max(self._announced, entered)
        return self._ready[begin : self._place]

    def announce_next(self) -> bool:
        """Announces the folders that were read and not yet entered. Returns False when it was told to wait."""
        while self._announced < len(self._folders):
            if not self._pages.announce(self._ready[self._folders[self._announced]].path):
                return False
            self._announced += 1
        return True

    def _advance(self) -> bool:
        """Takes the next chunk. Returns False at the folder's end."""
        chunk = next(self._chunks, None)
        if chunk is None and not self._held:
            return False
        if chunk is None:
            self._ready, self._held = self._held, []
        else:
            self._ready = self._in_key_order(chunk)
        if self._after:
            self._ready = [stat for stat in self._ready if stat.path > self._after or self._contains_after(stat)]
        self._folders = [index for index, stat in enumerate(self._ready) if stat.kind is Kind.FOLDER]
        self._place = self._announced = 0
        return True

    def _in_key_order(self, chunk: Page[Entry]) -> list[Entry]:
        """Returns what no later name can come before, and holds the rest back: folders only.

        Later names are greater than the greatest name here, and so are their keys.
        """
        stats = sorted(self._held + chunk.stats, key=_by_path)
        if not chunk.has_more:
            self._held = []
            return stats
        greatest = stats[-1].path
        if greatest.endswith("/"):
            greatest = max(stat.path.removesuffix("/") for stat in chunk.stats)
        end = len(stats)
        while end and stats[end - 1].path > greatest:
            end -= 1
        self._held = stats[end:]
        return stats[:end]

    def _contains_after(self, stat: Entry) -> bool:
        return stat.kind is Kind.FOLDER and self._after.startswith(stat.path)
