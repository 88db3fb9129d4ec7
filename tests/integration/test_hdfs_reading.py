"""HdfsSource against real DataNodes: ranges, stored sums, and what happens when replicas are corrupt, bare or gone."""

import signal
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from blockferry.errors import BlockferryError, Whose
from stores.base import Condition, RangeRead, Stat
from stores.checksum import Algorithm
from stores.hashing import checksum_of
from stores.hdfs.addresses import addresses_of
from stores.hdfs.source import HdfsSource
from stores.location import HdfsLocation
from tests.support.content import content
from tests.support.hdfs import HdfsCluster
from tests.support.processes import wait_for
from tests.support.tree import FileSpec

MIB = 1 << 20
CRC32C, CRC32 = Algorithm.CRC32C, Algorithm.CRC32


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HdfsCluster]:
    """Three DataNodes of this module's own: their replicas are damaged here."""
    with HdfsCluster.start(tmp_path_factory.mktemp("hdfs-reading"), datanode_count=3) as started:
        yield started


@pytest.fixture
def store(cluster: HdfsCluster, folder_name: str) -> Iterator[HdfsSource]:
    """The test's own folder as a source."""
    with closing(HdfsSource(HdfsLocation((cluster.namenode,), folder_name), timeout_s=10)) as opened:
        yield opened


def listed(store: HdfsSource, path: str) -> Stat:
    return next(stat for stat in store.list_tree() if stat.path == path)


def read(store: HdfsSource, file: Stat, offset: int, size: int, algorithm: Algorithm | None) -> tuple[RangeRead, bytes]:
    view = memoryview(bytearray(size))
    return store.read_into(file, offset, view, algorithm), bytes(view)


def first_replica(cluster: HdfsCluster, store: HdfsSource, file: Stat, block: int = 0) -> tuple[str, Path]:
    """Returns the DataNode that is asked first, and its file of the block."""
    located = store._reader._layouts.blocks(file)[block].located
    host, port = addresses_of(located)[0]
    name = next(name for name in cluster.datanodes if cluster.datanode_address(name) == f"{host}:{port}")
    return name, cluster.replicas(f"{store.location.root}/{file.path}", block)[name]


def flip(file: Path, offset: int = 100) -> bytes:
    """Changes one bit; returns what was there before."""
    before = file.read_bytes()
    after = bytearray(before)
    after[offset] ^= 1
    file.write_bytes(after)
    return before


def meta_of(block_file: Path) -> Path:
    return next(block_file.parent.glob(f"{block_file.name}_*.meta"))


KINDS = {
    "crc32c": FileSpec("", 3 * MIB + 12_345, 1),
    "crc32": FileSpec("", 2 * MIB + 77, 2, checksum_type="CRC32"),
    "null": FileSpec("", MIB + 5, 3, checksum_type="NULL"),
    "large chunks": FileSpec("", 2 * MIB + 100, 4, bytes_per_checksum=4096),
    "odd chunks": FileSpec("", 2 * MIB + 100, 5, block_size=1536 * 512, bytes_per_checksum=1536),
    "appended": FileSpec("", 700_000, 6, append_bytes=900_001),
    "appended block": FileSpec("", 700_000, 7, append_bytes=900_001, append_new_block=True),
    "tiny": FileSpec("", 1, 8),
    "crc32 in one block": FileSpec("", 4096, 9, checksum_type="CRC32"),
    "null in one block": FileSpec("", 4096, 10, checksum_type="NULL"),
}


@pytest.fixture(scope="module")
def kinds(cluster: HdfsCluster) -> Iterator[HdfsSource]:
    """One file of every kind of stored sums."""
    specs = [
        FileSpec(
            f"/kinds/{name}", spec.size, spec.seed, block_size=spec.block_size, checksum_type=spec.checksum_type,
            bytes_per_checksum=spec.bytes_per_checksum, append_bytes=spec.append_bytes,
            append_new_block=spec.append_new_block,
        )
        for name, spec in KINDS.items()
    ]  # fmt: skip
    cluster.make(specs)
    with closing(HdfsSource(HdfsLocation((cluster.namenode,), "/kinds"))) as opened:
        yield opened


