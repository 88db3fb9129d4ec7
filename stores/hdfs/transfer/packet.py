"""The bytes of data transfer 28: requests, delimited messages, packet headers, and the layout of a whole answer. PURE.

Facts from Hadoop's Sender.java, PacketHeader.java and BlockSender.java (3.4.2). An answer to a read is one delimited
message, then packets, then a packet without data. A packet is:

    length of the rest after the next number, 4 bytes | size of the header message, 2 bytes | header message
    | one CRC of 4 bytes per chunk | data

The numbers of the header message have fixed sizes and `syncBlock` is not set on reads, so the header message has 25
bytes. All packets of an answer carry the same number of whole chunks but the last one. So the first header tells where
every later one lies and what it holds: `Layout`.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
from google.protobuf.message import DecodeError, Message
from numpy.typing import NDArray

from stores.hdfs.delimited import delimited
from stores.hdfs.wire.datanode_pb2 import PacketHeaderProto

VERSION = 28
READ_BLOCK = 81
BLOCK_CHECKSUM = 85
HEADER_BYTES = 31
CRC_BYTES = 4
_LENGTHS = struct.Struct(">IH")
_MESSAGE_BYTES = HEADER_BYTES - _LENGTHS.size
_MESSAGE = struct.Struct("<BqBqB?Bi")  # the fields of `_HEADER` behind the lengths

# A header as protobuf writes it: each field's tag byte, then its number.
_HEADER = np.dtype(
    [
        ("packet_bytes", ">u4"),
        ("message_bytes", ">u2"),
        ("tag1", "u1"),
        ("offset", "<i8"),
        ("tag2", "u1"),
        ("seqno", "<i8"),
        ("tag3", "u1"),
        ("last", "u1"),
        ("tag4", "u1"),
        ("data_bytes", "<i4"),
    ]
)


def request(operation: int, message: Message) -> bytes:
    """Returns the bytes that begin an operation."""
    return struct.pack(">hB", VERSION, operation) + delimited(message)


@dataclass(frozen=True, slots=True)
class PacketHeader:
    """One packet's header of `header_bytes`, which `crcs_bytes` and `data_bytes` follow. `offset` counts from the
    block's begin."""

    header_bytes: int
    offset: int
    seqno: int
    last: bool
    crcs_bytes: int
    data_bytes: int


def message_bytes(begin: bytes) -> int:
    """Returns the size of the header message, of which the first `HEADER_BYTES - 6` bytes are in `begin` already.

    Raises:
        ValueError: no header of a packet begins so.
    """
    size = int(_LENGTHS.unpack_from(begin)[1])
    if size < _MESSAGE_BYTES:
        raise ValueError(f"a packet header has at least {_MESSAGE_BYTES} bytes, not {size}")
    return size


def parse_header(header: bytes) -> PacketHeader:
    """Returns what a whole header of any size says.

    Raises:
        ValueError: it is no header, or its sizes contradict each other.
    """
    packet_bytes, _ = _LENGTHS.unpack_from(header)
    try:
        message = PacketHeaderProto.FromString(header[_LENGTHS.size :])
    except DecodeError as error:
        raise ValueError(f"not a packet header: {header.hex()}") from error
    crcs_bytes = packet_bytes - 4 - message.dataLen
    if message.dataLen < 0 or crcs_bytes < 0:
        raise ValueError(f"a packet of {packet_bytes} bytes cannot hold {message.dataLen} bytes of data")
    return PacketHeader(
        len(header), message.offsetInBlock, message.seqno, message.lastPacketInBlock, int(crcs_bytes), message.dataLen
    )


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the headers, CRCs and data of an answer lie, as predicted from its first header. Sizes in bytes.

    Attributes:
        start: first byte sent, counted from the block's begin, at a chunk's begin.
        end: behind the last byte sent: at a chunk's or the block's end.
        packet_bytes: data of each packet but the last: whole chunks.
        crc_bytes: 4, or 0 when the DataNode sends no sums.
    """

    start: int
    end: int
    packet_bytes: int
    bytes_per_crc: int
    crc_bytes: int

    @property
    def packet_count(self) -> int:
        """Packets with data; one without follows."""
        return -(-(self.end - self.start) // self.packet_bytes)

    @property
    def row_bytes(self) -> int:
        """Header and CRCs of a full packet."""
        return HEADER_BYTES + self.crc_bytes * (self.packet_bytes // self.bytes_per_crc)

    def begin_of(self, packet: int) -> int:
        """Returns where the data of a packet begins; of the one after the last: `end`."""
        return min(self.start + packet * self.packet_bytes, self.end)

    def row_bytes_of(self, packet: int) -> int:
        """Returns the size of the header and CRCs of one packet."""
        data_bytes = self.begin_of(packet + 1) - self.begin_of(packet)
        return HEADER_BYTES + self.crc_bytes * -(-data_bytes // self.bytes_per_crc)

    def headers(self, first: int, end: int) -> NDArray[np.uint8]:
        """Returns the headers of the packets from `first` to before `end`: uint8, shape (end - first, 31). The packet
        after the data is number `packet_count`."""
        numbers = np.arange(first, end)
        rows = np.empty(end - first, _HEADER)
        rows["message_bytes"] = _MESSAGE_BYTES
        rows["tag1"], rows["tag2"], rows["tag3"], rows["tag4"] = 0x09, 0x11, 0x18, 0x25
        rows["offset"] = np.minimum(self.start + numbers * self.packet_bytes, self.end)
        rows["seqno"] = numbers
        data_bytes = np.minimum(self.packet_bytes, self.end - rows["offset"])
        rows["last"] = data_bytes == 0
        rows["data_bytes"] = data_bytes
        rows["packet_bytes"] = 4 + data_bytes + self.crc_bytes * -(-data_bytes // self.bytes_per_crc)
        return rows.view(np.uint8).reshape(-1, HEADER_BYTES)

    def header(self, packet: int) -> bytes:
        """Returns the header of one packet; see `headers`."""
        offset = self.begin_of(packet)
        data_bytes = self.begin_of(packet + 1) - offset
        packet_bytes = 4 + data_bytes + self.crc_bytes * -(-data_bytes // self.bytes_per_crc)
        lengths = _LENGTHS.pack(packet_bytes, _MESSAGE_BYTES)
        return lengths + _MESSAGE.pack(0x09, offset, 0x11, packet, 0x18, data_bytes == 0, 0x25, data_bytes)


def predict(header: PacketHeader, start: int, end: int, bytes_per_crc: int, crc_bytes: int) -> Layout | None:
    """Returns the layout of the answer that `header` begins; None if later headers cannot be told from it."""
    if header.header_bytes != HEADER_BYTES or header.offset != start or header.seqno != 0:
        return None
    if header.last or not header.data_bytes:
        return None
    only_packet = header.data_bytes == end - start
    if not only_packet and (header.data_bytes > end - start or header.data_bytes % bytes_per_crc):
        return None
    packet_bytes = -(-header.data_bytes // bytes_per_crc) * bytes_per_crc
    if header.crcs_bytes != crc_bytes * -(-header.data_bytes // bytes_per_crc):
        return None
    return Layout(start, end, packet_bytes, bytes_per_crc, crc_bytes)
