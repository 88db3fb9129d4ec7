"""One block on several DataNodes, some of which do what real ones do only now and then: hang, drip, swallow, refuse."""

from __future__ import annotations

import random
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import pytest

from blockferry.errors import BlockferryError
from stores.base import Kind, RangeRead, Stat
from stores.checksum import Algorithm
from stores.hashing import checksum_of
from stores.hdfs.addresses import Address, by_host_name
from stores.hdfs.datanode import Datanodes
from stores.hdfs.experience import Experience, Mark, Waits
from stores.hdfs.layouts import Layouts
from stores.hdfs.pace import ENOUGH_COUNT
from stores.hdfs.reader import FileReader
from stores.hdfs.wire.datanode_pb2 import BlockOpResponseProto, OpReadBlockProto
from stores.hdfs.wire.hdfs_pb2 import LocatedBlockProto, LocatedBlocksProto
from tests.support.block_sender import BlockSender, flipped
from tests.support.scripted_datanode import (
    Reply,
    Request,
    Script,
    ScriptedDatanode,
    Then,
    read_answer,
    refusing,
    response,
    sound,
)
from tests.support.swallowing import swallowing_address

DATA = random.Random(2).randbytes(300_000)
SENDER = BlockSender(DATA)
CRC32C = Algorithm.CRC32C
# Only for tests in which nothing comes: on a busy machine a good DataNode may need longer than that.
NO_SILENCE = Waits(connect_s=1.5, silence_s=1.5, last_connect_s=1.5)
NOTHING_SLOW = Waits(least_whole_s=0.6)
REFUSED = response(BlockOpResponseProto(status=5, message="it has expired"))


def layout(addresses: tuple[Address, ...], block_count: int = 1, token: bytes = b"old", host_name: str = "") -> bytes:
    """Returns a layout of blocks that all hold DATA, each on all addresses."""
    proto = LocatedBlocksProto(fileLength=block_count * len(DATA), underConstruction=False, isLastBlockComplete=True)
    for number in range(block_count):
        block = proto.blocks.add(offset=number * len(DATA), corrupt=False)
        block.b.poolId, block.b.blockId, block.b.generationStamp, block.b.numBytes = "BP-1", 42 + number, 1, len(DATA)
        block.blockToken.identifier, block.blockToken.password = token, b""
        block.blockToken.kind = block.blockToken.service = ""
        for host, port in addresses:
            info = block.locs.add()
            info.id.ipAddr, info.id.hostName, info.id.datanodeUuid = host, host_name or host, "u"
            info.id.xferPort, info.id.infoPort, info.id.ipcPort = port, 1, 2
    return proto.SerializeToString()


@dataclass
class Bench:
    """A reader over some addresses. `questions` counts what the NameNode was asked."""

    addresses: tuple[Address, ...]
    block_count: int = 1
    waits: Waits = field(default_factory=Waits)
    addresses_now: tuple[Address, ...] = ()
    questions: list[str] = field(default_factory=list)
    reports: list[LocatedBlockProto] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.datanodes = Datanodes("test", 20.0)
        self.experience = Experience(20.0, waits=self.waits)
        self.reader = FileReader(self.datanodes, Layouts(self._ask), self.reports.append, self.experience)
        raw = layout(self.addresses, self.block_count)
        self.file = Stat("a/f", Kind.FILE, self.block_count * len(DATA), 0, version="v", layout=raw)

    def _ask(self, path: str, size_bytes: int) -> bytes:
        self.questions.append(path)
        return layout(self.addresses_now or self.addresses, self.block_count, token=b"new")

    def read(self, block: int = 0) -> RangeRead:
        """Reads one block, and looks at its bytes after every other thread has had its chance to change them."""
        memory = bytearray(len(DATA))
        found = self.reader.read_into(self.file, block * len(DATA), memoryview(memory), CRC32C)
        assert found.checksum == checksum_of(CRC32C, DATA) == checksum_of(CRC32C, bytes(memory))
        return found

    def is_used_to(self, seconds: float) -> None:
        for _ in range(ENOUGH_COUNT):
            self.experience.served(("elsewhere", 1), len(DATA), seconds)

    def mark(self, address: Address) -> Mark:
        return dict(self.experience.ranked((address,)))[address]


@contextmanager
def bench(
    *scripts: Script, block_count: int = 1, waits: Waits | None = None
) -> Iterator[tuple[Bench, list[ScriptedDatanode]]]:
    with ExitStack() as stack:
        servers = [stack.enter_context(ScriptedDatanode(script)) for script in scripts]
        made = Bench(tuple(server.address for server in servers), block_count, waits or Waits())
        stack.callback(made.datanodes.close)
        yield made, servers


