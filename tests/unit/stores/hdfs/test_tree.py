"""Properties of the key order: whatever the names and the page size, walk gives what sorted() gives."""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from blockferry.errors import BlockferryError
from stores.base import Kind, Stat
from stores.hdfs.names import Page, in_name_order
from stores.hdfs.tree import walk


def signed(name: bytes) -> tuple[int, ...]:
    """Java's order of bytes."""
    return tuple(byte - 256 if byte > 127 else byte for byte in name)


@dataclass
class PagedTree:
    """A tree as a NameNode pages it: names in the signed order of their bytes, at most `page_size` at a time."""

    paths: tuple[str, ...]
    page_size: int
    ahead_count: int = 3
    listed: list[tuple[str, bytes]] = field(default_factory=list)
    announced: set[str] = field(default_factory=set)
    missing: str = "?"

    def page(self, folder: str, start_after: bytes) -> Page[Stat]:
        self.listed.append((folder, start_after))
        self.announced.discard(folder)
        if folder == self.missing:
            raise BlockferryError("LIST_FAILED", "gone", path=folder)
        inside = [path for path in self.paths if path.startswith(folder) and path != folder]
        children = {path[len(folder) :].split("/")[0]: path for path in inside}
        folders = {path[len(folder) :].split("/")[0] for path in inside if "/" in path[len(folder) :]}
        names = sorted(children, key=lambda name: signed(name.encode()))
        begin = bisect_right([signed(name.encode()) for name in names], signed(start_after)) if start_after else 0
        chosen = names[begin : begin + self.page_size]
        return Page([stat(folder + name, name in folders) for name in chosen], begin + len(chosen) < len(names))

    def announce(self, folder: str) -> bool:
        if len(self.announced) >= self.ahead_count:
            return False
        assert folder not in self.announced
        self.announced.add(folder)
        return True


def stat(path: str, is_folder: bool) -> Stat:
    return Stat(path + "/", Kind.FOLDER, 0, 1) if is_folder else Stat(path, Kind.FILE, 7, 1)


def tree_of(leaves: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    """Returns all paths, where a name is a file or a folder, never both: folders win."""
    folders = {"/".join(leaf[:depth]) + "/" for leaf in leaves for depth in range(1, len(leaf))}
    files = {"/".join(leaf) for leaf in leaves}
    return tuple(sorted(folders | {path for path in files if path + "/" not in folders}))


# Characters around the slash, and of one to four bytes.
NAMES = st.text(alphabet="a b!-.0~\x7f\x80éߟ日本\uffff😀", min_size=1, max_size=5).filter(
    lambda name: name not in {".", ".."}
)
TREES = st.lists(st.lists(NAMES, min_size=1, max_size=4).map(tuple), max_size=40).map(tree_of)


@given(TREES, st.integers(1, 7))
@example(("a-b", "a-b.c", "a.txt", "a/", "a/b", "a/b-", "b"), 1)
@example(("1é", "2é", "2日", "2日-", "2日本", "3"), 2)
@settings(max_examples=120, deadline=None)
def test_a_tree_comes_in_key_order(paths: tuple[str, ...], page_size: int) -> None:
    tree = PagedTree(paths, page_size)
    assert [entry.path for entry in walk(tree)] == list(paths)
    assert not tree.announced
    assert sorted(set(path for path, _ in tree.listed)) == sorted({"", *(p for p in paths if p.endswith("/"))})


@given(TREES, st.integers(1, 7), st.data())
@settings(max_examples=120, deadline=None)
def test_after_gives_the_rest_and_lists_no_folder_before_it(
    paths: tuple[str, ...], page_size: int, data: st.DataObject
) -> None:
    after = data.draw(st.sampled_from(paths) if paths else st.just("x"))
    tree = PagedTree(paths, page_size)
    assert [entry.path for entry in walk(tree, after)] == [path for path in paths if path > after]
    assert all(folder > after or after.startswith(folder) for folder, _ in tree.listed)


@given(st.lists(NAMES, unique=True, max_size=60), st.integers(1, 5))
@settings(max_examples=100, deadline=None)
def test_chunks_of_names_follow_each_other(names: list[str], page_size: int) -> None:
    tree = PagedTree(tuple(names), page_size)
    seen: list[str] = []
    ended = False
    for chunk in in_name_order("", lambda start_after: tree.page("", start_after)):
        assert ended is False
        assert 1 <= len(chunk.stats) <= page_size
        assert not seen or min(entry.path for entry in chunk.stats) > max(seen)
        seen += [entry.path for entry in chunk.stats]
        ended = not chunk.has_more
    assert sorted(names) == sorted(seen)


def test_ascii_names_are_paged_once() -> None:
    tree = PagedTree(tuple(f"part-{number:05d}" for number in range(1000)), 100)
    assert len(list(walk(tree))) == 1000
    assert len(tree.listed) == 10


def test_names_of_other_scripts_cost_few_pages_more() -> None:
    names = tuple(sorted([f"日本-{number:05d}" for number in range(1000)] + [f"é{number}" for number in range(500)]))
    tree = PagedTree(names, 100)
    assert [entry.path for entry in walk(tree)] == list(names)
    assert len(tree.listed) < 40


def test_a_page_that_fails_raises_at_its_place_and_is_never_empty() -> None:
    tree = PagedTree(("a", "b/", "b/x", "c"), 10, missing="b/")
    listing = walk(tree)
    assert [next(listing).path, next(listing).path] == ["a", "b/"]
    with pytest.raises(BlockferryError) as error:
        next(listing)
    assert error.value.coordinates["path"] == "b/"


def test_next_folders_are_announced_nearest_first() -> None:
    tree = PagedTree(("a/", "a/1/", "a/1/x", "a/2/", "a/2/x", "b/", "b/x", "c/", "d/"), 10, ahead_count=3)
    listing = walk(tree)
    assert [next(listing).path, tree.announced] == ["a/", {"a/", "b/", "c/"}]
    assert [next(listing).path, tree.announced] == ["a/1/", {"a/1/", "b/", "c/"}]
    assert [next(listing).path, tree.announced] == ["a/1/x", {"a/2/", "b/", "c/"}]


def test_an_empty_tree_is_listed_once() -> None:
    tree = PagedTree((), 10)
    assert list(walk(tree)) == []
    assert tree.listed == [("", b"")]
