"""Frames of Hadoop RPC version 9, as bytes: what is written to a server, and what an answer says. PURE.

A connection begins with a preamble (`hrpc`, version, service class, how to log in), then come frames: four bytes of
length (big-endian), then messages, each after its own length as a varint. Facts of the wire: RpcHeader.proto,
IpcConnectionContext.proto and ProtobufRpcEngine.proto of Hadoop 3.4.2. Never holds a socket; see `rpc`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from google.protobuf.message import DecodeError, Message

from stores.hdfs.delimited import delimited
from stores.hdfs.wire import rpc_pb2

VERSION = 9
# A server's own limit (ipc.maximum.response.length). What is longer is no answer of Hadoop RPC: `HTTP` read as a length
# is 1.2 GB.
MAX_FRAME_BYTES = 128 << 20

_MAGIC = b"hrpc"
_SERVICE_CLASS = 0
_PROTOCOL_BUFFERS = 2
_FINAL_PACKET = 0
_CONTEXT_CALL_ID = -3
_NO_RETRY = -1


class AuthProtocol(IntEnum):
    """The preamble's last byte: what follows it. With SASL the negotiation comes before the connection context."""

    NONE = 0
    SASL = 0xDF


class Status(IntEnum):
    """How a call ended. After FATAL the server closes the connection."""

    SUCCESS = 0
    ERROR = 1
    FATAL = 2


@dataclass(frozen=True, slots=True)
class Answer:
    """What a frame from the server says.

    Attributes:
        body: the response message's bytes; empty unless `status` is SUCCESS.
        class_name: the Java class of the exception, e.g. `java.io.FileNotFoundException`; empty on success.
        message: the exception's text, with its stack trace.
    """

    call_id: int
    status: Status
    body: bytes
    class_name: str = ""
    message: str = ""


class FrameError(ValueError):
    """Bytes that are no frame of Hadoop RPC 9."""


def preamble(auth: AuthProtocol) -> bytes:
    """Returns the first seven bytes of a connection."""
    return _MAGIC + bytes((VERSION, _SERVICE_CLASS, auth))


def context(client_id: bytes, user: str, protocol: str) -> bytes:
    """Returns the frame that says who we are. It follows the preamble, or the end of SASL; it has no answer. After SASL
    the server knows the user already: `user` is then empty, or whom the one that logged in stands for."""
    header = rpc_pb2.RpcRequestHeaderProto(
        rpcKind=_PROTOCOL_BUFFERS,
        rpcOp=_FINAL_PACKET,
        callId=_CONTEXT_CALL_ID,
        clientId=client_id,
        retryCount=_NO_RETRY,
    )
    who = rpc_pb2.IpcConnectionContextProto(protocol=protocol)
    if user:
        who.userInfo.effectiveUser = user
    return frame(header, who)


def call(client_id: bytes, call_id: int, protocol: str, method: str, request: Message) -> bytes:
    """Returns the frame of one call of version 1 of a protocol, e.g. ClientProtocol's getFileInfo."""
    header = rpc_pb2.RpcRequestHeaderProto(
        rpcKind=_PROTOCOL_BUFFERS, rpcOp=_FINAL_PACKET, callId=call_id, clientId=client_id, retryCount=0
    )
    which = rpc_pb2.RequestHeaderProto(methodName=method, declaringClassProtocolName=protocol, clientProtocolVersion=1)
    return frame(header, which, request)


def frame_size(prefix: bytes | bytearray) -> int:
    """Returns how many bytes follow a frame's first four. Raises FrameError when that cannot be an answer."""
    size = int.from_bytes(prefix, "big")
    if not 0 < size <= MAX_FRAME_BYTES:
        raise FrameError(f"an answer cannot have {size} bytes (it begins with {bytes(prefix)!r})")
    return size


def answer(received: bytes | bytearray) -> Answer:
    """Returns what a frame (without its first four bytes) says. Raises FrameError when it says nothing."""
    view = memoryview(received)
    try:
        header_bytes, rest = _take(view)
        header = rpc_pb2.RpcResponseHeaderProto.FromString(bytes(header_bytes))
        status = Status(header.status)
        body = bytes(_take(rest)[0]) if status is Status.SUCCESS else b""
    except (DecodeError, ValueError) as error:
        raise FrameError(f"no answer of Hadoop RPC {VERSION}: {error}") from error
    return Answer(header.callId, status, body, header.exceptionClassName, header.errorMsg)


def frame(*messages: Message) -> bytes:
    """Returns a frame of messages, each after its length."""
    body = b"".join(delimited(message) for message in messages)
    return len(body).to_bytes(4, "big") + body


def _take(view: memoryview) -> tuple[memoryview, memoryview]:
    """Returns the first message that is written after its length, and what follows it."""
    size = 0
    for index, byte in enumerate(view[:5]):
        size |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            begin = index + 1
            if begin + size > len(view):
                raise FrameError(f"a message of {size} bytes is cut off after {len(view) - begin}")
            return view[begin : begin + size], view[begin + size :]
    raise FrameError("a message has no length")
