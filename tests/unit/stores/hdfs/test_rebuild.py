"""Any range of any group is rebuilt from what is left, whichever units are lost and whenever they get lost."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stores.checksum import Algorithm, concatenation
from stores.hashing import checksum_of
from stores.hdfs.datanode import DatanodeRead
from stores.hdfs.erasure.codes import combine_units, parity_matrix
from stores.hdfs.erasure.rebuild import GroupRange, Rebuild
from stores.hdfs.erasure.striping import Policy, unit_bytes, unit_slices
from stores.hdfs.erasure.units import TooFewUnitsError
from stores.hdfs.experience import Mark

CODES = [("rs", 3, 2), ("rs", 6, 3), ("rs-legacy", 3, 2), ("xor", 2, 1), ("xor", 4, 1), ("rs", 1, 2)]


def written(policy: Policy, data: bytes) -> list[bytes]:
    """Returns all units of a group, dealt and encoded cell by cell."""
    units = [bytearray() for _ in range(policy.data_units)]
    for cell, at in enumerate(range(0, len(data), policy.cell_bytes)):
        units[cell % policy.data_units] += data[at : at + policy.cell_bytes]
    padded = [np.frombuffer(bytes(unit).ljust(len(units[0]), b"\0"), np.uint8) for unit in units]
    parity = [np.empty(len(units[0]), np.uint8) for _ in range(policy.parity_units)]
    for row, unit in zip(parity_matrix(policy.codec, policy.data_units, policy.parity_units), parity, strict=True):
        combine_units(row, padded, unit)
    return [bytes(unit) for unit in units] + [unit.tobytes() for unit in parity]


@dataclass
class StoredUnits:
    """Units in memory. `lives`: how many reads each of them serves before it is lost; those not named serve any."""

    units: list[bytes]
    lives: dict[int, int] = field(default_factory=dict)
    marks: dict[int, Mark] = field(default_factory=dict)
    is_stale: bool = False
    read_bytes: int = 0
    read_units: set[int] = field(default_factory=set)

    def mark(self, unit: int) -> Mark | None:
        return None if self.lives.get(unit) == 0 or not self.units[unit] else self.marks.get(unit, Mark.NONE)

    def read(
        self, unit: int, offset: int, cells: tuple[memoryview, ...], algorithm: Algorithm | None, allow_unproven: bool
    ) -> DatanodeRead | None:
        assert self.mark(unit) is not None, "a lost unit is not asked again"
        if unit in self.lives:
            self.lives[unit] -= 1
            if not self.lives[unit]:
                return None
        for cell in cells:
            assert 0 < len(cell) <= len(self.units[unit]) - offset, "nothing is read behind a unit's end"
            cell[:] = self.units[unit][offset : offset + len(cell)]
            offset += len(cell)
            self.read_bytes += len(cell)
        self.read_units.add(unit)
        return DatanodeRead(tuple(checksum_of(algorithm or Algorithm.CRC32, cell) for cell in cells), True, 1, 512)


@dataclass
class Case:
    """A group, a range of it whose bytes are in `view` but for those of lost units, which hold rubbish."""

    policy: Policy
    data: bytes
    offset: int
    size: int
    lost: frozenset[int]
    view: bytearray = field(init=False)
    wanted: GroupRange = field(init=False)

    def __post_init__(self) -> None:
        slices = unit_slices(self.policy, self.offset, self.size)
        self.view = bytearray(self.expected)
        view = memoryview(self.view)
        self.wanted = GroupRange(self.policy, len(self.data), slices, view, Algorithm.CRC32C, allow_unproven=False)
        for each in slices:
            if each.unit in self.lost:
                for piece in each.pieces:
                    self.wanted.memory(piece)[:] = b"\xaa" * piece.size

    @property
    def expected(self) -> bytes:
        return self.data[self.offset : self.offset + self.size]

    def stored(self) -> StoredUnits:
        return StoredUnits(written(self.policy, self.data), dict.fromkeys(self.lost, 0))

    def rebuild(self, stored: StoredUnits, slab_bytes: int) -> Rebuild:
        return Rebuild(self.wanted, stored, [each for each in self.wanted.slices if each.unit in self.lost], slab_bytes)


@st.composite
def cases(draw: st.DrawFn, max_lost: int = 4) -> Case:
    codec, data_units, parity_units = draw(st.sampled_from(CODES))
    policy = Policy("p", codec, data_units, parity_units, draw(st.integers(1, 24)))
    data = random.Random(draw(st.integers(0, 99))).randbytes(draw(st.integers(1, 400)))
    offset = draw(st.integers(0, len(data) - 1))
    size = draw(st.integers(1, len(data) - offset))
    slices = unit_slices(policy, offset, size)
    first = draw(st.sampled_from([each.unit for each in slices]))
    others = st.sets(st.integers(0, data_units + parity_units - 1), max_size=min(max_lost, parity_units) - 1)
    return Case(policy, data, offset, size, frozenset(draw(others) | {first}))


@settings(deadline=None)
@given(cases(), st.sampled_from([1, 5, 16, 1000]))
def test_what_is_lost_is_rebuilt_in_its_place(case: Case, slab_bytes: int) -> None:
    rebuild = case.rebuild(case.stored(), slab_bytes)
    sums = rebuild.run()
    assert bytes(case.view) == case.expected
    assert rebuild.proven
    pieces = [piece for each in case.wanted.slices if each.unit in case.lost for piece in each.pieces]
    assert {piece.place: piece.size for piece in pieces} == {place: size for place, (_, size) in sums.items()}
    ordered = [sums[piece.place] for piece in pieces]
    memory = b"".join(case.wanted.memory(piece) for piece in pieces)
    assert concatenation(ordered) == checksum_of(Algorithm.CRC32C, memory)


@settings(deadline=None)
@given(cases(max_lost=1), st.sampled_from([1, 5, 1000]), st.data())
def test_sources_that_get_lost_on_the_way_are_replaced(case: Case, slab_bytes: int, draw: st.DataObject) -> None:
    stored = case.stored()
    spare = case.policy.parity_units - 1
    units = [unit for unit in range(case.policy.data_units + case.policy.parity_units) if unit not in case.lost]
    for unit in draw.draw(st.lists(st.sampled_from(units), unique=True, max_size=spare)):
        stored.lives[unit] = draw.draw(st.integers(1, 3))
    case.rebuild(stored, slab_bytes).run()
    assert bytes(case.view) == case.expected


GROUP = Policy("p", "rs", 3, 2, 10)


def test_nothing_of_the_view_is_read_again() -> None:
    case = Case(GROUP, random.Random(1).randbytes(300), 0, 300, frozenset({1}))
    stored = case.stored()
    case.rebuild(stored, 1000).run()
    assert (stored.read_units, stored.read_bytes) == ({3}, 100)


def test_at_the_edges_of_a_range_only_what_is_missing_is_read() -> None:
    case = Case(GROUP, random.Random(1).randbytes(300), 15, 100, frozenset({1}))
    stored = case.stored()
    case.rebuild(stored, 1000).run()
    assert bytes(case.view) == case.expected
    # The view holds 10 to 40 of unit 0 and 0 to 35 of unit 2. From 5 to 10 unit 1 needs two more, then one, then two.
    assert stored.read_bytes == 2 * 5 + 25 + 2 * 5


def test_units_without_data_are_zeros_that_nobody_is_asked_for() -> None:
    case = Case(GROUP, b"abc", 0, 3, frozenset({0}))
    stored = case.stored()
    case.rebuild(stored, 1000).run()
    assert bytes(case.view) == b"abc"
    assert stored.read_units == {3}


def test_slow_datanodes_are_asked_last() -> None:
    case = Case(GROUP, random.Random(1).randbytes(30), 0, 10, frozenset({0}))
    stored = case.stored()
    stored.marks = {1: Mark.DEAD, 2: Mark.SLOW}
    case.rebuild(stored, 1000).run()
    assert stored.read_units == {2, 3, 4}


def test_the_algorithm_is_the_stored_one_when_none_is_asked_for() -> None:
    case = Case(GROUP, b"abc", 0, 3, frozenset({0}))
    wanted = GroupRange(GROUP, 3, case.wanted.slices, case.wanted.view, None, allow_unproven=False)
    sums = Rebuild(wanted, case.stored(), case.wanted.slices).run()
    assert sums == {0: (checksum_of(Algorithm.CRC32, b"abc"), 3)}


@pytest.mark.parametrize("is_stale", [False, True])
def test_too_few_units_are_told(is_stale: bool) -> None:
    case = Case(GROUP, random.Random(1).randbytes(300), 0, 300, frozenset({1}))
    stored = case.stored()
    stored.is_stale = is_stale
    stored.lives |= {} if is_stale else {3: 0, 4: 1}
    with pytest.raises(TooFewUnitsError):
        case.rebuild(stored, 1000).run()


def test_lengths_are_those_of_the_written_units() -> None:
    units = written(GROUP, bytes(47))
    assert [len(unit) for unit in units] == [unit_bytes(GROUP, 47, unit) for unit in range(5)] == [20, 17, 10, 20, 20]
