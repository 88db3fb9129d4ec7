"""Reads blocks and their stored checksums from DataNodes: data transfer 28, one replica per call.

Never chooses among replicas and never retries but for a pooled connection that the DataNode had closed: `source` does.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from google.protobuf.message import DecodeError

from blockferry.errors import BlockferryError
from stores.checksum import Algorithm, Checksum, concatenation
from stores.hdfs import packet
from stores.hdfs.block_read import Answer, UnpredictedPacketError, receive
from stores.hdfs.crc_tree import words_of
from stores.hdfs.packet import CRC_BYTES
from stores.hdfs.peer import Address, Connect, IdlePeers, Peer
from stores.hdfs.replica import Replica
from stores.hdfs.tally import Tally
from stores.hdfs.target import Target
from stores.hdfs.wire.datanode_pb2 import (
    BaseHeaderProto,
    BlockChecksumOptionsProto,
    BlockOpResponseProto,
    ClientOperationHeaderProto,
    ClientReadStatusProto,
    OpBlockChecksumProto,
    OpReadBlockProto,
)
from stores.hdfs.wire.hdfs_pb2 import LocatedBlockProto

T = TypeVar("T")

CRC_TYPE_NULL = 0
_ALGORITHMS = {1: Algorithm.CRC32, 2: Algorithm.CRC32C}  # DataChecksum.Type of Hadoop
_SUCCESS, _ERROR_CHECKSUM, _ERROR_ACCESS_TOKEN, _CHECKSUM_OK = 0, 2, 5, 6  # Status of datatransfer.proto
_COMPOSITE_CRC = 2


@dataclass(frozen=True, slots=True)
class DatanodeRead:
    """What a read found.

    Attributes:
        checksum: of exactly the wanted bytes, in the wanted algorithm.
        proven: every byte was compared with the sums that the DataNode stores.
        crc_type: 0 NULL, 1 CRC32, 2 CRC32C, as stored.
        bytes_per_crc: chunk size of the stored sums; without meaning for NULL.
    """

    checksum: Checksum
    proven: bool
    crc_type: int
    bytes_per_crc: int


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


@dataclass(frozen=True, slots=True)
class _Wish:
    """The arguments of a read."""

    replica: Replica
    block: LocatedBlockProto
    offset: int
    view: memoryview
    algorithm: Algorithm
    allow_unproven: bool


def algorithm_of(crc_type: int) -> Algorithm | None:
    """Returns the algorithm of Hadoop's checksum type; None for NULL and unknown ones."""
    return _ALGORITHMS.get(crc_type)