def cut_off(sent_bytes: int, then: Then) -> Script:
    return lambda number, request: Reply(read_answer(SENDER, request)[:sent_bytes], then)


def dripping(drip_bytes: int) -> Script:
    return lambda number, request: Reply(read_answer(SENDER, request), drip_bytes=drip_bytes)


def fresh_tokens_only(number: int, request: Request) -> Reply:
    if request.header.baseHeader.token.identifier == b"new":  # type: ignore[union-attr]
        return Reply(read_answer(SENDER, request))
    return Reply(REFUSED, Then.CLOSE)


# ---- slow, hung, dead ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sent_bytes", [0, 40, 70_000, 299_000])
def test_a_hung_datanode_is_passed_over_and_asked_last(sent_bytes: int) -> None:
    with bench(cut_off(sent_bytes, Then.HANG), sound(SENDER), waits=NO_SILENCE) as (made, servers):
        assert made.read() == RangeRead(checksum_of(CRC32C, DATA), proven=True, retry_count=1)
        assert made.mark(servers[0].address) is Mark.DEAD
        assert made.read().retry_count == 0
        assert servers[0].operation_count == 1


def test_a_slow_datanode_is_passed_over_when_others_are_known_to_be_quick() -> None:
    with bench(dripping(1000), sound(SENDER), waits=NOTHING_SLOW) as (made, servers):
        made.is_used_to(0.01)
        assert made.read().retry_count == 1
        assert made.mark(servers[0].address) is Mark.SLOW
        assert made.read().retry_count == 0
        assert made.questions == []


def test_a_slow_datanode_is_not_given_up_when_it_is_as_quick_as_usual() -> None:
    with bench(dripping(12_000), sound(SENDER), waits=NOTHING_SLOW) as (made, _):
        made.is_used_to(2.0)
        assert made.read().retry_count == 0


def test_the_last_replica_may_be_slow() -> None:
    with bench(dripping(12_000), waits=NOTHING_SLOW) as (made, _):
        made.is_used_to(0.01)
        assert made.read().retry_count == 0


def test_when_all_are_slow_the_last_one_serves_and_then_none_is_given_up() -> None:
    with bench(dripping(9_000), dripping(9_000), waits=NOTHING_SLOW) as (made, servers):
        made.is_used_to(0.01)
        assert made.read().retry_count == 1
        assert [made.mark(server.address) for server in servers].count(Mark.SLOW) == 1
        made.experience.failed(servers[1].address, Mark.SLOW, None, 1.0)
        assert made.read().retry_count == 0


def test_a_datanode_that_swallows_packets_costs_one_time_limit() -> None:
    with swallowing_address() as swallowing, ScriptedDatanode(sound(SENDER)) as server:
        made = Bench((swallowing, server.address), waits=NO_SILENCE)
        assert made.read().retry_count == 1
        assert made.mark(swallowing) is Mark.DEAD
        assert made.read().retry_count == 0


def test_the_connections_time_limit_is_told() -> None:
    with swallowing_address() as swallowing:
        with pytest.raises(BlockferryError, match=r"no connection within 1\.5 s") as caught:
            Bench((swallowing,), waits=NO_SILENCE).read()
    assert (caught.value.reason, caught.value.retryable) == ("SOURCE_UNAVAILABLE", True)


def test_a_replica_that_breaks_off_says_nothing_about_its_datanode() -> None:
    with bench(cut_off(70_000, Then.CLOSE), sound(SENDER)) as (made, servers):
        assert made.read().retry_count == 1
        assert made.mark(servers[0].address) is Mark.NONE


def test_a_hung_datanode_of_an_old_layout_does_not_hide_the_replicas_of_today() -> None:
    with bench(cut_off(0, Then.HANG), waits=NO_SILENCE) as (made, _), ScriptedDatanode(sound(SENDER)) as new:
        made.addresses_now = (*made.addresses, new.address)
        assert made.read().retry_count == 1
        assert made.questions == ["a/f"]


# ---- tokens ----------------------------------------------------------------------------------------------------------


def test_expired_tokens_cost_one_question_a_file_and_are_no_retries() -> None:
    with bench(fresh_tokens_only, sound(SENDER), block_count=8) as (made, servers):
        assert [made.read(block).retry_count for block in range(8)] == [0] * 8
        assert made.questions == ["a/f"]
        assert servers[0].operation_count == 9
        assert servers[1].operation_count == 0


def test_a_datanode_that_refuses_fresh_tokens_too_is_passed_over() -> None:
    with bench(lambda number, request: Reply(REFUSED, Then.CLOSE), sound(SENDER)) as (made, _):
        assert made.read().retry_count == 1
        assert made.questions == ["a/f"]


# ---- errors ----------------------------------------------------------------------------------------------------------

