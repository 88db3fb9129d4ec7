"""Erasure-coded files of a real cluster: read, rebuilt, proved, copied."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from blockferry.errors import BlockferryError
from stores.base import Condition, RangeRead, Stat
from stores.checksum import Algorithm
from stores.hashing import checksum_of
from stores.hdfs.addresses import addresses_of, shown
from stores.hdfs.blocks import blocks_of
from stores.hdfs.datanode import Datanodes
from stores.hdfs.erasure.codes import combine_units, parity_matrix
from stores.hdfs.erasure.striping import Policy, unit_blocks, unit_slices
from stores.hdfs.source import HdfsSource
from stores.location import HdfsLocation, Protection
from tests.support.content import content
from tests.support.ferry import Ferry, composite_crc32c, objects
from tests.support.hdfs import HdfsCluster
from tests.support.hdfs_units import unit_files
from tests.support.kdc import Kdc
from tests.support.kerberized import location, read_all
from tests.support.processes import wait_for
from tests.support.s3 import SeaweedServer
from tests.support.tree import FileSpec

MIB = 1 << 20
CRC32C = Algorithm.CRC32C
RS = Policy("RS-3-2-1024k", "rs", 3, 2, MIB)
XOR = Policy("XOR-2-1-1024k", "xor", 2, 1, MIB)
POLICIES = {"/rs": RS, "/xor": XOR}
# Around a cell and a stripe of both, and several groups.
LENGTHS = (
    0,
    1,
    511,
    MIB - 1,
    MIB,
    MIB + 1,
    2 * MIB,
    2 * MIB + 1,
    3 * MIB,
    3 * MIB + 1,
    3 * MIB - 700_000,
    7 * MIB + 12_345,
)


def name_of(length: int) -> str:
    return f"f{length:08}"


@dataclass(frozen=True)
class Tree:
    """The same files under both policies. `folder` is below the policy's folder."""

    cluster: HdfsCluster
    folder: str

    def root(self, coding: str) -> str:
        return f"{coding}{self.folder}"

    @contextmanager
    def source(self, coding: str) -> Iterator[HdfsSource]:
        with closing(HdfsSource(HdfsLocation((self.cluster.namenode,), self.root(coding)))) as source:
            yield source

    @contextmanager
    def without(self, *datanodes: str, number: signal.Signals = signal.SIGKILL) -> Iterator[None]:
        """Ends (or hangs) DataNodes, and has all of them again afterwards."""
        for name in datanodes:
            self.cluster.kill(name, number)
        try:
            yield
        finally:
            for name in datanodes:
                if number is signal.SIGSTOP:
                    self.cluster.kill(name, signal.SIGCONT)
                else:
                    self.cluster.start_daemon(name)
            wait_for("the DataNodes to serve again", lambda: all(map(self._serves, datanodes)), deadline_s=90)

    def _serves(self, datanode: str) -> bool:
        """Returns whether a DataNode serves its unit of the largest file. (The NameNode has not missed it.)"""
        with self.source("/rs") as source, closing(Datanodes("test")) as datanodes:
            file = source.stat(name_of(LENGTHS[-1]))
            assert file is not None
            (group, *_) = blocks_of(file.layout, file.size_bytes)
            for block in unit_blocks(RS, group.located).values():
                (address,) = addresses_of(block)
                if shown(address) == self.cluster.datanode_address(datanode):
                    with contextlib.suppress(BlockferryError):
                        datanodes.read(address, block, 0, memoryview(bytearray()), CRC32C)
                        return True
        return False


@pytest.fixture(scope="module")
def tree(erasure_hdfs: HdfsCluster) -> Tree:
    folder = "/lengths"
    specs = (FileSpec(f"{coding}{folder}/{name_of(size)}", size, seed=size) for coding in POLICIES for size in LENGTHS)
    erasure_hdfs.make(specs, at_once=4)
    return Tree(erasure_hdfs, folder)


def data_of(file: Stat) -> bytes:
    return content(file.size_bytes, file.size_bytes)


