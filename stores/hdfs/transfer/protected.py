"""What protects a connection to a DataNode after its login: AES-CTR, or DIGEST-MD5's records. See `peer.TransferLayer`.

Knows neither sockets nor blocks. One call decrypts many pieces in a buffer that stays in the processor's cache; they
are copied from there to the caller's memory (0.03 CPU s per GiB).
"""

from __future__ import annotations

from collections.abc import Sequence

from stores.hdfs.security.aes_ctr import AesCtr
from stores.hdfs.security.digest_layer import NUMBER_BYTES, DigestLayer
from stores.hdfs.security.sasl import SaslError
from stores.hdfs.transfer.peer import Wire

# A DataNode that encrypts sends 8 KiB at a time: being woken for each would cost more than the decryption.
_STAGE_BYTES = 128 << 10
# A DataNode wraps what it writes at once: a packet, as a rule, of at most 16 MiB (PacketReceiver.MAX_PACKET_SIZE).
_MAX_RECORD_BYTES = 17 << 20


class AesStream:
    """AES/CTR/NoPadding in both directions: as many bytes on the wire as without. It hides, and proves nothing: the
    checksums that come with the data do."""

    def __init__(self, inbound: AesCtr, outbound: AesCtr) -> None:
        self._inbound = inbound
        self._outbound = outbound
        self._stage = memoryview(bytearray(0))

    def sealed(self, data: bytes) -> bytes:
        """See `TransferLayer.sealed`."""
        changed = bytearray(data)
        self._outbound.crypt(memoryview(changed))
        return bytes(changed)

    def receive_into(self, wire: Wire, pieces: Sequence[memoryview]) -> None:
        """See `TransferLayer.receive_into`."""
        done, size_bytes = 0, sum(map(len, pieces))
        try:
            self._receive_staged(wire, pieces, size_bytes)
            done = size_bytes
        finally:
            wire.arrived_bytes = done

    def is_idle(self) -> bool:
        """See `TransferLayer.is_idle`. Nothing is ever read ahead."""
        return True

    def _receive_staged(self, wire: Wire, pieces: Sequence[memoryview], size_bytes: int) -> None:
        if not self._stage:
            self._stage = memoryview(bytearray(_STAGE_BYTES))
        stage, at, end = self._stage, 0, 0
        for piece in pieces:
            filled, wanted = 0, len(piece)
            if at + wanted <= end:  # most of them: 524,288 a GiB with packets of 4 KiB
                piece[:] = stage[at : at + wanted]
                at += wanted
                continue
            while filled < wanted:
                if at == end:
                    at, end = 0, min(size_bytes, _STAGE_BYTES)
                    size_bytes -= end
                    wire.settle(end)
                    wire.receive_raw((stage[:end],))
                    self._inbound.crypt(stage[:end])
                count = min(wanted - filled, end - at)
                piece[filled : filled + count] = stage[at : at + count]
                filled += count
                at += count


class SaslRecords:
    """Integrity or privacy by DIGEST-MD5: four bytes of length, then a wrapped message. Reads ahead what has come."""

    def __init__(self, layer: DigestLayer) -> None:
        self._layer = layer
        self._buffer = memoryview(bytearray(_STAGE_BYTES))
        self._begin = self._end = 0  # of what has come and is not unwrapped
        self._message = memoryview(b"")  # what is unwrapped and not taken; lies in the buffer

    def sealed(self, data: bytes) -> bytes:
        """See `TransferLayer.sealed`."""
        wrapped = self._layer.wrap(data)
        return len(wrapped).to_bytes(NUMBER_BYTES, "big") + wrapped

    def receive_into(self, wire: Wire, pieces: Sequence[memoryview]) -> None:
        """See `TransferLayer.receive_into`. Raises SaslError."""
        done = 0
        try:
            for piece in pieces:
                message, wanted = self._message, len(piece)
                if wanted < len(message):
                    piece[:] = message[:wanted]
                    self._message = message[wanted:]
                else:
                    self._fill(wire, piece)
                done += wanted
        finally:
            wire.arrived_bytes = done

    def is_idle(self) -> bool:
        """See `TransferLayer.is_idle`."""
        return not self._message and self._begin == self._end

    def _fill(self, wire: Wire, piece: memoryview) -> None:
        """Fills a piece out of the rest of a message and as many more as it takes."""
        filled, wanted = 0, len(piece)
        while filled < wanted:
            if not self._message:
                self._message = self._next_message(wire)
                continue
            taken = self._message[: wanted - filled]
            piece[filled : filled + len(taken)] = taken
            self._message = self._message[len(taken) :]
            filled += len(taken)

    def _next_message(self, wire: Wire) -> memoryview:
        self._fetch(wire, NUMBER_BYTES)
        size_bytes = int.from_bytes(self._buffer[self._begin : self._begin + NUMBER_BYTES], "big")
        if size_bytes > _MAX_RECORD_BYTES:
            raise SaslError(f"a record cannot have {size_bytes} bytes")
        self._fetch(wire, NUMBER_BYTES + size_bytes)
        framed = self._buffer[self._begin : self._begin + NUMBER_BYTES + size_bytes]
        self._begin += len(framed)
        return self._layer.unwrap_in_place(framed)

    def _fetch(self, wire: Wire, size_bytes: int) -> None:
        """Lets at least so many bytes be in the buffer behind `_begin`. Only called when no message is left in it."""
        if self._begin + size_bytes > len(self._buffer):
            left = bytes(self._buffer[self._begin : self._end])
            if size_bytes > len(self._buffer):
                self._buffer = memoryview(bytearray(size_bytes))
            self._buffer[: len(left)] = left
            self._begin, self._end = 0, len(left)
        while self._end - self._begin < size_bytes:
            self._end += wire.receive_available(self._buffer[self._end :])
