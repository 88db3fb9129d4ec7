"""One connection of Hadoop RPC: its socket, how it logs in, and one call at a time.

It carries one call at a time. There are no pings: every call has a deadline, and TCP's keep-alive finds a
server that is gone. Knows no method of any protocol (that is `namenode`) and no Java class (`remote_errors`).

With SASL the preamble says so, the negotiation (`rpc_sasl`) comes before the context, and where integrity or privacy
was agreed on, all frames from the context on go inside protected ones.
"""

from __future__ import annotations

import itertools
import socket
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from google.protobuf.message import Message

from blockferry.errors import BlockferryError, Whose
from stores.hdfs.rpc import rpc_frame, rpc_sasl
from stores.hdfs.rpc.rpc_frame import Answer, AuthProtocol, FrameError, Status
from stores.hdfs.rpc.rpc_sasl import Choice, Ending, Offer
from stores.hdfs.security.sasl import Layer

DEFAULT_PORT = 8020
CONNECT_S = 20.0  # ipc.client.connect.timeout
_CALL_IDS = 1 << 31


@dataclass(frozen=True, slots=True)
class Server:
    """Who is called, and as whom. `protocol` is the Java name, `user` the effective user of simple authentication."""

    host: str
    port: int
    protocol: str
    user: str

    @property
    def address(self) -> str:
        """`host:port`, as in every error."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Login(Protocol):
    """How connections log in; see `login.ClusterLogin`."""

    uses_sasl: bool

    def demanded(self) -> bool:
        """Notes that a server takes nobody by name alone. Returns whether the next connection can be another one."""
        ...

    def choose(self, host: str, port: int, offers: Sequence[Offer]) -> Choice | None:
        """Returns the way to log in at a server; None: by name alone."""
        ...

    def context_user(self, choice: Choice | None, simple_user: str) -> str:
        """Returns whom the connection's context names."""
        ...

    def accept_simple(self, host: str, port: int) -> None:
        """Raises where a server without security is not accepted."""
        ...

    def refused(self, error: BlockferryError) -> BlockferryError:
        """Notes that a server did not take the login. Returns the error, or one that knows why."""
        ...


