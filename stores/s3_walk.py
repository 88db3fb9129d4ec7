"""The listing of stores that keep a tree and list a folder before names that begin like it: folder by folder, and put
into key order on the way. One request for each folder at least, so only for stores that need it.

In one folder such a store lists children by name: `a` (a folder), `a-b`, `b`. The folder `a` is kept back until the
next child is greater than `a/`; only folders whose names begin like their neighbours' wait, so few do at any time.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heappop, heappush

from stores.base import Stat
from stores.s3_pages import PageRequest, PageSource


def walk(pages: PageSource, after: str) -> Iterator[Stat]:
    """Yields every entry whose path is greater than `after`, in key order."""
    levels = [_FolderLevel(pages, "")]
    while levels:
        match levels[-1].advance():
            case None:
                levels.pop()
            case Stat() as entry:
                if entry.path > after:
                    yield entry
            case folder if folder > after or after.startswith(folder):
                levels.append(_FolderLevel(pages, folder))


class _FolderLevel:
    """The children of one folder. Gives them in key order: entries, and folders to go into."""

    __slots__ = ("_children", "_next", "_waiting")

    def __init__(self, pages: PageSource, folder: str) -> None:
        self._children = _children(pages, folder)
        self._next: Stat | str | None = None
        self._waiting: list[str] = []

    def advance(self) -> Stat | str | None:
        """Returns the next entry, or the next folder to be listed now, or None at the end."""
        while True:
            if self._next is None:
                self._next = next(self._children, None)
            if self._waiting and (self._next is None or self._waiting[0] < _path(self._next)):
                return heappop(self._waiting)
            child, self._next = self._next, None
            if not isinstance(child, str):
                return child
            heappush(self._waiting, child)


def _children(pages: PageSource, folder: str) -> Iterator[Stat | str]:
    """Yields entries and subfolders of one folder by name."""
    request: PageRequest | None = PageRequest(folder, delimiter="/")
    while request is not None:
        page, request = pages.fetch(request)
        # An empty directory that is no object is shown as one, without an ETag, when it is listed itself (SeaweedFS).
        entries = (entry for entry in page.entries if entry.version or entry.path != folder)
        children: list[Stat | str] = [*entries, *page.folders]
        children.sort(key=lambda child: _path(child).removesuffix("/"))
        yield from children


def _path(child: Stat | str) -> str:
    return child if isinstance(child, str) else child.path
