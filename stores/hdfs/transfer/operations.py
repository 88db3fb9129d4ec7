"""The operations of data transfer 28 over one connection: read a block, ask for its stored sums.

Never opens a connection, and never retries. Messages and status numbers: datatransfer.proto, Sender.java and
DataXceiver.java of Hadoop 3.4.2.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass

from google.protobuf.message import DecodeError

from blockferry.errors import BlockferryError
from stores.checksum import Algorithm, Checksum, concatenation
from stores.hdfs.delimited import delimited
from stores.hdfs.replica import Replica
from stores.hdfs.transfer import packet
from stores.hdfs.transfer.block_read import Answer, receive
from stores.hdfs.transfer.crc_tree import words_of
from stores.hdfs.transfer.packet import CRC_BYTES
from stores.hdfs.transfer.peer import Peer
from stores.hdfs.transfer.tally import Tally
from stores.hdfs.transfer.target import Target
from stores.hdfs.wire.datanode_pb2 import (
    BaseHeaderProto,
    BlockChecksumOptionsProto,
    BlockOpResponseProto,
    ClientReadStatusProto,
    DatanodeInfosProto,
    OpBlockChecksumProto,
    OpBlockChecksumResponseProto,
    OpBlockGroupChecksumProto,
    OpReadBlockProto,
)
from stores.hdfs.wire.hdfs_pb2 import ErasureCodingPolicyProto, LocatedBlockProto

CRC_TYPE_NULL = 0
_ALGORITHMS = {1: Algorithm.CRC32, 2: Algorithm.CRC32C}  # DataChecksum.Type of Hadoop
_SUCCESS, _ERROR_CHECKSUM, _CHECKSUM_OK = 0, 2, 6  # Status of datatransfer.proto
_COMPOSITE_CRC = 2
_BLOCK_GROUP_CHECKSUM = 90  # Op.java
# There is one status for all errors: only its text tells a replica that is not there from a disk that is broken.
# BlockSender.java, FsDatasetImpl.getBlockReplica and .validateBlockFile.
_MISSING = re.compile("ReplicaNotFoundException|FileNotFoundException|is not valid|does not exist")


@dataclass(frozen=True, slots=True)
class DatanodeRead:
    """What a read found.

    Attributes:
        cells: checksums of exactly the wanted bytes, in the wanted algorithm: one per cell, in order.
        proven: every byte was compared with the sums that the DataNode stores.
        crc_type: 0 NULL, 1 CRC32, 2 CRC32C, as stored.
        bytes_per_crc: chunk size of the stored sums; without meaning for NULL.
    """

    cells: tuple[Checksum, ...]
    proven: bool
    crc_type: int
    bytes_per_crc: int

    @property
    def checksum(self) -> Checksum:
        """Of the wanted bytes of a read with one cell."""
        (only,) = self.cells
        return only


@dataclass(frozen=True, slots=True)
class BlockSums:
    """What a DataNode stores for the begin of a block; it has not looked at the data.

    Attributes:
        crc: of the bytes asked for, in the algorithm of `crc_type`; None where there is none (NULL sums, or a DataNode
            older than COMPOSITE_CRC).
        stripes: one CRC per stripe, the last one may be shorter; empty if none were asked for or none can be had.
    """

    crc_type: int
    bytes_per_crc: int
    crc: int | None
    stripes: tuple[int, ...]

    @property
    def uncombined(self) -> bool:
        """Whether it keeps sums of chunks and cannot combine them: COMPOSITE_CRC came with Hadoop 3.1.1. The sums come
        with the data all the same."""
        return self.crc is None and algorithm_of(self.crc_type) is not None


@dataclass(frozen=True, slots=True)
class Wish:
    """The arguments of a read, see `Datanodes.read`. What follows `offset` goes into the cells, one after the other."""

    replica: Replica
    block: LocatedBlockProto
    offset: int
    cells: tuple[memoryview, ...]
    algorithm: Algorithm | None
    allow_unproven: bool

    @property
    def size_bytes(self) -> int:
        """How many bytes are wanted."""
        return sum(map(len, self.cells))


def algorithm_of(crc_type: int) -> Algorithm | None:
    """Returns the algorithm of Hadoop's checksum type; None for NULL and unknown ones."""
    return _ALGORITHMS.get(crc_type)


def read_block(peer: Peer, wish: Wish, client_name: str, predictable: bool) -> DatanodeRead:
    """Fills the wish's cells and verifies them.

    Raises:
        UnpredictedPacketError: only with `predictable`: read again without, over a new connection.
        BlockferryError: see `Datanodes.read`.
        OSError, EOFError: of the connection.
    """
    base = {"block": wish.block.b, "token": wish.block.blockToken}  # as dicts no message is copied into another: 5 us
    message = OpReadBlockProto(
        header={"baseHeader": base, "clientName": client_name},
        offset=wish.offset,
        len=wish.size_bytes,
        sendChecksums=True,
    )
    peer.send(packet.request(packet.READ_BLOCK, message))
    response = _response(peer, wish.replica, wish.offset)
    answer = _answer(wish, response)
    try:
        receive(peer, answer, predictable)
    except BlockferryError as error:
        if error.reason == "CHECKSUM_MISMATCH":
            _report(peer, _ERROR_CHECKSUM)
        raise
    crc_type = response.readOpChecksumInfo.checksum.type
    proven = crc_type != CRC_TYPE_NULL
    _report(peer, _CHECKSUM_OK if proven else _SUCCESS)
    return DatanodeRead(answer.tally.checksums, proven, crc_type, answer.bytes_per_crc)


