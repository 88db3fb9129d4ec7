"""Listings: every key, byte for byte, once, in the order of keys, over any number of pages and from any point."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stores.base import Kind, QuickLister
from tests.support.stores_under_test import StoreUnderTest

# In key order a folder comes after names that go on with a character below the slash: `a-b`, `a.b`, `a/`, `a/b`, `a0`.
ODD_NAMES = (
    "a-b", "a.b", "a b", "a!", "a/", "a/b", "a/b-c/d", "a/b/", "a/b/c", "a0", ".hidden", ".hidden-folder/.x", " lead",
    "tail ", "p%20q", "%", "%zz", "%2F", "f%2F/%2F", "pl+us", "d+r/f+le", "d r/f le", "semi;colon", "ha#sh", "que?tion",
    "am&p", "eq=ual", "co,mma", "co:lon", "at@", "dol$ar", "star*", "quo\"te", "apo'strophe", "<angle>", "`tick`", "~t",
    "[bracket]", "{brace}", "pi|pe", "ca^ret", "é", "e\u0301", "ß/ß", "日本/語", "emoji😀/x😀", "\ufffd", "\uffee",
    "\U0001f600", "\U000e0041", "x" * 200, "/".join(["y" * 200] * 4), "/".join(f"level{n}" for n in range(30)),
    "Upper", "upper", "-dash", "--", "aws-chunked", "null", "uploads", "uploadId=1",
)  # fmt: skip


def _put_all(tried: StoreUnderTest, paths: list[str], body: bytes = b"x") -> None:
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda path: tried.put(path, b"" if path.endswith("/") else body), paths))


def test_odd_names_come_back_byte_equal_and_in_order(tried: StoreUnderTest) -> None:
    # Not every store holds both: `a/b` would be a file, and a folder as well.
    names = sorted(name for name in ODD_NAMES if name != "a/b")
    _put_all(tried, names)
    assert tried.paths() == names
    if isinstance(tried.store, QuickLister):
        assert [path for stretch in tried.store.list_stretches("") for path in stretch.paths] == names
    for name in names:
        found = tried.store.stat(name)
        assert found is not None and found.path == name


@pytest.mark.parametrize("name", [name for name in ODD_NAMES if not name.endswith("/")])
def test_an_odd_name_is_read_back_and_removed(tried: StoreUnderTest, name: str) -> None:
    tried.put(name, name.encode())
    assert tried.content(name) == name.encode()
    tried.store.delete(name)
    assert tried.store.stat(name) is None
    assert tried.paths() == []


def test_a_listing_goes_on_after_any_path(tried: StoreUnderTest) -> None:
    names = sorted(("a-b", "a-b/c", "a-b.c", "a/", "a/b", "a/b-c", "a/b0", "a/c/d", "a/c-", "a0", "b", "ä/ö"))
    names.remove("a-b")
    _put_all(tried, names)
    for after in (*names, "a", "a-", "a.", "a/b-", "a/c", "a/c/", "a/c/d/e", "a/zzz", "aa", "zzz", "\U0001f600"):
        assert tried.paths(after) == [name for name in names if name > after], after


def test_entries_tell_kind_size_time_and_version(tried: StoreUnderTest) -> None:
    tried.put("folder/")
    tried.put("folder/file", b"12345")
    folder, file = tried.store.list_tree()
    stat = tried.store.stat("folder/file")
    assert stat is not None
    assert (folder.path, folder.kind, folder.size_bytes) == ("folder/", Kind.FOLDER, 0)
    assert (file.path, file.kind, file.size_bytes) == ("folder/file", Kind.FILE, 5)
    assert file.version == stat.version and file.version and '"' not in file.version
    assert abs(file.mtime_ms - stat.mtime_ms) < 1000, "a HEAD tells seconds"


def test_a_listing_of_nothing_is_empty(tried: StoreUnderTest) -> None:
    assert tried.paths() == []


def test_three_pages(tried: StoreUnderTest) -> None:
    names = sorted(f"{'a' if number % 3 else 'a-b'}/{number:04d}" for number in range(2_100))
    _put_all(tried, names)
    assert tried.paths() == names
    assert tried.paths(names[1_500]) == names[1_501:]


def test_one_folder_of_more_than_a_page_beside_one_that_begins_like_it(tried: StoreUnderTest) -> None:
    names = sorted([f"a/{number:04d}" for number in range(1_050)] + ["a-b", "a.b/c", "a!", "a0"])
    _put_all(tried, names)
    assert tried.paths() == names
    assert tried.paths("a.b") == [name for name in names if name > "a.b"]


def test_a_listing_that_is_given_up_ends(tried: StoreUnderTest) -> None:
    _put_all(tried, [f"{number:04d}" for number in range(1_100)])
    listing = tried.store.list_tree()
    assert next(listing).path == "0000"
    del listing
    assert len(tried.paths()) == 1_100


_NAMES = st.text(st.sampled_from("ab-./ 0%+é"), min_size=1, max_size=6).filter(
    lambda path: all(segment not in ("", ".", "..") for segment in path.split("/"))
)


def _without_clashes(paths: set[str]) -> set[str]:
    """Drops files that are folders of other paths: not every store holds both."""
    folders = {path[:end] for path in paths for end, letter in enumerate(path) if letter == "/"}
    return paths - folders


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(paths=st.sets(_NAMES, min_size=1, max_size=12).map(_without_clashes), after=_NAMES)
def test_any_tree_is_listed_as_its_sorted_paths(tried: StoreUnderTest, paths: set[str], after: str) -> None:
    for path in tried.paths():
        tried.store.delete(path)
    for path in paths:
        tried.put(path, b"x")
    assert tried.paths() == sorted(paths)
    assert tried.paths(after) == sorted(path for path in paths if path > after)


def test_a_folder_is_listed_alone_from_any_name(tried: StoreUnderTest) -> None:
    names = [f"f/{number:02}" for number in range(20)]
    _put_all(tried, [*names, "f/0/below", "f-2", "f0", "e", "g/x"])
    for after in ("f/", "f/07", "f/075", "f/19", "f/zzz"):
        found = [stat for page in tried.store.list_folder("f/", after) for stat in page]
        files = [stat for stat in found if stat.kind is Kind.FILE and stat.path in names]
        assert sorted(stat.path for stat in files) == [name for name in names if name > after], after
        assert {stat.path for stat in found} <= {*names, "f/", "f/0/"}
    root = [stat.path for page in tried.store.list_folder("", "e") for stat in page if stat.kind is Kind.FILE]
    assert sorted(root) == ["f-2", "f0"]
    listed = next(stat for page in tried.store.list_folder("f/", "f/06") for stat in page if stat.path == "f/07")
    stat = tried.store.stat("f/07")
    assert stat is not None and (listed.version, listed.size_bytes) == (stat.version, stat.size_bytes)


def test_a_folder_of_several_pages_is_listed_whole(tried: StoreUnderTest) -> None:
    names = [f"f/{number:04}" for number in range(1100)]
    _put_all(tried, names)
    pages = tuple(tried.store.list_folder("f/", "f/0000"))
    assert [stat.path for page in pages for stat in page if stat.path != "f/"] == names[1:]
    assert len(pages) > 1
