"""Ranges of a block group are found in its units: compared with dealing the cells out one by one."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stores.hdfs.erasure.striping import Piece, Policy, UnitSlice, policy_of, unit_blocks, unit_bytes, unit_slices
from stores.hdfs.wire.hdfs_pb2 import (
    DatanodeIDProto,
    DatanodeInfoProto,
    ECSchemaProto,
    ErasureCodingPolicyProto,
    ExtendedBlockProto,
    LocatedBlockProto,
    TokenProto,
)

GROUP_ID = (1 << 64) - 9223372036854775792  # as an unsigned number, which the wire has


def dealt(policy: Policy, data: bytes) -> list[bytearray]:
    """Returns the data units, dealt cell by cell."""
    units = [bytearray() for _ in range(policy.data_units)]
    for cell, at in enumerate(range(0, len(data), policy.cell_bytes)):
        units[cell % policy.data_units] += data[at : at + policy.cell_bytes]
    return units


@st.composite
def groups(draw: st.DrawFn) -> tuple[Policy, bytes]:
    policy = Policy("p", "rs", draw(st.integers(1, 6)), draw(st.integers(1, 3)), draw(st.integers(1, 20)))
    size = draw(st.integers(0, 300))
    return policy, bytes(place * 7 + place // 251 & 0xFF for place in range(size))


@settings(deadline=None)
@given(groups(), st.data())
def test_a_range_is_put_together_from_its_units(group: tuple[Policy, bytes], draw: st.DataObject) -> None:
    policy, data = group
    offset = draw.draw(st.integers(0, len(data)))
    size = draw.draw(st.integers(0, len(data) - offset))
    units, view = dealt(policy, data), bytearray(size)
    found = unit_slices(policy, offset, size)
    for wanted in found:
        position = wanted.offset
        for piece in wanted.pieces:
            assert piece.offset == position, "the pieces of a unit follow one another"
            assert piece.offset // policy.cell_bytes == (piece.end - 1) // policy.cell_bytes
            view[piece.place : piece.place + piece.size] = units[wanted.unit][piece.offset : piece.end]
            position = piece.end
        assert position == wanted.end
    assert view == data[offset : offset + size]
    assert [wanted.unit for wanted in found] == sorted({wanted.unit for wanted in found})
    assert sum(piece.size for wanted in found for piece in wanted.pieces) == size


@settings(deadline=None)
@given(groups())
def test_lengths_of_units_are_those_of_their_cells(group: tuple[Policy, bytes]) -> None:
    policy, data = group
    lengths = [len(unit) for unit in dealt(policy, data)]
    parity = [max(lengths)] * policy.parity_units
    units = range(policy.data_units + policy.parity_units)
    assert [unit_bytes(policy, len(data), unit) for unit in units] == lengths + parity


def test_a_range_across_a_stripe() -> None:
    policy = Policy("p", "rs", 3, 2, 100)
    assert unit_slices(policy, 250, 200) == (
        UnitSlice(0, (Piece(100, 50, 100),)),
        UnitSlice(1, (Piece(100, 150, 50),)),
        UnitSlice(2, (Piece(50, 0, 50),)),
    )


def located(places: list[tuple[int, int]], size: int, with_tokens: bool = True) -> LocatedBlockProto:
    """Returns a group with a replica of a unit on a port, for each of `places`."""
    nodes = [
        DatanodeIDProto(ipAddr="h", hostName="h", datanodeUuid="", xferPort=port, infoPort=0, ipcPort=0)
        for _, port in places
    ]
    tokens = [
        TokenProto(identifier=b"t%d" % unit, password=b"", kind="", service="") for unit, _ in places if with_tokens
    ]
    return LocatedBlockProto(
        b=ExtendedBlockProto(poolId="BP", blockId=GROUP_ID, generationStamp=1001, numBytes=size),
        offset=0,
        locs=[DatanodeInfoProto(id=node) for node in nodes],
        corrupt=False,
        blockToken=TokenProto(identifier=b"group", password=b"", kind="", service=""),
        blockIndices=bytes(unit for unit, _ in places),
        blockTokens=tokens,
        storageIDs=[f"DS-{port}" for _, port in places],
    )


def test_units_are_blocks_of_their_own_wherever_they_are() -> None:
    policy = Policy("p", "rs", 3, 2, 100)
    units = unit_blocks(policy, located([(4, 14), (0, 10), (2, 12), (0, 99)], 250))
    assert {unit: [node.id.xferPort for node in block.locs] for unit, block in units.items()} == {
        4: [14],
        0: [10, 99],
        2: [12],
    }
    assert {unit: list(block.storageIDs) for unit, block in units.items()}[0] == ["DS-10", "DS-99"]
    assert {unit: (block.b.blockId - GROUP_ID, block.b.numBytes) for unit, block in units.items()} == {
        4: (4, 100),
        0: (0, 100),
        2: (2, 50),
    }
    assert {block.b.generationStamp for block in units.values()} == {1001}
    assert {unit: block.blockToken.identifier for unit, block in units.items()} == {0: b"t0", 2: b"t2", 4: b"t4"}


def test_without_tokens_and_with_units_that_cannot_be() -> None:
    policy = Policy("p", "rs", 3, 2, 100)
    units = unit_blocks(policy, located([(1, 11), (5, 15)], 250, with_tokens=False))
    assert list(units) == [1]
    assert units[1].blockToken.identifier == b"group"


@pytest.mark.parametrize(
    ("number", "expected"),
    [(1, (6, 3, "rs")), (2, (3, 2, "rs")), (3, (6, 3, "rs-legacy")), (4, (2, 1, "xor")), (5, (10, 4, "rs"))],
)
def test_built_in_policies_come_as_a_number(number: int, expected: tuple[int, int, str]) -> None:
    policy = policy_of(ErasureCodingPolicyProto(id=number))
    assert policy is not None
    assert (policy.data_units, policy.parity_units, policy.codec) == expected
    assert policy.cell_bytes == 1 << 20
    assert policy.stripe_bytes == expected[0] << 20


def test_a_policy_of_the_cluster_comes_with_its_sizes() -> None:
    schema = ECSchemaProto(codecName="rs", dataUnits=12, parityUnits=2)
    proto = ErasureCodingPolicyProto(id=66, name="RS-12-2-64k", schema=schema, cellSize=65536)
    assert policy_of(proto) == Policy("RS-12-2-64k", "rs", 12, 2, 65536)


def test_replication_is_no_striping_and_an_unknown_number_is_refused() -> None:
    assert policy_of(ErasureCodingPolicyProto(id=0)) is None
    schema = ECSchemaProto(codecName="replication", dataUnits=1, parityUnits=2)
    assert policy_of(ErasureCodingPolicyProto(id=63, schema=schema)) is None
    with pytest.raises(ValueError, match="number 70"):
        policy_of(ErasureCodingPolicyProto(id=70))
