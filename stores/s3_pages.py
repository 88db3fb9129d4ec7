"""One page of ListObjectsV2: how it is asked for, and what its XML says. Holds no order of pages (`stores.s3_listing`).

boto3 asks for URL-encoded keys and decodes `+` as a space; SeaweedFS writes the space of a folder's name as `%20` but
its `+` as `+`, and versitygw does not encode. So keys are asked for as they are. Only when such a page is no XML (a key
has control characters, which other tools can have written) is it asked for again, URL-encoded.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Protocol, overload
from urllib.parse import unquote_plus
from xml.etree import ElementTree

from stores.base import Kind, Stat, Stretch, sink_row
from stores.naming import path_of
from stores.s3_headers import seen_ms
from stores.s3_quick_page import QuickPage, quick_page
from stores.s3_wire import Ask, Wire, xml_of

PAGE_KEYS = 1000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which page. All paths are relative to the location's prefix.

    Attributes:
        folder: only what is below it; empty for everything.
        start_after: only paths greater than that.
        token: continuation token of the page before.
        delimiter: a slash to be told the subfolders instead of what is in them.
    """

    folder: str = ""
    start_after: str = ""
    token: str = ""
    delimiter: str = ""
    max_keys: int = PAGE_KEYS


@dataclass(frozen=True, slots=True)
class KeyPage:
    """What a page holds, in the store's order. Paths are relative to the location's prefix.

    Attributes:
        entries: objects, without the marker object of the prefix itself.
        folders: common prefixes, each ending with the delimiter.
        token: continuation token of the next page; empty where the store gives none.
        truncated: another page follows.
    """

    entries: Sequence[Stat]
    folders: tuple[str, ...]
    token: str
    truncated: bool

    def following(self, request: PageRequest) -> PageRequest:
        """Returns what asks for the page after this one, which `request` asked for. Raises ValueError when the store
        says that there is one but not where: going on would repeat this page for ever."""
        last = max((*(entry.path for entry in self.entries[-1:]), *self.folders[-1:]), default="")
        stuck = self.token == request.token if self.token else last <= request.start_after
        if stuck:
            raise ValueError("it is truncated but does not say where the next one begins")
        return replace(request, token=self.token, start_after="" if self.token else last)


class PageSource(Protocol):
    """What gives the pages of a listing."""

    def fetch(self, request: PageRequest) -> tuple[KeyPage, PageRequest | None]:
        """Returns a page and what asks for the next one, None at the end."""
        ...


class KeyPages:
    """The pages of one bucket below one prefix. For several threads at once."""

    def __init__(self, wire: Wire, prefix: str) -> None:
        self._wire = wire
        self._prefix = prefix

    def fetch(self, request: PageRequest) -> tuple[KeyPage, PageRequest | None]:
        """Returns a page and what asks for the next one, None at the end.

        Raises:
            BlockferryError: LIST_FAILED, the answer is no whole page; or what the store refused.
        """
        try:
            page = self._parsed(request)
            return page, page.following(request) if page.truncated else None
        except (ElementTree.ParseError, ValueError) as error:
            text = f"A page of the store's listing is broken: {error}."
            raise self._wire.place.error("LIST_FAILED", text, retryable=True) from error

    def _parsed(self, request: PageRequest) -> KeyPage:
        try:
            body, seen = self._ask(request, encoded=False)
            return parse_page(body, self._prefix, seen=seen)
        except ElementTree.ParseError:
            body, seen = self._ask(request, encoded=True)
            return parse_page(body, self._prefix, unquote_plus, seen)

    def _ask(self, request: PageRequest, encoded: bool) -> tuple[bytes, int]:
        """Returns the answer's body, and when the store has looked."""
        query = {
            "list-type": "2",
            "prefix": self._prefix + request.folder,
            "start-after": self._prefix + request.start_after if request.start_after else "",
            "delimiter": request.delimiter,
            "continuation-token": request.token,
            "max-keys": str(request.max_keys),
            "encoding-type": "url" if encoded else "",
        }
        begin_s = time.monotonic()
        answer = self._wire.send(Ask("GET", query={name: value for name, value in query.items() if value}))
        return answer.body, seen_ms(answer.headers, time.monotonic() - begin_s)


def parse_page(body: bytes, prefix: str, decode: Callable[[str], str] = str, seen: int = 0) -> KeyPage:
    """Returns what a ListBucketResult says. `decode` turns its keys into keys; `seen` is `Stat.seen_ms`.

    Raises:
        ValueError: an element is missing or cannot be read, so that the page may not be whole.
        ElementTree.ParseError: it is no XML.
    """
    quick = quick_page(body)
    root = xml_of(body if quick is None else quick.rest.encode())
    space = root.tag.removesuffix("ListBucketResult")
    truncated = root.findtext(f"{space}IsTruncated", "")
    if space == root.tag or truncated not in ("true", "false"):
        raise ValueError("it has no ListBucketResult with IsTruncated")
    contents = _Contents(space, prefix, decode, seen)
    folders = tuple(contents.path(found, "Prefix") for found in root.iterfind(f"{space}CommonPrefixes"))
    entries: Sequence[Stat] = (
        contents.entries(quick) if quick else tuple(map(contents.entry, root.iterfind(f"{space}Contents")))
    )
    token = root.findtext(f"{space}NextContinuationToken", "")
    return KeyPage(entries if all(entry.path for entry in entries[:1]) else entries[1:], folders, token,
                truncated == "true")  # fmt: skip


