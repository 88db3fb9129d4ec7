"""Everything below a prefix, in key order, from any store: page by page, the next one fetched while one is consumed.

S3 lists in the order of the keys' bytes: `a-b`, `a/`, `a/b`. SeaweedFS walks a tree instead, a folder before the names
that begin like it: `a/`, `a/b`, `a-b`. Which of both a store does is asked, once, when the first folder is met: after
`a.` + the highest character, a store in key order lists `a/b`; a tree walker has passed the folder `a` by then. Such a
store is listed folder by folder (`stores.s3_walk`). A key that comes out of order all the same raises: a merge of two
listings would otherwise take it for missing.

Memory: 3 pages of 1,000 entries for each listing, whatever the size of the tree; for a walk, one page and the names of
one folder's subfolders for each level.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import islice

from blockferry.errors import BlockferryError
from stores.base import Stat, Stretch
from stores.s3_errors import ObjectPlace
from stores.s3_pages import PageRequest, PageSource, stretch_of
from stores.s3_walk import walk

_STRETCH_ENTRIES = 256  # of a walk, whose pages are of any size
_HIGHEST = "\U0010fffd"  # U+10FFFF and U+10FFFE are no characters


class Listing:
    """The listings of one bucket below one prefix. For several threads at once."""

    def __init__(self, pages: PageSource, place: ObjectPlace) -> None:
        self._pages = pages
        self._place = place
        self._walks: bool | None = None  # not known before a folder was met

    def entries(self, after: str = "") -> Iterator[Stat]:
        """Yields every entry whose path is greater than `after`, in key order."""
        last = after
        for entry in self._ordered(after):
            if entry.path <= last:
                raise self._disorder(last, entry.path)
            last = entry.path
            yield entry

    def folder(self, folder: str, after: str) -> Iterator[tuple[Stat, ...]]:
        """Yields the objects directly in a folder whose paths come after `after`, page by page."""
        request: PageRequest | None = PageRequest(folder, after, delimiter="/")
        while request is not None:
            page, request = self._pages.fetch(request)
            yield tuple(page.entries)

    def stretches(self, after: str) -> Iterator[Stretch]:
        """Yields the same as `entries` in stretches, without looking at their order."""
        if after and self._walks is None:
            self._learn_before(after)
        last = after
        if not self._walks:
            with closing(self._flat_pages(after)) as pages:
                for stretch in map(stretch_of, pages):
                    inside = next((path for path in stretch.paths if "/" in path), "") if self._walks is None else ""
                    if inside and self._learn(inside):
                        break
                    last = stretch.paths[-1]
                    yield stretch
                else:
                    return
        entries = walk(self._pages, last)
        while some := tuple(islice(entries, _STRETCH_ENTRIES)):
            yield stretch_of(some)

    def _ordered(self, after: str) -> Iterator[Stat]:
        """Yields the entries by the way that suits the store."""
        if after and self._walks is None:
            self._learn_before(after)
        last = after
        if not self._walks:
            with closing(self._flat(after)) as flat:
                for entry in flat:
                    if self._learn(entry.path):
                        break
                    last = entry.path
                    yield entry
                else:
                    return
        yield from walk(self._pages, last)

    def _learn_before(self, after: str) -> None:
        """Looks for a folder from the begin of the listing to `after`: a listing that begins later may miss it."""
        with closing(self._flat("")) as flat:
            for entry in flat:
                if self._learn(entry.path) is not None or entry.path > after:
                    return

    def _learn(self, path: str) -> bool | None:
        """Returns whether the store walks a tree; None while nothing has lain in a folder."""
        if self._walks is None and "/" in path:
            folder = path.partition("/")[0]
            page, _ = self._pages.fetch(PageRequest(start_after=f"{folder}.{_HIGHEST}", max_keys=1))
            self._walks = not page.entries or page.entries[0].path > path
        return self._walks

    def _flat(self, after: str) -> Generator[Stat]:
        """Yields entries in the store's own order."""
        with closing(self._flat_pages(after)) as pages:
            for entries in pages:
                yield from entries

    def _flat_pages(self, after: str) -> Generator[Sequence[Stat]]:
        """Yields entries page by page, none empty, in the store's own order; one thread fetches the next page
        meanwhile."""
        ahead = ThreadPoolExecutor(1, "s3-listing")
        try:
            page, request = self._pages.fetch(PageRequest(start_after=after))
            while request is not None:
                coming = ahead.submit(self._pages.fetch, request)
                if page.entries:
                    yield page.entries
                page, request = coming.result()
            if page.entries:
                yield page.entries
        finally:
            ahead.shutdown(wait=False, cancel_futures=True)

    def _disorder(self, last: str, path: str) -> BlockferryError:
        text = "The store does not list in the order of keys, so its listing cannot be compared. Report the store."
        return self._place.error("LIST_FAILED", text, more={"path": path, "after": last})
