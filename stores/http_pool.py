"""HTTP/1.1 to one server over kept connections. Sends each request once; knows nothing of S3.

A put of 4 KiB costs a third of what it costs by urllib3, and a large body is one system call without a wake-up for each
256 KiB: see docs/decisions/2026-11-21-own-http.md.
"""

from __future__ import annotations

import base64
import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from urllib.parse import unquote, urlsplit

from stores.http_head import (
    CHUNKED,
    END,
    MAX_HEAD_BYTES,
    UNTIL_CLOSE,
    Head,
    NoHttpError,
    chunk_bytes,
    parse_head,
    request_head,
)
from stores.sockets import is_stale, set_kernel_limits
from stores.tls import TlsConnection

Body = memoryview | bytes | bytearray
_JOINED_BYTES = 64 << 10  # up to here head and body go as one piece: a copy costs less than a second call
_RECEIVE_BYTES = 64 << 10


class UnreachableError(OSError):
    """No connection could be made."""


@dataclass(frozen=True, slots=True, repr=False)
class Route:
    """Where requests go.

    Attributes:
        origin: `scheme://host[:port]` of the server.
        proxy: URL of a proxy, with user and password where it needs them; empty: none.
        authorities: file of the authorities that are trusted (https).
        connect_s, wait_s: how long a connection may take, and how long nothing may come or go on it.
        trusted_pem: the authorities themselves, where they are in no file. Without both: the system's.
    """

    origin: str
    proxy: str
    authorities: str
    connect_s: float
    wait_s: float
    trusted_pem: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer with its whole body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class HttpPool:
    """Connections to one server, at most `kept` idle ones. For several threads at once.

    Every call raises:
        UnreachableError, TimeoutError, ssl.SSLError, NoHttpError, OSError: as they come.
    """

    def __init__(self, route: Route, kept: int) -> None:
        self._route = route
        self._kept = kept
        url = urlsplit(route.origin)
        self._tls = _tls(route) if url.scheme == "https" else None
        self._address = (url.hostname or "", url.port or (443 if self._tls else 80))
        self._proxy = urlsplit(route.proxy) if route.proxy else None
        self._lock = threading.Lock()
        self._idle: list[_Connection] = []

    def ask(self, method: str, target: str, headers: Mapping[str, str], body: Body = b"") -> Answer:
        """Sends a request and returns the whole answer. `target` is the path with its query, percent-encoded."""
        connection = self._taken()
        try:
            head = connection.exchange(method, self._target(target), self._headers(headers), body)
            content = b"".join(connection.body(head, method))
        except BaseException:
            connection.close()
            raise
        self._give_back(connection, head)
        return Answer(head.status, head.headers, content)

    def stream(self, target: str, headers: Mapping[str, str], slice_bytes: int) -> tuple[Head, Iterator[bytes]]:
        """Sends a GET and returns the head, and the body in slices of at most `slice_bytes`. The body must be read to
        its end or closed."""
        connection = self._taken()
        try:
            head = connection.exchange("GET", self._target(target), self._headers(headers), b"")
        except BaseException:
            connection.close()
            raise
        return head, self._body(connection, head, slice_bytes)

    def close(self) -> None:
        """Closes the idle connections."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _body(self, connection: _Connection, head: Head, slice_bytes: int) -> Iterator[bytes]:
        try:
            yield from connection.body(head, "GET", slice_bytes)
        except BaseException:
            connection.close()
            raise
        self._give_back(connection, head)

    def _taken(self) -> _Connection:
        while True:
            with self._lock:
                connection = self._idle.pop() if self._idle else None
            if connection is None:
                return _Connection(self._connected())
            if not connection.is_stale():
                return connection
            connection.close()

    def _give_back(self, connection: _Connection, head: Head) -> None:
        with self._lock:
            if connection.clean and head.keeps and len(self._idle) < self._kept:
                self._idle.append(connection)
                return
        connection.close()

    def _connected(self) -> socket.socket | TlsConnection:
        proxy = self._proxy
        near = (proxy.hostname or "", proxy.port or 80) if proxy else self._address
        try:
            plain = socket.create_connection(near, self._route.connect_s)
        except TimeoutError as error:
            raise UnreachableError(f"no connection to {near[0]}:{near[1]} in {self._route.connect_s:g} s") from error
        except OSError as error:
            raise UnreachableError(f"no connection to {near[0]}:{near[1]}: {error.strerror or error}") from error
        try:
            return self._prepared(plain)
        except BaseException:
            plain.close()
            raise

    def _prepared(self, plain: socket.socket) -> socket.socket | TlsConnection:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        set_kernel_limits(plain, self._route.wait_s)
        if self._tls is None:
            return plain
        if self._proxy is not None:
            self._tunnel(_Connection(plain))
        try:
            return TlsConnection(plain, self._tls, self._address[0])
        except BlockingIOError as error:
            raise TimeoutError("the server did not finish the handshake of TLS") from error

    def _tunnel(self, connection: _Connection) -> None:
        there = "{}:{}".format(*self._address)
        head = connection.exchange("CONNECT", there, {"Host": there, **self._proxy_headers()}, b"")
        if head.status != 200:
            raise UnreachableError(f"the proxy refuses to connect to {there} (status {head.status})")

    def _proxy_headers(self) -> dict[str, str]:
        if self._proxy is None or not self._proxy.username:
            return {}
        keys = f"{unquote(self._proxy.username)}:{unquote(self._proxy.password or '')}"
        return {"Proxy-Authorization": f"Basic {base64.b64encode(keys.encode()).decode()}"}

    def _headers(self, headers: Mapping[str, str]) -> Mapping[str, str]:
        return {**headers, **self._proxy_headers()} if self._proxy and self._tls is None else headers

    def _target(self, target: str) -> str:
        return self._route.origin + target if self._proxy and self._tls is None else target


def _tls(route: Route) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=route.authorities or None, cadata=route.trusted_pem or None)
    if route.trusted_pem:
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # as Java: a truststore may hold the server's own one
    return context


class _Connection:
    """One connection, used by one thread at a time.

    Attributes:
        clean: the last answer was read to its end.
    """

    def __init__(self, connected: socket.socket | TlsConnection) -> None:
        self.clean = True
        self._socket = connected
        self._came = bytearray()  # received, and not looked at yet

    def close(self) -> None:
        self._socket.close()

    def is_stale(self) -> bool:
        """Returns whether the server has closed it, or has sent what nobody asked for."""
        if isinstance(self._socket, TlsConnection):
            return self._socket.is_stale()
        return is_stale(self._socket)

    def exchange(self, method: str, target: str, headers: Mapping[str, str], body: Body) -> Head:
        """Sends a request and returns the head of its answer."""
        self.clean = False
        try:
            self._send(request_head(method, target, headers), body)
        except (BrokenPipeError, ConnectionResetError):
            # A server may refuse before it has taken the whole body; then its answer lies here already.
            with contextlib.suppress(OSError, NoHttpError):
                return replace(self._head(), keeps=False)
            raise
        except BlockingIOError as error:
            raise TimeoutError("the server took nothing any more") from error
        return self._head()

    def body(self, head: Head, method: str, slice_bytes: int = 1 << 20) -> Iterator[bytes]:
        """Yields the body that follows a head, in slices of at most `slice_bytes`."""
        size = head.body_bytes(method)
        if size == CHUNKED:
            yield from self._chunks(slice_bytes)
        elif size == UNTIL_CLOSE:
            while piece := self._some(slice_bytes):
                yield piece
            return
        else:
            yield from self._exactly(size, slice_bytes)
        self.clean = not self._came

    def _send(self, head: bytes, body: Body) -> None:
        if len(body) <= _JOINED_BYTES:
            self._socket.sendall(head + bytes(body))
        elif isinstance(self._socket, TlsConnection):
            self._socket.sendall(head)
            self._socket.sendall(body)
        else:
            self._socket.sendall(head, socket.MSG_MORE)
            self._socket.sendall(body)

    def _head(self) -> Head:
        while True:
            head = parse_head(self._until(END))
            if head.status >= 200:  # not "100 Continue"
                return head

    def _chunks(self, slice_bytes: int) -> Iterator[bytes]:
        while size := chunk_bytes(self._until(b"\r\n")):
            yield from self._exactly(size, slice_bytes)
            self._until(b"\r\n")
        while self._until(b"\r\n"):
            pass  # a trailer

    def _exactly(self, size: int, slice_bytes: int) -> Iterator[bytes]:
        while size:
            piece = self._some(min(size, slice_bytes))
            if not piece:
                raise ConnectionResetError(f"the answer ends {size} bytes early")
            size -= len(piece)
            yield piece

    def _some(self, most: int) -> bytes:
        """Returns at least one byte; none when the server has closed the connection."""
        if self._came:
            piece = bytes(self._came[:most])
            del self._came[:most]
            return piece
        return self._receive(most)

    def _until(self, mark: bytes) -> bytes:
        """Returns what comes before `mark`, and passes by the mark."""
        at = self._came.find(mark)
        while at < 0:
            if len(self._came) > MAX_HEAD_BYTES:
                raise NoHttpError(f"a head of more than {MAX_HEAD_BYTES} bytes")
            piece = self._receive(_RECEIVE_BYTES)
            if not piece:
                raise ConnectionResetError("the server closed the connection without an answer")
            begin = max(len(self._came) - len(mark), 0)
            self._came += piece
            at = self._came.find(mark, begin)
        found = bytes(self._came[:at])
        del self._came[: at + len(mark)]
        return found

    def _receive(self, most: int) -> bytes:
        try:
            return self._socket.recv(most)
        except BlockingIOError as error:
            raise TimeoutError("the server sent nothing any more") from error
