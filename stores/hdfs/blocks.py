"""Where a file's bytes lie: a serialised LocatedBlocksProto as blocks, and what of it tells one content from another.
PURE. Asks nobody.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

from google.protobuf.message import DecodeError

from stores.base import Extent
from stores.hdfs.wire.hdfs_pb2 import (
    ErasureCodingPolicyProto,
    FileEncryptionInfoProto,
    LocatedBlockProto,
    LocatedBlocksProto,
)
from stores.hdfs.wire.listing_pb2 import LayoutIdentityProto

_VERSION_BYTES = 8


@dataclass(frozen=True, slots=True)
class FileBlock:
    """One block of a file, with its replicas. `extent` counts from the file's begin."""

    extent: Extent
    located: LocatedBlockProto

    @property
    def block_id(self) -> int:
        """The number as Hadoop writes it."""
        return signed_id(self.located.b.blockId)

    @property
    def generation(self) -> int:
        return self.located.b.generationStamp


def signed_id(block_id: int) -> int:
    """Returns a block's number as Hadoop writes it: those of block groups and their units are negative."""
    return block_id - (1 << 64) if block_id >> 63 else block_id


@dataclass(frozen=True, slots=True)
class BlockSlice:
    """What a range of a file needs of one block: `size` bytes from `offset` on, counted from the block's begin."""

    block: FileBlock
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class FileLayout:
    """What one answer of the NameNode says of a file's content.

    Attributes:
        blocks: in order.
        encryption: of a file in an encryption zone: its blocks hold ciphertext.
        erasure_coding: of a striped file: its blocks are block groups.
    """

    blocks: tuple[FileBlock, ...]
    encryption: FileEncryptionInfoProto | None = None
    erasure_coding: ErasureCodingPolicyProto | None = None


def layout_of(layout: bytes, size_bytes: int) -> FileLayout:
    """Returns what a serialised LocatedBlocksProto says of the first `size_bytes` of a file.

    The last block of a file that is still written comes with what the NameNode knows of its length.

    Raises:
        ValueError: `layout` is no LocatedBlocksProto, or its blocks do not cover the size without a gap.
    """
    try:
        proto = LocatedBlocksProto.FromString(layout)
    except DecodeError as error:
        raise ValueError(f"not a LocatedBlocksProto: {error}") from error
    return FileLayout(
        _covering(proto, size_bytes),
        proto.fileEncryptionInfo if proto.HasField("fileEncryptionInfo") else None,
        proto.ecPolicy if proto.HasField("ecPolicy") else None,
    )


def blocks_of(layout: bytes, size_bytes: int) -> tuple[FileBlock, ...]:
    """Returns the blocks that hold the first `size_bytes` of a file, in order; see `layout_of`."""
    return layout_of(layout, size_bytes).blocks


def _covering(proto: LocatedBlocksProto, size_bytes: int) -> tuple[FileBlock, ...]:
    blocks: list[FileBlock] = []
    end = 0
    for block in _all_blocks(proto):
        if end >= size_bytes:
            break
        if block.offset != end or not block.b.numBytes:
            raise ValueError(f"block {block.b.blockId} begins at {block.offset}, after {end} bytes")
        block_end = min(end + block.b.numBytes, size_bytes)
        blocks.append(FileBlock(Extent(end, block_end - end), block))
        end = block_end
    if end < size_bytes:
        raise ValueError(f"the blocks hold {end} of {size_bytes} bytes")
    return tuple(blocks)


def slices(blocks: tuple[FileBlock, ...], offset: int, size: int) -> tuple[BlockSlice, ...]:
    """Returns what the range needs of each block, in order. Raises ValueError when they do not hold all of it."""
    found: list[BlockSlice] = []
    for block in blocks:
        begin = max(offset, block.extent.offset)
        end = min(offset + size, block.extent.offset + block.extent.size)
        if begin < end:
            found.append(BlockSlice(block, begin - block.extent.offset, end - begin))
    if sum(piece.size for piece in found) != size:
        raise ValueError(f"the blocks do not hold the {size} bytes from {offset} on")
    return tuple(found)


def identity(file_id: int, size_bytes: int, layout: bytes) -> tuple[str, bool, bytes]:
    """Returns what a LocatedBlocksProto says of a file's content: its version, whether somebody is writing it, and the
    layout without what it says twice (half as long for files of one block). Costs 2 us for one block.

    The version is 16 hexadecimal digits that change with the file's id, length, block ids, lengths or generation
    stamps. It is the same from a listing and from getBlockLocations: replicas, their order and tokens do not count.
    """
    proto = LayoutIdentityProto.FromString(layout)
    is_open = proto.underConstruction
    if is_open:
        # A listing may have the block that is being written once more or once less than getBlockLocations.
        told = b"".join(block.b.SerializeToString() for block in _all_blocks(LocatedBlocksProto.FromString(layout)))
    else:
        proto.ClearField("lastBlock")
        layout = proto.SerializeToString()
        proto.DiscardUnknownFields()
        told = proto.SerializeToString()
    version = blake2b(b"%d %d " % (file_id, size_bytes) + told, digest_size=_VERSION_BYTES).hexdigest()
    return version, is_open, layout


def _all_blocks(proto: LocatedBlocksProto) -> list[LocatedBlockProto]:
    blocks = list(proto.blocks)
    if proto.HasField("lastBlock") and all(block.b.blockId != proto.lastBlock.b.blockId for block in blocks[-1:]):
        blocks.append(proto.lastBlock)
    return blocks
