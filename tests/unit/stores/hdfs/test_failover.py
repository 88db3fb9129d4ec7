"""Which replica is asked next, and what the failure of all of them is called."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from blockferry.errors import BlockferryError, Whose
from stores.base import Extent, Kind, Stat
from stores.hdfs.addresses import addresses_of, by_host_name
from stores.hdfs.blocks import FileBlock
from stores.hdfs.experience import Experience
from stores.hdfs.failover import Attempt, Search, only_replicas, over_replicas
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

    def operate(self, to: Attempt) -> str:
        host = to.address[0]
        self.asked.append(host)
        step = self.does[host].pop(0)
        if step != "ok":
            raise failing(step)
        return host


def unchanged(_: Stat, now: FileBlock) -> FileBlock:
    return now


def run(
    script: Script, search: Search, experience: Experience, renew: Callable[[Stat, FileBlock], FileBlock] = unchanged
) -> str:
    return over_replicas(search, experience, renew, script.operate)


def test_the_first_good_replica_answers() -> None:
    script = Script({"a": ["DATANODE_UNAVAILABLE"], "b": ["CHECKSUM_MISMATCH"], "c": ["ok"]})
    search = Search(FILE, block("a", "b", "c"), 0)
    assert run(script, search, Experience()) == "c"
    assert list(search.failures) == [("a", 9866), ("b", 9866)]
    assert search.hosts("CHECKSUM_MISMATCH") == (("b", 9866),)


def test_after_all_failed_the_namenode_is_asked_once_and_corrupt_ones_are_left_out() -> None:
    script = Script({"a": ["REPLICA_MISSING", "ok"], "b": ["CHECKSUM_MISMATCH"]})
    renewals: list[FileBlock] = []

    def renew(_: Stat, now: FileBlock) -> FileBlock:
        renewals.append(now)
        return block("b", "a")

    assert run(script, Search(FILE, block("a", "b"), 0), Experience(), renew) == "a"
    assert script.asked == ["a", "b", "a"]
    assert len(renewals) == 1


def test_corrupt_everywhere_is_final() -> None:
    search = Search(FILE, block("a", "b"), 4)
    with pytest.raises(BlockferryError) as error:
        run(Script({"a": ["CHECKSUM_MISMATCH"], "b": ["CHECKSUM_MISMATCH"]}), search, Experience())
    assert (error.value.reason, error.value.retryable, error.value.whose) == ("SOURCE_CORRUPT", False, Whose.SOURCE)
    assert error.value.coordinates == {"path": "f", "block_id": "77", "offset": "4", "host": "a:9866,b:9866"}


def test_one_that_may_come_back_makes_it_retryable() -> None:
    script = Script({"a": ["CHECKSUM_MISMATCH"], "b": ["DATANODE_UNAVAILABLE", "DATANODE_UNAVAILABLE"]})
    with pytest.raises(BlockferryError) as error:
        run(script, Search(FILE, block("a", "b"), 0), Experience())
    assert (error.value.reason, error.value.retryable) == ("SOURCE_UNAVAILABLE", True)
    assert "it said DATANODE_UNAVAILABLE" in error.value.message


def test_a_block_without_replicas_is_lost_but_may_come_back() -> None:
    with pytest.raises(BlockferryError, match="knows no replica of block 77 of f at 5") as error:
        run(Script({}), Search(FILE, block(), 5), Experience())
    assert (error.value.reason, error.value.retryable) == ("SOURCE_CORRUPT", True)
    assert error.value.coordinates == {"path": "f", "block_id": "77", "offset": "5", "host": ""}


def test_what_is_missing_everywhere_is_lost() -> None:
    script = Script({"a": ["REPLICA_MISSING", "REPLICA_MISSING"], "b": ["CHECKSUM_MISMATCH"]})
    with pytest.raises(BlockferryError) as error:
        run(script, Search(FILE, block("a", "b"), 0), Experience())
    assert (error.value.reason, error.value.retryable) == ("SOURCE_CORRUPT", True)


def test_the_namenodes_word_that_all_are_corrupt_counts() -> None:
    def renew(_: Stat, now: FileBlock) -> FileBlock:
        now.located.corrupt = True
        return now

    script = Script({"a": ["REPLICA_UNREADABLE"] * 2, "b": ["REPLICA_UNREADABLE"] * 2})
    with pytest.raises(BlockferryError) as error:
        run(script, Search(FILE, block("a", "b"), 0), Experience(), renew)
    assert error.value.reason == "SOURCE_CORRUPT"


def test_a_refused_token_asks_the_namenode_at_once_and_is_no_failure() -> None:
    script = Script({"a": ["TOKEN_REFUSED", "ok"], "b": []})
    search = Search(FILE, block("a", "b"), 0)
    assert run(script, search, Experience()) == "a"
    assert script.asked == ["a", "a"]
    assert search.failures == {}


def test_a_token_that_is_refused_again_is_a_replicas_failure() -> None:
    script = Script({"a": ["TOKEN_REFUSED", "TOKEN_REFUSED"], "b": ["ok"]})
    search = Search(FILE, block("a", "b"), 0)
    assert run(script, search, Experience()) == "b"
    assert script.asked == ["a", "a", "b"]
    assert search.hosts("TOKEN_REFUSED") == (("a", 9866),)


def test_tokens_refused_everywhere_can_be_tried_again_with_one_question() -> None:
    renewals: list[FileBlock] = []

    def renew(_: Stat, now: FileBlock) -> FileBlock:
        renewals.append(now)
        return now

    script = Script({"a": ["TOKEN_REFUSED"] * 2, "b": ["TOKEN_REFUSED"] * 2})
    with pytest.raises(BlockferryError) as error:
        run(script, Search(FILE, block("a", "b"), 0), Experience(), renew)
    assert (error.value.reason, error.value.retryable) == ("SOURCE_UNAVAILABLE", True)
    assert len(renewals) == 1


def test_bare_replicas_are_told_when_none_is_better() -> None:
    script = Script({"a": ["SOURCE_UNVERIFIED"], "b": ["CHECKSUM_MISMATCH"]})
    with pytest.raises(BlockferryError) as error:
        run(script, Search(FILE, block("a", "b"), 0), Experience())
    assert error.value.reason == "SOURCE_UNVERIFIED"
    assert script.asked == ["a", "b"]


def test_what_is_not_about_a_replica_ends_the_search() -> None:
    script = Script({"a": ["SOURCE_CHANGED"], "b": ["ok"]})
    with pytest.raises(BlockferryError) as error:
        run(script, Search(FILE, block("a", "b"), 0), Experience())
    assert (error.value.reason, error.value.coordinates["path"]) == ("SOURCE_CHANGED", "f")
    assert script.asked == ["a"]


def test_a_dead_datanode_is_asked_last_for_a_while() -> None:
    now = 0.0
    experience = Experience(clock=lambda: now)
    script = Script({"a": ["DATANODE_UNAVAILABLE", "ok", "ok"], "b": ["ok", "ok"]})
    assert run(script, Search(FILE, block("a", "b"), 0), experience) == "b"
    assert run(script, Search(FILE, block("a", "b"), 0), experience) == "b"
    now = 31.0
    assert run(script, Search(FILE, block("a", "b"), 0), experience) == "a"
    assert script.asked == ["a", "b", "b", "a"]


def test_a_slow_or_broken_replica_is_told_from_a_dead_datanode() -> None:
    experience = Experience()
    script = Script({"a": ["REPLICA_UNREADABLE", "ok"], "b": ["ok"]})
    assert run(script, Search(FILE, block("a", "b"), 0), experience) == "b"
    assert run(script, Search(FILE, block("a", "b"), 0), experience) == "a"


def test_the_only_replica_has_all_the_time() -> None:
    limits: dict[str, float] = {}

    def operate(to: Attempt) -> str:
        limits[to.address[0]] = to.limit.silence_s
        raise failing("DATANODE_UNAVAILABLE")

    with pytest.raises(BlockferryError):
        over_replicas(Search(FILE, block("a", "b", "c"), 0, 10), Experience(60.0), unchanged, operate)
    assert limits == {"a": 60.0, "b": 60.0, "c": 60.0}  # in the second round all count as dead


def test_patience_grows_from_replica_to_replica() -> None:
    seen: list[float] = []

    def operate(to: Attempt) -> str:
        seen.append(to.limit.silence_s)
        raise failing("DATANODE_UNAVAILABLE")

    with pytest.raises(BlockferryError):
        over_replicas(Search(FILE, block("a", "b", "c"), 0, 10), Experience(60.0), unchanged, operate)
    assert seen == [5.0, 10.0, 20.0, 60.0, 60.0, 60.0]


def test_datanodes_are_addressed_by_name_where_that_is_wanted() -> None:
    named = block("10.0.0.1")
    named.located.locs[0].id.hostName = "dn1.example.com"
    search = Search(FILE, named, 0, address_of=by_host_name)
    with pytest.raises(BlockferryError) as error:
        run(Script({"dn1.example.com": ["CHECKSUM_MISMATCH"]}), search, Experience())
    assert error.value.coordinates["host"] == "dn1.example.com:9866"
    report = only_replicas(named.located, (("dn1.example.com", 9866),), by_host_name)
    assert report.locs[0].id.ipAddr == "10.0.0.1"


def test_an_ipv6_address_is_shown_in_brackets() -> None:
    with pytest.raises(BlockferryError) as error:
        run(Script({"::1": ["CHECKSUM_MISMATCH"]}), Search(FILE, block("::1"), 0), Experience())
    assert error.value.coordinates["host"] == "[::1]:9866"


def test_a_report_names_the_corrupt_replicas_only() -> None:
    report = only_replicas(block("a", "b", "c").located, (("b", 9866),))
    assert (report.corrupt, report.b.blockId) == (True, 77)
    assert addresses_of(report) == (("b", 9866),)
    assert list(report.storageIDs) == ["DS-b"]
    assert list(report.storageTypes) == [1]
