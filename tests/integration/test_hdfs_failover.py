"""A real nameservice that fails over while it is listed and read: nothing is lost, nothing comes twice.

Three NameNodes (active, standby, observer) and two DataNodes. A test that kills or fails over restores in the end.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from blockferry.errors import BlockferryError
from stores.base import Stat
from stores.hdfs.source import HdfsSource
from stores.location import HdfsLocation
from tests.support.content import content
from tests.support.hdfs import HdfsCluster
from tests.support.processes import wait_for
from tests.support.tree import FileSpec

FOLDERS, FILES = 120, 20
ROOT = "/failover"
TREE = tuple(FileSpec(f"{ROOT}/{folder:03}/{file:02}") for folder in range(FOLDERS) for file in range(FILES))
KEYS = sorted([spec.path.removeprefix(f"{ROOT}/") for spec in TREE] + [f"{folder:03}/" for folder in range(FOLDERS)])
BIG = FileSpec(f"{ROOT}-big/f", size=3 * (1 << 20) + 12_345, seed=5)


@pytest.fixture(scope="module")
def cluster(ha_hdfs: HdfsCluster) -> HdfsCluster:
    ha_hdfs.make((*TREE, BIG))
    return ha_hdfs


@pytest.fixture
def restored(cluster: HdfsCluster) -> Iterator[HdfsCluster]:
    try:
        yield cluster
    finally:
        cluster.restore()


def source(cluster: HdfsCluster, root: str = ROOT, timeout_s: float | None = None) -> HdfsSource:
    return HdfsSource(HdfsLocation((), root, nameservice="ns1", conf_dir=str(cluster.conf_folder)), timeout_s)


def as_hosts(cluster: HdfsCluster, root: str = ROOT) -> HdfsSource:
    return HdfsSource(HdfsLocation(tuple(cluster.namenode_address(name) for name in cluster.namenodes), root))


def listed(store: HdfsSource, strike: Callable[[], None], at: int = 30) -> list[str]:
    """Lists the tree and strikes after so many entries: most of the folders are not asked for yet."""
    keys = []
    for stat in store.list_tree():
        keys.append(stat.path)
        if len(keys) == at:
            strike()
    return keys


def read(store: HdfsSource, file: Stat) -> bytes:
    body = bytearray(file.size_bytes)
    store.read_into(file, 0, memoryview(body), None)
    return bytes(body)


@pytest.mark.parametrize("opened", [source, as_hosts])
def test_a_listing_goes_on_at_the_next_active_one(
    opened: Callable[[HdfsCluster], HdfsSource], restored: HdfsCluster
) -> None:
    with closing(opened(restored)) as store:
        assert listed(store, lambda: restored.fail_over("namenode2")) == KEYS
        assert listed(store, lambda: restored.fail_over("namenode")) == KEYS  # and back


def test_listing_and_reading_go_on_when_the_active_one_is_killed(restored: HdfsCluster) -> None:
    promotion: list[threading.Thread] = []

    def strike() -> None:
        restored.kill("namenode")
        promotion.append(threading.Thread(target=restored.fail_over, args=("namenode2",)))
        promotion[0].start()  # takes 1 to 3 s, in which nobody is active

    with closing(source(restored)) as store, closing(source(restored, BIG.path)) as reader:
        (file,) = reader.list_tree()
        assert listed(store, strike) == KEYS
        assert read(reader, file) == content(BIG.seed, BIG.size)  # the DataNodes serve it without a NameNode
        without = Stat(file.path, file.kind, file.size_bytes, file.mtime_ms, version=file.version)
        assert read(reader, without) == content(BIG.seed, BIG.size)  # and this asks for its blocks
    promotion[0].join()
    assert restored.active() == "namenode2"


def test_a_new_process_finds_the_active_one_behind_one_that_hangs(restored: HdfsCluster) -> None:
    with closing(source(restored, timeout_s=3)) as before:
        assert len(list(before.list_tree())) == len(KEYS)
        restored.fail_over("namenode2")
        restored.kill("namenode", signal.SIGSTOP)
        with closing(source(restored, timeout_s=600)) as store:  # that much it would wait for one that hangs
            assert len(list(store.list_tree())) == len(KEYS)
        assert len(list(before.list_tree())) == len(KEYS)  # this one asks the one that hangs first, for 3 s


def test_a_nameservice_of_standbys_is_waited_for(restored: HdfsCluster) -> None:
    restored.ha_admin("-transitionToStandby", "nn1")
    with closing(source(restored)) as store, ThreadPoolExecutor(1) as threads:
        with pytest.raises(BlockferryError) as error:
            store._namenode.impatient().get_file_info("/")
        assert error.value.reason == "NAMENODE_UNAVAILABLE"
        listing = threads.submit(listed, store, lambda: None)
        restored.fail_over("namenode2")
        assert listing.result() == KEYS


def test_the_observer_is_never_believed(cluster: HdfsCluster) -> None:
    """We send no state id, so it says that it is none for us; whoever reads from it might see the past."""
    observer = HdfsLocation((cluster.namenode_address("namenode3"),), ROOT)
    with closing(HdfsSource(observer)) as store:
        with pytest.raises(BlockferryError) as error:
            store._namenode.impatient().get_file_info("/")
    assert error.value.reason == "NAMENODE_STANDBY"
    assert "without stateId" in error.value.message


def test_safe_mode_is_waited_for_and_no_file_is_taken_for_empty(restored: HdfsCluster) -> None:
    names = (*restored.namenodes, *restored.datanodes)
    for name in names:
        restored.kill(name)
    for name in restored.namenodes:
        restored.start_daemon(name)
    wait_for("the NameNodes", lambda: {restored.state(name) for name in restored.namenodes} == {"standby"})
    restored.fail_over("namenode")
    with closing(source(restored, BIG.path)) as store, ThreadPoolExecutor(2) as threads:
        (file,) = store.list_tree()
        assert file.size_bytes == BIG.size
        assert len(store.extents(file)) == 4
        with pytest.raises(BlockferryError) as error:
            store._namenode.impatient().get_block_locations(BIG.path, BIG.size)
        assert error.value.reason in ("NAMENODE_SAFE_MODE", "NAMENODE_BUSY")
        assert "safe mode" in error.value.message
        reading = threads.submit(read, store, file)
        for name in restored.datanodes:
            restored.start_daemon(name)
        assert reading.result() == content(BIG.seed, BIG.size)
