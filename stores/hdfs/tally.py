"""Sums the bytes of a read as they arrive and compares them with the CRCs that the DataNode stores. Opens no socket."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stores.checksum import Algorithm, Checksum, combine, concatenation, empty
from stores.hashing import checksum_of, crc_of
from stores.hdfs.crc_tree import sum_of_chunks
from stores.hdfs.replica import Replica
from stores.hdfs.target import Target


class Tally:
    """The running sums of one read. Use it in order: `hash` what has arrived (while it is in the processor's cache),
    then `verify` a window of it, and so on to the end.

    Each byte is hashed once, or twice when the caller wants another algorithm than the stored one. A window has one
    comparison: a single wrong bit, or a burst of up to 32, always shows.
    """

    __slots__ = ("_bytes_per_crc", "_other", "_replica", "_stored", "_target", "_wanted", "_whole", "_window")

    def __init__(
        self, replica: Replica, target: Target, stored: Algorithm | None, bytes_per_crc: int, wanted: Algorithm
    ) -> None:
        self._replica = replica
        self._target = target
        self._stored = stored
        self._bytes_per_crc = bytes_per_crc
        self._wanted = wanted
        self._other = 0  # of all wanted bytes so far, in the wanted algorithm, where that is not the stored one
        self._window = 0  # of the window's wanted bytes so far, in the stored algorithm
        self._whole = empty(stored or wanted)

    def hash(self, first: int, last: int) -> None:
        """Hashes the bytes of [first, last), which follow those of the call before."""
        view = self._target.wanted(first, last)
        if self._stored is not None:
            self._window = crc_of(self._stored, view, self._window)
        if self._stored is not self._wanted:
            self._other = crc_of(self._wanted, view, self._other)

    def verify(self, words: NDArray[np.uint32], first: int, last: int) -> None:
        """Compares [first, last), hashed since the call before, with its stored CRCs.

        Args:
            words: one per chunk, as in `crc_tree`; ignored where the DataNode stores none.

        Raises:
            BlockferryError: CHECKSUM_MISMATCH, with the first chunk that differs.
        """
        if self._stored is None:
            return
        wanted = Checksum(self._stored, self._window)
        size_bytes = len(self._target.wanted(first, last))
        head, tail = self._target.head(first, last), self._target.tail(first, last)
        found = wanted
        if len(head) or len(tail):
            ends = [(checksum_of(self._stored, end), len(end)) for end in (head, tail)]
            found = concatenation([ends[0], (wanted, size_bytes), ends[1]])
        expected = sum_of_chunks(self._stored, words, self._bytes_per_crc, last - first)
        if found != expected:
            at, expected, found = self._first_difference(words, first, last) or (first, expected, found)
            raise self._replica.corrupt(at, expected.hex, found.hex)
        self._whole = combine(self._whole, wanted, size_bytes)
        self._window = 0

    def _first_difference(
        self, words: NDArray[np.uint32], first: int, last: int
    ) -> tuple[int, Checksum, Checksum] | None:
        """Returns the place of the first chunk that is wrong, its stored checksum and the one of its bytes."""
        algorithm = self._whole.algorithm
        for index, at in enumerate(range(first, last, self._bytes_per_crc)):
            chunk = b"".join(self._target.pieces(at, min(at + self._bytes_per_crc, last)))
            expected = sum_of_chunks(algorithm, words[index : index + 1], len(chunk), len(chunk))
            found = checksum_of(algorithm, chunk)
            if found != expected:
                return at, expected, found
        return None

    @property
    def checksum(self) -> Checksum:
        """The checksum of all wanted bytes so far, in the wanted algorithm."""
        return self._whole if self._stored is self._wanted else Checksum(self._wanted, self._other)
