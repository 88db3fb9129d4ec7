"""Sockets of Hadoop RPC: a connection to one server, and a small pool of them so that calls really run side by side.

Each connection carries one call at a time. There are no pings: every call has a deadline, and TCP's keep-alive finds a
server that is gone. Knows no method of any protocol (that is `namenode`) and no Java class (`remote_errors`).

SASL comes in at `_log_in`: the preamble then says AuthProtocol.SASL, and the negotiation (call id -33) comes before the
context.
"""

from __future__ import annotations

import itertools
import socket
import threading
import time
import uuid
from dataclasses import dataclass

from google.protobuf.message import Message

from blockferry.errors import BlockferryError, Whose
from stores.hdfs import rpc_frame
from stores.hdfs.remote_errors import remote_error
from stores.hdfs.rpc_frame import Answer, AuthProtocol, FrameError, Status

DEFAULT_PORT = 8020
_CONNECT_TIMEOUT_S = 20.0
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


class RpcConnection:
    """One connection, for one thread at a time. Broken after any OSError or FrameError: close it."""

    def __init__(self, server: Server, timeout_s: float) -> None:
        """Connects and logs in. Raises OSError."""
        self._server = server
        self._client_id = uuid.uuid4().bytes
        self._call_ids = itertools.cycle(range(_CALL_IDS))
        self._socket = socket.create_connection((server.host, server.port), min(timeout_s, _CONNECT_TIMEOUT_S))
        try:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            self._log_in()
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
            FrameError: what came is no answer to this call.
        """
        deadline_s = time.monotonic() + timeout_s
        call_id = next(self._call_ids)
        self._socket.settimeout(timeout_s)
        self._socket.sendall(rpc_frame.call(self._client_id, call_id, self._server.protocol, method, request))
        size = rpc_frame.frame_size(self._receive(4, deadline_s))
        answer = rpc_frame.answer(self._receive(size, deadline_s))
        if answer.call_id != call_id and answer.status is not Status.FATAL:
            raise FrameError(f"the answer to call {answer.call_id} came instead of that to call {call_id}")
        return answer

    def _log_in(self) -> None:
        preamble = rpc_frame.preamble(AuthProtocol.NONE)
        self._socket.sendall(preamble + rpc_frame.context(self._client_id, self._server.user, self._server.protocol))

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


class RpcPool:
    """At most `connection_count` connections to one server, for any number of threads. All calls must be idempotent:
    one whose idle connection was broken is made again, once, over a new one."""

    def __init__(self, server: Server, timeout_s: float = 60.0, connection_count: int = 8) -> None:
        self.server = server
        self._timeout_s = timeout_s
        self._slots = threading.BoundedSemaphore(connection_count)
        self._lock = threading.Lock()
        self._idle: list[RpcConnection] = []
        self._closed = False

    def call(self, method: str, request: Message, path: str = "") -> bytes:
        """Returns the bytes of the response message. Waits for a free connection. `path` is for the error.

        Raises:
            BlockferryError: NAMENODE_UNAVAILABLE (retryable), HOST_UNKNOWN, NAMENODE_INCOMPATIBLE, and those of
                `remote_errors`.
        """
        with self._slots:
            try:
                answer = self._call(method, request)
            except (OSError, FrameError) as error:
                raise _unreachable(self.server, method, error, self._timeout_s) from error
        if answer.status is not Status.SUCCESS:
            raise remote_error(answer.class_name, answer.message, method, self.server.address, path)
        return answer.body

    def close(self) -> None:
        """Closes the idle connections; those in use are closed when their call has ended."""
        with self._lock:
            idle, self._idle, self._closed = self._idle, [], True
        for connection in idle:
            connection.close()

    def _call(self, method: str, request: Message) -> Answer:
        with self._lock:
            reused = self._idle.pop() if self._idle else None
        if reused is not None:
            try:
                return self._call_over(reused, method, request)
            except TimeoutError:
                raise
            except OSError:
                pass  # NameNodes close connections that were idle for a while
        return self._call_over(RpcConnection(self.server, self._timeout_s), method, request)

    def _call_over(self, connection: RpcConnection, method: str, request: Message) -> Answer:
        try:
            answer = connection.call(method, request, self._timeout_s)
        except BaseException:
            connection.close()
            raise
        with self._lock:
            keep = answer.status is not Status.FATAL and not self._closed
            if keep:
                self._idle.append(connection)
        if not keep:
            connection.close()
        return answer


def _unreachable(server: Server, method: str, cause: OSError | FrameError, timeout_s: float) -> BlockferryError:
    reason, retryable, whose = "NAMENODE_UNAVAILABLE", True, Whose.SOURCE
    match cause:
        case FrameError():
            reason, retryable, whose = "NAMENODE_INCOMPATIBLE", False, Whose.CALLER
            said = f"answers with something else than Hadoop RPC {rpc_frame.VERSION} ({cause})"
            cure = "Check that the port is that of the NameNode's RPC, not of its web pages."
        case socket.gaierror() if cause.errno != socket.EAI_AGAIN:
            reason, retryable, whose = "HOST_UNKNOWN", False, Whose.CALLER
            said, cure = f"has a host name that cannot be resolved ({cause.strerror})", "Check the name."
        case ConnectionRefusedError():
            said, cure = "refuses the connection", "Check host and port, and that the NameNode is running."
        case TimeoutError():
            said, cure = f"did not answer within {timeout_s:g} s", "Check the network and the NameNode's load."
        case _:
            said, cure = f"broke the connection ({cause})", "Check the network and the NameNode's log."
    return BlockferryError(
        reason,
        f"The NameNode {server.address} {said}. {cure}",
        retryable=retryable,
        whose=whose,
        host=server.address,
        method=method,
    )
