"""The bytes that a DataNode's BlockSender sends for a read, written from Hadoop's BlockSender.java and independent of
the code under test (headers by protobuf, one CRC at a time). PURE."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace

from stores.checksum import Algorithm
from stores.hashing import crc_of
from stores.hdfs.wire.datanode_pb2 import PacketHeaderProto


@dataclass(frozen=True, slots=True)
class BlockSender:
    """A stored block and how it is sent. `algorithm` None: without sums. `sync_block` makes headers longer than usual;
    `first_packet_bytes` and `packet_bytes` are whole chunks (what Hadoop always sends) or not. `damaged` are the bytes
    on the disk, when they are no longer those whose sums are stored."""

    data: bytes
    bytes_per_crc: int = 512
    algorithm: Algorithm | None = Algorithm.CRC32C
    packet_bytes: int = 65_536
    first_packet_bytes: int = 0
    sync_block: bool = False
    damaged: bytes = b""

    def start(self, offset: int) -> int:
        """Returns where sending begins: at a chunk."""
        return offset - offset % self.bytes_per_crc

    def end(self, offset: int, size: int) -> int:
        """Returns where sending ends: at a chunk or the block's end."""
        return min(-(-(offset + size) // self.bytes_per_crc) * self.bytes_per_crc, len(self.data))

    def packets(self, offset: int, size: int) -> Iterator[bytes]:
        """Yields the packets of a read, the empty one at the end included."""
        place, end, seqno = self.start(offset), self.end(offset, size), 0
        while place < end:
            packet_bytes = self.first_packet_bytes if self.first_packet_bytes and not seqno else self.packet_bytes
            data = self.data[place : min(place + packet_bytes, end)]
            yield self._packet(place, seqno, data)
            place, seqno = place + len(data), seqno + 1
        yield self._packet(place, seqno, b"")

    def crcs(self, data: bytes) -> bytes:
        """Returns the stored sums of whole chunks, as on the wire."""
        if self.algorithm is None:
            return b""
        chunks = (data[at : at + self.bytes_per_crc] for at in range(0, len(data), self.bytes_per_crc))
        return b"".join(struct.pack(">I", crc_of(self.algorithm, chunk)) for chunk in chunks)

    def _packet(self, place: int, seqno: int, data: bytes) -> bytes:
        header = PacketHeaderProto(offsetInBlock=place, seqno=seqno, lastPacketInBlock=not data, dataLen=len(data))
        if self.sync_block:
            header.syncBlock = False
        message, crcs = header.SerializeToString(), self.crcs(data)
        data = self.damaged[place : place + len(data)] if self.damaged else data
        return struct.pack(">IH", 4 + len(crcs) + len(data), len(message)) + message + crcs + data

    def with_packets(self, packet_bytes: int, first_packet_bytes: int = 0) -> "BlockSender":
        """Returns a sender of the same block with packets of another size."""
        return replace(self, packet_bytes=packet_bytes, first_packet_bytes=first_packet_bytes)


def flipped(data: bytes, place: int, bit: int = 0) -> bytes:
    """Returns data with one bit changed."""
    changed = bytearray(data)
    changed[place] ^= 1 << bit
    return bytes(changed)
