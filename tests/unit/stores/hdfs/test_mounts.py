"""ViewFS mount tables: where a path leads, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blockferry.errors import BlockferryError
from stores.hdfs.config.mounts import Target, table_names, target_of
from tests.unit.stores.hdfs.sites import site

TABLE = {
    "fs.viewfs.mounttable.all.link./data": "hdfs://ns1/warehouse/",
    "fs.viewfs.mounttable.all.link./data/raw": "hdfs://ns2/in",
    "fs.viewfs.mounttable.all.link./user/a.b": "hdfs://nn.example:9000/home/a%20b",
    "fs.viewfs.mounttable.all.link./user/cloud": "s3a://bucket/x",
    "fs.viewfs.mounttable.all.homedir": "/user",
    "fs.viewfs.mounttable.other.link./x": "hdfs://ns9/x",
    "fs.viewfs.mounttable.all.more.link./y": "hdfs://ns9/y",
}


def refusal(table: dict[str, str], path: str, name: str = "all") -> BlockferryError:
    with pytest.raises(BlockferryError) as error:
        target_of(site(table), name, path)
    return error.value


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/data/x", Target("ns1", "/warehouse/x")),
        ("/data/x/", Target("ns1", "/warehouse/x")),
        ("/data/x/y", Target("ns1", "/warehouse/x/y")),
        ("/data/rawer", Target("ns1", "/warehouse/rawer")),
        ("/data/raw", Target("ns2", "/in")),
        ("/data/raw/1", Target("ns2", "/in/1")),
        ("/user/a.b/c", Target("nn.example:9000", "/home/a b/c")),
    ],
)
def test_the_longest_mount_leads_the_way(path: str, target: Target) -> None:
    assert target_of(site(TABLE), "all", path) == target


@pytest.mark.parametrize(
    ("path", "below"), [("/", "/data, /user/a.b, /user/cloud"), ("/user", "/user/a.b, /user/cloud")]
)
def test_a_folder_above_mounts_is_refused_with_their_names(path: str, below: str) -> None:
    table = {key: value for key, value in TABLE.items() if "raw" not in key}
    error = refusal(table, path)
    assert error.reason == "MOUNT_ABOVE_SEVERAL"
    assert below in error.message
    assert error.coordinates["path"] == path


def test_a_mount_with_another_one_inside_is_refused() -> None:
    error = refusal(TABLE, "/data")
    assert error.reason == "MOUNT_ABOVE_SEVERAL"
    assert error.coordinates["mounts"] == "/data/raw"


def test_a_folder_above_mounts_is_refused_also_where_a_fallback_holds_the_rest() -> None:
    table = {**TABLE, "fs.viewfs.mounttable.all.linkFallback": "hdfs://ns3/rest"}
    assert refusal(table, "/user").reason == "MOUNT_ABOVE_SEVERAL"
    assert target_of(site(table), "all", "/logs/x") == Target("ns3", "/rest/logs/x")


def test_a_path_below_no_mount_is_not_found() -> None:
    error = refusal(TABLE, "/datum")
    assert error.reason == "NOT_FOUND"
    assert "/data/raw" in error.message


def test_a_table_of_one_link_for_everything() -> None:
    table = {"fs.viewfs.mounttable.all.linkMergeSlash": "hdfs://ns1/"}
    assert target_of(site(table), "all", "/") == Target("ns1", "")
    assert target_of(site(table), "all", "/a/b") == Target("ns1", "/a/b")


@pytest.mark.parametrize("kind", ["linkRegex.replaceresolveddstpath:_:-#.^/a", "linkNfly./a", "linkMerge./a"])
def test_links_without_one_target_are_refused_with_their_place(kind: str) -> None:
    key = f"fs.viewfs.mounttable.all.{kind}"
    error = refusal({**TABLE, key: "hdfs://ns1/a"}, "/data")
    assert error.reason == "MOUNT_UNSUPPORTED"
    assert key in error.message
    assert error.coordinates["file"] == f"hdfs-site.xml:{len(TABLE) + 1}"


def test_a_mount_of_another_store_is_refused_with_its_address() -> None:
    error = refusal(TABLE, "/user/cloud/x")
    assert error.reason == "MOUNT_UNSUPPORTED"
    assert "s3a://bucket/x" in error.message


def test_tables_have_names() -> None:
    assert table_names(site(TABLE)) == ("all", "all.more", "other")


PATHS = st.lists(st.text("ab", min_size=1, max_size=2), min_size=1, max_size=4).map(lambda parts: "/" + "/".join(parts))


@given(st.dictionaries(PATHS, st.integers(0, 9), min_size=1, max_size=6), PATHS)
def test_every_path_leads_to_its_longest_mount_or_is_refused(links: dict[str, int], path: str) -> None:
    table = {f"fs.viewfs.mounttable.t.link.{mount}": f"hdfs://ns{number}/t" for mount, number in links.items()}
    parts = path.split("/")
    above = ["/".join(parts[:count]) for count in range(len(parts), 1, -1)]
    mount = next((each for each in above if each in links), None)
    below = any(each.startswith(path + "/") for each in links)
    if mount is not None and not below:
        assert target_of(site(table), "t", path) == Target(f"ns{links[mount]}", "/t" + path[len(mount) :])
    else:
        assert refusal(table, path, "t").reason == ("MOUNT_ABOVE_SEVERAL" if below else "NOT_FOUND")
