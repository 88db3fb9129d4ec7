"""HdfsSource against a real NameNode: the tree in key order with its attributes, and clear words for bad input."""

import socket
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest

from blockferry.errors import BlockferryError, Whose
from stores.base import Check, Condition, Kind, Stat, source_row
from stores.hdfs.source import HdfsSource
from stores.location import HdfsLocation
from stores.opening import open_source
from tests.support.content import content
from tests.support.hdfs import HdfsCluster
from tests.support.ports import free_ports
from tests.support.tree import FileSpec, folder

ODD_NAMES = (
    "a-b", "a.txt", "a/b", "a/b-c", "a/b/deep", "a0", ".hidden", "_tmp", "per%20cent", "plus+", "semi;colon", "hash#",
    "question?", "ampersand&", "it's", 'double"quote', "with space", " lead", "trail ", "tab\there", "é", "日本", "日-",
    "日本語/x", "emoji 😀", "zß", "back\\slash", "x" * 200, "é" * 100,
)  # fmt: skip
DEEP = "/".join(f"level{depth}" for depth in range(30)) + "/leaf"
MANY = 2500


def source(hdfs: HdfsCluster, root: str, user: str = "") -> HdfsSource:
    return HdfsSource(HdfsLocation((hdfs.namenode,), root, user))


def paths(hdfs: HdfsCluster, root: str, after: str = "") -> list[str]:
    with closing(source(hdfs, root)) as store:
        return [stat.path for stat in store.list_tree(after)]


def with_folders(files: list[str]) -> list[str]:
    folders = {path[: at + 1] for path in files for at, letter in enumerate(path) if letter == "/"}
    return sorted(folders | set(files))


@pytest.fixture(scope="module")
def tree(hdfs: HdfsCluster) -> Iterator[str]:
    """A folder with odd names, a deep one, and one with more entries than a page."""
    root = "/listing tree"
    many = [f"many/{name}" for name in many_names()]
    # b is a folder and so cannot be a file: the one with the children stays
    files = [name for name in (*ODD_NAMES, DEEP, *many) if name != "a/b"]
    hdfs.make([FileSpec(f"{root}/{name}") for name in files] + [folder(f"{root}/nothing here")])
    yield root


def many_names() -> list[str]:
    """Names of which every kind crosses a page's end; the NameNode's order of them is not ours."""
    return [f"{('part-', 'é', '日本-', 'ä/')[number % 4]}{number:05d}" for number in range(MANY)]


def expected() -> list[str]:
    files = [name for name in (*ODD_NAMES, DEEP) if name != "a/b"] + [f"many/{name}" for name in many_names()]
    return sorted({*with_folders(files), "nothing here/"})


def test_a_tree_comes_in_key_order_with_every_name(hdfs: HdfsCluster, tree: str) -> None:
    assert paths(hdfs, tree) == expected()


@pytest.mark.parametrize(
    "after", ["a/", "a/b/", "a-b", "many/", "many/part-00500", "many/ä/00003", "many/日本-01002", "z"]
)
def test_a_listing_goes_on_after_a_path(hdfs: HdfsCluster, tree: str, after: str) -> None:
    assert paths(hdfs, tree, after) == [path for path in expected() if path > after]


def test_a_folder_is_listed_alone_in_pages(hdfs: HdfsCluster, tree: str) -> None:
    with closing(source(hdfs, tree)) as store:
        pages = tuple(store.list_folder("many/", ""))
        assert len(pages) > 1
        inside = {f"many/{name}" for name in many_names() if "/" not in name} | {"many/ä/"}
        assert {stat.path for page in pages for stat in page} == inside
        after = pages[0][-1].path
        assert tuple(store.list_folder("many/", after)) == pages[1:]
        with pytest.raises(BlockferryError) as caught:
            tuple(store.list_folder("no such folder/", ""))
        assert caught.value.reason == "LIST_FAILED"


def test_attributes_are_those_of_the_namenode(hdfs: HdfsCluster, folder_name: str) -> None:
    hdfs.make(
        [
            FileSpec(f"{folder_name}/f", 3, owner="alice", group="staff", mode=0o1640, mtime_ms=1_600_000_000_123),
            folder(f"{folder_name}/d", owner="bob", group="team", mode=0o1777, mtime_ms=1_500_000_000_000),
        ]
    )
    with closing(source(hdfs, folder_name)) as store:
        inside, file = store.list_tree()
    assert (inside.path, inside.kind, inside.size_bytes, inside.version) == ("d/", Kind.FOLDER, 0, "")
    assert inside.attributes is not None
    assert (inside.attributes.owner, inside.attributes.group, inside.attributes.permissions) == ("bob", "team", 0o1777)
    assert (file.path, file.kind, file.size_bytes, file.mtime_ms) == ("f", Kind.FILE, 3, 1_600_000_000_123)
    assert file.attributes is not None
    assert (file.attributes.owner, file.attributes.permissions) == ("alice", 0o1640)
    assert file.attributes.mtime_ms == file.mtime_ms
    assert file.attributes.atime_ms > 1_700_000_000_000


