"""A NameNode that answers as a test wants: real sockets and Hadoop RPC 9 without login. 127.0.0.1 only."""

import contextlib
import itertools
import socket
import threading
from collections.abc import Callable

from google.protobuf.message import Message

from stores.hdfs.delimited import varint
from stores.hdfs.wire import rpc_pb2
from stores.hdfs.wire.namenode_pb2 import GetFileInfoResponseProto

Respond = Callable[[int], bytes | None]  # number of the call on its connection -> bytes to send; None: hang up


def delimited(body: bytes) -> bytes:
    return varint(len(body)) + body


def framed(header: rpc_pb2.RpcResponseHeaderProto, body: bytes = b"") -> bytes:
    whole = delimited(header.SerializeToString()) + body
    return len(whole).to_bytes(4, "big") + whole


def failed(class_name: str, text: str, status: int = 1) -> Respond:
    def respond(call_id: int) -> bytes:
        header = rpc_pb2.RpcResponseHeaderProto(
            callId=call_id if status == 1 else 2**32 - 1, status=status, exceptionClassName=class_name, errorMsg=text
        )
        return framed(header)

    return respond


def nothing_there(call_id: int) -> bytes:
    header = rpc_pb2.RpcResponseHeaderProto(callId=call_id, status=0)
    return framed(header, delimited(GetFileInfoResponseProto().SerializeToString()))


def in_turn(*responds: Respond) -> Respond:
    """Answers the calls of one connection one after the other."""
    return lambda call_id: responds[call_id](call_id)


def says(message: Message) -> Respond:
    return lambda call_id: framed(
        rpc_pb2.RpcResponseHeaderProto(callId=call_id, status=0), delimited(message.SerializeToString())
    )


class ScriptedNameNode:
    """Answers the calls of each connection by `respond`, which may be changed at any time."""

    def __init__(self, respond: Respond) -> None:
        self.respond = respond
        self.connection_count = 0
        self.call_count = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.connections: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self) -> None:
        """Ends as a killed process does: nobody listens, and every connection breaks."""
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.hang_up()

    def hang_up(self) -> None:
        """Breaks every connection."""
        for connection in self.connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connection_count += 1
            self.connections.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(ConnectionError), connection, connection.makefile("rb") as stream:
            stream.read(7)
            stream.read(int.from_bytes(stream.read(4), "big"))
            for call_id in itertools.count():
                frame = stream.read(int.from_bytes(stream.read(4), "big"))
                if not frame:
                    return
                self.call_count += 1
                answer = self.respond(call_id)
                if answer is None:
                    return
                connection.sendall(answer)


STANDBY = failed("org.apache.hadoop.ipc.StandbyException", "Operation category READ is not supported in state standby")
