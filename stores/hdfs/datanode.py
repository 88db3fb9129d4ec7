"""Reads blocks and their stored checksums from DataNodes: data transfer 28, one replica per call.

Never chooses among replicas and never retries, but for a pooled connection that the DataNode had closed: `source` does.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from blockferry.errors import BlockferryError
from stores.checksum import Algorithm
from stores.hdfs.addresses import Address, shown
from stores.hdfs.blocks import signed_id
from stores.hdfs.replica import Replica
from stores.hdfs.security.sasl import SaslError
from stores.hdfs.transfer.block_read import UnpredictedPacketError
from stores.hdfs.transfer.operations import (
    CRC_TYPE_NULL,
    BlockSums,
    DatanodeRead,
    Wish,
    algorithm_of,
    read_block,
    stored_group_sums,
    stored_sums,
)
from stores.hdfs.transfer.peer import BrokenOffError, Connect, IdlePeers, Peer
from stores.hdfs.transfer.stopwatch import Limit, SlowError, Stopwatch, WaitedEnoughError
from stores.hdfs.wire.hdfs_pb2 import ErasureCodingPolicyProto, LocatedBlockProto, TokenProto

__all__ = ["CRC_TYPE_NULL", "BlockSums", "DatanodeRead", "Datanodes", "algorithm_of"]

T = TypeVar("T")
# Logs in with a block token over a new connection; the rest is for errors.
Protect = Callable[[Peer, TokenProto, Replica, int], None]


class Datanodes:
    """The DataNodes of a cluster. Thread safe: each call has a connection of its own; at most 4 per DataNode stay idle.

    Memory beside the caller's view: about 70 KiB a call (130 KiB with packets of 4 KiB), and two chunks.
    A call without a `limit` ends when nothing has come for `timeout_s`, however slowly bytes come.
    """

    def __init__(
        self,
        client_name: str,
        timeout_s: float = 60.0,
        connect: Connect | None = None,
        protect: Protect | None = None,
    ) -> None:
        """Opens nothing yet.

        Args:
            client_name: who reads, for the DataNodes' logs.
            timeout_s: for connecting, and for each time that nothing moves.
            connect: gives a connected socket for a host, a port and a time limit.
            protect: logs in over each new connection, and lets it be protected; see `transfer_login`.
        """
        self._client_name = client_name
        self._timeout_s = timeout_s
        self._connect = connect or _connect_plainly
        self._protect = protect
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
        limit: Limit | None = None,
    ) -> DatanodeRead:
        """Fills `view` (writable contiguous bytes) with the block's bytes from `offset` on, and verifies them.

        An empty view moves no data and only tells the type of the stored sums. When it raises, the content of `view`
        is undefined.

        Args:
            algorithm: of the checksum that is returned; None: the stored one, CRC32C where none is stored. Where it is
                not the stored one, the bytes are hashed twice.
            allow_unproven: also read from a replica that has no sums.
            limit: how long it may take.

        Raises:
            BlockferryError: CHECKSUM_MISMATCH, SOURCE_UNVERIFIED, REPLICA_MISSING, REPLICA_UNREADABLE, TOKEN_REFUSED:
                it is about this replica; DATANODE_UNAVAILABLE, DATANODE_SLOW: it is about the DataNode.
        """
        return self.read_cells(address, block, offset, (view,), algorithm, allow_unproven, limit)

    def read_cells(
        self,
        address: Address,
        block: LocatedBlockProto,
        offset: int,
        cells: tuple[memoryview, ...],
        algorithm: Algorithm | None,
        allow_unproven: bool = False,
        limit: Limit | None = None,
    ) -> DatanodeRead:
        """Fills the cells, one after the other, as `read` fills its view; one at least, and none empty where there are
        several. Returns a checksum for each."""
        wish = Wish(_replica(address, block), block, offset, cells, algorithm, allow_unproven)
        read = partial(read_block, wish=wish, client_name=self._client_name)
        call = _Call(address, wish.replica, block.blockToken, offset, wish.size_bytes, limit or Limit(self._timeout_s))
        try:
            return self._talk(call, partial(read, predictable=True))
        except UnpredictedPacketError:
            return self._talk(call, partial(read, predictable=False))

    def block_sums(
        self,
        address: Address,
        block: LocatedBlockProto,
        size_bytes: int,
        stripe_bytes: int = 0,
        limit: Limit | None = None,
    ) -> BlockSums:
        """Returns the sums of the first `size_bytes` of a block, and of its stripes if `stripe_bytes` is positive. The
        DataNode combines what it stores (0.21 CPU s/GiB there); a stripe must be a multiple of `bytes_per_crc`.

        Raises:
            BlockferryError: REPLICA_MISSING, REPLICA_UNREADABLE, TOKEN_REFUSED; DATANODE_UNAVAILABLE, DATANODE_SLOW.
        """
        replica, limit = _replica(address, block), limit or Limit(self._timeout_s)
        ask = partial(stored_sums, replica=replica, block=block, size_bytes=size_bytes, stripe_bytes=stripe_bytes)
        try:
            if size_bytes:
                return self._talk(_Call(address, replica, block.blockToken, 0, 0, limit), ask)
        except BlockferryError as error:
            if error.reason != "DATANODE_UNAVAILABLE" or isinstance(error.__cause__, TimeoutError):
                raise
            failure = error
        # On NULL sums and on stripes that cut a chunk the DataNode just drops the connection: see which it was.
        nothing = memoryview(bytearray())
        kind = self.read(address, block, 0, nothing, Algorithm.CRC32C, allow_unproven=True, limit=limit)
        if kind.crc_type == CRC_TYPE_NULL or not size_bytes:
            return BlockSums(kind.crc_type, kind.bytes_per_crc, 0 if kind.proven else None, ())
        if stripe_bytes % kind.bytes_per_crc:
            return self.block_sums(address, block, size_bytes, limit=limit)
        raise failure

    def group_sums(
        self,
        address: Address,
        group: LocatedBlockProto,
        policy: ErasureCodingPolicyProto,
        size_bytes: int,
        limit: Limit | None = None,
    ) -> BlockSums:
        """Returns the sum of the first `size_bytes` of an erasure-coded block group. The DataNode asks those of the
        other units, and reads and rebuilds the units that are lost.

        Raises:
            BlockferryError: as `block_sums`; REPLICA_MISSING and DATANODE_UNAVAILABLE also where units keep no sums.
        """
        replica, limit = _replica(address, group), limit or Limit(self._timeout_s)
        ask = partial(stored_group_sums, replica=replica, group=group, policy=policy, size_bytes=size_bytes)
        return self._talk(_Call(address, replica, group.blockToken, 0, 0, limit), ask)

    def _talk(self, call: _Call, operation: Callable[[Peer], T]) -> T:
        """Runs an operation over an idle connection or a new one. One that the DataNode had closed meanwhile, which
        shows when the operation begins, is replaced once."""
        try:
            if peer := self._idle.take(call.address):
                try:
                    return self._operate(peer, call, operation)
                except (ConnectionError, EOFError):
                    if peer.answered:
                        raise
            return self._operate(self._connected(call), call, operation)
        except (OSError, EOFError) as error:
            raise call.failure(error) from error
        except SaslError as error:
            raise call.replica.not_genuine(call.offset, error) from error

    def _connected(self, call: _Call) -> Peer:
        connected = self._connect(*call.address, min(call.limit.connect_s, self._timeout_s))
        peer = Peer(call.address, connected, self._timeout_s)
        if self._protect is not None:
            peer.stopwatch = Stopwatch(call.limit, 0, time.monotonic)
            with peer:
                self._protect(peer, call.token, call.replica, call.offset)
        return peer

    def _operate(self, peer: Peer, call: _Call, operation: Callable[[Peer], T]) -> T:
        peer.stopwatch = Stopwatch(call.limit, call.size_bytes, time.monotonic)
        with peer:
            result = operation(peer)
        self._idle.give(peer)
        return result


@dataclass(frozen=True, slots=True)
class _Call:
    """Whom an operation goes to, what it is about, and how long it may take."""

    address: Address
    replica: Replica
    token: TokenProto = field(repr=False)
    offset: int
    size_bytes: int
    limit: Limit

    def failure(self, cause: Exception) -> BlockferryError:
        """Returns the error for what the connection raised."""
        match cause:
            case SlowError():
                reason, what = "DATANODE_SLOW", str(cause)
            case BrokenOffError():  # of a replica that was cut short too, so it says nothing about the DataNode
                reason, what = "REPLICA_UNREADABLE", f"it broke off in the middle ({cause})"
            case TimeoutError() if not isinstance(cause, WaitedEnoughError):
                reason, what = "DATANODE_UNAVAILABLE", f"no connection within {self.limit.connect_s:g} s"
            case _:
                reason, what = "DATANODE_UNAVAILABLE", str(cause) or type(cause).__name__
        replica = self.replica
        return replica.failure(
            reason,
            f"the DataNode {replica.host} did not serve block {replica.block_id}: {what}. Read another replica, or "
            "start the DataNode again.",
            self.offset,
            retryable=True,
        )


def _replica(address: Address, block: LocatedBlockProto) -> Replica:
    return Replica(signed_id(block.b.blockId), shown(address))


def _connect_plainly(host: str, port: int, timeout_s: float) -> socket.socket:
    return socket.create_connection((host, port), timeout_s)