def test_stat_says_what_the_listing_says(hdfs: HdfsCluster, folder_name: str) -> None:
    sizes = (0, 1, 1 << 20, (3 << 20) + 17)
    hdfs.make([FileSpec(f"{folder_name}/d/{size}", size) for size in sizes])
    with closing(source(hdfs, folder_name)) as store:
        for listed in store.list_tree():
            asked = store.stat(listed.path)
            assert asked is not None
            assert without_layout(asked) == without_layout(listed)
        assert store.stat("nothing") is None
        assert store.stat("d") is None
        assert store.stat("d/1/") is None
        assert store.stat("d/1/x") is None


def without_layout(stat: Stat) -> tuple[object, ...]:
    """Replicas come in any order, and only getBlockLocations may give tokens."""
    return (stat.path, stat.kind, stat.size_bytes, stat.mtime_ms, stat.attributes, stat.version, stat.condition)


def test_the_version_changes_with_the_content_only(hdfs: HdfsCluster, folder_name: str) -> None:
    hdfs.make([FileSpec(f"{folder_name}/f", 700_000)])
    with closing(source(hdfs, folder_name)) as store:
        first = store.stat("f")
        hdfs.shell("-chmod", "600", f"{folder_name}/f")
        renamed = store.stat("f")
        hdfs.shell("-appendToFile", str(hdfs.conf_folder / "core-site.xml"), f"{folder_name}/f")
        appended = store.stat("f")
        hdfs.shell("-truncate", "-w", "700000", f"{folder_name}/f")
        cut = store.stat("f")
    assert first and renamed and appended and cut
    assert first.version == renamed.version
    assert cut.size_bytes == first.size_bytes
    assert len({first.version, appended.version, cut.version}) == 3


def test_a_file_that_is_written_is_open_with_its_known_length(hdfs: HdfsCluster, folder_name: str) -> None:
    size = (1 << 20) + 5000
    held = hdfs.hold_open(f"{folder_name}/open", size, 7)
    try:
        with closing(source(hdfs, folder_name)) as store:
            (listed,) = store.list_tree()
            asked = store.stat("open")
            assert listed.condition is Condition.OPEN
            assert listed.size_bytes == size  # its writer told the NameNode (hsync with UPDATE_LENGTH)
            assert asked and without_layout(asked) == without_layout(listed)
            assert sum(extent.size for extent in store.extents(listed)) == size
            view = memoryview(bytearray(size))
            assert store.read_into(listed, 0, view, store.claimed_algorithm(listed)).proven
            assert view == content(7, size)
    finally:
        held.close()
    with closing(source(hdfs, folder_name)) as store:
        (closed,) = store.list_tree()
    assert (closed.condition, closed.size_bytes) == (Condition.PLAIN, size)
    assert closed.version != listed.version


def test_a_root_that_is_one_file_is_one_entry(hdfs: HdfsCluster, folder_name: str) -> None:
    hdfs.make([FileSpec(f"{folder_name}/data.bin", 5000, 3)])
    with closing(source(hdfs, f"{folder_name}/data.bin")) as store:
        (only,) = store.list_tree()
        asked = store.stat("data.bin")
        assert (only.path, only.size_bytes) == ("data.bin", 5000)
        assert asked and without_layout(asked) == without_layout(only)
        assert list(store.list_tree("data.bin")) == []
        view = memoryview(bytearray(5000))
        assert store.read_into(asked, 0, view, store.claimed_algorithm(asked)).proven


def test_a_missing_root_is_named_with_the_cure(hdfs: HdfsCluster) -> None:
    with closing(source(hdfs, "/no/such folder")) as store, pytest.raises(BlockferryError) as error:
        next(store.list_tree())
    assert (error.value.reason, error.value.whose, error.value.retryable) == ("NOT_FOUND", Whose.CALLER, False)
    assert error.value.coordinates["path"] == "/no/such folder"
    assert "Check the path" in error.value.message


def test_no_permission_for_the_root_or_one_folder_fails_the_listing(hdfs: HdfsCluster, folder_name: str) -> None:
    hdfs.make([FileSpec(f"{folder_name}/a"), folder(f"{folder_name}/secret", mode=0o700), FileSpec(f"{folder_name}/z")])
    with closing(source(hdfs, folder_name, "bob")) as store:
        seen: list[str] = []
        with pytest.raises(BlockferryError) as error:
            seen.extend(stat.path for stat in store.list_tree())
    assert (error.value.reason, error.value.whose) == ("ACCESS_DENIED", Whose.CALLER)
    assert error.value.coordinates["path"] == f"{folder_name}/secret"
    assert "bob" in error.value.message
    with closing(source(hdfs, f"{folder_name}/secret", "bob")) as store, pytest.raises(BlockferryError) as error:
        list(store.list_tree())
    assert error.value.reason == "ACCESS_DENIED"


