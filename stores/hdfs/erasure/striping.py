"""Where the bytes of an erasure-coded block group lie: cells of the file, dealt to the data units in turn. PURE.

A group's data is cut into cells. Cell 0 goes to unit 0, cell 1 to unit 1, ..., and when each of the `data_units` has
got one (a stripe), unit 0 gets the next. Parity unit j holds, at the same places, what follows from the data units'
bytes there; data units that end sooner count as zeros. Facts from StripedBlockUtil.java of Hadoop 3.4.2.
"""

from __future__ import annotations

from dataclasses import dataclass

from stores.hdfs.wire.hdfs_pb2 import ErasureCodingPolicyProto, LocatedBlockProto

_MIB = 1 << 20
_REPLICATION = "replication"


@dataclass(frozen=True, slots=True)
class Policy:
    """An erasure coding policy. Units are numbered: data from 0 on, then parity."""

    name: str
    codec: str
    data_units: int
    parity_units: int
    cell_bytes: int

    @property
    def stripe_bytes(self) -> int:
        """One cell of each data unit."""
        return self.data_units * self.cell_bytes


# SystemErasureCodingPolicies.java: of these the NameNode sends the number only.
_BUILT_IN = {
    1: Policy("RS-6-3-1024k", "rs", 6, 3, _MIB),
    2: Policy("RS-3-2-1024k", "rs", 3, 2, _MIB),
    3: Policy("RS-LEGACY-6-3-1024k", "rs-legacy", 6, 3, _MIB),
    4: Policy("XOR-2-1-1024k", "xor", 2, 1, _MIB),
    5: Policy("RS-10-4-1024k", "rs", 10, 4, _MIB),
}
REPLICATION_ID = 0


def policy_of(proto: ErasureCodingPolicyProto) -> Policy | None:
    """Returns the policy that a NameNode names; None for replication, which is one too.

    Raises:
        ValueError: it is one that Hadoop 3.4 has not built in and it does not come with its sizes.
    """
    schema = proto.schema
    if proto.id == REPLICATION_ID or schema.codecName == _REPLICATION:
        return None
    if proto.id in _BUILT_IN:
        return _BUILT_IN[proto.id]
    if not (schema.codecName and schema.dataUnits and schema.parityUnits and proto.cellSize):
        raise ValueError(f"the erasure coding policy number {proto.id} is unknown")
    return Policy(proto.name, schema.codecName, schema.dataUnits, schema.parityUnits, proto.cellSize)


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes that lie together in one cell of a unit. `offset` counts from the unit's begin, `place` from the begin of
    the range that was asked for; sizes in bytes."""

    offset: int
    place: int
    size: int

    @property
    def end(self) -> int:
        """Behind its last byte, in the unit."""
        return self.offset + self.size


@dataclass(frozen=True, slots=True)
class UnitSlice:
    """What a range of a group needs of one data unit: pieces that follow one another without a gap in the unit."""

    unit: int
    pieces: tuple[Piece, ...]

    @property
    def offset(self) -> int:
        """Its first byte, counted from the unit's begin."""
        return self.pieces[0].offset

    @property
    def end(self) -> int:
        """Behind its last byte."""
        return self.pieces[-1].end


def unit_bytes(policy: Policy, group_bytes: int, unit: int) -> int:
    """Returns the length of one unit of a group with so many bytes of data. Parity is as long as data unit 0."""
    stripes, rest = divmod(group_bytes, policy.stripe_bytes)
    column = unit if unit < policy.data_units else 0
    return stripes * policy.cell_bytes + min(max(rest - column * policy.cell_bytes, 0), policy.cell_bytes)


def unit_slices(policy: Policy, offset: int, size: int) -> tuple[UnitSlice, ...]:
    """Returns where the `size` bytes from `offset` on of a group's data lie: by unit, without units that hold none."""
    pieces: list[list[Piece]] = [[] for _ in range(policy.data_units)]
    position, end = offset, offset + size
    while position < end:
        cell, inside = divmod(position, policy.cell_bytes)
        row, unit = divmod(cell, policy.data_units)
        count = min(policy.cell_bytes - inside, end - position)
        pieces[unit].append(Piece(row * policy.cell_bytes + inside, position - offset, count))
        position += count
    return tuple(UnitSlice(unit, tuple(found)) for unit, found in enumerate(pieces) if found)


def unit_blocks(policy: Policy, group: LocatedBlockProto) -> dict[int, LocatedBlockProto]:
    """Returns the units of a group of which the NameNode knows where they are, as blocks of their own.

    A unit's block id is the group's plus its number. One that is being moved or rebuilt may have several replicas.
    """
    units: dict[int, LocatedBlockProto] = {}
    for place, unit in enumerate(group.blockIndices[: len(group.locs)]):
        if unit >= policy.data_units + policy.parity_units:
            continue
        if unit not in units:
            units[unit] = _unit_block(policy, group, unit, place)
        units[unit].locs.append(group.locs[place])
        units[unit].storageIDs.extend(group.storageIDs[place : place + 1])
        units[unit].storageTypes.extend(group.storageTypes[place : place + 1])
    return units


def _unit_block(policy: Policy, group: LocatedBlockProto, unit: int, place: int) -> LocatedBlockProto:
    block = LocatedBlockProto(b=group.b, offset=group.offset, corrupt=False)
    block.b.blockId = group.b.blockId + unit
    block.b.numBytes = unit_bytes(policy, group.b.numBytes, unit)
    block.blockToken.CopyFrom(group.blockTokens[place] if place < len(group.blockTokens) else group.blockToken)
    return block