@pytest.mark.parametrize("name", KINDS)
def test_ranges_are_read_and_summed(kinds: HdfsSource, name: str) -> None:
    spec, file = KINDS[name], listed(kinds, name)
    expected = content(spec.seed, spec.size + spec.append_bytes)
    assert file.size_bytes == len(expected)
    algorithm = kinds.claimed_algorithm(file)
    assert algorithm is (CRC32 if name.startswith("crc32 ") or name == "crc32" else CRC32C)
    size = len(expected)
    assert read(kinds, file, 0, size, None)[0].checksum == checksum_of(algorithm, expected)
    for begin, end in {(0, size), (size // 3, size), (0, size - size // 3), (size // 5, size // 2), (size, size)}:
        found, data = read(kinds, file, begin, end - begin, algorithm)
        assert data == expected[begin:end]
        assert found == RangeRead(checksum_of(algorithm, data), proven=not name.startswith("null") or begin == end)
        stored = kinds.stored_checksum(file, begin, end - begin, algorithm)
        assert stored == (None if name.startswith("null") and begin < end else found.checksum)


def test_parts_of_a_block_have_stored_sums(kinds: HdfsSource) -> None:
    file, expected = listed(kinds, "crc32c"), content(1, KINDS["crc32c"].size)
    for size in (MIB // 4, MIB // 2, MIB, 2 * MIB):
        for begin in range(0, len(expected), size):
            data = expected[begin : begin + size]
            assert kinds.stored_checksum(file, begin, len(data), CRC32C) == checksum_of(CRC32C, data)


def test_another_algorithm_than_the_stored_one_has_no_stored_sum(kinds: HdfsSource) -> None:
    assert kinds.stored_checksum(listed(kinds, "crc32"), 0, 1000, CRC32C) is None
    assert kinds.stored_checksum(listed(kinds, "crc32c"), 0, 1000, CRC32) is None


def test_extents_are_the_blocks(kinds: HdfsSource) -> None:
    assert [extent.size for extent in kinds.extents(listed(kinds, "appended block"))] == [700_000, 900_001]
    bare = kinds.stat("tiny")
    assert bare is not None
    assert [extent.size for extent in kinds.extents(Stat(bare.path, bare.kind, bare.size_bytes, 0))] == [1]


def test_a_range_beyond_the_end_is_refused(kinds: HdfsSource) -> None:
    with pytest.raises(BlockferryError) as error:
        read(kinds, listed(kinds, "tiny"), 0, 2, CRC32C)
    assert error.value.reason == "RANGE_OUTSIDE_FILE"


def test_a_corrupt_replica_is_passed_by_and_replaced(cluster: HdfsCluster, store: HdfsSource, folder_name: str) -> None:
    cluster.make([FileSpec(f"{folder_name}/f", MIB, 11)])
    file, expected = listed(store, "f"), content(11, MIB)
    datanode, replica = first_replica(cluster, store, file)
    flip(replica)
    found, data = read(store, file, 0, MIB, CRC32C)
    assert data == expected
    assert found == RangeRead(checksum_of(CRC32C, expected), proven=True, retry_count=1)

    def healed() -> bool:
        now = cluster.replicas(f"{folder_name}/f")
        return len(now) == 2 and all(file.read_bytes() == expected for file in now.values())

    wait_for(f"the NameNode to replace the replica on {datanode}", healed, deadline_s=60)


def test_corrupt_everywhere_is_told_with_block_and_offset(
    cluster: HdfsCluster, store: HdfsSource, folder_name: str
) -> None:
    cluster.make([FileSpec(f"{folder_name}/f", 2 * MIB, 12)])
    file = listed(store, "f")
    replicas = cluster.replicas(f"{folder_name}/f", 1)
    for replica in replicas.values():
        flip(replica, 777)
    with pytest.raises(BlockferryError) as error:
        read(store, file, 0, 2 * MIB, CRC32C)
    assert (error.value.reason, error.value.whose, error.value.retryable) == ("SOURCE_CORRUPT", Whose.SOURCE, False)
    found = error.value.coordinates
    assert found["path"] == "f"
    assert found["offset"] == str(MIB)
    assert f"blk_{found['block_id']}" == next(iter(replicas.values())).name
    assert {*found["host"].split(",")} == {cluster.datanode_address(name) for name in replicas}
    assert read(store, file, 0, MIB, CRC32C)[0].proven


def test_a_replica_without_sums_is_passed_by(cluster: HdfsCluster, store: HdfsSource, folder_name: str) -> None:
    cluster.make([FileSpec(f"{folder_name}/f", 5000, 13)])
    file = listed(store, "f")
    meta_of(first_replica(cluster, store, file)[1]).unlink()
    found, data = read(store, file, 0, 5000, CRC32C)
    assert data == content(13, 5000)
    assert (found.proven, found.retry_count) == (True, 1)
    assert store.stored_checksum(file, 0, 5000, CRC32C) == checksum_of(CRC32C, data)


def test_bytes_that_no_replica_proves_are_marked(cluster: HdfsCluster, store: HdfsSource, folder_name: str) -> None:
    cluster.make([FileSpec(f"{folder_name}/f", 5000, 14)])
    file = listed(store, "f")
    for replica in cluster.replicas(f"{folder_name}/f").values():
        meta_of(replica).unlink()
    found, data = read(store, file, 0, 5000, CRC32C)
    assert data == content(14, 5000)
    assert not found.proven
    assert found.checksum == checksum_of(CRC32C, data)
    assert store.stored_checksum(file, 0, 5000, CRC32C) is None


def test_a_missing_replica_is_passed_by(cluster: HdfsCluster, store: HdfsSource, folder_name: str) -> None:
    cluster.make([FileSpec(f"{folder_name}/f", 5000, 15)])
    file = listed(store, "f")
    _, replica = first_replica(cluster, store, file)
    meta_of(replica).unlink()
    replica.unlink()
    found, data = read(store, file, 0, 5000, CRC32C)
    assert data == content(15, 5000)
    assert (found.proven, found.retry_count) == (True, 1)


def test_a_file_that_was_written_anew_has_changed(cluster: HdfsCluster, store: HdfsSource, folder_name: str) -> None:
    cluster.make([FileSpec(f"{folder_name}/{name}", 5000, 16) for name in ("new", "gone")])
    new, gone = listed(store, "new"), listed(store, "gone")
    old = [*cluster.replicas(f"{folder_name}/new").values(), *cluster.replicas(f"{folder_name}/gone").values()]
    cluster.shell("-rm", "-r", "-skipTrash", folder_name)
    cluster.make([FileSpec(f"{folder_name}/new", 5000, 17)])
    wait_for("the DataNodes to delete the old blocks", lambda: not any(file.exists() for file in old), deadline_s=60)
    for file in (new, gone):
        with pytest.raises(BlockferryError) as error:
            read(store, file, 0, 5000, CRC32C)
        assert (error.value.reason, error.value.coordinates["path"]) == ("SOURCE_CHANGED", file.path)


@pytest.mark.parametrize("condition", [Condition.ENCRYPTED, Condition.OPEN_ENCRYPTED])
def test_ciphertext_is_never_read(kinds: HdfsSource, condition: Condition) -> None:
    """Neither with a layout that tells no key, as below /.reserved/raw, nor by the reader of plain files."""
    file = replace(listed(kinds, "tiny"), condition=condition)
    plain_reader = kinds._reader._stored
    for attempt in (
        lambda: kinds.extents(file),
        lambda: read(kinds, file, 0, 1, CRC32C),
        lambda: plain_reader.read_into(file, 0, memoryview(bytearray(1)), CRC32C),
        lambda: plain_reader.stored_checksum(file, 0, 1, CRC32C),
    ):
        with pytest.raises(BlockferryError) as error:
            attempt()
        assert (error.value.reason, error.value.coordinates["path"]) == ("CIPHERTEXT_REFUSED", "tiny")
    assert kinds.stored_checksum(file, 0, 1, CRC32C) is None


def test_an_erasure_coded_file_is_known_by_its_listing(cluster: HdfsCluster, folder_name: str) -> None:
    policies = ("org.apache.hadoop.hdfs.tools.ECAdmin",)
    cluster.java(*policies, "-enablePolicy", "-policy", "XOR-2-1-1024k")
    cluster.shell("-mkdir", "-p", f"{folder_name}/ec")
    cluster.java(*policies, "-setPolicy", "-path", f"{folder_name}/ec", "-policy", "XOR-2-1-1024k")
    cluster.shell("-put", str(cluster.conf_folder / "core-site.xml"), f"{folder_name}/ec/file")
    with closing(HdfsSource(HdfsLocation((cluster.namenode,), folder_name))) as store:
        inside, file = store.list_tree()
        asked = store.stat("ec/file")
    assert asked is not None
    assert inside.condition is Condition.PLAIN
    assert file.condition is asked.condition is Condition.ERASURE_CODED
    assert file.version == asked.version


# The last tests stop DataNodes: nothing may follow them.


def test_a_dead_datanode_is_passed_by_and_then_asked_last(
    cluster: HdfsCluster, store: HdfsSource, folder_name: str
) -> None:
    cluster.make([FileSpec(f"{folder_name}/f", MIB, 18)])
    file, expected = listed(store, "f"), content(18, MIB)
    dead, _ = first_replica(cluster, store, file)
    cluster.kill(dead)
    found, data = read(store, file, 0, MIB, CRC32C)
    assert (data, found.proven, found.retry_count) == (expected, True, 1)
    assert read(store, file, 0, MIB, CRC32C)[0].retry_count == 0
    assert store.stored_checksum(file, 0, MIB, CRC32C) == checksum_of(CRC32C, expected)
    failed = [check for check in store.checks(write=False) if not check.passed]
    assert all(check.reason == "DATANODE_UNAVAILABLE" for check in failed)


def test_without_datanodes_a_file_can_be_read_later(cluster: HdfsCluster, store: HdfsSource, folder_name: str) -> None:
    cluster.make([FileSpec(f"{folder_name}/f", 5000, 19, replication=1)])
    file = listed(store, "f")
    for name in cluster.datanodes:
        if cluster.children[name].alive():
            cluster.kill(name, signal.SIGKILL)
    with pytest.raises(BlockferryError) as error:
        read(store, file, 0, 5000, CRC32C)
    assert (error.value.reason, error.value.retryable) == ("SOURCE_UNAVAILABLE", True)
    assert error.value.coordinates["host"]
    with pytest.raises(BlockferryError) as error:
        store.claimed_algorithm(file)
    assert error.value.reason == "SOURCE_UNAVAILABLE"