class Datanodes:
    """The DataNodes of a cluster. Thread safe: each call has a connection of its own; at most 4 per DataNode stay idle.

    Memory beside the caller's view: about 70 KiB a call (130 KiB with packets of 4 KiB), and two chunks.
    """

    def __init__(self, client_name: str, timeout_s: float = 60.0, connect: Connect | None = None) -> None:
        """Opens nothing yet.

        Args:
            client_name: who reads, for the DataNodes' logs.
            timeout_s: for connecting, and for each time that nothing moves.
            connect: gives a connected socket for a host and a port, with SASL done if need be.
        """
        self._client_name = client_name
        self._timeout_s = timeout_s
        self._connect = connect or self._connect_plainly
        self._idle = IdlePeers()

    def close(self) -> None:
        """Closes the idle connections. Calls that run go on and close theirs."""
        self._idle.close()

    def read(
        self,
        address: Address,
        block: LocatedBlockProto,
        offset: int,
        view: memoryview,
        algorithm: Algorithm,
        allow_unproven: bool = False,
    ) -> DatanodeRead:
        """Fills `view` (writable contiguous bytes) with the block's bytes from `offset` on, and verifies them.

        An empty view moves no data and only tells the type of the stored sums. When it raises, the content of `view`
        is undefined.

        Args:
            algorithm: of the checksum that is returned. Where it is not the stored one, the bytes are hashed twice.
            allow_unproven: also read from a replica that has no sums.

        Raises:
            BlockferryError: CHECKSUM_MISMATCH, SOURCE_UNVERIFIED, REPLICA_MISSING, TOKEN_REFUSED: try another replica;
                DATANODE_UNAVAILABLE.
        """
        wish = _Wish(_replica(address, block), block, offset, view, algorithm, allow_unproven)
        try:
            return self._talk(address, wish.replica, offset, lambda peer: self._read(peer, wish, predictable=True))
        except UnpredictedPacketError:
            return self._talk(address, wish.replica, offset, lambda peer: self._read(peer, wish, predictable=False))

    def block_sums(
        self, address: Address, block: LocatedBlockProto, size_bytes: int, stripe_bytes: int = 0
    ) -> BlockSums:
        """Returns the sums of the first `size_bytes` of a block, and of its stripes if `stripe_bytes` is positive. The
        DataNode combines what it stores (0.21 CPU s/GiB there); a stripe must be a multiple of `bytes_per_crc`.

        Raises:
            BlockferryError: REPLICA_MISSING, TOKEN_REFUSED, DATANODE_UNAVAILABLE.
        """
        replica = _replica(address, block)
        try:
            if size_bytes:
                return self._talk(
                    address, replica, 0, lambda peer: _ask(peer, replica, block, size_bytes, stripe_bytes)
                )
        except BlockferryError as error:
            if error.reason != "DATANODE_UNAVAILABLE":
                raise
            failure = error
        # On NULL sums and on stripes that cut a chunk the DataNode just drops the connection: see which it was.
        kind = self.read(address, block, 0, memoryview(bytearray()), Algorithm.CRC32C, allow_unproven=True)
        if kind.crc_type == CRC_TYPE_NULL or not size_bytes:
            return BlockSums(kind.crc_type, kind.bytes_per_crc, 0 if kind.proven else None, ())
        if stripe_bytes % kind.bytes_per_crc:
            return self.block_sums(address, block, size_bytes)
        raise failure

    def _connect_plainly(self, host: str, port: int) -> socket.socket:
        return socket.create_connection((host, port), self._timeout_s)

    def _talk(self, address: Address, replica: Replica, offset: int, operation: Callable[[Peer], T]) -> T:
        """Runs an operation over an idle connection or a new one. One that the DataNode had closed meanwhile, which
        shows when the operation begins, is replaced once."""
        try:
            if peer := self._idle.take(address):
                try:
                    return self._operate(peer, operation)
                except (ConnectionError, EOFError):
                    if peer.answered:
                        raise
            return self._operate(Peer(address, self._connect(*address), self._timeout_s), operation)
        except (OSError, EOFError) as error:
            raise _unavailable(replica, offset, error, self._timeout_s) from error

    def _operate(self, peer: Peer, operation: Callable[[Peer], T]) -> T:
        with peer:
            result = operation(peer)
        self._idle.give(peer)
        return result

    def _read(self, peer: Peer, wish: _Wish, predictable: bool) -> DatanodeRead:
        base = BaseHeaderProto(block=wish.block.b, token=wish.block.blockToken)
        header = ClientOperationHeaderProto(baseHeader=base, clientName=self._client_name)
        message = OpReadBlockProto(header=header, offset=wish.offset, len=len(wish.view), sendChecksums=True)
        peer.send(packet.request(packet.READ_BLOCK, message))
        response = _response(peer, wish.replica, wish.offset)
        crc_type = response.readOpChecksumInfo.checksum.type
        answer = _answer(wish, response)
        try:
            receive(peer, answer, predictable)
        except BlockferryError as error:
            if error.reason == "CHECKSUM_MISMATCH":
                _report(peer, _ERROR_CHECKSUM)
            raise
        proven = crc_type != CRC_TYPE_NULL
        _report(peer, _CHECKSUM_OK if proven else _SUCCESS)
        return DatanodeRead(answer.tally.checksum, proven, crc_type, answer.bytes_per_crc)