def ranges(size: int) -> tuple[tuple[int, int], ...]:
    """Returns offsets and sizes: the whole, aligned and unaligned parts of it, one byte."""
    wanted = {(0, size), (size // 3, size // 2), (min(MIB, size), max(size - MIB, 0)), (size // 2, min(1, size // 2))}
    return tuple(sorted(wanted))


def read(
    source: HdfsSource, file: Stat, offset: int, size: int, algorithm: Algorithm | None
) -> tuple[bytes, RangeRead]:
    guarded = bytearray(b"\xaa" * (size + 2))
    found = source.read_into(file, offset, memoryview(guarded)[1:-1], algorithm)
    assert guarded[:1] == guarded[-1:] == b"\xaa"
    return bytes(guarded[1:-1]), found


def check_everything(source: HdfsSource) -> dict[str, int]:
    """Reads and proves every range of every file; returns the failures met on the way by file."""
    retries: dict[str, int] = {}
    for file in source.list_tree():
        data = data_of(file)
        assert file.condition is Condition.ERASURE_CODED
        assert source.claimed_algorithm(file) is CRC32C
        for offset, size in ranges(file.size_bytes):
            got, found = read(source, file, offset, size, CRC32C)
            assert got == data[offset : offset + size]
            assert (found.checksum, found.proven) == (checksum_of(CRC32C, got), True)
            assert source.stored_checksum(file, offset, size, CRC32C) == found.checksum
            retries[file.path] = retries.get(file.path, 0) + found.retry_count
    return retries


def test_all_lengths_and_ranges_are_read_and_proven(tree: Tree) -> None:
    for coding in POLICIES:
        with tree.source(coding) as source:
            retries = check_everything(source)
            assert retries == {name_of(length): 0 for length in LENGTHS}
            largest = source.stat(name_of(LENGTHS[-1]))
            assert largest is not None
            groups = [extent.size for extent in source.extents(largest)]
            stripe = POLICIES[coding].stripe_bytes
            assert groups == [stripe] * (LENGTHS[-1] // stripe) + [LENGTHS[-1] % stripe]


def test_parity_on_the_disks_is_ours(tree: Tree) -> None:
    length = LENGTHS[-1]
    for coding, policy in POLICIES.items():
        path = f"{tree.root(coding)}/{name_of(length)}"
        for group in (0, length // policy.stripe_bytes):  # a full one, and the last
            data = content(length, length)[group * policy.stripe_bytes :][: policy.stripe_bytes]
            units = np.zeros((policy.data_units, MIB), np.uint8)
            for each in unit_slices(policy, 0, len(data)):
                for piece in each.pieces:
                    units[each.unit, piece.offset : piece.end] = list(data[piece.place : piece.place + piece.size])
            files = unit_files(tree.cluster, path, group)
            for number, row in enumerate(parity_matrix(policy.codec, policy.data_units, policy.parity_units)):
                parity = np.empty(MIB, np.uint8)
                combine_units(row, list(units), parity)
                stored = files[policy.data_units + number].file.read_bytes()
                assert parity.tobytes()[: len(stored)] == stored
                assert len(stored) == min(MIB, len(data))


def test_sums_are_those_of_the_file_whatever_holds_it(tree: Tree, folder_name: str) -> None:
    length = LENGTHS[-1]
    path = f"{tree.root('/rs')}/{name_of(length)}"
    tree.cluster.make([FileSpec(f"{folder_name}/plain", length, seed=length)])
    expected = checksum_of(CRC32C, content(length, length)).hex
    assert composite_crc32c(tree.cluster, path) == composite_crc32c(tree.cluster, f"{folder_name}/plain") == expected


def test_other_kinds_of_sums(tree: Tree, folder_name: str) -> None:
    size = 4 * MIB + 5
    folder = f"/rs{folder_name}"
    tree.cluster.make(
        [
            FileSpec(f"{folder}/crc32", size, seed=1, checksum_type="CRC32", bytes_per_checksum=1024),
            FileSpec(f"{folder}/none", size, seed=1, checksum_type="NULL"),
            FileSpec(f"{folder}/tiny", 5, seed=1, checksum_type="CRC32"),
        ]
    )
    data = content(1, size)
    with closing(HdfsSource(HdfsLocation((tree.cluster.namenode,), folder))) as source:
        summed, unsummed, tiny = source.list_tree()
        expected = checksum_of(Algorithm.CRC32, data)
        assert source.claimed_algorithm(summed) is Algorithm.CRC32
        assert read(source, summed, 0, size, None) == (data, RangeRead(expected, True))
        assert read(source, summed, 0, size, CRC32C)[1].checksum == checksum_of(CRC32C, data)
        assert source.stored_checksum(summed, 0, size, Algorithm.CRC32) == expected
        assert source.stored_checksum(summed, 0, size, CRC32C) is None
        assert read(source, tiny, 0, 5, None) == (data[:5], RangeRead(checksum_of(Algorithm.CRC32, data[:5]), True))
        assert source.claimed_algorithm(unsummed) is CRC32C
        assert read(source, unsummed, 0, size, None) == (data, RangeRead(checksum_of(CRC32C, data), False))
        assert source.stored_checksum(unsummed, 0, size, CRC32C) is None


def test_a_corrupt_unit_is_rebuilt_and_reported(tree: Tree, folder_name: str) -> None:
    path = f"/rs{folder_name}/f"
    tree.cluster.make([FileSpec(path, 3 * MIB, seed=3 * MIB)])
    unit_files(tree.cluster, path)[1].flip(500_000)
    with closing(HdfsSource(HdfsLocation((tree.cluster.namenode,), f"/rs{folder_name}"))) as source:
        (file,) = source.list_tree()
        got, found = read(source, file, 1000, 2 * MIB, CRC32C)
        assert got == data_of(file)[1000 : 1000 + 2 * MIB]
        assert found == RangeRead(checksum_of(CRC32C, got), True, retry_count=1)
        wait_for("the NameNode to know of the corrupt unit", lambda: "Live_repl=4" in tree.cluster.fsck(path))


def test_a_unit_whose_file_is_gone_is_rebuilt(tree: Tree, folder_name: str) -> None:
    path = f"/xor{folder_name}/f"
    tree.cluster.make([FileSpec(path, 2 * MIB - 9, seed=2 * MIB - 9)])
    unit_files(tree.cluster, path)[0].file.unlink()
    with closing(HdfsSource(HdfsLocation((tree.cluster.namenode,), f"/xor{folder_name}"))) as source:
        (file,) = source.list_tree()
        assert read(source, file, 0, file.size_bytes, None)[0] == data_of(file)


def test_more_corrupt_units_than_parity_are_told_with_their_places(tree: Tree, folder_name: str) -> None:
    path = f"/rs{folder_name}/f"
    tree.cluster.make([FileSpec(path, 3 * MIB, seed=3 * MIB)])
    units = unit_files(tree.cluster, path)
    for unit in (0, 2, 4):
        units[unit].flip(9)
    with closing(HdfsSource(HdfsLocation((tree.cluster.namenode,), f"/rs{folder_name}"))) as source:
        (file,) = source.list_tree()
        with pytest.raises(BlockferryError) as caught:
            read(source, file, 0, file.size_bytes, CRC32C)
        error = caught.value
        assert (error.reason, error.retryable) == ("SOURCE_CORRUPT", False)
        (group,) = tree.cluster.block_names(path)
        assert (error.coordinates["path"], error.coordinates["offset"]) == ("f", "0")
        assert f"blk_{error.coordinates['block_id']}" == group
        hurt = {tree.cluster.datanode_address(units[unit].datanode) for unit in (0, 2, 4)}
        assert set(error.coordinates["host"].split(",")) == hurt
        units[2].flip(9)
        assert read(source, file, 0, file.size_bytes, CRC32C)[0] == data_of(file)


def test_with_kerberos_each_unit_has_its_token(kerberos_hdfs: HdfsCluster, kdc: Kdc, folder_name: str) -> None:
    path = f"/xor{folder_name}/f"
    kerberos_hdfs.make([FileSpec(path, 3 * MIB + 5, seed=5)])
    where = location(kerberos_hdfs, kdc.realm, f"/xor{folder_name}", transfer_protection=Protection.PRIVACY)
    for lost in (False, True):
        if lost:
            unit_files(kerberos_hdfs, path)[1].file.unlink()
        with closing(HdfsSource(where)) as source:
            assert read_all(source) == {"f": content(5, 3 * MIB + 5)}


# What follows ends DataNodes, and has them again afterwards.


def test_everything_is_read_without_one_datanode_and_rs_without_two(tree: Tree) -> None:
    with tree.without("datanode1"):
        for coding in POLICIES:
            with tree.source(coding) as source:
                check_everything(source)
    with tree.without("datanode2", "datanode4"):
        with tree.source("/rs") as source:
            check_everything(source)
        with tree.source("/xor") as source:
            check_what_two_lost_datanodes_mean(tree, source)


def check_what_two_lost_datanodes_mean(tree: Tree, source: HdfsSource) -> None:
    """XOR bears one lost unit: a file with a group of which two units are needed and lost is unavailable."""
    lost_count = 0
    for file in source.list_tree():
        try:
            assert read(source, file, 0, file.size_bytes, CRC32C)[0] == data_of(file)
        except BlockferryError as error:
            lost_count += 1
            assert (error.reason, error.retryable) == ("SOURCE_UNAVAILABLE", True)
            assert error.coordinates["path"] == file.path
            assert {tree.cluster.datanode_address(name) for name in ("datanode2", "datanode4")} == set(
                error.coordinates["host"].split(",")
            )
    assert lost_count < len(LENGTHS)


def test_a_hung_datanode_is_given_up_and_its_unit_rebuilt(tree: Tree) -> None:
    file_name = name_of(3 * MIB)
    hung = unit_files(tree.cluster, f"{tree.root('/rs')}/{file_name}")[1].datanode
    with tree.without(hung, number=signal.SIGSTOP), tree.source("/rs") as source:
        file = source.stat(file_name)
        assert file is not None
        got, found = read(source, file, 0, file.size_bytes, CRC32C)
        assert (got, found.proven) == (data_of(file), True)
        assert found.retry_count


def test_a_whole_copy_with_a_datanode_missing(
    tree: Tree, seaweed: SeaweedServer, bucket_name: str, tmp_path: Path
) -> None:
    seaweed.make_bucket(bucket_name)
    options = ("--verify", "POINT_IN_TIME_CONSISTENT", "--part-size", "5MiB")  # the largest file has two parts
    with tree.without("datanode3"):
        run = Ferry(tmp_path, seaweed).copy(f"{tree.cluster.uri}{tree.root('/rs')}", f"s3://{bucket_name}", *options)
    assert (run.exit_code, run.state, run.failed) == (0, "SUCCESS", {}), run.errors
    assert {row["proof"] for row in run.rows("verified")} == {"STORED_CHECKSUM"}
    assert objects(seaweed, bucket_name) == {name_of(length): content(length, length) for length in LENGTHS}
