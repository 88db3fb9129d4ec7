"""Receives the packets of one read: by prediction, whole batches by one system call, or packet by packet.

Speaks over a `Peer` that has got the answer to its request already; never opens a connection and never retries.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stores.hdfs.replica import Replica
from stores.hdfs.transfer import packet
from stores.hdfs.transfer.crc_tree import words_of
from stores.hdfs.transfer.packet import HEADER_BYTES, Layout, PacketHeader
from stores.hdfs.transfer.peer import Peer
from stores.hdfs.transfer.tally import Tally
from stores.hdfs.transfer.target import Target

WINDOW_BYTES = 8 << 20
BATCH_BYTES = 1 << 20
_MAX_BATCH_PIECES = 1000  # IOV_MAX is 1024


class UnpredictedPacketError(Exception):
    """A packet does not lie where the first header predicted it. What was received is void; read again, one by one."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What is to be received: `bytes_per_crc` of the stored sums, `crc_bytes` 4, or 0 without sums; `end` as far as the
    block's length is known."""

    replica: Replica
    target: Target
    tally: Tally
    bytes_per_crc: int
    crc_bytes: int
    end: int


def receive(peer: Peer, answer: Answer, predictable: bool) -> None:
    """Fills the target and verifies it.

    Raises:
        UnpredictedPacketError: only with `predictable`.
        BlockferryError: CHECKSUM_MISMATCH, DATANODE_UNAVAILABLE.
        OSError, EOFError: of the connection.
    """
    begin = peer.receive(HEADER_BYTES)
    header = _header(peer, answer, begin)
    layout = packet.predict(header, answer.target.start, answer.end, answer.bytes_per_crc, answer.crc_bytes)
    if predictable and layout is not None and layout.packet_count == 1:
        _receive_only_packet(peer, answer, layout, begin)
    elif predictable and layout is not None:
        _Batches(peer, answer, layout).receive(begin)
    else:
        _receive_one_by_one(peer, answer, header)


def _header(peer: Peer, answer: Answer, begin: bytes) -> PacketHeader:
    try:
        rest_bytes = packet.message_bytes(begin) - (HEADER_BYTES - 6)
        return packet.parse_header(begin + (peer.receive(rest_bytes) if rest_bytes else b""))
    except ValueError as error:
        raise _nonsense(answer, str(error)) from error


def _nonsense(answer: Answer, what: str) -> Exception:
    replica = answer.replica
    return replica.failure(
        "DATANODE_UNAVAILABLE",
        f"the DataNode {replica.host} sent packets of block {replica.block_id} that cannot be: {what}. "
        "Look into its log; blockferry speaks the data transfer protocol 28.",
        answer.target.offset,
        retryable=True,
    )