class RefusedLoginError(Exception):
    """The server answered the login with an exception."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.class_name)
        self.answer = answer


def server_of(address: str, protocol: str, user: str) -> Server:
    """Returns the server of `host:port`, `host` (port 8020) or `[ipv6]:port`.

    Raises:
        BlockferryError: INVALID_NAMENODE.
    """
    host, colon, port = address.rpartition(":")
    if not colon or address.endswith("]"):
        host, port = address, str(DEFAULT_PORT)
    if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 1 << 16:
        raise BlockferryError(
            "INVALID_NAMENODE",
            f"{address!r} is no NameNode: give host:port, the port being that of its RPC (usually {DEFAULT_PORT}).",
            whose=Whose.CALLER,
            host=address,
        )
    return Server(host.strip("[]"), int(port), protocol, user)


class ConnectTimeoutError(TimeoutError):
    """Nobody took or refused the connection in time. `limit_s`: which time."""

    def __init__(self, limit_s: float) -> None:
        super().__init__(f"no connection within {limit_s:g} s")
        self.limit_s = limit_s


class RpcConnection:
    """One connection, for one thread at a time. Broken after any OSError or FrameError: close it."""

    def __init__(
        self, server: Server, timeout_s: float, login: Login | None = None, connect_s: float = CONNECT_S
    ) -> None:
        """Connects within `connect_s` and logs in; without `login` by name alone.

        Raises:
            OSError, FrameError, SaslError: the connection broke, or the server spoke nonsense.
            RefusedLoginError: it did not take us.
            BlockferryError: what `login` raises.
        """
        self._server = server
        self._client_id = uuid.uuid4().bytes
        self._call_ids = itertools.cycle(range(_CALL_IDS))
        self._layer: Layer | None = None
        self._unwrapped = bytearray()
        self._socket = _connected(server, min(timeout_s, connect_s))
        try:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            if login is None or not login.uses_sasl:
                self._socket.sendall(rpc_frame.preamble(AuthProtocol.NONE) + self._context(server.user))
            else:
                self._log_in(login, time.monotonic() + timeout_s)
        except BaseException:
            self._socket.close()
            raise

    def close(self) -> None:
        """Closes the connection."""
        self._socket.close()

    def call(self, method: str, request: Message, timeout_s: float) -> Answer:
        """Sends a call and returns its answer, also when that is an error.

        Raises:
            OSError: the connection broke, or no answer came in time.
            FrameError, SaslError: what came is no answer to this call, or not genuine.
        """
        deadline_s = time.monotonic() + timeout_s
        call_id = next(self._call_ids)
        self._socket.settimeout(timeout_s)
        try:
            self._send(rpc_frame.call(self._client_id, call_id, self._server.protocol, method, request))
        except (BrokenPipeError, ConnectionResetError) as broken:
            return self._last_words(broken, deadline_s)
        answer = rpc_frame.answer(self._receive_frame(deadline_s))
        if answer.call_id != call_id and answer.status is not Status.FATAL:
            raise FrameError(f"the answer to call {answer.call_id} came instead of that to call {call_id}")
        return answer

    def _last_words(self, broken: OSError, deadline_s: float) -> Answer:
        """Returns what the server said before it closed the connection: one that takes nobody by name alone does not
        wait for the call. Raises `broken` where it said nothing."""
        try:
            answer = rpc_frame.answer(self._receive_frame(deadline_s))
        except (OSError, FrameError):
            raise broken from None
        if answer.status is not Status.FATAL:
            raise broken
        return answer

    def _log_in(self, login: Login, deadline_s: float) -> None:
        server = self._server
        self._socket.sendall(rpc_frame.preamble(AuthProtocol.SASL))
        steps = rpc_sasl.negotiation(lambda offers: login.choose(server.host, server.port, offers))
        frame = next(steps)
        while True:
            self._socket.sendall(frame)
            answer = rpc_frame.answer(self._receive_plain_frame(deadline_s))
            if answer.status is not Status.SUCCESS:
                raise RefusedLoginError(answer)
            try:
                frame = steps.send(rpc_sasl.parse(answer))
            except StopIteration as end:
                ending: Ending = end.value
                break
        if ending.choice is None:
            login.accept_simple(server.host, server.port)
            self._socket.sendall(ending.last_frame)
        else:
            self._layer = ending.choice.mechanism.layer
        self._send(self._context(login.context_user(ending.choice, server.user)))

    def _context(self, user: str) -> bytes:
        return rpc_frame.context(self._client_id, user, self._server.protocol)

    def _send(self, frame: bytes) -> None:
        self._socket.sendall(frame if self._layer is None else rpc_sasl.wrapped(self._layer.wrap(frame)))

    def _receive_frame(self, deadline_s: float) -> bytes | bytearray:
        """Returns the next frame without its first four bytes, out of as many protected ones as it takes."""
        if self._layer is None:
            return self._receive_plain_frame(deadline_s)
        self._unwrap_until(self._layer, 4, deadline_s)
        end = 4 + rpc_frame.frame_size(self._unwrapped[:4])
        self._unwrap_until(self._layer, end, deadline_s)
        frame = self._unwrapped[4:end]
        del self._unwrapped[:end]
        return frame

    def _unwrap_until(self, layer: Layer, size_bytes: int, deadline_s: float) -> None:
        while len(self._unwrapped) < size_bytes:
            answer = rpc_frame.answer(self._receive_plain_frame(deadline_s))
            if answer.status is not Status.SUCCESS:
                raise RefusedLoginError(answer)
            self._unwrapped += layer.unwrap(rpc_sasl.unwrapped(answer))

    def _receive_plain_frame(self, deadline_s: float) -> bytearray:
        return self._receive(rpc_frame.frame_size(self._receive(4, deadline_s)), deadline_s)

    def _receive(self, size_bytes: int, deadline_s: float) -> bytearray:
        buffer = bytearray(size_bytes)
        view = memoryview(buffer)
        while view:
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                raise TimeoutError("no answer in time")
            self._socket.settimeout(left_s)
            count = self._socket.recv_into(view)
            if not count:
                raise ConnectionResetError("the server closed the connection")
            view = view[count:]
        return buffer


def _connected(server: Server, limit_s: float) -> socket.socket:
    try:
        return socket.create_connection((server.host, server.port), limit_s)
    except TimeoutError as error:
        raise ConnectTimeoutError(limit_s) from error
