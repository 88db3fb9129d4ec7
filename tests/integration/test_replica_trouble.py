"""HdfsSource against a real cluster in trouble: DataNodes that hang or die, replicas that are short, bare, lost, and
files that are written meanwhile. The cluster has block tokens and DataNodes with host names."""

import signal
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from blockferry.errors import BlockferryError
from stores.base import Condition, RangeRead, Stat
from stores.checksum import Algorithm
from stores.hashing import checksum_of
from stores.hdfs.addresses import Address, addresses_of
from stores.hdfs.experience import Mark
from stores.hdfs.source import HdfsSource
from stores.hdfs.wire.hdfs_pb2 import LocatedBlocksProto
from stores.location import HdfsLocation
from tests.support.content import content
from tests.support.hdfs import HdfsCluster
from tests.support.processes import wait_for
from tests.support.tree import FileSpec

MIB = 1 << 20
CRC32C = Algorithm.CRC32C
SETTINGS = {"dfs.block.access.token.enable": "true", "dfs.datanode.hostname": "localhost"}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HdfsCluster]:
    """Three DataNodes of this module's own: they are stopped here."""
    folder = tmp_path_factory.mktemp("hdfs-trouble")
    with HdfsCluster.start(folder, datanode_count=3, settings=SETTINGS) as started:
        yield started


@pytest.fixture
def store(cluster: HdfsCluster, folder_name: str) -> Iterator[HdfsSource]:
    """The test's own folder as a source, with the time limits of every day."""
    with closing(HdfsSource(HdfsLocation((cluster.namenode,), folder_name))) as opened:
        yield opened


def stat_of(store: HdfsSource, path: str = "f") -> Stat:
    """Returns a file with its layout and block tokens; listings have none."""
    found = store.stat(path)
    assert found is not None
    return found


def read(store: HdfsSource, file: Stat, expected: bytes, offset: int = 0) -> RangeRead:
    """Reads and compares; returns what the store says of it."""
    view = memoryview(bytearray(len(expected)))
    found = store.read_into(file, offset, view, CRC32C)
    assert view == expected
    assert found.checksum == checksum_of(CRC32C, expected)
    return found


def failure(store: HdfsSource, file: Stat) -> BlockferryError:
    with pytest.raises(BlockferryError) as caught:
        store.read_into(file, 0, memoryview(bytearray(file.size_bytes)), CRC32C)
    return caught.value


def first_datanode(cluster: HdfsCluster, store: HdfsSource, file: Stat, block: int = 0) -> str:
    """Returns the DataNode that is asked first."""
    host, port = addresses_of(store._layouts.blocks(file)[block].located)[0]
    return next(name for name in cluster.datanodes if cluster.datanode_address(name) == f"{host}:{port}")


def generation(store: HdfsSource, file: Stat) -> int:
    """Returns the generation stamp of the last block."""
    return store._layouts.blocks(file)[-1].generation


def known_replicas(store: HdfsSource) -> tuple[Address, ...]:
    """Returns where the NameNode says that the first block of f lies."""
    return addresses_of(LocatedBlocksProto.FromString(stat_of(store).layout).blocks[0])


def both_replicas(store: HdfsSource) -> Stat:
    """Returns f when the NameNode knows both of its replicas: a file is closed when one is reported."""
    wait_for("both replicas", lambda: len(known_replicas(store)) == 2)
    return stat_of(store)


def mark_of(store: HdfsSource, cluster: HdfsCluster, datanode: str) -> Mark:
    host, port = cluster.datanode_address(datanode).split(":")
    return store._experience.ranked(((host, int(port)),))[0][1]


def meta_of(block_file: Path) -> Path:
    return next(block_file.parent.glob(f"{block_file.name}_*.meta"))


