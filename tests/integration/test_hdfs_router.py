"""A real router before a nameservice: it is a NameNode to us, with mounts. It restarts and loses its NameNodes."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from blockferry.errors import BlockferryError
from stores.hdfs.source import HdfsSource
from stores.hdfs.wire.hdfs_pb2 import LocatedBlocksProto
from stores.location import HdfsLocation
from tests.support.content import content
from tests.support.hdfs import HdfsCluster
from tests.support.processes import wait_for
from tests.support.tree import FileSpec

MOUNT = "/federation/mounted"  # /federation exists in no NameNode
FILES = {f"{folder}/{file:02}": 10 * folder + file for folder in range(80) for file in range(5)}
KEYS = sorted([*FILES, *(f"{folder}/" for folder in range(80))])


@pytest.fixture(scope="module")
def tree(ha_hdfs: HdfsCluster) -> str:
    """Returns the folder that is mounted at MOUNT."""
    root = "/routed"
    ha_hdfs.make(FileSpec(f"{root}/{path}", size=size, seed=size) for path, size in FILES.items())
    ha_hdfs.mount(MOUNT, root)
    with closing(opened(ha_hdfs, MOUNT)) as store:
        wait_for("the mount", lambda: store._namenode.get_file_info(MOUNT) is not None)
    return root


@pytest.fixture
def restored(ha_hdfs: HdfsCluster) -> Iterator[HdfsCluster]:
    try:
        yield ha_hdfs
    finally:
        ha_hdfs.restore()


def opened(cluster: HdfsCluster, root: str) -> HdfsSource:
    return HdfsSource(HdfsLocation((cluster.router,), root))


def keys(store: HdfsSource) -> list[str]:
    return [stat.path for stat in store.list_tree()]


def known_keys(store: HdfsSource) -> list[str]:
    """Returns what is listed, nothing where the router has not heard of a mount yet."""
    try:
        return keys(store)
    except BlockferryError as error:
        if error.reason != "NOT_FOUND":
            raise
        return []


def test_a_mount_is_listed_and_read_like_any_folder(ha_hdfs: HdfsCluster, tree: str) -> None:
    with closing(opened(ha_hdfs, MOUNT)) as store:
        found = list(store.list_tree())
        assert [stat.path for stat in found] == KEYS
        file = next(stat for stat in found if stat.path == "79/04")
        body = bytearray(file.size_bytes)
        store.read_into(file, 0, memoryview(body), None)
        assert bytes(body) == content(FILES["79/04"], FILES["79/04"])
    with closing(opened(ha_hdfs, tree)) as store:  # the default nameservice, without a mount
        assert keys(store) == KEYS


def test_a_folder_of_nothing_but_mounts_is_listed_with_what_is_in_them(ha_hdfs: HdfsCluster, tree: str) -> None:
    with closing(opened(ha_hdfs, "/federation")) as store:
        assert keys(store) == ["mounted/", *(f"mounted/{key}" for key in KEYS)]
        assert store.stat("mounted/") is not None
    with closing(opened(ha_hdfs, "/")) as store:
        assert store.stat("federation/") is not None
        assert store.stat("federation/mounted/1/01") is not None
        assert store.stat("no-such-folder/") is None


def test_two_namespaces_are_one_tree_with_blocks_of_two_pools(ha_hdfs: HdfsCluster, hdfs: HdfsCluster) -> None:
    _add_namespace(ha_hdfs, hdfs)
    size = (1 << 20) + 7  # two blocks
    for number, cluster in enumerate((ha_hdfs, hdfs)):
        cluster.make([FileSpec(f"/pools/{number}/f", size=size, seed=number)])
    _add_mount(ha_hdfs, "/both/first", "ns1", "/pools/0")
    _add_mount(ha_hdfs, "/both/second", "ns2", "/pools/1")
    with closing(opened(ha_hdfs, "/both")) as store:
        wait_for("both mounts", lambda: known_keys(store) == ["first/", "first/f", "second/", "second/f"])
        pools: set[str] = set()
        for number, file in enumerate(stat for stat in store.list_tree() if stat.size_bytes):
            pools.update(block.b.poolId for block in LocatedBlocksProto.FromString(file.layout).blocks)
            body = bytearray(size)
            store.read_into(file, 0, memoryview(body), None)
            assert bytes(body) == content(number, size)
        assert len(pools) == 2


def _add_namespace(router: HdfsCluster, other: HdfsCluster) -> None:
    """Has the router know the NameNode of another cluster as nameservice ns2."""
    site = router.plan.folder / "router" / "conf" / "hdfs-site.xml"
    settings = {
        "dfs.nameservices": "ns1,ns2",
        "dfs.namenode.rpc-address.ns2": other.namenode,
        "dfs.federation.router.monitor.namenode": "ns1.nn1,ns1.nn2,ns1.nn3,ns2",
    }
    more = "".join(f"<property><name>{key}</name><value>{value}</value></property>" for key, value in settings.items())
    site.write_text(site.read_text().replace("</configuration>", f"{more}</configuration>"))
    router.kill("router")
    router.start_daemon("router")
    router.wait_router()


def _add_mount(router: HdfsCluster, path: str, nameservice: str, target: str) -> None:
    router.java("org.apache.hadoop.hdfs.tools.federation.RouterAdmin", "-add", path, nameservice, target)


def test_what_a_router_does_not_know_is_not_found(ha_hdfs: HdfsCluster, tree: str) -> None:
    with closing(opened(ha_hdfs, f"{MOUNT}/no-such")) as store, pytest.raises(BlockferryError) as error:
        keys(store)
    assert error.value.reason == "NOT_FOUND"


def test_a_listing_outlives_the_router_and_the_namenodes_behind_it(restored: HdfsCluster, tree: str) -> None:
    """A router without NameNodes says ConnectException at first, then RetriableException."""
    with closing(opened(restored, MOUNT)) as store, ThreadPoolExecutor(1) as threads:
        listing = store.list_tree()
        found = [next(listing).path]
        for name in restored.namenodes:
            restored.kill(name)
        with pytest.raises(BlockferryError) as error:
            store._namenode.impatient().listing_frame(MOUNT, b"")
        assert error.value.reason in ("NAMENODE_UNAVAILABLE", "NAMENODE_BUSY")
        assert error.value.retryable
        rest = threads.submit(list, listing)
        restored.kill("router")
        for name in (*restored.namenodes, "router"):
            restored.start_daemon(name)
        restored.wait_ready()
        restored.fail_over("namenode")
        assert [*found, *(stat.path for stat in rest.result())] == KEYS
