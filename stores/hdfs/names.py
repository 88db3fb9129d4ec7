"""One folder's entries in the order of their names' UTF-8 bytes, whatever order the NameNode pages them in. PURE.

A NameNode compares names byte by byte as Java does, signed: bytes from 0x80 on come before ASCII, so `é` before `a`
(DFSUtilClient.compareBytes; seen on 3.4.2). Where a folder has more than one page and names that are not ASCII, its
pages are asked for by sections instead: for a common beginning `q`, first the names that go on with ASCII, then the
others. Each section is one range of the NameNode's order, so nothing has to be kept but one page per open section.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from stores.base import Kind

# Behind every name that begins with what stands before it: no name in HDFS has more bytes (a path has 8,000 at most).
_BEYOND = b"\x7f" * 8001
# Between the names that go on with a byte from 0x80 on and those that go on with ASCII. No UTF-8 has it.
_BEFORE_ASCII = b"\xff"


class Named(Protocol):
    """What is told of an entry at least: a `Stat`, or an entry that can become one."""

    @property
    def path(self) -> str: ...
    @property
    def kind(self) -> Kind: ...


Entry = TypeVar("Entry", bound=Named)


@dataclass(frozen=True, slots=True)
class Page(Generic[Entry]):
    """Entries that follow each other in the NameNode's order. `has_more`: there are entries after these."""

    stats: list[Entry]
    has_more: bool


# Page of the folder that begins after a name (UTF-8; need not exist; empty: from the begin).
Fetch = Callable[[bytes], Page[Entry]]


def in_name_order(folder: str, fetch: Fetch[Entry]) -> Iterator[Page[Entry]]:
    """Yields all entries of a folder in chunks: every name in a chunk is greater than all names of those before.

    Inside a chunk the order is any. After one with `has_more` there may be none all the same. `folder` is what the
    paths begin with: empty, or with a slash at its end.
    """
    yield from _Section(folder, fetch, "", b"", None).chunks(0)


@dataclass(frozen=True, slots=True)
class _Section(Generic[Entry]):
    """The names after `begin` that start with `prefix`; `ascii_next` narrows them by how they go on."""

    folder: str
    fetch: Fetch[Entry]
    prefix: str
    begin: bytes
    ascii_next: bool | None

    def chunks(self, depth: int) -> Iterator[Page[Entry]]:
        """Yields the section's entries. Before index `depth` no name holds what could put it in a wrong place."""
        begin = self.begin
        while True:
            page = self.fetch(begin)
            stats = [stat for stat in page.stats if self._holds(stat)] if self.ascii_next is not None else page.stats
            if not (page.has_more and len(stats) == len(page.stats)):
                if stats:
                    yield Page(stats, self.ascii_next is not None)
                return
            last = self._name(stats[-1])
            cut = self._cut(stats, last, depth)
            if cut is None:
                yield page
                begin = last.encode()
                continue
            index, prefix = cut
            if index:
                yield Page(stats[:index], True)
            start = prefix.encode()
            for begin, ascii_next in ((start + _BEFORE_ASCII, True), (start, False)):
                yield from _Section(self.folder, self.fetch, prefix, begin, ascii_next).chunks(len(prefix) + 1)
            if not prefix:
                return
            begin = start + _BEYOND

    def _cut(self, stats: list[Entry], last: str, depth: int) -> tuple[int, str] | None:
        """Returns the first entry that names on later pages may have to come before, and the beginning that it shares
        with them; None when there is no such entry.

        Those that come later in the NameNode's order and earlier in ours have ASCII where this one has not, after a
        common beginning, which they share with the page's last name too.
        """
        if "".join([stat.path for stat in stats]).isascii():
            return None
        for index, stat in enumerate(stats):
            name = self._name(stat)
            if name.isascii():
                continue
            place = next((at for at in range(depth, len(name)) if name[at] >= "\x80"), None)
            if place is not None and last.startswith(name[:place]):
                return index, name[:place]
        return None

    def _name(self, stat: Entry) -> str:
        return stat.path[len(self.folder) : -1 if stat.kind is Kind.FOLDER else None]

    def _holds(self, stat: Entry) -> bool:
        name = self._name(stat)
        size = len(self.prefix)
        return len(name) > size and name.startswith(self.prefix) and (name[size] < "\x80") is self.ascii_next
