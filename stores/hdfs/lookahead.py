"""Pages of an HDFS tree, fetched ahead by a few threads: many small folders are listed as fast as one large one.

Memory: at most AHEAD_COUNT first pages, PER_PARENT_COUNT of them in one folder, and one following page for each folder
on the way down; each as the bytes of its answer (0.4 to 1 MB with locations of 1,000 files). Threads only wait for the
network: parsing is done by the caller, so that they do not take the interpreter from it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic

from blockferry.errors import BlockferryError, Whose
from stores.base import Kind
from stores.hdfs.entries import stats_of
from stores.hdfs.names import Entry, Page
from stores.hdfs.wire.listing_pb2 import ListedAnswerProto, ListedEntryProto

AHEAD_COUNT = 48
# Or the folders of an upper level would take all places, and those that are needed sooner were fetched one by one.
PER_PARENT_COUNT = 10
THREAD_COUNT = 8

# Answers the bytes of one page of a folder (relative path), after a name.
FetchFrame = Callable[[str, bytes], bytes]
# Makes entries of those of a page; the second is what their paths begin with.
Parse = Callable[[Iterable[ListedEntryProto], str], list[Entry]]


class PagesAhead(Generic[Entry]):
    """The `Pages` of one listing. For one thread; `close` it."""

    def __init__(
        self,
        fetch: FetchFrame,
        shown: Callable[[str], str],
        parse: Parse[Entry] = stats_of,  # type: ignore[assignment] # a default cannot depend on Entry
    ) -> None:
        """Starts nothing yet.

        Args:
            fetch: asks the NameNode; called by several threads at once.
            shown: makes the absolute path of a folder's relative one, for errors.
            parse: makes entries of what a page holds.
        """
        self._parse = parse
        self._fetch = fetch
        self._shown = shown
        self._threads = ThreadPoolExecutor(THREAD_COUNT, thread_name_prefix="hdfs list")
        self._first: dict[str, Future[bytes]] = {}
        self._by_parent: Counter[str] = Counter()
        self._following: dict[str, tuple[bytes, Future[bytes]]] = {}

    def close(self) -> None:
        """Gives up what is not fetched yet. Waits for no answer."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def announce(self, folder: str) -> bool:
        """See `tree.Pages`."""
        parent = _parent(folder)
        if len(self._first) >= AHEAD_COUNT or self._by_parent[parent] >= PER_PARENT_COUNT:
            return False
        self._first[folder] = self._threads.submit(self._fetch, folder, b"")
        self._by_parent[parent] += 1
        return True

    def page(self, folder: str, start_after: bytes) -> Page[Entry]:
        """See `tree.Pages`. Raises BlockferryError, LIST_FAILED among them."""
        try:
            frame = self._frame(folder, start_after)
        except BlockferryError as error:
            if error.reason == "NOT_FOUND" and folder:
                raise _gone(self._shown(folder)) from error
            raise
        page = page_of(frame, folder, self._shown(folder), self._parse)
        if page.has_more:
            last = page.stats[-1]
            name = last.path[len(folder) : -1 if last.kind is Kind.FOLDER else None].encode()
            self._following[folder] = (name, self._threads.submit(self._fetch, folder, name))
        return page

    def _frame(self, folder: str, start_after: bytes) -> bytes:
        if not start_after:
            ahead = self._first.pop(folder, None)
            if ahead is None:
                return self._fetch(folder, b"")
            self._by_parent[_parent(folder)] -= 1
            return ahead.result()
        expected, following = self._following.pop(folder, (b"", None))
        if following is not None and expected == start_after:
            return following.result()
        return self._fetch(folder, start_after)


def page_of(frame: bytes, folder: str, shown: str, parse: Parse[Entry]) -> Page[Entry]:
    """Returns the entries in a GetListingResponseProto. `folder` is what their paths begin with, `shown` its absolute
    path for errors. Raises LIST_FAILED when it is no folder any more."""
    answer = ListedAnswerProto.FromString(frame)
    if not answer.HasField("dirList"):
        raise _gone(shown)
    listing = answer.dirList
    entries = listing.partialListing
    has_more = listing.remainingEntries > 0
    if (has_more and not entries) or (len(entries) == 1 and not entries[0].path):
        raise _list_failed(shown, "is no folder any more")
    try:
        return Page(parse(entries, folder), has_more)
    except UnicodeDecodeError as error:
        raise _list_failed(shown, f"holds a name that is not UTF-8 ({error.object!r})") from error


def _parent(folder: str) -> str:
    return folder[: folder.rstrip("/").rfind("/") + 1]


def _gone(path: str) -> BlockferryError:
    return _list_failed(path, "was deleted or renamed while the tree was listed")


def _list_failed(path: str, what: str) -> BlockferryError:
    return BlockferryError(
        "LIST_FAILED",
        f"The folder {path} {what}, so the listing is not complete. Run again when it does not change.",
        whose=Whose.SOURCE,
        path=path,
    )