def _answer(wish: Wish, response: BlockOpResponseProto) -> Answer:
    """Returns what is to be received, as far as the DataNode's answer to the request tells."""
    info = response.readOpChecksumInfo
    bytes_per_crc, start = info.checksum.bytesPerChecksum, info.chunkOffset
    if not bytes_per_crc or not start <= wish.offset < start + bytes_per_crc:
        raise EOFError(f"it begins at {start} with chunks of {bytes_per_crc} bytes, asked for byte {wish.offset}")
    stored = algorithm_of(info.checksum.type)
    if stored is None and not (wish.allow_unproven and info.checksum.type == CRC_TYPE_NULL):
        raise wish.replica.failure(
            "SOURCE_UNVERIFIED",
            f"the DataNode {wish.replica.host} stores no checksums for block {wish.replica.block_id} (type "
            f"{info.checksum.type}). Read another replica, or accept bytes that nothing proves.",
            wish.offset,
        )
    wanted_end = wish.offset + wish.size_bytes
    chunk_end = -(-wanted_end // bytes_per_crc) * bytes_per_crc
    target = Target(start, wish.offset, wish.cells, chunk_end)
    wanted = wish.algorithm or stored or Algorithm.CRC32C
    tally = Tally(wish.replica, target, stored, bytes_per_crc, wanted)
    end = min(chunk_end, max(wanted_end, wish.block.b.numBytes))
    return Answer(wish.replica, target, tally, bytes_per_crc, CRC_BYTES if stored else 0, end)


def stored_sums(
    peer: Peer, replica: Replica, block: LocatedBlockProto, size_bytes: int, stripe_bytes: int
) -> BlockSums:
    """Returns the sums of the first `size_bytes` of a block, and of its stripes if `stripe_bytes` is positive. The
    DataNode closes the connection afterwards; on NULL sums and on stripes that cut a chunk, before."""
    base = BaseHeaderProto(block=block.b, token=block.blockToken)
    base.block.numBytes = size_bytes
    options = BlockChecksumOptionsProto(blockChecksumType=_COMPOSITE_CRC, stripeLength=stripe_bytes)
    peer.send(packet.request(packet.BLOCK_CHECKSUM, OpBlockChecksumProto(header=base, blockChecksumOptions=options)))
    return _sums(_response(peer, replica, 0).checksumResponse, size_bytes, stripe_bytes)


def stored_group_sums(
    peer: Peer, replica: Replica, group: LocatedBlockProto, policy: ErasureCodingPolicyProto, size_bytes: int
) -> BlockSums:
    """Returns the sum of the first `size_bytes` of an erasure-coded block group. The DataNode closes the connection
    afterwards (BlockChecksumHelper.BlockGroupNonStripedChecksumComputer)."""
    message = OpBlockGroupChecksumProto(
        header=BaseHeaderProto(block=group.b, token=group.blockToken),
        datanodes=DatanodeInfosProto(datanodes=group.locs),
        blockTokens=group.blockTokens,
        ecPolicy=policy,
        blockIndices=group.blockIndices,
        requestedNumBytes=size_bytes,
        blockChecksumOptions=BlockChecksumOptionsProto(blockChecksumType=_COMPOSITE_CRC),
    )
    peer.send(packet.request(_BLOCK_GROUP_CHECKSUM, message))
    return _sums(_response(peer, replica, 0).checksumResponse, size_bytes, 0)


def _sums(sums: OpBlockChecksumResponseProto, size_bytes: int, stripe_bytes: int) -> BlockSums:
    algorithm = algorithm_of(sums.crcType)
    if algorithm is None or sums.blockChecksumOptions.blockChecksumType != _COMPOSITE_CRC:
        return BlockSums(sums.crcType, sums.bytesPerCrc, None, ())
    step = stripe_bytes or size_bytes
    sizes = [min(step, size_bytes - at) for at in range(0, size_bytes, step)]
    if len(sums.blockChecksum) != CRC_BYTES * len(sizes):
        raise EOFError(f"it sent {len(sums.blockChecksum)} bytes of checksums for {len(sizes)} stripes")
    crcs = tuple(int(crc) for crc in words_of(sums.blockChecksum).byteswap())
    whole = concatenation((Checksum(algorithm, crc), size) for crc, size in zip(crcs, sizes, strict=True))
    return BlockSums(sums.crcType, sums.bytesPerCrc, whole.value, crcs if stripe_bytes else ())


def _report(peer: Peer, status: int) -> None:
    """Tells the DataNode how the read went. That it cannot be told changes nothing: the bytes are here."""
    with contextlib.suppress(OSError):
        peer.send(delimited(ClientReadStatusProto(status=status)))


def _response(peer: Peer, replica: Replica, offset: int) -> BlockOpResponseProto:
    """Returns the DataNode's answer to a request; raises what its status says."""
    body = peer.receive_message()
    try:
        response = BlockOpResponseProto.FromString(body)
    except DecodeError as error:
        raise EOFError(f"it answered with something else than data transfer {packet.VERSION}") from error
    said = response.message or "it says no more"
    match response.status:
        case 0:  # SUCCESS
            return response
        case 5:  # ERROR_ACCESS_TOKEN
            raise replica.failure(
                "TOKEN_REFUSED",
                f"the DataNode {replica.host} refuses the token for block {replica.block_id}: {said}. "
                "It may have expired: ask the NameNode for the file's locations again.",
                offset,
            )
        case status:
            raise replica.failure(
                "REPLICA_MISSING" if _MISSING.search(response.message) else "REPLICA_UNREADABLE",
                f"the DataNode {replica.host} cannot serve block {replica.block_id} (status {status}): "
                f"{said}. Read another replica.",
                offset,
            )