def _receive_one_by_one(peer: Peer, answer: Answer, header: PacketHeader) -> None:
    """Receives packets of any sizes. Each is verified by itself."""
    place = answer.target.start
    while not header.last:
        end = place + header.data_bytes
        crcs_bytes = answer.crc_bytes * -(-header.data_bytes // answer.bytes_per_crc)
        if header.offset != place or end > answer.target.end or header.crcs_bytes != crcs_bytes:
            raise _nonsense(answer, f"after byte {place} came {header}")
        crcs = peer.receive(crcs_bytes)
        peer.receive_into(answer.target.pieces(place, end))
        answer.tally.hash(place, end)
        answer.tally.verify(words_of(crcs), place, end)
        place = end
        header = _header(peer, answer, peer.receive(HEADER_BYTES))
    if place < answer.target.wanted_end:
        raise _nonsense(answer, f"they end at {place} of {answer.target.wanted_end}")


def _receive_only_packet(peer: Peer, answer: Answer, layout: Layout, header: bytes) -> None:
    """Receives what `_Batches` does, for small files: they are one packet, and a tenth of the calls."""
    if header != layout.header(0):
        raise UnpredictedPacketError
    start, end = layout.start, layout.end
    crcs, trailer = bytearray(layout.row_bytes_of(0) - HEADER_BYTES), bytearray(HEADER_BYTES)
    pieces = (*answer.target.pieces(start, end), memoryview(trailer))
    peer.receive_into((memoryview(crcs), *pieces) if crcs else pieces)
    if trailer != layout.header(1):
        raise UnpredictedPacketError
    answer.tally.hash(start, end)
    answer.tally.verify(words_of(crcs), start, end)


class _Batches:
    """Receives the packets of a layout: headers and CRCs into rows of a small buffer, data straight to the target.

    The buffer has `rows_of(window) * row_bytes` bytes: 68 KiB with packets of 64 KiB and 512 bytes a chunk.
    """

    def __init__(self, peer: Peer, answer: Answer, layout: Layout) -> None:
        self._peer = peer
        self._answer = answer
        self._layout = layout
        self._row_count = min(max(WINDOW_BYTES // layout.packet_bytes, 1), layout.packet_count)
        target = answer.target
        pieces_per_packet = 2 if target.cell_count == 1 else 3 + layout.packet_bytes // target.smallest_cell_bytes
        self._batch_count = max(min(BATCH_BYTES // layout.packet_bytes, _MAX_BATCH_PIECES // pieces_per_packet), 1)
        self._buffer = bytearray(self._row_count * layout.row_bytes)
        self._rows = np.frombuffer(self._buffer, np.uint8).reshape(self._row_count, layout.row_bytes)
        whole = memoryview(self._buffer)
        self._row_views = [whole[at : at + layout.row_bytes] for at in range(0, len(whole), layout.row_bytes)]
        self._trailer = bytearray(HEADER_BYTES)

    def receive(self, first_header: bytes) -> None:
        """Receives everything behind the first header."""
        self._buffer[:HEADER_BYTES] = first_header
        packet_count = self._layout.packet_count
        for first in range(0, packet_count, self._row_count):
            end = min(first + self._row_count, packet_count)
            for batch in range(first, end, self._batch_count):
                self._receive_batch(first, batch, min(batch + self._batch_count, end))
            self._verify_window(first, end)
        if self._trailer != self._layout.header(packet_count):
            raise UnpredictedPacketError

    def _receive_batch(self, window: int, first: int, end: int) -> None:
        layout = self._layout
        pieces = self._pieces(self._row_views[first - window : end - window], first, end)
        if first == 0:  # its header is there already
            pieces[0] = pieces[0][HEADER_BYTES:]
            pieces = pieces if len(pieces[0]) else pieces[1:]
        if end == layout.packet_count:
            pieces.append(memoryview(self._trailer))
        try:
            self._peer.receive_into(pieces, layout.end - layout.begin_of(end))
        except TimeoutError:
            # Waiting for bytes that never come may mean that the prediction is wrong: see what has come.
            whole_packets = self._peer.arrived_bytes // (layout.row_bytes + layout.packet_bytes)
            self._check_headers(window, first, first + whole_packets)
            raise
        self._answer.tally.hash(layout.begin_of(first), layout.begin_of(end))

    def _pieces(self, rows: list[memoryview], first: int, end: int) -> list[memoryview]:
        """Returns the memory of a batch in the order of the wire: a row, its packet's data, the next row, ..."""
        layout, target = self._layout, self._answer.target
        start, last = layout.begin_of(first), layout.begin_of(end)
        view = target.together(start, last)
        if view is not None and len(view) == len(rows) * layout.packet_bytes:
            size_bytes = layout.packet_bytes
            pieces = rows * 2  # as many as are needed; packets of 4 KiB are 262,144 a GiB, so no calls per packet
            pieces[0::2] = rows
            pieces[1::2] = [view[at : at + size_bytes] for at in range(0, len(view), size_bytes)]
            return pieces
        pieces = []
        for number, row in enumerate(rows, first):
            pieces.append(row[: layout.row_bytes_of(number)])
            pieces += target.pieces(layout.begin_of(number), layout.begin_of(number + 1))
        return pieces

    def _check_headers(self, window: int, first: int, end: int) -> None:
        found = self._rows[first - window : end - window, :HEADER_BYTES]
        if not np.array_equal(found, self._layout.headers(first, end)):
            raise UnpredictedPacketError

    def _verify_window(self, first: int, end: int) -> None:
        self._check_headers(first, first, end)
        start, last = self._layout.begin_of(first), self._layout.begin_of(end)
        self._answer.tally.verify(self._words(end - first, last - start), start, last)

    def _words(self, row_count: int, data_bytes: int) -> NDArray[np.uint32]:
        """Returns the window's CRCs. Only its last row can be short, and what is left over in it is cut off."""
        chunk_count = -(-data_bytes // self._answer.bytes_per_crc) if self._answer.crc_bytes else 0
        return words_of(self._rows[:row_count, HEADER_BYTES:].tobytes())[:chunk_count]