def test_a_folder_that_vanishes_during_the_listing_is_not_empty(hdfs: HdfsCluster, folder_name: str) -> None:
    # More folders than are announced ahead, and the one that is deleted is the last.
    hdfs.make([FileSpec(f"{folder_name}/d{number:03d}/f") for number in range(200)])
    with closing(source(hdfs, folder_name)) as store:
        listing = store.list_tree()
        assert next(listing).path == "d000/"
        hdfs.shell("-rm", "-r", "-skipTrash", f"{folder_name}/d199")
        with pytest.raises(BlockferryError) as error:
            list(listing)
    assert error.value.reason == "LIST_FAILED"
    assert error.value.coordinates["path"] == f"{folder_name}/d199"
    assert "Run again" in error.value.message


def test_a_namenode_that_is_down_is_named_and_can_be_tried_again() -> None:
    (port,) = free_ports(1)
    with closing(HdfsSource(HdfsLocation((f"127.0.0.1:{port}",), "/"))) as store:
        with pytest.raises(BlockferryError) as error:
            next(store.list_tree())
        assert (error.value.reason, error.value.retryable) == ("NAMENODE_UNAVAILABLE", True)
        assert f"127.0.0.1:{port}" in error.value.message
        assert failed_steps(store.checks(write=False)) == {"namenode": "NAMENODE_UNAVAILABLE"}


def test_the_namenode_that_answers_is_found_among_several(hdfs: HdfsCluster) -> None:
    (port,) = free_ports(1)
    location = HdfsLocation((f"127.0.0.1:{port}", hdfs.namenode), "/")
    with closing(open_source(location)) as store:
        assert store.stat("nothing") is None
        assert failed_steps(store.checks(write=False)) == {f"namenode 127.0.0.1:{port}": "NAMENODE_UNAVAILABLE"}


def test_an_unknown_host_is_the_callers() -> None:
    with closing(HdfsSource(HdfsLocation(("no-such-host.invalid:8020",), "/"))) as store:
        with pytest.raises(BlockferryError) as error:
            store.stat("x")
        if isinstance(error.value.__cause__, socket.gaierror) and error.value.__cause__.errno == socket.EAI_AGAIN:
            assert error.value.reason == "NAMENODE_UNAVAILABLE"  # no name service here
        else:
            assert (error.value.reason, error.value.whose) == ("HOST_UNKNOWN", Whose.CALLER)
        assert failed_steps(store.checks(write=False))["resolve"] == "HOST_UNKNOWN"


def test_a_port_of_another_service_is_told(hdfs: HdfsCluster) -> None:
    address = f"127.0.0.1:{hdfs.plan.namenode.http}"
    with (
        closing(HdfsSource(HdfsLocation((address,), "/"), timeout_s=10)) as store,
        pytest.raises(BlockferryError) as error,
    ):
        store.stat("x")
    assert error.value.reason in {"NAMENODE_INCOMPATIBLE", "NAMENODE_UNAVAILABLE"}
    assert address in error.value.message


def test_all_steps_of_a_good_location_pass(hdfs: HdfsCluster) -> None:
    with closing(source(hdfs, "/")) as store:
        checks = store.checks(write=True)
        assert not failed_steps(checks)
        assert [check.step for check in checks[:4]] == ["resolve", "namenode", "root", "list"]
        assert [check.step for check in checks if check.step.startswith("datanode ")] == [
            check.step for check in checks[4 : 4 + len(hdfs.datanodes)]
        ]
        assert checks[4 + len(hdfs.datanodes)].step == "read"
        assert store.probe_claims().trusted


def test_the_step_that_fails_says_why(hdfs: HdfsCluster, folder_name: str) -> None:
    hdfs.make([folder(folder_name, mode=0o700)])
    with closing(source(hdfs, "/nowhere at all")) as store:
        assert failed_steps(store.checks(write=False)) == {"root": "NOT_FOUND"}
    with closing(source(hdfs, folder_name, "bob")) as store:
        assert failed_steps(store.checks(write=False)) == {"list": "ACCESS_DENIED"}


def failed_steps(checks: tuple[Check, ...]) -> dict[str, str]:
    assert all(check.passed or (check.reason and check.message) for check in checks)
    return {check.step: check.reason for check in checks if not check.passed}


def test_connections_that_the_namenode_closed_are_replaced(hdfs: HdfsCluster) -> None:
    with closing(source(hdfs, "/")) as store:
        store.stat("x")
        for connection in store._namenode._pools[0]._idle:
            connection._socket.shutdown(socket.SHUT_RDWR)
        assert store.stat("x") is None


def test_stretches_hold_what_is_listed(hdfs: HdfsCluster, tree: str) -> None:
    with closing(source(hdfs, tree)) as store:
        for after in ("", "a/b/", "many/part-01000", "zz"):
            wanted = [replace(stat, layout=b"") for stat in store.list_tree(after)]
            rows = [row for stretch in store.list_stretches(after) for row in stretch.rows]
            assert rows == [source_row(stat) for stat in wanted]
    with closing(source(hdfs, f"{tree}/a.txt")) as store:
        assert [stretch.paths for stretch in store.list_stretches("")] == [("a.txt",)]
        assert list(store.list_stretches("a.txt")) == []
    with closing(source(hdfs, "/nowhere")) as store, pytest.raises(BlockferryError) as caught:
        list(store.list_stretches(""))
    assert caught.value.reason == "NOT_FOUND"
