"""Layouts as blocks, slices and versions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stores.base import Extent
from stores.hdfs.blocks import blocks_of, identity, layout_of, slices
from stores.hdfs.wire.hdfs_pb2 import (
    ErasureCodingPolicyProto,
    FileEncryptionInfoProto,
    LocatedBlockProto,
    LocatedBlocksProto,
)

SIZES = st.lists(st.integers(1, 50), max_size=8)


def located(block_id: int, offset: int, size: int, generation: int = 1, host: str = "10.0.0.1") -> LocatedBlockProto:
    block = LocatedBlockProto(offset=offset, corrupt=False)
    block.b.poolId, block.b.blockId, block.b.generationStamp, block.b.numBytes = "BP-1", block_id, generation, size
    token = block.blockToken
    token.identifier, token.password, token.kind, token.service = b"", b"", "", ""
    info = block.locs.add()
    info.id.ipAddr, info.id.hostName, info.id.datanodeUuid = host, host, "u"
    info.id.xferPort, info.id.infoPort, info.id.ipcPort = 9866, 9864, 9867
    return block


def layout(sizes: list[int], *, is_open: bool = False, host: str = "10.0.0.1", generation: int = 1) -> bytes:
    """Returns a file of blocks 1, 2, ...; the last one of an open file stands apart, as a NameNode gives it."""
    offsets = [sum(sizes[:index]) for index in range(len(sizes))]
    blocks = [
        located(index + 1, offset, size, generation, host)
        for index, (offset, size) in enumerate(zip(offsets, sizes, strict=True))
    ]
    proto = LocatedBlocksProto(fileLength=sum(sizes), underConstruction=is_open, isLastBlockComplete=not is_open)
    proto.blocks.extend(blocks[:-1] if is_open else blocks)
    if blocks:
        proto.lastBlock.CopyFrom(blocks[-1])
    return proto.SerializeToString()


@given(SIZES, st.booleans())
def test_blocks_cover_the_file_without_a_gap(sizes: list[int], is_open: bool) -> None:
    blocks = blocks_of(layout(sizes, is_open=is_open), sum(sizes))
    assert [block.extent.size for block in blocks] == sizes
    assert [block.extent.offset for block in blocks] == [sum(sizes[:index]) for index in range(len(sizes))]
    assert [block.block_id for block in blocks] == list(range(1, len(sizes) + 1))


@given(SIZES.filter(bool), st.data())
def test_a_shorter_size_needs_fewer_blocks(sizes: list[int], data: st.DataObject) -> None:
    size = data.draw(st.integers(0, sum(sizes)))
    assert sum(block.extent.size for block in blocks_of(layout(sizes), size)) == size


@given(SIZES, st.integers(1, 5))
def test_a_size_that_the_blocks_do_not_hold_is_refused(sizes: list[int], more: int) -> None:
    with pytest.raises(ValueError, match="hold"):
        blocks_of(layout(sizes), sum(sizes) + more)


def test_a_gap_between_blocks_is_refused() -> None:
    proto = LocatedBlocksProto.FromString(layout([5, 6, 7]))
    del proto.blocks[1]
    with pytest.raises(ValueError, match="begins at 11, after 5"):
        blocks_of(proto.SerializeToString(), 18)


def test_garbage_is_no_layout() -> None:
    with pytest.raises(ValueError, match="LocatedBlocksProto"):
        blocks_of(b"\xff\xff\xff", 1)


@given(SIZES.filter(bool), st.data())
def test_slices_hold_exactly_the_range(sizes: list[int], data: st.DataObject) -> None:
    total = sum(sizes)
    offset = data.draw(st.integers(0, total))
    size = data.draw(st.integers(0, total - offset))
    pieces = slices(blocks_of(layout(sizes), total), offset, size)
    covered = [
        place
        for piece in pieces
        for place in range(
            piece.block.extent.offset + piece.offset, piece.block.extent.offset + piece.offset + piece.size
        )
    ]
    assert covered == list(range(offset, offset + size))
    assert all(piece.size and piece.offset + piece.size <= piece.block.extent.size for piece in pieces)


def test_a_range_beyond_the_end_is_refused() -> None:
    with pytest.raises(ValueError, match="do not hold"):
        slices(blocks_of(layout([5]), 5), 3, 3)


@given(SIZES)
def test_the_version_does_not_tell_replicas_apart(sizes: list[int]) -> None:
    one, other = layout(sizes), layout(sizes, host="10.9.9.9")
    assert identity(7, sum(sizes), one)[0] == identity(7, sum(sizes), other)[0]


@given(SIZES.filter(bool))
def test_the_version_tells_contents_apart(sizes: list[int]) -> None:
    total = sum(sizes)
    same = identity(7, total, layout(sizes))[0]
    assert len(same) == 16
    different = {
        identity(8, total, layout(sizes))[0],
        identity(7, total + 1, layout(sizes))[0],
        identity(7, total, layout(sizes, generation=2))[0],
        identity(7, total, layout([*sizes, 1]))[0],
    }
    assert len(different) == 4
    assert same not in different


@given(SIZES, st.booleans())
def test_what_is_said_twice_is_left_out_and_nothing_else(sizes: list[int], is_open: bool) -> None:
    whole = layout(sizes, is_open=is_open)
    _, told_open, short = identity(7, sum(sizes), whole)
    assert told_open is is_open
    assert len(short) <= len(whole)
    assert blocks_of(short, sum(sizes)) == blocks_of(whole, sum(sizes))
    expected = LocatedBlocksProto.FromString(whole)
    if not is_open:
        expected.ClearField("lastBlock")
    assert LocatedBlocksProto.FromString(short) == expected
    assert identity(7, sum(sizes), short)[0] == identity(7, sum(sizes), whole)[0]


def test_an_open_file_has_one_version_however_its_last_block_is_given() -> None:
    apart = layout([5, 6], is_open=True)
    within = LocatedBlocksProto.FromString(apart)
    within.blocks.append(within.lastBlock)
    assert identity(1, 11, apart)[0] == identity(1, 11, within.SerializeToString())[0]
    assert [block.extent for block in blocks_of(apart, 8)] == [Extent(0, 5), Extent(5, 3)]


@pytest.mark.parametrize("is_open", [False, True])
def test_how_the_blocks_hold_the_content_is_kept_with_them(is_open: bool) -> None:
    plain = layout([5, 6], is_open=is_open)
    assert (layout_of(plain, 11).encryption, layout_of(plain, 11).erasure_coding) == (None, None)
    proto = LocatedBlocksProto.FromString(plain)
    encryption = FileEncryptionInfoProto(
        suite=2, cryptoProtocolVersion=2, key=b"k" * 16, iv=b"i" * 16, keyName="k1", ezKeyVersionName="k1@0"
    )
    proto.fileEncryptionInfo.CopyFrom(encryption)
    proto.ecPolicy.CopyFrom(ErasureCodingPolicyProto(id=2, cellSize=1024))
    version, _, short = identity(7, 11, proto.SerializeToString())
    found = layout_of(short, 11)
    assert (found.encryption, found.erasure_coding) == (encryption, proto.ecPolicy)
    assert found.blocks == blocks_of(plain, 11)
    assert version == identity(7, 11, plain)[0]  # another key version after a re-encryption is the same content