def _replica(address: Address, block: LocatedBlockProto) -> Replica:
    return Replica(block.b.blockId, f"{address[0]}:{address[1]}")


def _report(peer: Peer, status: int) -> None:
    """Tells the DataNode how the read went. That it cannot be told changes nothing: the bytes are here."""
    with contextlib.suppress(OSError):
        peer.send(packet.delimited(ClientReadStatusProto(status=status)))


def _response(peer: Peer, replica: Replica, offset: int) -> BlockOpResponseProto:
    """Returns the DataNode's answer to a request; raises what its status says."""
    body = peer.receive_message()
    try:
        response = BlockOpResponseProto.FromString(body)
    except DecodeError as error:
        raise EOFError(f"it answered with something else than data transfer {packet.VERSION}") from error
    match response.status:
        case 0:
            return response
        case 5:
            raise replica.failure(
                "TOKEN_REFUSED",
                f"the DataNode {replica.host} refuses the token for block {replica.block_id}: {response.message}. "
                "It may have expired: ask the NameNode for the file's locations again.",
                offset,
            )
        case status:
            raise replica.failure(
                "REPLICA_MISSING",
                f"the DataNode {replica.host} cannot serve block {replica.block_id} (status {status}): "
                f"{response.message}. Read another replica.",
                offset,
            )


def _unavailable(replica: Replica, offset: int, cause: Exception, timeout_s: float) -> BlockferryError:
    timed_out = isinstance(cause, (BlockingIOError, TimeoutError))
    what = f"nothing came or went for {timeout_s:g} s" if timed_out else str(cause) or type(cause).__name__
    return replica.failure(
        "DATANODE_UNAVAILABLE",
        f"the DataNode {replica.host} did not serve block {replica.block_id}: {what}. Read another replica, or start "
        "the DataNode again.",
        offset,
        retryable=True,
    )


def _answer(wish: _Wish, response: BlockOpResponseProto) -> Answer:
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
    wanted_end = wish.offset + len(wish.view)
    chunk_end = -(-wanted_end // bytes_per_crc) * bytes_per_crc
    target = Target(start, wish.offset, wish.view, chunk_end)
    tally = Tally(wish.replica, target, stored, bytes_per_crc, wish.algorithm)
    end = min(chunk_end, max(wanted_end, wish.block.b.numBytes))
    return Answer(wish.replica, target, tally, bytes_per_crc, CRC_BYTES if stored else 0, end)


def _ask(peer: Peer, replica: Replica, block: LocatedBlockProto, size_bytes: int, stripe_bytes: int) -> BlockSums:
    base = BaseHeaderProto(block=block.b, token=block.blockToken)
    base.block.numBytes = size_bytes
    options = BlockChecksumOptionsProto(blockChecksumType=_COMPOSITE_CRC, stripeLength=stripe_bytes)
    peer.send(packet.request(packet.BLOCK_CHECKSUM, OpBlockChecksumProto(header=base, blockChecksumOptions=options)))
    sums = _response(peer, replica, 0).checksumResponse
    algorithm = algorithm_of(sums.crcType)
    if algorithm is None or sums.blockChecksumOptions.blockChecksumType != _COMPOSITE_CRC:
        return BlockSums(sums.crcType, sums.bytesPerCrc, None, ())
    crcs = tuple(int(crc) for crc in words_of(sums.blockChecksum).byteswap())
    if not stripe_bytes:
        return BlockSums(sums.crcType, sums.bytesPerCrc, crcs[0], ())
    sizes = [min(stripe_bytes, size_bytes - at) for at in range(0, size_bytes, stripe_bytes)]
    parts = [(Checksum(algorithm, crc), size) for crc, size in zip(crcs, sizes, strict=True)]
    return BlockSums(sums.crcType, sums.bytesPerCrc, concatenation(parts).value, crcs)
