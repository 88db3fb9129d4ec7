"""Sums the bytes of a read as they arrive and compares them with the CRCs that the DataNode stores. Opens no socket."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stores.checksum import Algorithm, Checksum, combine, concatenation, empty
from stores.hashing import checksum_of, crc_of
from stores.hdfs.replica import Replica
from stores.hdfs.transfer.crc_tree import sum_of_chunks
from stores.hdfs.transfer.target import Target


class Tally:
    """The running sums of one read, one per cell of its target. Use it in order: `hash` what has arrived (while it is
    in the processor's cache), then `verify` a window of it, and so on to the end.

    Each byte is hashed once, or twice when the caller wants another algorithm than the stored one. A window has one
    comparison: a single wrong bit, or a burst of up to 32, always shows.
    """

    __slots__ = ("_bytes_per_crc", "_cells", "_others", "_replica", "_stored", "_target", "_wanted", "_window")

    def __init__(
        self, replica: Replica, target: Target, stored: Algorithm | None, bytes_per_crc: int, wanted: Algorithm
    ) -> None:
        self._replica = replica
        self._target = target
        self._stored = stored
        self._bytes_per_crc = bytes_per_crc
        self._wanted = wanted
        self._others = [0] * target.cell_count  # in the wanted algorithm, where that is not the stored one
        self._window: dict[int, tuple[int, int]] = {}  # by cell, of the window so far: stored algorithm's CRC, bytes
        self._cells = [empty(stored or wanted)] * target.cell_count

    def hash(self, first: int, last: int) -> None:
        """Hashes the bytes of [first, last), which follow those of the call before."""
        for cell, view in self._target.wanted(first, last):
            if self._stored is not None:
                crc, size_bytes = self._window.get(cell, (0, 0))
                self._window[cell] = crc_of(self._stored, view, crc), size_bytes + len(view)
            if self._stored is not self._wanted:
                self._others[cell] = crc_of(self._wanted, view, self._others[cell])

    def verify(self, words: NDArray[np.uint32], first: int, last: int) -> None:
        """Compares [first, last), hashed since the call before, with its stored CRCs.

        Args:
            words: one per chunk, as in `crc_tree`; ignored where the DataNode stores none.

        Raises:
            BlockferryError: CHECKSUM_MISMATCH, with the first chunk that differs.
        """
        if self._stored is None:
            return
        parts = {cell: (Checksum(self._stored, crc), size) for cell, (crc, size) in self._window.items()}
        found = self._with_ends(self._stored, list(parts.values()), first, last)
        expected = sum_of_chunks(self._stored, words, self._bytes_per_crc, last - first)
        if found != expected:
            at, expected, found = self._first_difference(words, first, last) or (first, expected, found)
            raise self._replica.corrupt(at, expected.hex, found.hex)
        for cell, (checksum, size_bytes) in parts.items():
            self._cells[cell] = combine(self._cells[cell], checksum, size_bytes)
        self._window.clear()

    def _with_ends(self, algorithm: Algorithm, parts: list[tuple[Checksum, int]], first: int, last: int) -> Checksum:
        """Returns the sum of all that has come of [first, last), of which `parts` are the wanted bytes, in order."""
        head, tail = self._target.head(first, last), self._target.tail(first, last)
        if len(parts) == 1 and not len(head) and not len(tail):
            return parts[0][0]
        ends = [(checksum_of(algorithm, end), len(end)) for end in (head, tail)]
        return concatenation([ends[0], *parts, ends[1]])

    def _first_difference(
        self, words: NDArray[np.uint32], first: int, last: int
    ) -> tuple[int, Checksum, Checksum] | None:
        """Returns the place of the first chunk that is wrong, its stored checksum and the one of its bytes."""
        algorithm = self._cells[0].algorithm
        for index, at in enumerate(range(first, last, self._bytes_per_crc)):
            chunk = b"".join(self._target.pieces(at, min(at + self._bytes_per_crc, last)))
            expected = sum_of_chunks(algorithm, words[index : index + 1], len(chunk), len(chunk))
            found = checksum_of(algorithm, chunk)
            if found != expected:
                return at, expected, found
        return None

    @property
    def checksums(self) -> tuple[Checksum, ...]:
        """The checksums of the wanted bytes so far, by cell, in the wanted algorithm."""
        if self._stored is self._wanted:
            return tuple(self._cells)
        return tuple(Checksum(self._wanted, crc) for crc in self._others)
