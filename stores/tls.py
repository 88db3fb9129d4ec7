"""The client's end of TLS on a connected socket, encrypted and decrypted in memory: many records with one system call.

With `ssl.SSLSocket` each record of 16 KiB is a system call of its own, and sending takes a quarter more CPU
(docs/decisions/2026-11-22-tls-in-memory.md).
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

_SENT_BYTES = 512 << 10  # of the caller's; they and their records are held once each while they are sent
_RECEIVED_BYTES = 64 << 10

Result = TypeVar("Result")


class TlsConnection:
    """A TLS connection, for one thread at a time. Has those calls of a socket that HTTP needs.

    Calls raise ssl.SSLError, and what the socket raises: BlockingIOError at the kernel's limit of time.
    """

    def __init__(self, connected: socket.socket, context: ssl.SSLContext, server_host: str) -> None:
        """Shakes hands, and checks the server's certificate as `context` says. Does not close `connected` when that
        fails."""
        self._socket = connected
        self._coming, self._going = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._coming, self._going, server_hostname=server_host)
        try:
            self._step(self._tls.do_handshake)
        except ssl.SSLError:
            with suppress(OSError):
                self._flush()  # tells the server why there is no connection
            raise
        self._flush()

    def sendall(self, data: memoryview | bytes | bytearray) -> None:
        """Sends everything."""
        view = memoryview(data)
        for begin in range(0, len(view), _SENT_BYTES):
            piece = view[begin : begin + _SENT_BYTES]
            while piece:
                piece = piece[self._step(self._tls.write, piece) :]
            self._flush()

    def recv(self, most: int) -> bytes:
        """Returns at least one byte; none when the server has ended the connection, in whatever way."""
        if not (self._tls.pending() or self._coming.pending):
            self._receive()
        try:
            data: bytes = self._step(self._tls.read, most)
        except ssl.SSLEOFError:
            return b""
        self._flush()  # the server may have asked for new keys
        return data

    def is_stale(self) -> bool:
        """Returns whether the server has ended the idle connection, or has sent what nobody asked for. A session
        ticket is neither."""
        try:
            self._take(self._socket.recv(_RECEIVED_BYTES, socket.MSG_DONTWAIT))
        except BlockingIOError:
            pass
        except OSError:
            return True
        try:
            self._tls.read(1)
        except ssl.SSLWantReadError:
            return False
        except OSError:
            return True
        return True

    def close(self) -> None:
        """Closes the socket, without a word to the server."""
        self._socket.close()

    def _step(self, call: Callable[..., Result], *arguments: object) -> Result:
        while True:
            try:
                return call(*arguments)
            except ssl.SSLWantReadError:
                self._flush()
                self._receive()

    def _receive(self) -> None:
        self._take(self._socket.recv(_RECEIVED_BYTES))

    def _take(self, came: bytes) -> None:
        if came:
            self._coming.write(came)
        else:
            self._coming.write_eof()

    def _flush(self) -> None:
        if self._going.pending:
            self._socket.sendall(self._going.read())
