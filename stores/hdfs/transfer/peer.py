"""Connections to DataNodes: one `Peer` per TCP connection, and `IdlePeers`, the few that wait for their next operation.

Knows nothing of blocks. Raises OSError and EOFError as they come: the callers know which block to name.
"""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Protocol, Self

from stores.hdfs.addresses import Address
from stores.hdfs.transfer.stopwatch import TICK_S, Limit, Stopwatch
from stores.sockets import is_stale, set_kernel_limits

# Gives a connected socket for a host and a port within so many seconds.
Connect = Callable[[str, int, float], socket.socket]


_WORTH_SETTLING_BYTES = 16 << 10
# So much may be received before it is asked for: the whole answer to a small read is one system call instead of four.
_AHEAD_BYTES = 8 << 10
# Woken for so many bytes instead of for each segment, a block is read for a tenth less CPU and in a sixth less time.
_WAKE_BYTES = 256 << 10


class BrokenOffError(EOFError):
    """The connection ended after the DataNode had begun to answer."""


class Wire(Protocol):
    """What a layer sees of its connection: the bytes as they come."""

    arrived_bytes: int

    def receive_raw(self, pieces: Sequence[memoryview]) -> None:
        """Fills all pieces in order."""
        ...

    def receive_available(self, view: memoryview) -> int:
        """Returns how many bytes have come into `view`: one at least."""
        ...

    def settle(self, size_bytes: int) -> None:
        """Waits until so many bytes have come, which are sure to come; not for long."""
        ...


class TransferLayer(Protocol):
    """Protects what goes over a connection; see `protected`."""

    def sealed(self, data: bytes) -> bytes:
        """Returns what is sent instead of `data`."""
        ...

    def receive_into(self, wire: Wire, pieces: Sequence[memoryview]) -> None:
        """Fills all pieces in order with what is meant by what comes. Leaves in `wire.arrived_bytes` how much of them
        is good, also when it raises."""
        ...

    def is_idle(self) -> bool:
        """Returns whether nothing has come that nobody has taken."""
        ...