def milliseconds_of(moment: datetime) -> int:
    """Returns the milliseconds since 1970 UTC."""
    return (moment - _EPOCH) // _MILLISECOND


class QuickEntries(Sequence[Stat]):
    """Objects of a page as columns; each is made a stat when it is asked for."""

    def __init__(self, paths: list[str], etags: list[str], modified_ms: list[int], sizes: list[int], seen: int) -> None:
        self._columns = paths, etags, modified_ms, sizes
        self._seen = seen

    def __len__(self) -> int:
        return len(self._columns[0])

    @overload
    def __getitem__(self, index: int) -> Stat: ...
    @overload
    def __getitem__(self, index: slice) -> QuickEntries: ...
    def __getitem__(self, index: int | slice) -> Stat | QuickEntries:
        paths, etags, modified_ms, sizes = self._columns
        if isinstance(index, slice):
            return QuickEntries(paths[index], etags[index], modified_ms[index], sizes[index], self._seen)
        path, etag, modified = paths[index], etags[index], modified_ms[index]
        if path[-1:] in ("/", ""):
            return Stat(path, Kind.FOLDER, 0, modified, version=etag, seen_ms=self._seen)
        return Stat(path, Kind.FILE, sizes[index], modified, None, etag, seen_ms=self._seen)

    def stretch(self) -> Stretch:
        """Returns all of them for a comparison."""
        paths, etags, modified_ms, sizes = self._columns
        modified_s = [moment // 1000 for moment in modified_ms]
        return Stretch(paths, list(zip(paths, etags, modified_s, sizes, strict=True)), self.__getitem__)


def stretch_of(entries: Sequence[Stat]) -> Stretch:
    """Returns objects, however they are kept, for a comparison."""
    if isinstance(entries, QuickEntries):
        return entries.stretch()
    return Stretch([entry.path for entry in entries], [sink_row(entry) for entry in entries], entries.__getitem__)


class _Contents:
    """Reads the elements of a page. `space` is the XML namespace in braces, or empty."""

    __slots__ = ("_decode", "_etag", "_key", "_modified", "_prefix", "_seen", "_size", "_space")

    def __init__(self, space: str, prefix: str, decode: Callable[[str], str], seen: int) -> None:
        self._space = space
        self._prefix = prefix
        self._decode = decode
        self._seen = seen
        self._key, self._size = f"{space}Key", f"{space}Size"
        self._etag, self._modified = f"{space}ETag", f"{space}LastModified"

    def path(self, found: ElementTree.Element, name: str) -> str:
        """Returns the relative path in a child element of that name."""
        key = self._decode(found.findtext(self._space + name, ""))
        return path_of(self._prefix, key)

    def entries(self, page: QuickPage) -> QuickEntries:
        """Returns the objects of a plain page. 1 us each, and 2 us where it is asked for as a stat."""
        keys = page.keys if self._decode is str else list(map(self._decode, page.keys))
        if not all(page.keys):
            raise ValueError("an entry has no key")
        paths = [path_of(self._prefix, key) for key in keys]
        modified_ms = list(map(_milliseconds, page.modified))
        sizes = [0 if path[-1:] in ("/", "") else int(size) for path, size in zip(paths, page.sizes, strict=True)]
        return QuickEntries(paths, page.etags, modified_ms, sizes, self._seen)

    def entry(self, found: ElementTree.Element) -> Stat:
        """Returns one object. 6 us each."""
        texts = {child.tag: child.text or "" for child in found}
        modified_ms = _milliseconds(texts.get(self._modified, ""))
        return self._stat(
            texts.get(self._key, ""), texts.get(self._etag, "").strip('"'), texts.get(self._size, ""), modified_ms
        )

    def _stat(self, key: str, etag: str, size: str, modified_ms: int) -> Stat:
        if not key:
            raise ValueError("an entry has no key")
        path = path_of(self._prefix, self._decode(key))
        if not path or path[-1] == "/":
            return Stat(path, Kind.FOLDER, 0, modified_ms, version=etag, seen_ms=self._seen)
        return Stat(path, Kind.FILE, int(size), modified_ms, None, etag, seen_ms=self._seen)


@lru_cache(maxsize=4096)
def _milliseconds(moment: str) -> int:
    """Returns milliseconds since 1970 UTC. Objects that were written together have the same second."""
    return milliseconds_of(datetime.fromisoformat(moment))
