"""Reads blocks and their stored checksums from DataNodes: data transfer 28, one replica per call.

Never chooses among replicas and never retries, but for a pooled connection that the DataNode had closed: `source` does.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from blockferry.errors import BlockferryError
from stores.checksum import Algorithm
from stores.hdfs.block_read import UnpredictedPacketError
from stores.hdfs.peer import Address, Connect, IdlePeers, Peer
from stores.hdfs.replica import Replica
from stores.hdfs.transfer import (
    CRC_TYPE_NULL,
    BlockSums,
    DatanodeRead,
    Wish,
    algorithm_of,
    read_block,
    stored_sums,
)
from stores.hdfs.wire.hdfs_pb2 import LocatedBlockProto

__all__ = ["CRC_TYPE_NULL", "BlockSums", "DatanodeRead", "Datanodes", "algorithm_of"]

T = TypeVar("T")


class Datanodes:
    """The DataNodes of a cluster. Thread safe: each call has a connection of its own; at most 4 per DataNode stay idle.

    Memory beside the caller's view: about 70 KiB a call (130 KiB with packets of 4 KiB), and two chunks.
    """

    def __init__(self, client_name: str, timeout_s: float = 60.0, connect: Connect | None = None) -> None:
        """Opens nothing yet.

        Args:
            client_name: who reads, for the DataNodes' logs.
            timeout_s: for connecting, and for each time that nothing moves; a DataNode that hangs in the middle is
                given up after at most twice as long.
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
        algorithm: Algorithm | None,
        allow_unproven: bool = False,
    ) -> DatanodeRead:
        """Fills `view` (writable contiguous bytes) with the block's bytes from `offset` on, and verifies them.

        An empty view moves no data and only tells the type of the stored sums. When it raises, the content of `view`
        is undefined.

        Args:
            algorithm: of the checksum that is returned; None: the stored one, CRC32C where none is stored. Where it is
                not the stored one, the bytes are hashed twice.
            allow_unproven: also read from a replica that has no sums.

        Raises:
            BlockferryError: CHECKSUM_MISMATCH, SOURCE_UNVERIFIED, REPLICA_MISSING, TOKEN_REFUSED: try another replica;
                DATANODE_UNAVAILABLE.
        """
        wish = Wish(_replica(address, block), block, offset, view, algorithm, allow_unproven)
        read = partial(read_block, wish=wish, client_name=self._client_name)
        try:
            return self._talk(address, wish.replica, offset, partial(read, predictable=True))
        except UnpredictedPacketError:
            return self._talk(address, wish.replica, offset, partial(read, predictable=False))

    def block_sums(
        self, address: Address, block: LocatedBlockProto, size_bytes: int, stripe_bytes: int = 0
    ) -> BlockSums:
        """Returns the sums of the first `size_bytes` of a block, and of its stripes if `stripe_bytes` is positive. The
        DataNode combines what it stores (0.21 CPU s/GiB there); a stripe must be a multiple of `bytes_per_crc`.

        Raises:
            BlockferryError: REPLICA_MISSING, TOKEN_REFUSED, DATANODE_UNAVAILABLE.
        """
        replica = _replica(address, block)
        ask = partial(stored_sums, replica=replica, block=block, size_bytes=size_bytes, stripe_bytes=stripe_bytes)
        try:
            if size_bytes:
                return self._talk(address, replica, 0, ask)
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


def _replica(address: Address, block: LocatedBlockProto) -> Replica:
    return Replica(block.b.blockId, f"{address[0]}:{address[1]}")


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
