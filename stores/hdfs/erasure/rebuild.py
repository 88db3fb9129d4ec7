"""Lost units of a block group, rebuilt from as many others as there are data units, straight into the caller's view.

What the caller's view holds already is not read again. Everything else goes through scratch memory, a slab at a time:
peak = data_units * SLAB_BYTES at the edges of a range, (lost data units) * SLAB_BYTES in its middle, and 256 KiB.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Protocol

import numpy as np

from stores.checksum import Algorithm, Checksum
from stores.hashing import checksum_of
from stores.hdfs.datanode import DatanodeRead, algorithm_of
from stores.hdfs.erasure.codes import Bytes, combine_units, parity_matrix, rebuilding_rows
from stores.hdfs.erasure.striping import Piece, Policy, UnitSlice, unit_bytes
from stores.hdfs.erasure.units import TooFewUnitsError, side_by_side
from stores.hdfs.experience import Mark

SLAB_BYTES = 2 << 20

# Checksums of pieces of the view, by their place in it, with their sizes.
Sums = dict[int, tuple[Checksum, int]]


@dataclass(frozen=True, slots=True)
class GroupRange:
    """A range of a block group that is read.

    Attributes:
        policy: of the file.
        group_bytes: data in the whole group.
        slices: what the range needs of each data unit.
        view: takes the range.
        algorithm: of the checksums; None: the stored one, for a range in one cell.
        allow_unproven: units without stored sums are read too.
    """

    policy: Policy
    group_bytes: int
    slices: tuple[UnitSlice, ...]
    view: memoryview
    algorithm: Algorithm | None
    allow_unproven: bool

    def memory(self, piece: Piece) -> memoryview:
        """Returns the memory of a piece."""
        return self.view[piece.place : piece.place + piece.size]

    def length(self, unit: int) -> int:
        """Returns the length of a unit in bytes."""
        return unit_bytes(self.policy, self.group_bytes, unit)


class UnitSource(Protocol):
    """The units of a group, as `units.Units` knows them."""

    @property
    def is_stale(self) -> bool:
        """Whether the NameNode must be asked before more is read."""
        ...

    def mark(self, unit: int) -> Mark | None:
        """Returns what is held against a unit's DataNode; None: it cannot be asked."""
        ...

    def read(
        self, unit: int, offset: int, cells: tuple[memoryview, ...], algorithm: Algorithm | None, allow_unproven: bool
    ) -> DatanodeRead | None:
        """Fills the cells with a unit's bytes, verified; None when it cannot, and never can from now on."""
        ...


