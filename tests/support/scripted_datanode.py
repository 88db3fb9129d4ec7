"""A DataNode that does what a script says, also what a real one does only when something is broken. 127.0.0.1 only."""

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from types import TracebackType
from typing import BinaryIO, Self

from google.protobuf.message import Message

from stores.hdfs.delimited import delimited
from stores.hdfs.transfer.packet import BLOCK_CHECKSUM, READ_BLOCK
from stores.hdfs.wire.datanode_pb2 import (
    BlockOpResponseProto,
    ChecksumProto,
    ClientReadStatusProto,
    OpBlockChecksumProto,
    OpReadBlockProto,
    ReadOpChecksumInfoProto,
)
from tests.support.block_sender import BlockSender

_TYPES = {None: 0, "CRC32": 1, "CRC32C": 2}


class Then(StrEnum):
    """What the DataNode does when it has sent its reply."""

    READ_STATUS = "READ_STATUS"  # waits for the client's word, then for the next operation
    CLOSE = "CLOSE"
    HANG = "HANG"  # sends nothing more, until the client gives up


@dataclass(frozen=True, slots=True)
class Reply:
    """What is sent, and what comes then. `drip_bytes`: so many bytes at a time, 20 times a second."""

    data: bytes
    then: Then = Then.READ_STATUS
    drip_bytes: int = 0


Request = OpReadBlockProto | OpBlockChecksumProto
Script = Callable[[int, Request], Reply]


@dataclass(slots=True)
class ScriptedDatanode:
    """Serves until the block ends. The script gets the operation's number, from 0, over all connections.

    Attributes:
        host: where it listens: 127.0.0.1 or ::1.
        statuses: what clients reported after reads.
        connection_count: accepted so far.
    """

    script: Script
    host: str = "127.0.0.1"
    statuses: list[int] = field(default_factory=list)
    connection_count: int = 0
    operation_count: int = 0
    _listener: socket.socket = field(init=False)
    _connections: list[socket.socket] = field(default_factory=list)
    _ended: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        self._listener = socket.create_server((self.host, 0), family=family)

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        for one in (self._listener, *self._connections):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        host, port = self._listener.getsockname()[:2]
        return str(host), int(port)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connection_count += 1
                self._connections.append(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError, EOFError), connection, connection.makefile("rb") as stream:
            for request in _requests(stream):
                number = self.operation_count
                self.operation_count += 1
                reply = self.script(number, request)
                self._send(connection, reply)
                match reply.then:
                    case Then.CLOSE:
                        # wait for the client's word, if it has one, so that the close is no reset
                        connection.shutdown(socket.SHUT_WR)
                        stream.read()
                        return
                    case Then.HANG:
                        stream.read()
                        return
                    case Then.READ_STATUS:
                        self.statuses.append(ClientReadStatusProto.FromString(_delimited(stream)).status)

    def _send(self, connection: socket.socket, reply: Reply) -> None:
        step = reply.drip_bytes or len(reply.data) or 1
        for at in range(0, len(reply.data), step):
            connection.sendall(reply.data[at : at + step])
            if reply.drip_bytes:
                self._ended.wait(0.05)


def _requests(stream: BinaryIO) -> Iterator[Request]:
    while True:
        version, operation = struct.unpack(">hB", _exactly(stream, 3))
        assert version == 28
        kinds: dict[int, type[Request]] = {READ_BLOCK: OpReadBlockProto, BLOCK_CHECKSUM: OpBlockChecksumProto}
        yield kinds[operation].FromString(_delimited(stream))


def _delimited(stream: BinaryIO) -> bytes:
    size = shift = 0
    while True:
        byte = _exactly(stream, 1)[0]
        size |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return _exactly(stream, size)


def _exactly(stream: BinaryIO, size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise EOFError
    return data


def response(message: Message) -> bytes:
    """Returns the bytes of an answer."""
    return delimited(message)


def read_answer(sender: BlockSender, request: Request) -> bytes:
    """Returns everything that a sound DataNode sends for a read."""
    assert isinstance(request, OpReadBlockProto)
    checksum = ChecksumProto(type=_TYPES[sender.algorithm], bytesPerChecksum=sender.bytes_per_crc)
    info = ReadOpChecksumInfoProto(checksum=checksum, chunkOffset=sender.start(request.offset))
    head = response(BlockOpResponseProto(status=0, readOpChecksumInfo=info))
    return head + b"".join(sender.packets(request.offset, request.len))


def header_size(sender: BlockSender, request: Request) -> int:
    """Returns how many bytes of an answer come before its first packet."""
    assert isinstance(request, OpReadBlockProto)
    packets = sum(map(len, sender.packets(request.offset, request.len)))
    return len(read_answer(sender, request)) - packets


def sound(sender: BlockSender) -> Script:
    """Returns the script of a DataNode without faults."""
    return lambda number, request: Reply(read_answer(sender, request))


def refusing(status: int, message: str) -> Script:
    """Returns the script of a DataNode that answers with an error status."""
    return lambda number, request: Reply(response(BlockOpResponseProto(status=status, message=message)), Then.CLOSE)