def shorten(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


# ---- tokens ----------------------------------------------------------------------------------------------------------


def listed(store: HdfsSource, path: str) -> Stat:
    return next(stat for stat in store.list_tree() if stat.path == path)


def with_old_tokens(store: HdfsSource, path: str) -> Stat:
    """Returns a file with tokens that DataNodes refuse as they refuse those that have expired."""
    file = stat_of(store, path)
    layout = LocatedBlocksProto.FromString(file.layout)
    for block in layout.blocks:
        assert block.blockToken.identifier
        block.blockToken.password = bytes(len(block.blockToken.password))
    return replace(file, layout=layout.SerializeToString())


@contextmanager
def questions(store: HdfsSource) -> Iterator[list[str]]:
    """Yields the paths for whose layouts the NameNode is asked."""
    asked: list[str] = []
    ask = store._layouts._ask

    def counted(path: str, size_bytes: int) -> bytes | None:
        asked.append(path)
        return ask(path, size_bytes)

    store._layouts._ask = counted
    yield asked
    store._layouts._ask = ask


@pytest.mark.parametrize("known", [with_old_tokens, listed], ids=["old", "none"])
def test_tokens_that_are_refused_cost_one_question_a_file(
    cluster: HdfsCluster, store: HdfsSource, folder_name: str, known: Callable[[HdfsSource, str], Stat]
) -> None:
    cluster.make([FileSpec(f"{folder_name}/{name}", 5 * MIB + 1, 1) for name in ("f", "g")])
    expected = content(1, 5 * MIB + 1)
    with questions(store) as asked:
        for path in ("f", "g"):
            file = known(store, path)
            assert store.claimed_algorithm(file) is CRC32C
            for at in range(0, len(expected), MIB):
                assert read(store, file, expected[at : at + MIB], at).retry_count == 0
            assert store.stored_checksum(file, 0, len(expected), CRC32C) == checksum_of(CRC32C, expected)
    assert asked == ["f", "g"]


# ---- replicas that are not what they should be -----------------------------------------------------------------------


@pytest.mark.parametrize("what", ["data", "sums", "both"])
def test_a_replica_that_was_cut_short_is_passed_over(
    cluster: HdfsCluster, store: HdfsSource, folder_name: str, what: str
) -> None:
    cluster.make([FileSpec(f"{folder_name}/f", MIB, 3)])
    file = both_replicas(store)
    datanode = first_datanode(cluster, store, file)
    replica = cluster.replicas(f"{folder_name}/f")[datanode]
    for damaged in {"data": (replica,), "sums": (meta_of(replica),), "both": (replica, meta_of(replica))}[what]:
        shorten(damaged)
    found = read(store, file, content(3, MIB))
    assert (found.proven, found.retry_count) == (True, 1)
    assert mark_of(store, cluster, datanode) is Mark.NONE


def test_a_file_whose_replicas_are_gone_fails_alone(cluster: HdfsCluster, store: HdfsSource, folder_name: str) -> None:
    cluster.make([FileSpec(f"{folder_name}/{name}", 5000, 4) for name in ("f", "good")])
    file = both_replicas(store)
    lost = cluster.replicas(f"{folder_name}/f")
    for replica in lost.values():
        meta_of(replica).unlink()
        replica.unlink()
    error = failure(store, file)
    assert (error.reason, error.retryable) == ("SOURCE_CORRUPT", True), error.message
    assert (error.coordinates["path"], error.coordinates["offset"]) == ("f", "0")
    assert {*error.coordinates["host"].split(",")} == {cluster.datanode_address(name) for name in lost}
    assert f"blk_{error.coordinates['block_id']}" == next(iter(lost.values())).name
    assert read(store, stat_of(store, "good"), content(4, 5000)).proven


def test_by_host_name_where_the_site_files_say_so(cluster: HdfsCluster, folder_name: str) -> None:
    cluster.make([FileSpec(f"{folder_name}/f", 5000, 5), FileSpec(f"{folder_name}/gone", 5000, 5)])
    folder = cluster.client_folder("by-host-name", {"dfs.client.use.datanode.hostname": "true"})
    location = HdfsLocation((cluster.namenode,), folder_name, conf_dir=str(folder))
    with closing(HdfsSource(location)) as store:
        assert read(store, stat_of(store), content(5, 5000)).retry_count == 0
        gone = stat_of(store, "gone")
        for replica in cluster.replicas(f"{folder_name}/gone").values():
            replica.unlink()
        hosts = failure(store, gone).coordinates["host"].split(",")
        assert all(host.startswith("localhost:") for host in hosts)
        assert all(check.passed for check in store.checks(write=False))


# ---- files that are being written ------------------------------------------------------------------------------------


def test_what_is_only_flushed_is_left_for_the_next_run(
    cluster: HdfsCluster, store: HdfsSource, folder_name: str
) -> None:
    """The length is the one that the NameNode tells everybody; DataNodes have more bytes already."""
    size, known = 2 * MIB + 70_001, 2 * MIB + 30_001
    expected = content(6, size)[:known]
    held = cluster.hold_open(f"{folder_name}/f", size, 6, known)
    try:
        file = stat_of(store)
        assert (file.size_bytes, file.condition) == (known, Condition.OPEN)
        found = read(store, file, expected)
        assert (found.proven, found.retry_count) == (True, 0)
        assert read(store, file, expected[-1000:], known - 1000).proven
        assert store.stored_checksum(file, 0, known, CRC32C) in (None, checksum_of(CRC32C, expected))
    finally:
        held.close()
    assert read(store, file, expected).retry_count == 0  # as planned, of a file that is closed now
    assert store.stored_checksum(file, 0, known, CRC32C) == checksum_of(CRC32C, expected)
    assert read(store, stat_of(store), content(6, size)).proven


def test_a_lease_that_is_recovered_in_between(cluster: HdfsCluster, store: HdfsSource, folder_name: str) -> None:
    """The writer is gone; recovery gives the last block another generation and its final length."""
    size, known = MIB + 70_001, MIB + 30_001
    held = cluster.hold_open(f"{folder_name}/f", size, 7, known)
    file = stat_of(store)
    held.abandon()
    cluster.java(
        "org.apache.hadoop.hdfs.tools.DebugAdmin", "recoverLease", "-path", f"{folder_name}/f", "-retries", "9"
    )
    wait_for("the file to be closed", lambda: stat_of(store).condition is Condition.PLAIN)
    now = stat_of(store)
    assert now.version != file.version
    assert read(store, file, content(7, size)[:known]).proven
    assert read(store, now, content(7, size)).proven


def test_a_pipeline_that_loses_a_datanode(cluster: HdfsCluster, store: HdfsSource, folder_name: str) -> None:
    size, known = MIB + 70_001, MIB + 30_001
    expected = content(8, size)[:known]
    held = cluster.hold_open(f"{folder_name}/f", size, 8, known)
    file = stat_of(store)
    dead = first_datanode(cluster, store, file, block=1)
    cluster.kill(dead)
    try:
        # The writer mends its pipeline, with another generation; while it does, the other DataNode refuses reads.
        wait_for("the pipeline to be mended", lambda: generation(store, stat_of(store)) > generation(store, file))
        assert read(store, file, expected[MIB:], MIB).retry_count == 1
        held.close()
        assert read(store, file, expected).proven
        assert read(store, stat_of(store), content(8, size)).proven
    finally:
        cluster.start_daemon(dead)
        cluster.wait_ready()


# ---- DataNodes that hang, die, and come back -------------------------------------------------------------------------


def test_a_hung_datanode_is_passed_over_and_then_asked_last(
    cluster: HdfsCluster, store: HdfsSource, folder_name: str
) -> None:
    cluster.make([FileSpec(f"{folder_name}/f", MIB, 9)])
    file, expected = both_replicas(store), content(9, MIB)
    hung = first_datanode(cluster, store, file)
    assert read(store, file, expected).retry_count == 0  # and a connection stays idle
    cluster.kill(hung, signal.SIGSTOP)
    try:
        assert read(store, file, expected).retry_count == 1
        assert mark_of(store, cluster, hung) is Mark.DEAD
        assert read(store, file, expected).retry_count == 0
        assert store.stored_checksum(file, 0, MIB, CRC32C) == checksum_of(CRC32C, expected)
    finally:
        cluster.kill(hung, signal.SIGCONT)


def test_a_block_that_the_namenode_misses_comes_back_with_its_datanode(
    cluster: HdfsCluster, store: HdfsSource, folder_name: str
) -> None:
    cluster.make([FileSpec(f"{folder_name}/f", 5000, 10, replication=1)])
    (dead,) = cluster.replicas(f"{folder_name}/f")
    cluster.kill(dead)
    wait_for("the NameNode to give its replicas up", lambda: not known_replicas(store))
    file = stat_of(store)
    error = failure(store, file)
    assert (error.reason, error.retryable) == ("SOURCE_CORRUPT", True), error.message
    assert "The NameNode knows no replica of block" in error.message
    assert error.coordinates["path"] == "f"
    cluster.start_daemon(dead)
    cluster.wait_ready()
    wait_for("its block to be reported", lambda: bool(known_replicas(store)))
    assert read(store, file, content(10, 5000)).proven
