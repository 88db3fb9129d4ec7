"""Whom a range of a block group is asked of, and what it means when that fails."""

from __future__ import annotations

import socket
import threading

import pytest

from blockferry.errors import BlockferryError
from stores.base import Extent, Kind, Stat
from stores.checksum import Algorithm
from stores.hdfs.blocks import FileBlock
from stores.hdfs.datanode import Datanodes
from stores.hdfs.erasure.striping import Policy
from stores.hdfs.erasure.units import Units, side_by_side
from stores.hdfs.experience import Experience, Mark
from stores.hdfs.failover import Search
from stores.hdfs.replica import Replica
from stores.hdfs.wire.hdfs_pb2 import (
    DatanodeIDProto,
    DatanodeInfoProto,
    ExtendedBlockProto,
    LocatedBlockProto,
    TokenProto,
)

POLICY = Policy("RS-3-2-1k", "rs", 3, 2, 1024)
FILE = Stat("a/b", Kind.FILE, 3000, 0)


def group(units: list[int], size: int = 3000) -> FileBlock:
    """Returns a group with units on the ports 1000, 1001, ..."""
    nodes = [
        DatanodeIDProto(ipAddr="h", hostName="h", datanodeUuid="", xferPort=1000 + unit, infoPort=0, ipcPort=0)
        for unit in units
    ]
    located = LocatedBlockProto(
        b=ExtendedBlockProto(poolId="BP", blockId=(1 << 64) - 160, generationStamp=1, numBytes=size),
        offset=0,
        locs=[DatanodeInfoProto(id=node) for node in nodes],
        corrupt=False,
        blockToken=TokenProto(identifier=b"", password=b"", kind="", service=""),
        blockIndices=bytes(units),
    )
    return FileBlock(Extent(0, size), located)


def refuse(host: str, port: int, timeout_s: float) -> socket.socket:
    raise ConnectionRefusedError(111, "Connection refused")


def units_of(
    block: FileBlock,
    experience: Experience | None = None,
    datanodes: Datanodes | None = None,
    is_renewed: bool = False,
) -> Units:
    search = Search(FILE, block, 0, 3000)
    datanodes = datanodes or Datanodes("test", connect=refuse)
    return Units(POLICY, search, datanodes, experience or Experience(), is_renewed)


def ask(units: Units, unit: int) -> object:
    return units.read(unit, 0, (memoryview(bytearray(10)),), Algorithm.CRC32C, allow_unproven=False)


def marked(marks: dict[int, Mark]) -> Experience:
    experience = Experience()
    for unit, mark in marks.items():
        experience.failed(("h", 1000 + unit), mark, 1000, 1.0)
    return experience


@pytest.mark.parametrize(
    ("marks", "asked"),
    [
        ({}, {0, 1, 2, 3, 4}),
        ({1: Mark.DEAD, 4: Mark.SLOW}, {0, 2, 3}),
        ({1: Mark.DEAD, 3: Mark.SLOW, 4: Mark.SLOW}, {0, 2, 3, 4}),
        ({0: Mark.DEAD, 1: Mark.DEAD, 2: Mark.DEAD}, {0, 1, 2, 3, 4}),
    ],
)
def test_slow_and_dead_datanodes_are_asked_only_where_the_others_are_too_few(
    marks: dict[int, Mark], asked: set[int]
) -> None:
    assert units_of(group([0, 1, 2, 3, 4]), marked(marks)).worth_asking() == asked


def test_units_without_data_count_as_known() -> None:
    """A file of one cell has a data unit and parity; one of them is enough."""
    units = units_of(group([0, 3, 4], size=1000), marked({0: Mark.DEAD, 3: Mark.DEAD}))
    assert units.worth_asking() == {4}


def test_a_unit_that_failed_is_not_asked_again_and_its_datanode_is_known() -> None:
    experience = Experience()
    units = units_of(group([0, 1, 2, 3, 4]), experience)
    assert ask(units, 1) is None
    assert units.mark(1) is None
    assert units.worth_asking() == {0, 2, 3, 4}
    assert units.search.hosts("DATANODE_UNAVAILABLE") == (("h", 1001),)
    assert not units.is_stale
    assert units_of(group([0, 1, 2, 3, 4]), experience).mark(1) is Mark.DEAD


def raising(reason: str) -> Datanodes:
    """Returns DataNodes of which each refuses the login for this reason."""

    def connect(host: str, port: int, timeout_s: float) -> socket.socket:
        raise Replica(7, f"{host}:{port}").failure(reason, "no.", 0)

    return Datanodes("test", connect=connect)


@pytest.mark.parametrize("is_renewed", [False, True])
def test_a_refused_token_is_a_failure_only_when_the_namenode_was_asked(is_renewed: bool) -> None:
    units = units_of(group([0, 1, 2, 3, 4]), datanodes=raising("TOKEN_REFUSED"), is_renewed=is_renewed)
    assert ask(units, 0) is None
    assert units.is_stale is not is_renewed
    assert bool(units.search.failures) is is_renewed


def test_what_is_lost_is_told_with_all_that_is_known() -> None:
    units = units_of(group([0, 1, 4]))
    for unit in (0, 1, 4):
        ask(units, unit)
    error = units.failed()
    assert (error.reason, error.retryable) == ("SOURCE_UNAVAILABLE", True)
    assert error.coordinates["block_id"] == "-160"
    assert error.coordinates["path"] == "a/b"
    assert error.coordinates["host"] == "h:1000,h:1001,h:1004"
    assert "needs 3 of its 5 units (RS-3-2-1k)" in error.message
    assert "the NameNode knows nothing of the units 2, 3" in error.message


def test_what_nobody_has_is_corrupt_and_may_come_back() -> None:
    error = units_of(group([0, 1])).failed()
    assert (error.reason, error.retryable) == ("SOURCE_CORRUPT", True)


def test_other_errors_are_not_of_a_unit() -> None:
    with pytest.raises(BlockferryError) as caught:
        ask(units_of(group([0, 1, 2, 3, 4]), datanodes=raising("PROTECTION_REFUSED")), 0)
    assert (caught.value.reason, caught.value.coordinates["path"]) == ("PROTECTION_REFUSED", "a/b")


def test_tasks_end_before_the_first_error_is_raised() -> None:
    first_failed, ended = threading.Event(), []

    def fail() -> str:
        first_failed.set()
        raise ValueError("first")

    def wait() -> str:
        first_failed.wait(10)
        ended.append("second")
        return "second"

    with pytest.raises(ValueError, match="first"):
        side_by_side([fail, wait])
    assert ended == ["second"]
    assert side_by_side([lambda: "a", wait, lambda: "c"]) == ["a", "second", "c"]
    assert side_by_side([]) == []
