"""Pages fetched ahead: each is asked for once, limits hold, and what fails is told where it is wanted."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from blockferry.errors import BlockferryError
from stores.base import Stat
from stores.hdfs.lookahead import AHEAD_COUNT, PER_PARENT_COUNT, PagesAhead
from stores.hdfs.wire.listing_pb2 import ListedAnswerProto
from tests.unit.stores.hdfs.listed import listed_file


@dataclass
class Server:
    """Folders with names; answers two entries at a time."""

    folders: dict[str, list[str]]
    asked: list[tuple[str, bytes]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def fetch(self, folder: str, start_after: bytes) -> bytes:
        with self.lock:
            self.asked.append((folder, start_after))
        answer = ListedAnswerProto()
        if folder in self.folders:
            names = [name for name in self.folders[folder] if name > start_after.decode()]
            answer.dirList.remainingEntries = max(len(names) - 2, 0)
            answer.dirList.partialListing.extend(listed_file(name) for name in names[:2])
        return answer.SerializeToString()


def always(answer: ListedAnswerProto) -> PagesAhead[Stat]:
    """Returns pages of a server that has one answer for everything."""
    return PagesAhead(lambda folder, start_after: answer.SerializeToString(), lambda folder: f"/{folder}")


@contextmanager
def ahead_of(server: Server) -> Iterator[PagesAhead[Stat]]:
    pages: PagesAhead[Stat] = PagesAhead(server.fetch, lambda folder: f"/root/{folder}".rstrip("/"))
    try:
        yield pages
    finally:
        pages.close()


def test_following_pages_are_fetched_once() -> None:
    server = Server({"": ["a", "b", "c", "d", "e"]})
    with ahead_of(server) as pages:
        seen = [pages.page("", start).stats for start in (b"", b"b", b"d")]
    assert [[stat.path for stat in stats] for stats in seen] == [["a", "b"], ["c", "d"], ["e"]]
    assert sorted(server.asked) == [("", b""), ("", b"b"), ("", b"d")]


def test_a_jump_to_another_name_is_asked_anew() -> None:
    server = Server({"": ["a", "b", "c", "d", "e"]})
    with ahead_of(server) as pages:
        pages.page("", b"")
        assert [stat.path for stat in pages.page("", b"c").stats] == ["d", "e"]


def test_announced_folders_are_fetched_once() -> None:
    server = Server({"x/": ["a"], "y/": []})
    with ahead_of(server) as pages:
        assert pages.announce("x/")
        assert pages.announce("y/")
        assert [stat.path for stat in pages.page("x/", b"").stats] == ["x/a"]
        assert pages.page("y/", b"").stats == []
    assert sorted(server.asked) == [("x/", b""), ("y/", b"")]


def test_one_folder_and_all_together_have_limits() -> None:
    server = Server({f"{outer}/{inner}/": [] for outer in range(9) for inner in range(99)})
    with ahead_of(server) as pages:
        accepted = [pages.announce(f"0/{inner}/") for inner in range(PER_PARENT_COUNT + 1)]
        assert accepted == [True] * PER_PARENT_COUNT + [False]
        pages.page("0/0/", b"")
        assert pages.announce(f"0/{PER_PARENT_COUNT}/")
        more = [pages.announce(f"{outer}/{inner}/") for outer in range(1, 9) for inner in range(PER_PARENT_COUNT)]
        assert sum(more) == AHEAD_COUNT - PER_PARENT_COUNT


def test_a_folder_that_is_gone_is_not_empty() -> None:
    with ahead_of(Server({})) as pages:
        pages.announce("gone/")
        with pytest.raises(BlockferryError) as error:
            pages.page("gone/", b"")
    assert (error.value.reason, error.value.retryable) == ("LIST_FAILED", False)
    assert error.value.coordinates["path"] == "/root/gone/".rstrip("/")
    assert "Run again" in error.value.message


@pytest.mark.parametrize(("reason", "told"), [("NOT_FOUND", "LIST_FAILED"), ("ACCESS_DENIED", "ACCESS_DENIED")])
def test_an_error_is_raised_where_the_page_is_wanted(reason: str, told: str) -> None:
    def fetch(folder: str, start_after: bytes) -> bytes:
        raise BlockferryError(reason, "no")

    pages: PagesAhead[Stat] = PagesAhead(fetch, lambda folder: f"/{folder}")
    assert pages.announce("x/")
    with pytest.raises(BlockferryError) as error:
        pages.page("x/", b"")
    pages.close()
    assert error.value.reason == told


def test_a_page_that_says_more_and_holds_nothing_is_refused() -> None:
    answer = ListedAnswerProto()
    answer.dirList.remainingEntries = 5
    pages = always(answer)
    with pytest.raises(BlockferryError, match="LIST_FAILED"):
        pages.page("", b"")
    pages.close()


def test_a_name_that_is_not_utf8_fails_the_folder_by_name() -> None:
    answer = ListedAnswerProto()
    answer.dirList.remainingEntries = 0
    answer.dirList.partialListing.add().CopyFrom(listed_file("x"))
    answer.dirList.partialListing[0].path = b"\xff"
    pages = always(answer)
    with pytest.raises(BlockferryError, match="not UTF-8") as error:
        pages.page("d/", b"")
    pages.close()
    assert error.value.coordinates["path"] == "/d/"