class Peer:
    """One connection to a DataNode, used by one thread at a time.

    The socket blocks and has the kernel's time limits: cheap reading rests on MSG_WAITALL.

    Attributes:
        address: whom it leads to.
        answered: the DataNode has sent something since the operation began.
        arrived_bytes: what the last call of `receive_into` has received, also when it raised.
        stopwatch: of the operation; without one of its own, silence ends it after the time limit of the connection.
    """

    def __init__(self, address: Address, connection: socket.socket, timeout_s: float) -> None:
        self.address = address
        self.answered = False
        self.arrived_bytes = 0
        self.stopwatch = Stopwatch(Limit(timeout_s), 0, time.monotonic)
        self._socket = connection
        self._layer: TransferLayer | None = None
        self._ahead = memoryview(b"")  # received before it was asked for; never when a layer protects the connection
        self._wakes_at = 1
        self._readable = select.poll()
        set_kernel_limits(connection, timeout_s, min(timeout_s, TICK_S))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self.close()

    def close(self) -> None:
        """Closes the connection."""
        self._socket.close()

    def protect(self, layer: TransferLayer | None) -> None:
        """Lets all bytes go through a layer from now on (None: as they are), both sides having logged in. Raises
        BrokenOffError when more has come than the login asked for."""
        if self._ahead:
            raise BrokenOffError(f"it sent {len(self._ahead)} bytes behind its login")
        self._layer = layer
        self._readable.register(self._socket, select.POLLIN)
        self.answered = False

    def send(self, data: bytes) -> None:
        """Sends all of `data`."""
        self._socket.sendall(data if self._layer is None else self._layer.sealed(data))

    def receive(self, size_bytes: int) -> bytes:
        """Returns exactly so many bytes."""
        if self._layer is None and size_bytes <= _AHEAD_BYTES:
            while len(self._ahead) < size_bytes:
                self._read_ahead()
            data = bytes(self._ahead[:size_bytes])
            self._ahead = self._ahead[size_bytes:]
            return data
        whole = bytearray(size_bytes)
        self.receive_into((memoryview(whole),) if size_bytes else ())
        return bytes(whole)

    def receive_into(self, pieces: Sequence[memoryview], behind_bytes: int = 0) -> None:
        """Fills all pieces in order, as a rule by one system call. At most 1024 pieces (IOV_MAX), none empty.

        Args:
            pieces: what is filled.
            behind_bytes: so many bytes are sure to come behind these, and the kernel may wait for some of them too.

        Raises:
            EOFError: the DataNode closed the connection; BrokenOffError after it had begun to answer.
            WaitedEnoughError: the stopwatch says so.
            OSError: the connection broke.
            SaslError: what came over a protected connection is not genuine.
        """
        if self._layer is None:
            self._wake_at(min(behind_bytes + 1, _WAKE_BYTES))
            self.receive_raw(pieces)
        else:
            self._layer.receive_into(self, pieces)

    def receive_raw(self, pieces: Sequence[memoryview]) -> None:
        """Fills all pieces in order with the bytes as they come; see `receive_into`."""
        self.arrived_bytes = 0
        if self._ahead:
            pieces = self._taken_ahead(pieces)
        while pieces:
            count = self._receive_some(pieces, socket.MSG_WAITALL)
            self.arrived_bytes += count
            pieces = _behind(pieces, count)

    def receive_available(self, view: memoryview) -> int:
        """Returns how many bytes have come into `view`, as they come: one at least."""
        return self._receive_some((view,), 0)

    def settle(self, size_bytes: int) -> None:
        """Waits until so many bytes have come, or for a tick: the thread is woken once, not for each segment. Only for
        bytes that are sure to come."""
        if size_bytes >= _WORTH_SETTLING_BYTES:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, size_bytes)
            try:
                self._readable.poll(TICK_S * 1000)
            finally:
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)

    def _wake_at(self, size_bytes: int) -> None:
        """Lets the kernel wake a waiting thread only when so many bytes have come, or after a tick. So at the last byte
        that is waited for, as many must be sure to come."""
        if size_bytes != self._wakes_at:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, size_bytes)
            self._wakes_at = size_bytes

    def _receive_some(self, pieces: Sequence[memoryview], flags: int) -> int:
        """Returns how many bytes have come: less than wanted when nothing more came for a tick."""
        while True:
            try:
                count = self._socket.recvmsg_into(pieces, 0, flags)[0]
            except BlockingIOError:
                self.stopwatch.waited()
            except ConnectionError as error:
                if self.answered:
                    raise BrokenOffError(str(error)) from error
                raise
            else:
                if count:
                    self.answered = True
                    self.stopwatch.arrived(count)
                    return count
                raise (BrokenOffError if self.answered else EOFError)("the DataNode closed the connection")

    def _read_ahead(self) -> None:
        """Receives what has come, one byte at least, behind what is there."""
        room = memoryview(bytearray(_AHEAD_BYTES))
        kept = len(self._ahead)
        room[:kept] = self._ahead
        self._ahead = room[: kept + self._receive_some((room[kept:],), 0)]

    def _taken_ahead(self, pieces: Sequence[memoryview]) -> Sequence[memoryview]:
        """Fills pieces with what is there, and returns those that are left."""
        for piece in pieces:
            if not self._ahead:
                break
            count = min(len(piece), len(self._ahead))
            piece[:count] = self._ahead[:count]
            self._ahead = self._ahead[count:]
            self.arrived_bytes += count
        return _behind(pieces, self.arrived_bytes)

    def receive_message(self) -> bytes:
        """Returns the body of a delimited message."""
        size_bytes = shift = 0
        while True:
            byte = self.receive(1)[0]
            size_bytes |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return self.receive(size_bytes)

    def is_stale(self) -> bool:
        """Returns whether the DataNode has closed the idle connection (or has sent what nobody asked for)."""
        if self._ahead or (self._layer is not None and not self._layer.is_idle()):
            return True
        return is_stale(self._socket)


def _behind(pieces: Sequence[memoryview], count: int) -> Sequence[memoryview]:
    """Returns what is left of the pieces behind their first `count` bytes."""
    for index, piece in enumerate(pieces):
        if count < len(piece):
            return (piece[count:], *pieces[index + 1 :])
        count -= len(piece)
    return ()


class IdlePeers:
    """Connections that wait for their next operation: at most `per_address` to one DataNode. Thread safe.

    A DataNode closes its end after 4 s (dfs.datanode.socket.reuse.keepalive); such ones are dropped when they are met.
    """

    def __init__(self, per_address: int = 4) -> None:
        self._per_address = per_address
        self._lock = threading.Lock()
        self._idle: dict[Address, list[Peer]] = {}
        self._closed = False

    def take(self, address: Address) -> Peer | None:
        """Returns an idle connection, which is the caller's from now on; None if there is none."""
        while True:
            with self._lock:
                waiting = self._idle.get(address)
                peer = waiting.pop() if waiting else None
            if peer is None:
                return None
            if not peer.is_stale():
                peer.answered = False
                return peer
            peer.close()

    def give(self, peer: Peer) -> None:
        """Takes a connection back whose operation is complete."""
        with self._lock:
            waiting = self._idle.setdefault(peer.address, [])
            if not self._closed and len(waiting) < self._per_address:
                waiting.append(peer)
                return
        peer.close()

    def close(self) -> None:
        """Closes the idle connections, and from now on each that is given back."""
        with self._lock:
            self._closed = True
            peers = [peer for waiting in self._idle.values() for peer in waiting]
            self._idle.clear()
        with contextlib.ExitStack() as stack:
            for peer in peers:
                stack.callback(peer.close)
