"""A small pool of connections of Hadoop RPC to one server, so that calls really run side by side.

Knows no method of any protocol (that is `namenode`). What goes over a connection is `rpc_connection`'s.
"""

from __future__ import annotations

import socket
import threading

from google.protobuf.message import Message

from blockferry.errors import BlockferryError, Whose
from stores.hdfs.rpc import rpc_frame
from stores.hdfs.rpc.remote_errors import asks_for_login, is_about_login, remote_error
from stores.hdfs.rpc.rpc_connection import (
    CONNECT_S,
    ConnectTimeoutError,
    Login,
    RefusedLoginError,
    RpcConnection,
    Server,
    server_of,
)
from stores.hdfs.rpc.rpc_frame import Answer, FrameError, Status
from stores.hdfs.security.sasl import SaslError

__all__ = ["CONNECT_S", "Login", "RpcPool", "Server", "server_of"]


class RpcPool:
    """At most `connection_count` connections to one server, for any number of threads. All calls must be idempotent:
    one whose idle connection was broken is made again, once, over a new one."""

    def __init__(
        self,
        server: Server,
        timeout_s: float = 60.0,
        connection_count: int = 8,
        login: Login | None = None,
        connect_s: float = CONNECT_S,
    ) -> None:
        """Opens nothing yet. Without `login` the server is believed who we are."""
        self.server = server
        self._connect_s = connect_s
        self._login = login
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
            answer = self._answer(method, request)
            if asks_for_login(answer.class_name, answer.message) and self._login is not None and self._login.demanded():
                answer = self._answer(method, request)
        if answer.status is not Status.SUCCESS:
            error = remote_error(answer.class_name, answer.message, method, self.server.address, path)
            if self._login is not None and is_about_login(answer.class_name, answer.message):
                raise self._login.refused(error)
            raise error
        return answer.body

    def close(self) -> None:
        """Closes the idle connections; those in use are closed when their call has ended."""
        with self._lock:
            idle, self._idle, self._closed = self._idle, [], True
        for connection in idle:
            connection.close()

    def _answer(self, method: str, request: Message) -> Answer:
        try:
            return self._call(method, request)
        except RefusedLoginError as error:
            return error.answer
        except (OSError, FrameError, SaslError) as error:
            raise _unreachable(self.server, method, error, self._timeout_s) from error

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
        return self._call_over(self._connected(), method, request)

    def _connected(self) -> RpcConnection:
        return RpcConnection(self.server, self._timeout_s, self._login, self._connect_s)

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


def _unreachable(
    server: Server, method: str, cause: OSError | FrameError | SaslError, timeout_s: float
) -> BlockferryError:
    reason, retryable, whose = "NAMENODE_UNAVAILABLE", True, Whose.SOURCE
    match cause:
        case FrameError():
            reason, retryable, whose = "NAMENODE_INCOMPATIBLE", False, Whose.CALLER
            said = f"answers with something else than Hadoop RPC {rpc_frame.VERSION} ({cause})"
            cure = "Check that the port is that of the NameNode's RPC, not of its web pages."
        case SaslError():
            reason, retryable, whose = "NAMENODE_NOT_GENUINE", False, Whose.SOURCE
            said = f"has not proved itself, or what it says was changed on the way ({cause})"
            cure = "Check that nobody stands between the worker and the NameNode, and the NameNode's log."
        case socket.gaierror() if cause.errno != socket.EAI_AGAIN:
            reason, retryable, whose = "HOST_UNKNOWN", False, Whose.CALLER
            said, cure = f"has a host name that cannot be resolved ({cause.strerror})", "Check the name."
        case ConnectionRefusedError():
            said, cure = "refuses the connection", "Check host and port, and that the NameNode is running."
        case ConnectTimeoutError():
            said = f"did not take the connection within {cause.limit_s:g} s"
            cure = "Check host and port, and that no firewall between drops it."
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
