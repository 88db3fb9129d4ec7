"""Which replica is asked next, and what the failure of all of them is called."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from blockferry.errors import BlockferryError, Whose
from stores.base import Extent, Kind, Stat
from stores.hdfs.blocks import FileBlock
from stores.hdfs.failover import Address, DeadDatanodes, Search, addresses_of, only_replicas, over_replicas
from stores.hdfs.wire.hdfs_pb2 import LocatedBlockProto

FILE = Stat("f", Kind.FILE, 10, 0)


def block(*hosts: str) -> FileBlock:
    located = LocatedBlockProto(offset=0, corrupt=False)
    located.b.poolId, located.b.blockId, located.b.generationStamp = "BP", 77, 1
    token = located.blockToken
    token.identifier, token.password, token.kind, token.service = b"", b"", "", ""
    for host in hosts:
        info = located.locs.add()
        info.id.ipAddr, info.id.hostName, info.id.datanodeUuid = host, host, "uuid"
        info.id.xferPort, info.id.infoPort, info.id.ipcPort = 9866, 9864, 9867
        located.storageIDs.append(f"DS-{host}")
        located.storageTypes.append(1)
    return FileBlock(Extent(0, 10), located)


def failing(reason: str, retryable: bool = False) -> BlockferryError:
    return BlockferryError(reason, f"it said {reason}", retryable=retryable)


@dataclass
class Script:
    """What each DataNode does in turn: an error's reason, or "ok"."""

    does: dict[str, list[str]]
    asked: list[str] = field(default_factory=list)

    def operate(self, address: Address, located: LocatedBlockProto) -> str:
        host = address[0]
        self.asked.append(host)
        step = self.does[host].pop(0)
        if step != "ok":
            raise failing(step)
        return host


def unchanged(_: Stat, now: FileBlock) -> FileBlock:
    return now


def run(
    script: Script, search: Search, dead: DeadDatanodes, renew: Callable[[Stat, FileBlock], FileBlock] = unchanged
) -> str:
    return over_replicas(search, dead, renew, script.operate)


def test_the_first_good_replica_answers() -> None:
    script = Script({"a": ["DATANODE_UNAVAILABLE"], "b": ["CHECKSUM_MISMATCH"], "c": ["ok"]})
    search = Search(FILE, block("a", "b", "c"), 0)
    assert run(script, search, DeadDatanodes()) == "c"
    assert list(search.failures) == [("a", 9866), ("b", 9866)]
    assert search.hosts("CHECKSUM_MISMATCH") == (("b", 9866),)


def test_after_all_failed_the_namenode_is_asked_once_and_corrupt_ones_are_left_out() -> None:
    script = Script({"a": ["TOKEN_REFUSED", "ok"], "b": ["CHECKSUM_MISMATCH"]})
    renewals: list[FileBlock] = []

    def renew(_: Stat, now: FileBlock) -> FileBlock:
        renewals.append(now)
        return block("b", "a")

    assert run(script, Search(FILE, block("a", "b"), 0), DeadDatanodes(), renew) == "a"
    assert script.asked == ["a", "b", "a"]
    assert len(renewals) == 1


def test_corrupt_everywhere_is_final() -> None:
    search = Search(FILE, block("a", "b"), 4)
    with pytest.raises(BlockferryError) as error:
        run(Script({"a": ["CHECKSUM_MISMATCH"], "b": ["CHECKSUM_MISMATCH"]}), search, DeadDatanodes())
    assert (error.value.reason, error.value.retryable, error.value.whose) == ("SOURCE_CORRUPT", False, Whose.SOURCE)
    assert error.value.coordinates == {"path": "f", "block_id": "77", "offset": "4", "host": "a:9866,b:9866"}


def test_one_that_may_come_back_makes_it_retryable() -> None:
    script = Script({"a": ["CHECKSUM_MISMATCH"], "b": ["DATANODE_UNAVAILABLE", "DATANODE_UNAVAILABLE"]})
    with pytest.raises(BlockferryError) as error:
        run(script, Search(FILE, block("a", "b"), 0), DeadDatanodes())
    assert (error.value.reason, error.value.retryable) == ("SOURCE_UNAVAILABLE", True)
    assert "it said DATANODE_UNAVAILABLE" in error.value.message


def test_a_block_without_replicas_is_unavailable() -> None:
    with pytest.raises(BlockferryError, match="no live replica") as error:
        run(Script({}), Search(FILE, block(), 0), DeadDatanodes())
    assert error.value.reason == "SOURCE_UNAVAILABLE"


def test_bare_replicas_are_told_when_none_is_better() -> None:
    script = Script({"a": ["SOURCE_UNVERIFIED"], "b": ["CHECKSUM_MISMATCH"]})
    with pytest.raises(BlockferryError) as error:
        run(script, Search(FILE, block("a", "b"), 0), DeadDatanodes())
    assert error.value.reason == "SOURCE_UNVERIFIED"
    assert script.asked == ["a", "b"]


def test_what_is_not_about_a_replica_ends_the_search() -> None:
    script = Script({"a": ["SOURCE_CHANGED"], "b": ["ok"]})
    with pytest.raises(BlockferryError) as error:
        run(script, Search(FILE, block("a", "b"), 0), DeadDatanodes())
    assert (error.value.reason, error.value.coordinates["path"]) == ("SOURCE_CHANGED", "f")
    assert script.asked == ["a"]


def test_a_dead_datanode_is_asked_last_for_a_while() -> None:
    now = 0.0
    dead = DeadDatanodes(lambda: now)
    script = Script({"a": ["DATANODE_UNAVAILABLE", "ok", "ok"], "b": ["ok", "ok"]})
    assert run(script, Search(FILE, block("a", "b"), 0), dead) == "b"
    assert run(script, Search(FILE, block("a", "b"), 0), dead) == "b"
    now = 31.0
    assert run(script, Search(FILE, block("a", "b"), 0), dead) == "a"
    assert script.asked == ["a", "b", "b", "a"]


def test_a_report_names_the_corrupt_replicas_only() -> None:
    report = only_replicas(block("a", "b", "c").located, (("b", 9866),))
    assert (report.corrupt, report.b.blockId) == (True, 77)
    assert addresses_of(report) == (("b", 9866),)
    assert list(report.storageIDs) == ["DS-b"]
    assert list(report.storageTypes) == [1]
