"""Listings over stores that list by key, and over stores that walk a tree: the paths come in key order, all of them."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blockferry.errors import BlockferryError
from stores.base import Kind, Stat
from stores.s3_errors import ObjectPlace
from stores.s3_listing import Listing
from stores.s3_pages import KeyPage, PageRequest

_SEGMENTS = st.text(st.sampled_from("ab-. 0é"), min_size=1, max_size=3).filter(lambda name: name not in (".", ".."))
_PATHS = st.builds("/".join, st.lists(_SEGMENTS, min_size=1, max_size=4))
_TREES = st.tuples(st.sets(_PATHS, max_size=25), st.sets(_PATHS, max_size=5)).map(
    lambda both: both[0] | {f"{folder}/" for folder in both[1]}
)
_Order = Callable[[str], tuple[str, ...]]


def by_key(path: str) -> tuple[str, ...]:
    """The order of S3."""
    return (path,)


def by_tree(path: str) -> tuple[str, ...]:
    """The order of a tree walker: names in a folder, and what is in a folder right after its name."""
    return tuple(path.split("/"))


class ListedPaths:
    """The pages of a store that holds some paths and lists them in one of the two orders.

    Attributes:
        asked: every request, in order.
    """

    def __init__(self, paths: set[str], order: _Order, page_size: int = 3) -> None:
        self._paths = sorted(paths, key=order)
        self._order = order
        self._page_size = page_size
        self.asked: list[PageRequest] = []

    def fetch(self, request: PageRequest) -> tuple[KeyPage, PageRequest | None]:
        self.asked.append(request)
        names = self._children(request.folder) if request.delimiter else self._paths
        past = [name for name in names if request.start_after and self._order(name) <= self._order(request.start_after)]
        begin = int(request.token) if request.token else len(past)
        end = begin + min(self._page_size, request.max_keys)
        page = names[begin:end]
        truncated = end < len(names)
        entries = tuple(_entry(name) for name in page if name in self._paths and not self._goes_in(name, request))
        folders = tuple(name for name in page if self._goes_in(name, request))
        answer = KeyPage(entries, folders, str(end) if truncated else "", truncated)
        return answer, answer.following(request) if truncated else None

    def _children(self, folder: str) -> list[str]:
        below = (path for path in self._paths if path.startswith(folder))
        cut = {path[: path.find("/", len(folder)) + 1] or path for path in below}
        return sorted(cut, key=lambda name: (name != folder, self._order(name.removesuffix("/"))))

    @staticmethod
    def _goes_in(name: str, request: PageRequest) -> bool:
        return bool(request.delimiter) and name.endswith("/") and name != request.folder


def _entry(path: str) -> Stat:
    return Stat(path, Kind.FOLDER if path.endswith("/") else Kind.FILE, 0, 0, version="etag")


def _listing(pages: ListedPaths) -> Listing:
    return Listing(pages, ObjectPlace("http://store", "bucket"))


def _paths(listing: Listing, after: str = "") -> list[str]:
    return [entry.path for entry in listing.entries(after)]


@pytest.mark.parametrize("order", [by_key, by_tree])
@given(tree=_TREES, page_size=st.integers(1, 5))
def test_every_path_is_listed_once_in_the_order_of_keys(order: _Order, tree: set[str], page_size: int) -> None:
    assert _paths(_listing(ListedPaths(tree, order, page_size))) == sorted(tree)


@pytest.mark.parametrize("order", [by_key, by_tree])
@given(tree=_TREES, after=_PATHS, page_size=st.integers(1, 5))
def test_a_listing_goes_on_after_any_path(order: _Order, tree: set[str], after: str, page_size: int) -> None:
    wanted = sorted(path for path in tree if path > after)
    listing = _listing(ListedPaths(tree, order, page_size))
    assert _paths(listing, after) == wanted
    assert _paths(listing, after) == wanted, "when the order of the store is known"


@pytest.mark.parametrize("order", [by_key, by_tree])
@given(tree=_TREES, data=st.data())
def test_a_listing_that_broke_goes_on_where_it_was(order: _Order, tree: set[str], data: st.DataObject) -> None:
    listing = _listing(ListedPaths(tree, order))
    whole = _paths(listing)
    cut = data.draw(st.integers(0, len(whole)))
    after = whole[cut - 1] if cut else ""
    assert _paths(_listing(ListedPaths(tree, order)), after) == whole[cut:]


def test_a_flat_store_is_never_asked_about_its_order() -> None:
    pages = ListedPaths({"a", "b", "c"}, by_key, 1000)
    assert _paths(_listing(pages)) == ["a", "b", "c"]
    assert pages.asked == [PageRequest()]


def test_the_order_is_asked_once() -> None:
    pages = ListedPaths({"a/b", "c/d"}, by_key, 1000)
    listing = _listing(pages)
    assert _paths(listing) == _paths(listing) == ["a/b", "c/d"]
    assert [request.start_after for request in pages.asked] == ["", "a.\U0010fffd", ""]


def test_a_tree_walker_is_listed_folder_by_folder() -> None:
    pages = ListedPaths({"a-b", "a/b", "a/c"}, by_tree, 1000)
    assert _paths(_listing(pages)) == ["a-b", "a/b", "a/c"]
    assert [request.folder for request in pages.asked if request.delimiter] == ["", "a/"]


def test_folders_before_the_point_to_go_on_from_are_not_entered() -> None:
    pages = ListedPaths({"a/x", "b/x/y", "b/z", "c"}, by_tree, 1000)
    listing = _listing(pages)
    _paths(listing)
    pages.asked.clear()
    assert _paths(listing, "b/x/y") == ["b/z", "c"]
    assert [request.folder for request in pages.asked] == ["", "b/", "b/x/"]


def test_an_order_of_no_kind_raises_instead_of_hiding_a_path() -> None:
    pages = ListedPaths({"a", "b"}, lambda path: ("b",) if path == "a" else ("a",))
    with pytest.raises(BlockferryError) as raised:
        _paths(_listing(pages))
    assert (raised.value.reason, raised.value.coordinates["path"]) == ("LIST_FAILED", "a")


def test_a_page_that_breaks_raises_after_what_came_before() -> None:
    class Breaking(ListedPaths):
        def fetch(self, request: PageRequest) -> tuple[KeyPage, PageRequest | None]:
            if request.token == "4":
                raise BlockferryError("STORE_UNAVAILABLE", "The store failed.", retryable=True)
            return super().fetch(request)

    seen: list[str] = []
    with pytest.raises(BlockferryError):
        for entry in _listing(Breaking(set("abcdef"), by_key, 2)).entries():
            seen.append(entry.path)
    assert seen == ["a", "b", "c", "d"]


def test_an_empty_directory_that_is_no_object_is_no_entry() -> None:
    class Phantoms(ListedPaths):
        def fetch(self, request: PageRequest) -> tuple[KeyPage, PageRequest | None]:
            if request.folder != "gone/":
                return super().fetch(request)
            return KeyPage((Stat("gone/", Kind.FOLDER, 0, 0, version=""),), (), "", False), None

    pages = Phantoms({"a-b", "a/b", "gone/x"}, by_tree, 1000)
    assert _paths(_listing(pages)) == ["a-b", "a/b"]


@given(paths=_TREES, order=st.sampled_from([by_key, by_tree]), data=st.data())
def test_stretches_hold_what_is_listed(paths: set[str], order: _Order, data: st.DataObject) -> None:
    after = data.draw(st.sampled_from(["", *sorted(paths)]))
    stats = [
        stretch.stat_at(index)
        for stretch in _listing(ListedPaths(paths, order)).stretches(after)
        for index in range(len(stretch.paths))
    ]
    assert stats == list(_listing(ListedPaths(paths, order)).entries(after))