class Rebuild:
    """The rebuilding of some slices of a range. For one thread; reads with several."""

    def __init__(
        self, wanted: GroupRange, units: UnitSource, lost: Sequence[UnitSlice], slab_bytes: int = SLAB_BYTES
    ) -> None:
        """Reads nothing yet. All slices but the lost ones are in the view, verified."""
        policy = wanted.policy
        self._wanted = wanted
        self._units = units
        self._lost = lost
        lost_units = {each.unit for each in lost}
        self._present = {each.unit: each for each in wanted.slices if each.unit not in lost_units}
        every = range(policy.data_units + policy.parity_units)
        self._helpers = [unit for unit in every if unit not in lost_units]
        self._matrix = parity_matrix(policy.codec, policy.data_units, policy.parity_units)
        self._slabs = tuple(self._cut(slab_bytes))
        self._slab_bytes = max(end - begin for begin, end in self._slabs)
        self._scratch: dict[int, bytearray] = {}
        self._stored: Algorithm | None = None
        self.proven = True

    def run(self) -> Sums:
        """Fills the lost slices' places in the view and returns their checksums.

        Raises:
            TooFewUnitsError: the view's content is undefined there.
            BlockferryError: what is no failure of a replica.
        """
        for begin, end in self._slabs:
            pieces = [
                (each.unit, part) for each in self._lost for piece in each.pieces for part in _inside(piece, begin, end)
            ]
            sources = self._sources(begin, end)
            for unit, piece in pieces:
                self._fill(unit, piece, sources, begin)
        whole = [piece for each in self._lost for piece in each.pieces]
        algorithm = self._wanted.algorithm or self._stored or Algorithm.CRC32C
        memory = self._wanted.memory
        return {piece.place: (checksum_of(algorithm, memory(piece)), piece.size) for piece in whole}

    def _cut(self, slab_bytes: int) -> Iterator[tuple[int, int]]:
        """Yields stretches of units in which something is to be rebuilt. In each the same units are in the view."""
        edges = {edge for each in self._wanted.slices for edge in (each.offset, each.end)}
        inside = sorted(edge for edge in edges if any(lost.offset <= edge <= lost.end for lost in self._lost))
        for first, last in pairwise(inside):
            if any(lost.offset <= first and last <= lost.end for lost in self._lost):
                for begin in range(first, last, slab_bytes):
                    yield begin, min(begin + slab_bytes, last)

    def _sources(self, begin: int, end: int) -> tuple[int, ...]:
        """Returns the units that rebuild [begin, end), and has read those that are not in the view."""
        read: set[int] = set()
        count = self._wanted.policy.data_units
        while True:
            free = [unit for unit in self._data_units() if self._is_here(unit, begin, end)]
            others = sorted(
                (mark, unit not in read, unit)
                for unit in self._helpers
                if unit not in free and (mark := self._units.mark(unit)) is not None
            )
            sources = (*free, *(unit for _, _, unit in others))[:count]
            if len(sources) < count or self._units.is_stale:
                raise TooFewUnitsError
            missing = [unit for unit in sources if unit not in free and unit not in read]
            if not missing:
                return tuple(sorted(sources))
            done = side_by_side([partial(self._fetch, unit, begin, end) for unit in missing])
            for unit, found in zip(missing, done, strict=True):
                if found is not None:
                    read.add(unit)
                    self.proven = self.proven and found.proven
                    self._stored = algorithm_of(found.crc_type)

    def _data_units(self) -> range:
        return range(self._wanted.policy.data_units)

    def _is_here(self, unit: int, begin: int, end: int) -> bool:
        """Returns whether all bytes of [begin, end) of a data unit are known: in the view, or zeros after its end."""
        length = self._wanted.length(unit)
        if length <= begin:
            return True
        here = self._present.get(unit)
        return here is not None and here.offset <= begin and min(end, length) <= here.end

    def _fetch(self, unit: int, begin: int, end: int) -> DatanodeRead | None:
        """Reads [begin, end) of a unit, as far as it goes, into its scratch memory."""
        memory = memoryview(self._scratch.setdefault(unit, bytearray(self._slab_bytes)))
        cells = (memory[: min(end, self._wanted.length(unit)) - begin],)
        return self._units.read(unit, begin, cells, self._wanted.algorithm, self._wanted.allow_unproven)

    def _fill(self, unit: int, piece: Piece, sources: tuple[int, ...], slab: int) -> None:
        """Rebuilds a piece. Where a source ends inside it, what follows is rebuilt without that source: it is zeros."""
        (row,) = rebuilding_rows(self._matrix, sources, (unit,))
        lengths = {source: self._wanted.length(source) for source in sources}
        cuts = sorted({piece.offset, piece.end} | {at for at in lengths.values() if piece.offset < at < piece.end})
        for begin, end in pairwise(cuts):
            place = piece.place + begin - piece.offset
            used = [(factor, source) for factor, source in zip(row, sources, strict=True) if lengths[source] >= end]
            bytes_of = [self._bytes(source, begin, end, slab) for _, source in used]
            target = np.frombuffer(self._wanted.view[place : place + end - begin], np.uint8)
            combine_units(tuple(factor for factor, _ in used), bytes_of, target)

    def _bytes(self, unit: int, begin: int, end: int, slab: int) -> Bytes:
        """Returns a stretch of a source that lies in one cell."""
        here = self._present.get(unit)
        if here is None or not here.offset <= begin < end <= here.end:
            return np.frombuffer(memoryview(self._scratch[unit])[begin - slab : end - slab], np.uint8)
        cell_bytes = self._wanted.policy.cell_bytes
        piece = here.pieces[begin // cell_bytes - here.offset // cell_bytes]
        place = piece.place + begin - piece.offset
        return np.frombuffer(self._wanted.view[place : place + end - begin], np.uint8)


def _inside(piece: Piece, begin: int, end: int) -> Iterator[Piece]:
    """Yields the part of a piece that lies in [begin, end) of its unit, if there is one."""
    first, last = max(piece.offset, begin), min(piece.end, end)
    if first < last:
        yield Piece(first, piece.place + first - piece.offset, last - first)
