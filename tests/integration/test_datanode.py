"""The DataNode client against real DataNodes: what it reads, what it proves, and what it finds broken."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from blockferry.errors import BlockferryError
from stores.checksum import Algorithm, Checksum, concatenation
from stores.hashing import checksum_of
from stores.hdfs.datanode import BlockSums, DatanodeRead, Datanodes
from stores.hdfs.wire.hdfs_pb2 import LocatedBlockProto
from tests.support.content import content
from tests.support.hdfs import HdfsCluster
from tests.support.hdfs_blocks import address_of, located_blocks
from tests.support.tree import FileSpec

MIB = 1 << 20
FOLDER = "/datanode"
SIZES = (1, 511, 512, 513, 65_535, 65_536, 65_537, MIB - 1, MIB, MIB + 1, 3 * MIB + 12_345)
FILES = (
    *(FileSpec(f"{FOLDER}/size-{size}", size, seed=size) for size in SIZES),
    FileSpec(f"{FOLDER}/crc32", 700_001, 1, checksum_type="CRC32"),
    FileSpec(f"{FOLDER}/chunk-64", 700_001, 2, bytes_per_checksum=64),
    FileSpec(f"{FOLDER}/chunk-1536", 2 * MIB + 77, 3, bytes_per_checksum=1536, block_size=1536 * 600),
    FileSpec(f"{FOLDER}/chunk-1Mi", 3 * MIB + 77, 4, bytes_per_checksum=MIB, block_size=4 * MIB),
    FileSpec(f"{FOLDER}/appended", 700_001, 5, append_bytes=200_001),
    FileSpec(f"{FOLDER}/appended-block", 700_001, 6, append_bytes=200_001, append_new_block=True),
    FileSpec(f"{FOLDER}/sixteen", 16 * MIB + 5, 7, block_size=32 * MIB),
)
NULL = FileSpec(f"{FOLDER}/null", 70_001, 8, checksum_type="NULL")
NAMES = [spec.path.rpartition("/")[2] for spec in FILES]


@dataclass(frozen=True, slots=True)
class Stage:
    """A cluster with the files, and a client."""

    cluster: HdfsCluster
    datanodes: Datanodes

    def blocks(self, spec: FileSpec) -> tuple[LocatedBlockProto, ...]:
        return located_blocks(self.cluster, spec.path)

    def read(
        self,
        block: LocatedBlockProto,
        offset: int,
        size: int,
        algorithm: Algorithm = Algorithm.CRC32C,
        replica: int = 0,
        allow_unproven: bool = False,
    ) -> tuple[bytes, DatanodeRead]:
        """Reads a range between two guards, which must stay as they are."""
        memory = bytearray(b"\xaa" * (size + 32))
        view = memoryview(memory)[16 : 16 + size]
        found = self.datanodes.read(address_of(block, replica), block, offset, view, algorithm, allow_unproven)
        assert memory[:16] + memory[16 + size :] == b"\xaa" * 32
        return bytes(view), found


@pytest.fixture(scope="module")
def stage(hdfs: HdfsCluster) -> Iterator[Stage]:
    hdfs.make([*FILES, NULL])
    datanodes = Datanodes("test")
    yield Stage(hdfs, datanodes)
    datanodes.close()


def whole(spec: FileSpec) -> bytes:
    return content(spec.seed, spec.size + spec.append_bytes)


@pytest.mark.parametrize("spec", FILES, ids=NAMES)
def test_whole_blocks_of_every_replica_are_read_and_proven(stage: Stage, spec: FileSpec) -> None:
    data, parts = whole(spec), []
    for block in stage.blocks(spec):
        expected = data[block.offset : block.offset + block.b.numBytes]
        for replica in range(len(block.locs)):  # two, but for appended blocks whose second report is late
            got, found = stage.read(block, 0, len(expected), replica=replica)
            assert got == expected
            assert found == DatanodeRead(
                (checksum_of(Algorithm.CRC32C, expected),),
                True,
                1 if spec.checksum_type == "CRC32" else 2,
                spec.bytes_per_checksum,
            )
        parts.append((found.checksum, len(expected)))
    assert concatenation(parts) == checksum_of(Algorithm.CRC32C, data)


@pytest.mark.parametrize("algorithm", list(Algorithm))
@pytest.mark.parametrize("spec", FILES, ids=NAMES)
def test_any_range_is_read_exactly(stage: Stage, spec: FileSpec, algorithm: Algorithm) -> None:
    data = whole(spec)
    block = stage.blocks(spec)[-1]
    size = block.b.numBytes
    places = {0, 1, 63, 64, 511, 512, 513, 1535, 1536, 65_536, size // 3, size - 1, size}
    starts = sorted(place for place in places if place <= size)
    for start in starts:
        for end in (start, start + 1, start + 600, size - 1, size):
            if not start <= end <= size:
                continue
            got, found = stage.read(block, start, end - start, algorithm)
            expected = data[block.offset + start : block.offset + end]
            assert got == expected, (start, end)
            assert (found.checksum, found.proven) == (checksum_of(algorithm, expected), True), (start, end)


@pytest.mark.parametrize("spec", FILES, ids=NAMES)
def test_stored_sums_are_those_of_the_bytes(stage: Stage, spec: FileSpec) -> None:
    data = whole(spec)
    stored = Algorithm(spec.checksum_type)
    for block in stage.blocks(spec):
        for size in {block.b.numBytes, 1, block.b.numBytes // 2, 0}:
            expected = checksum_of(stored, data[block.offset : block.offset + size]).value
            found = stage.datanodes.block_sums(address_of(block), block, size)
            crc_type = 1 if stored is Algorithm.CRC32 else 2
            assert found == BlockSums(crc_type, spec.bytes_per_checksum, expected, ()), size


def test_stripes_have_sums_of_their_own(stage: Stage) -> None:
    spec = FILES[-1]
    (block,) = stage.blocks(spec)
    data, size = whole(spec), spec.size
    found = stage.datanodes.block_sums(address_of(block), block, size, 5 * MIB)
    stripes = [data[at : at + 5 * MIB] for at in range(0, size, 5 * MIB)]
    assert found.stripes == tuple(checksum_of(Algorithm.CRC32C, stripe).value for stripe in stripes)
    assert found.crc == checksum_of(Algorithm.CRC32C, data).value


def test_stripes_that_cut_a_chunk_have_none_but_the_block_has(stage: Stage) -> None:
    spec = FILES[-1]
    (block,) = stage.blocks(spec)
    found = stage.datanodes.block_sums(address_of(block), block, spec.size, 5 * MIB + 1)
    assert found == BlockSums(2, 512, checksum_of(Algorithm.CRC32C, whole(spec)).value, ())


def test_a_file_that_is_being_written_is_read_up_to_its_known_length(stage: Stage, folder_name: str) -> None:
    """The last chunk is still growing; its sum is the one that the DataNode holds in memory."""
    path, size = f"{folder_name}/open", 100_300
    held = stage.cluster.hold_open(path, size, 5)
    try:
        (block,) = located_blocks(stage.cluster, path)
        data = content(5, size)
        for known in (size, size - 1, 100_000, 512):
            block.b.numBytes = known
            got, found = stage.read(block, 0, known)
            assert got == data[:known]
            assert (found.checksum, found.proven) == (checksum_of(Algorithm.CRC32C, data[:known]), True)
    finally:
        held.close()


# ---- files without sums, and damage ---------------------------------------------------------------------------------


def test_a_file_without_sums_is_unverified_unless_allowed(stage: Stage) -> None:
    (block,) = stage.blocks(NULL)
    with pytest.raises(BlockferryError) as caught:
        stage.read(block, 0, NULL.size)
    assert (caught.value.reason, caught.value.retryable) == ("SOURCE_UNVERIFIED", False)
    for offset in (0, 1000):
        got, found = stage.read(block, offset, NULL.size - offset, allow_unproven=True)
        assert got == whole(NULL)[offset:]
        assert (found.proven, found.crc_type) == (False, 0)
        assert found.checksum == checksum_of(Algorithm.CRC32C, got)
    sums = stage.datanodes.block_sums(address_of(block), block, NULL.size)
    assert (sums.crc_type, sums.crc, sums.stripes) == (0, None, ())


@dataclass(frozen=True, slots=True)
class Victim:
    """A fresh file of one block, and one replica of it on disk."""

    spec: FileSpec
    block: LocatedBlockProto
    replica: int
    file: Path

    @property
    def meta(self) -> Path:
        (meta,) = self.file.parent.glob(f"{self.file.name}_*.meta")
        return meta


def victim(stage: Stage, folder: str) -> Victim:
    spec = FileSpec(f"{folder}/victim", 300_000, seed=99)
    stage.cluster.make([spec])
    (block,) = stage.blocks(spec)
    replicas = stage.cluster.replicas(spec.path)
    node = min(replicas)
    address = stage.cluster.datanode_address(node)
    replica = [f"{loc.id.ipAddr}:{loc.id.xferPort}" for loc in block.locs].index(address)
    return Victim(spec, block, replica, replicas[node])


def flip_byte(file: Path, place: int) -> None:
    with file.open("r+b", buffering=0) as handle:
        byte = os.pread(handle.fileno(), 1, place)
        os.pwrite(handle.fileno(), bytes((byte[0] ^ 0xFF,)), place)


def assert_the_other_is_sound(stage: Stage, hurt: Victim) -> None:
    got, found = stage.read(hurt.block, 0, hurt.spec.size, replica=1 - hurt.replica)
    assert got == whole(hurt.spec)
    assert found.proven


@pytest.mark.parametrize("place", [0, 150_000, 299_999])
def test_a_flipped_byte_on_disk_is_found(stage: Stage, folder_name: str, place: int) -> None:
    hurt = victim(stage, folder_name)
    flip_byte(hurt.file, place)
    with pytest.raises(BlockferryError) as caught:
        stage.read(hurt.block, 0, hurt.spec.size, replica=hurt.replica)
    error = caught.value
    assert (error.reason, error.retryable) == ("CHECKSUM_MISMATCH", False)
    host, port = address_of(hurt.block, hurt.replica)
    assert error.coordinates["host"] == f"{host}:{port}"
    assert error.coordinates["block_id"] == str(hurt.block.b.blockId)
    assert error.coordinates["offset"] == str(place - place % 512)
    assert_the_other_is_sound(stage, hurt)


def test_the_stored_sums_do_not_tell_that_the_disk_lies(stage: Stage, folder_name: str) -> None:
    """OP_BLOCK_CHECKSUM never reads the data: it proves what was written, not that a replica is sound."""
    hurt = victim(stage, folder_name)
    flip_byte(hurt.file, 1000)
    sums = stage.datanodes.block_sums(address_of(hurt.block, hurt.replica), hurt.block, hurt.spec.size)
    assert sums.crc == checksum_of(Algorithm.CRC32C, whole(hurt.spec)).value


def test_a_flipped_byte_in_the_stored_sums_is_found(stage: Stage, folder_name: str) -> None:
    hurt = victim(stage, folder_name)
    flip_byte(hurt.meta, 7 + 4 * 10)  # 7 bytes of header, then one sum per chunk
    with pytest.raises(BlockferryError) as caught:
        stage.read(hurt.block, 0, hurt.spec.size, replica=hurt.replica)
    assert (caught.value.reason, caught.value.coordinates["offset"]) == ("CHECKSUM_MISMATCH", "5120")
    assert_the_other_is_sound(stage, hurt)


def test_a_replica_whose_sums_are_lost_is_unverified(stage: Stage, folder_name: str) -> None:
    hurt = victim(stage, folder_name)
    hurt.meta.unlink()
    with pytest.raises(BlockferryError) as caught:
        stage.read(hurt.block, 0, hurt.spec.size, replica=hurt.replica)
    assert caught.value.reason == "SOURCE_UNVERIFIED"
    assert_the_other_is_sound(stage, hurt)


def test_a_replica_that_is_cut_short_is_not_taken_for_the_block(stage: Stage, folder_name: str) -> None:
    hurt = victim(stage, folder_name)
    os.truncate(hurt.file, 100_000)
    with pytest.raises(BlockferryError) as caught:
        stage.read(hurt.block, 0, hurt.spec.size, replica=hurt.replica)
    assert caught.value.reason in ("REPLICA_UNREADABLE", "CHECKSUM_MISMATCH")
    assert_the_other_is_sound(stage, hurt)


def test_a_replica_that_is_gone_is_missing(stage: Stage, folder_name: str) -> None:
    hurt = victim(stage, folder_name)
    hurt.meta.unlink()
    hurt.file.unlink()
    with pytest.raises(BlockferryError) as caught:
        stage.read(hurt.block, 0, hurt.spec.size, replica=hurt.replica)
    assert (caught.value.reason, caught.value.retryable) == ("REPLICA_MISSING", False)
    assert_the_other_is_sound(stage, hurt)


def test_a_block_that_never_was_is_missing(stage: Stage) -> None:
    block = LocatedBlockProto()
    block.CopyFrom(stage.blocks(FILES[0])[0])
    block.b.blockId += 1 << 40
    for ask in (lambda: stage.read(block, 0, 1), lambda: stage.datanodes.block_sums(address_of(block), block, 1)):
        with pytest.raises(BlockferryError) as caught:
            ask()
        assert caught.value.reason == "REPLICA_MISSING"


def test_bytes_behind_the_block_are_refused(stage: Stage) -> None:
    block = stage.blocks(FILES[0])[0]
    with pytest.raises(BlockferryError) as caught:
        stage.read(block, 0, block.b.numBytes + 1)
    assert caught.value.reason == "REPLICA_UNREADABLE"
    assert "don't match block" in caught.value.message


def test_an_empty_read_tells_the_type_of_the_sums(stage: Stage) -> None:
    for spec, crc_type in ((FILES[0], 2), (FILES[len(SIZES)], 1), (NULL, 0)):
        block = stage.blocks(spec)[0]
        _, found = stage.read(block, 0, 0, allow_unproven=True)
        assert found.crc_type == crc_type
        assert found.checksum == Checksum(Algorithm.CRC32C, 0)