LOST = refusing(1, "opReadBlock BP-1:blk_42_1 received exception ReplicaNotFoundException: Replica not found for BP-1")
CORRUPT = sound(BlockSender(DATA, damaged=flipped(DATA, 1000)))


@pytest.mark.parametrize(
    ("script", "reason", "retryable", "word"),
    [
        (LOST, "SOURCE_CORRUPT", True, "ReplicaNotFoundException"),
        (CORRUPT, "SOURCE_CORRUPT", False, "found"),
        (refusing(1, "java.io.IOException: Input/output error"), "SOURCE_UNAVAILABLE", True, "Input/output error"),
        (cut_off(70_000, Then.CLOSE), "SOURCE_UNAVAILABLE", True, "broke off in the middle"),
        (cut_off(0, Then.CLOSE), "SOURCE_UNAVAILABLE", True, "closed the connection"),
        (lambda number, request: Reply(REFUSED, Then.CLOSE), "SOURCE_UNAVAILABLE", True, "it has expired"),
    ],
)
def test_errors_name_path_block_offset_and_hosts(script: Script, reason: str, retryable: bool, word: str) -> None:
    with bench(script, script, block_count=2) as (made, _):
        with pytest.raises(BlockferryError, match=word) as caught:
            made.read(1)
    error = caught.value
    assert (error.reason, error.retryable) == (reason, retryable)
    hosts = ",".join(f"127.0.0.1:{port}" for _, port in made.addresses)
    assert error.coordinates == {"path": "a/f", "block_id": "43", "offset": str(len(DATA)), "host": hosts}
    assert f"block 43 of a/f at {len(DATA)}" in error.message
    assert all(host in error.message for host in hosts.split(","))


def test_every_failure_of_a_replica_names_block_offset_and_host() -> None:
    scripts: list[Script] = [
        LOST, CORRUPT, cut_off(70_000, Then.CLOSE), sound(BlockSender(DATA, algorithm=None)), refusing(9, "no")
    ]  # fmt: skip
    for script in scripts:
        with bench(script) as (made, servers):
            address, memory = servers[0].address, memoryview(bytearray(len(DATA)))
            located = LocatedBlocksProto.FromString(layout((address,))).blocks[0]
            with pytest.raises(BlockferryError) as caught:
                made.datanodes.read(address, located, 0, memory, CRC32C)
        found = caught.value.coordinates
        assert (found["block_id"], found["host"]) == ("42", f"127.0.0.1:{address[1]}"), caught.value
        assert int(found["offset"]) in (0, 512)


# ---- addresses -------------------------------------------------------------------------------------------------------


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no ::1")
def test_datanodes_with_ipv6_addresses() -> None:
    with ScriptedDatanode(sound(SENDER), host="::1") as server, ScriptedDatanode(LOST, host="::1") as without:
        assert Bench((server.address,)).read().proven
        with pytest.raises(BlockferryError) as caught:
            Bench((without.address,)).read()
        assert caught.value.coordinates["host"] == f"[::1]:{without.address[1]}"


def test_a_host_name_with_several_addresses_is_tried_with_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """A DataNode with several interfaces: the first that its name leads to does not listen."""
    with ScriptedDatanode(sound(SENDER)) as server:
        _, port = server.address
        made = Bench((("192.0.2.1", port),))
        raw = layout((("192.0.2.1", port),), host_name="datanode.example.com")
        file = Stat("a/f", Kind.FILE, len(DATA), 0, version="v", layout=raw)
        asked = _resolving(monkeypatch, "datanode.example.com", ("127.0.0.2", "127.0.0.1"))
        reader = FileReader(made.datanodes, Layouts(made._ask), made.reports.append, address_of=by_host_name)
        memory = memoryview(bytearray(len(DATA)))
        assert reader.read_into(file, 0, memory, CRC32C).checksum == checksum_of(CRC32C, DATA)
        assert asked() == ["datanode.example.com"]


def _resolving(monkeypatch: pytest.MonkeyPatch, name: str, addresses: tuple[str, ...]) -> Callable[[], list[str]]:
    asked: list[str] = []

    def getaddrinfo(host: str, port: int, *_: object) -> list[tuple[object, ...]]:
        asked.append(host)
        assert host == name
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", (address, port)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return lambda: asked


def test_an_operation_is_of_its_request() -> None:
    """After a hung read the next one over a new connection gets its own bytes."""

    def script(number: int, request: Request) -> Reply:
        assert isinstance(request, OpReadBlockProto)
        whole = read_answer(SENDER, request)
        return Reply(whole[:100_000], Then.HANG) if number == 0 else Reply(whole)

    with bench(script, cut_off(0, Then.CLOSE), waits=NO_SILENCE) as (made, servers):
        assert made.read().retry_count == 2
        assert servers[0].operation_count == 2
