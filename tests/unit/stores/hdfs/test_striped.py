"""What is a block group and what is not, and that the NameNode is asked once before a range is given up."""

from __future__ import annotations

import socket

import pytest

from blockferry.errors import BlockferryError
from stores.base import Kind, Stat
from stores.checksum import Algorithm
from stores.hdfs.addresses import by_ip
from stores.hdfs.blocks import BlockSlice
from stores.hdfs.datanode import Datanodes
from stores.hdfs.erasure.striped import StripedReader
from stores.hdfs.experience import Experience
from stores.hdfs.layouts import Layouts
from stores.hdfs.wire.hdfs_pb2 import (
    DatanodeIDProto,
    DatanodeInfoProto,
    ECSchemaProto,
    ErasureCodingPolicyProto,
    ExtendedBlockProto,
    LocatedBlockProto,
    LocatedBlocksProto,
    TokenProto,
)

RS = ErasureCodingPolicyProto(id=2)


def own(codec: str, cell_bytes: int) -> ErasureCodingPolicyProto:
    schema = ECSchemaProto(codecName=codec, dataUnits=3, parityUnits=2)
    return ErasureCodingPolicyProto(id=70, name="own", schema=schema, cellSize=cell_bytes)


def layout(coding: ErasureCodingPolicyProto | None, unit_count: int = 5) -> bytes:
    nodes = [
        DatanodeIDProto(ipAddr="h", hostName="h", datanodeUuid="", xferPort=1000 + unit, infoPort=0, ipcPort=0)
        for unit in range(unit_count)
    ]
    block = LocatedBlockProto(
        b=ExtendedBlockProto(poolId="BP", blockId=(1 << 64) - 160, generationStamp=1, numBytes=300),
        offset=0,
        locs=[DatanodeInfoProto(id=node) for node in nodes],
        corrupt=False,
        blockToken=TokenProto(identifier=b"", password=b"", kind="", service=""),
        blockIndices=bytes(range(unit_count)),
    )
    proto = LocatedBlocksProto(
        fileLength=300, blocks=[block], underConstruction=False, isLastBlockComplete=True, ecPolicy=coding
    )
    return proto.SerializeToString()


class Trial:
    """A reader of a file of 300 bytes, whose DataNodes refuse all connections."""

    def __init__(self, coding: ErasureCodingPolicyProto | None, unit_count: int = 5) -> None:
        self.asked: list[tuple[str, int]] = []
        self.connected: list[int] = []
        self.file = Stat("a/f", Kind.FILE, 300, 0, layout=layout(coding, unit_count))
        self.layouts = Layouts(self.ask)
        datanodes = Datanodes("test", connect=self.connect)
        self.reader = StripedReader(datanodes, self.layouts, lambda block: None, Experience(), by_ip)

    def ask(self, path: str, size_bytes: int) -> bytes:
        self.asked.append((path, size_bytes))
        return self.file.layout

    def connect(self, host: str, port: int, timeout_s: float) -> socket.socket:
        self.connected.append(port)
        raise ConnectionRefusedError(111, "Connection refused")

    def read(self) -> None:
        (block,) = self.layouts.blocks(self.file)
        self.reader.read(self.file, 0, BlockSlice(block, 0, 300), memoryview(bytearray(300)), Algorithm.CRC32C)


@pytest.mark.parametrize(
    ("coding", "expected"),
    [(None, False), (ErasureCodingPolicyProto(id=0), False), (RS, True), (own("rs", 4096), True)],
)
def test_replication_is_no_erasure_coding(coding: ErasureCodingPolicyProto | None, expected: bool) -> None:
    trial = Trial(coding)
    assert trial.reader.holds(trial.file) is expected


@pytest.mark.parametrize(
    ("coding", "said"),
    [
        (own("hitchhiker", 4096), "'hitchhiker'"),
        (own("xor", 4096), "2 parity units"),
        (own("rs", 1024), "1024 bytes"),
        (ErasureCodingPolicyProto(id=99), "number 99"),
    ],
)
def test_what_is_not_known_is_refused_by_name(coding: ErasureCodingPolicyProto, said: str) -> None:
    trial = Trial(coding)
    (block,) = trial.layouts.blocks(trial.file)
    for attempt in (
        trial.read,
        lambda: trial.reader.crc_type(trial.file, block),
        lambda: trial.reader.sums(trial.file, block, 300),
    ):
        with pytest.raises(BlockferryError, match=said) as caught:
            attempt()
        assert (caught.value.reason, caught.value.coordinates["path"]) == ("ERASURE_CODING_UNSUPPORTED", "a/f")
    assert trial.connected == []


def test_the_namenode_is_asked_once_before_a_range_is_given_up() -> None:
    trial = Trial(RS)
    with pytest.raises(BlockferryError) as caught:
        trial.read()
    assert (caught.value.reason, caught.value.retryable) == ("SOURCE_UNAVAILABLE", True)
    assert trial.asked == [("a/f", 300)]
    # The file has one cell. Its unit and both parity units have it; units 1 and 2 have nothing to say.
    assert set(trial.connected) == {1000, 1003, 1004}


def test_a_group_that_nobody_has_is_corrupt() -> None:
    with pytest.raises(BlockferryError) as caught:
        Trial(RS, unit_count=0).read()
    assert (caught.value.reason, caught.value.retryable) == ("SOURCE_CORRUPT", True)
    assert caught.value.coordinates["block_id"] == "-160"
