"""The DataNode client against a peer that sends what real ones send only when something is broken or new."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from blockferry.errors import BlockferryError, Whose
from stores.checksum import Algorithm
from stores.hashing import checksum_of
from stores.hdfs.datanode import BlockSums, Datanodes
from stores.hdfs.transfer.peer import BrokenOffError, IdlePeers, Peer
from stores.hdfs.wire.datanode_pb2 import (
    BlockChecksumOptionsProto,
    BlockOpResponseProto,
    OpBlockChecksumProto,
    OpBlockChecksumResponseProto,
    OpReadBlockProto,
)
from stores.hdfs.wire.hdfs_pb2 import ExtendedBlockProto, LocatedBlockProto, TokenProto
from tests.support.block_sender import BlockSender, flipped
from tests.support.scripted_datanode import (
    Reply,
    Script,
    ScriptedDatanode,
    Then,
    header_size,
    read_answer,
    refusing,
    response,
    sound,
)

DATA = random.Random(1).randbytes(300_000)
SENDER = BlockSender(DATA)
CASTAGNOLI = Algorithm.CRC32C


def located(size_bytes: int = len(DATA)) -> LocatedBlockProto:
    return LocatedBlockProto(
        b=ExtendedBlockProto(poolId="BP-1", blockId=42, generationStamp=1, numBytes=size_bytes),
        offset=0,
        corrupt=False,
        blockToken=TokenProto(identifier=b"", password=b"", kind="", service=""),
    )


@contextmanager
def serving(script: Script, timeout_s: float = 20.0) -> Iterator[tuple[ScriptedDatanode, Datanodes]]:
    datanodes = Datanodes("test", timeout_s)
    with ScriptedDatanode(script) as server:
        try:
            yield server, datanodes
        finally:
            datanodes.close()


def read_all(server: ScriptedDatanode, datanodes: Datanodes, offset: int = 0, size: int = len(DATA)) -> bytes:
    """Reads a range, checks the checksum that is returned, and returns the bytes."""
    memory = bytearray(size)
    found = datanodes.read(server.address, located(), offset, memoryview(memory), CASTAGNOLI)
    assert found.checksum == checksum_of(CASTAGNOLI, bytes(memory))
    assert found.proven
    return bytes(memory)


def failure_of(script: Script, timeout_s: float = 20.0) -> tuple[BlockferryError, ScriptedDatanode]:
    with serving(script, timeout_s) as (server, datanodes):
        with pytest.raises(BlockferryError) as caught:
            read_all(server, datanodes)
        wait_until(lambda: server.operation_count > 0)
        return caught.value, server


def wait_until(fact: Callable[[], bool], deadline_s: float = 10.0) -> None:
    end = time.monotonic() + deadline_s
    while not fact():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.005)


# ---- packets of every size ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("packet_bytes", "first_packet_bytes"),
    [(512, 0), (4096, 0), (65_536, 0), (1 << 20, 0), (512, 4096), (4096, 512), (65_536, 1024)],
)
def test_packets_of_any_whole_chunks_even_a_different_first(packet_bytes: int, first_packet_bytes: int) -> None:
    sender = SENDER.with_packets(packet_bytes, first_packet_bytes)
    # When the first packet is the smaller one, the wrong prediction shows only when bytes do not come.
    with serving(sound(sender), timeout_s=1.0 if 0 < first_packet_bytes < packet_bytes else 20.0) as (
        server,
        datanodes,
    ):
        assert read_all(server, datanodes) == DATA
        assert read_all(server, datanodes, 1000, 100_001) == DATA[1000:101_001]
        wait_until(lambda: server.statuses[-1:] == [6])


def test_headers_that_are_longer_than_usual() -> None:
    sender = BlockSender(DATA, sync_block=True)
    with serving(sound(sender)) as (server, datanodes):
        assert read_all(server, datanodes, 777, 99_999) == DATA[777:100_776]
        assert server.operation_count == 1


@pytest.mark.parametrize("seed", range(60))
def test_random_reads(seed: int) -> None:
    source = random.Random(seed)
    bytes_per_crc = source.choice([64, 512, 1536, 4096, 1 << 20])
    data = source.randbytes(source.randint(1, 400_000))
    stored, wanted = source.choice([*Algorithm, None]), source.choice(list(Algorithm))
    packet_bytes = bytes_per_crc * source.randint(1, max(65_536 // bytes_per_crc, 1))
    sender = BlockSender(data, bytes_per_crc, stored, packet_bytes)
    with serving(sound(sender)) as (server, datanodes):
        for _ in range(5):
            offset = source.randint(0, len(data))
            size = source.randint(0, len(data) - offset)
            memory = bytearray(b"\xaa" * (size + 2))
            view = memoryview(memory)[1:-1]
            found = datanodes.read(server.address, located(len(data)), offset, view, wanted, allow_unproven=True)
            assert found.checksum == checksum_of(wanted, data[offset : offset + size])
            assert bytes(memory) == b"\xaa" + data[offset : offset + size] + b"\xaa"
            assert found.proven == (stored is not None)
        assert server.connection_count == 1
        assert server.operation_count == 5


def test_a_block_that_grows_while_it_is_read() -> None:
    """An open file: the replica is longer than the NameNode said, so that the last chunk is longer than predicted."""
    with serving(sound(SENDER)) as (server, datanodes):
        memory = bytearray(1000)
        found = datanodes.read(server.address, located(1000), 0, memoryview(memory), CASTAGNOLI)
        assert memory == DATA[:1000]
        assert found.checksum == checksum_of(CASTAGNOLI, DATA[:1000])


# ---- damage ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", [0, 511, 512, 65_535, 65_536, 200_000, len(DATA) - 1])
def test_a_flipped_data_bit_names_its_chunk_and_tells_the_datanode(place: int) -> None:
    error, server = failure_of(sound(BlockSender(DATA, damaged=flipped(DATA, place, 3))))
    assert (error.reason, error.whose, error.retryable) == ("CHECKSUM_MISMATCH", Whose.SOURCE, False)
    assert error.coordinates["offset"] == str(place - place % 512)
    assert error.coordinates["block_id"] == "42"
    assert error.coordinates["host"].startswith("127.0.0.1:")
    wait_until(lambda: server.statuses == [2])


def test_a_flipped_bit_in_a_stored_sum_is_found() -> None:
    def script(number: int, request: object) -> Reply:
        assert isinstance(request, OpReadBlockProto)
        return Reply(flipped(read_answer(SENDER, request), header_size(SENDER, request) + 31 + 4 * 5))

    error, _ = failure_of(script)
    assert error.reason == "CHECKSUM_MISMATCH"
    assert error.coordinates["offset"] == str(512 * 5)


def test_a_damaged_chunk_beside_the_wanted_bytes_is_found_too() -> None:
    """Whole chunks are verified: a bit before the first wanted byte of its chunk counts."""

    def script(number: int, request: object) -> Reply:
        assert isinstance(request, OpReadBlockProto)
        first_byte = header_size(SENDER, request) + 31 + 4 * 2  # two chunks: [512, 1536)
        return Reply(flipped(read_answer(SENDER, request), first_byte))

    with serving(script) as (server, datanodes):
        with pytest.raises(BlockferryError, match="do not match the checksum"):
            read_all(server, datanodes, 600, 700)


def test_no_sums_are_refused_unless_allowed() -> None:
    with serving(sound(BlockSender(DATA, algorithm=None))) as (server, datanodes):
        memory = bytearray(len(DATA))
        with pytest.raises(BlockferryError) as caught:
            datanodes.read(server.address, located(), 0, memoryview(memory), CASTAGNOLI)
        assert (caught.value.reason, caught.value.retryable) == ("SOURCE_UNVERIFIED", False)
        found = datanodes.read(server.address, located(), 0, memoryview(memory), CASTAGNOLI, allow_unproven=True)
        assert (found.proven, found.crc_type, found.checksum) == (False, 0, checksum_of(CASTAGNOLI, DATA))
        wait_until(lambda: server.statuses == [0])


# ---- refusals, losses, silence --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "reason"),
    [(1, "REPLICA_MISSING"), (3, "REPLICA_MISSING"), (5, "TOKEN_REFUSED"), (99, "REPLICA_MISSING")],
)
def test_a_refusal_has_its_reason_and_the_datanodes_words(status: int, reason: str) -> None:
    error, _ = failure_of(refusing(status, "BlockId 42 is not valid."))
    assert (error.reason, error.retryable) == (reason, False)
    assert "BlockId 42 is not valid." in error.message


@pytest.mark.parametrize("sent_bytes", [0, 1, 5, 40, 100, 70_000, 250_000])
def test_a_connection_that_is_lost_anywhere_can_be_tried_again(sent_bytes: int) -> None:
    def script(number: int, request: object) -> Reply:
        assert isinstance(request, OpReadBlockProto)
        return Reply(read_answer(SENDER, request)[:sent_bytes], Then.CLOSE)

    error, _ = failure_of(script)
    reason = "REPLICA_UNREADABLE" if sent_bytes else "DATANODE_UNAVAILABLE"
    assert (error.reason, error.retryable, error.whose) == (reason, True, Whose.SOURCE)


@pytest.mark.parametrize("sent_bytes", [0, 40, 70_000, 250_000])
def test_a_datanode_that_hangs_is_given_up_after_the_time_limit(sent_bytes: int) -> None:
    def script(number: int, request: object) -> Reply:
        assert isinstance(request, OpReadBlockProto)
        return Reply(read_answer(SENDER, request)[:sent_bytes], Then.HANG)

    error, server = failure_of(script, timeout_s=0.3)
    assert error.reason == "DATANODE_UNAVAILABLE"
    assert "nothing came or went for 0.3 s" in error.message
    assert server.operation_count == 1


def test_nobody_listens() -> None:
    with ScriptedDatanode(sound(SENDER)) as server:
        address = server.address
    with pytest.raises(BlockferryError) as caught:
        Datanodes("test").read(address, located(), 5, memoryview(bytearray(1)), CASTAGNOLI)
    assert (caught.value.reason, caught.value.retryable) == ("DATANODE_UNAVAILABLE", True)
    assert caught.value.coordinates == {"block_id": "42", "offset": "5", "host": f"{address[0]}:{address[1]}"}


@pytest.mark.parametrize(
    "garbage", [b"HTTP/1.1 400 Bad Request\r\n\r\n" * 9, b"\x02\xff\xff" + bytes(50), b"\x00" + bytes(99)]
)
def test_something_else_than_a_datanode(garbage: bytes) -> None:
    error, _ = failure_of(lambda number, request: Reply(garbage, Then.CLOSE))
    assert error.reason in ("DATANODE_UNAVAILABLE", "REPLICA_UNREADABLE")


@pytest.mark.parametrize("place", [0, 5, 7, 25, 27])
def test_nonsense_in_a_packet_header_is_never_taken_for_data(place: int) -> None:
    def script(number: int, request: object) -> Reply:
        assert isinstance(request, OpReadBlockProto)
        second_packet = header_size(SENDER, request) + 31 + 512 + 65_536
        return Reply(flipped(read_answer(SENDER, request), second_packet + place), Then.CLOSE)

    error, server = failure_of(script)
    assert error.reason in ("DATANODE_UNAVAILABLE", "REPLICA_UNREADABLE", "CHECKSUM_MISMATCH")
    assert server.operation_count == 2  # by prediction, then one by one


def test_a_strange_number_of_a_packet_is_no_reason_to_lose_its_sound_bytes() -> None:
    def script(number: int, request: object) -> Reply:
        assert isinstance(request, OpReadBlockProto)
        seqno_of_second_packet = header_size(SENDER, request) + 31 + 512 + 65_536 + 16
        return Reply(flipped(read_answer(SENDER, request), seqno_of_second_packet))

    with serving(script) as (server, datanodes):
        assert read_all(server, datanodes) == DATA
        assert server.operation_count == 2


@pytest.mark.parametrize(("behind_header", "operation_count"), [(16, 1), (31 + 32 + 4_000 + 16, 2), (None, 1)])
def test_a_block_of_one_packet_is_taken_whatever_its_headers_number(
    behind_header: int | None, operation_count: int
) -> None:
    data = DATA[:4_000]
    sender = BlockSender(data)

    def script(number: int, request: object) -> Reply:
        assert isinstance(request, OpReadBlockProto)
        answer = read_answer(sender, request)
        return Reply(answer if behind_header is None else flipped(answer, header_size(sender, request) + behind_header))

    with serving(script) as (server, datanodes):
        body = memoryview(bytearray(len(data)))
        found = datanodes.read(server.address, located(len(data)), 0, body, CASTAGNOLI)
        assert (bytes(body), found.checksum) == (data, checksum_of(CASTAGNOLI, data))
        assert server.operation_count == operation_count


# ---- connections ----------------------------------------------------------------------------------------------------


def test_one_connection_serves_many_reads() -> None:
    with serving(sound(SENDER)) as (server, datanodes):
        for offset in range(0, 50_000, 10_000):
            assert read_all(server, datanodes, offset, 10_000) == DATA[offset : offset + 10_000]
        assert server.connection_count == 1


def test_a_pooled_connection_that_was_closed_meanwhile_is_replaced_silently() -> None:
    """The DataNode closes it without an answer when the second operation comes: the race that no look-ahead sees."""

    def script(number: int, request: object) -> Reply:
        assert isinstance(request, OpReadBlockProto)
        return Reply(b"", Then.CLOSE) if number == 1 else Reply(read_answer(SENDER, request))

    with serving(script) as (server, datanodes):
        assert read_all(server, datanodes) == DATA
        assert read_all(server, datanodes) == DATA
        assert (server.connection_count, server.operation_count) == (2, 3)


def test_a_loss_in_the_middle_of_a_pooled_connection_is_not_hidden() -> None:
    def script(number: int, request: object) -> Reply:
        assert isinstance(request, OpReadBlockProto)
        answer = read_answer(SENDER, request)
        return Reply(answer[:1000], Then.CLOSE) if number == 1 else Reply(answer)

    with serving(script) as (server, datanodes):
        read_all(server, datanodes)
        with pytest.raises(BlockferryError, match="did not serve"):
            read_all(server, datanodes)
        assert server.operation_count == 2


def test_parallel_reads_have_connections_of_their_own_and_few_stay() -> None:
    with serving(sound(SENDER)) as (server, datanodes):
        with ThreadPoolExecutor(8) as pool:
            results = list(pool.map(lambda _: read_all(server, datanodes), range(24)))
        assert all(result == DATA for result in results)
        assert server.connection_count <= 24


def test_the_given_connect_is_used() -> None:
    asked: list[tuple[str, int]] = []

    def connect(host: str, port: int, timeout_s: float) -> socket.socket:
        asked.append((host, port))
        return socket.create_connection((host, port), timeout_s)

    with ScriptedDatanode(sound(SENDER)) as server:
        datanodes = Datanodes("test", connect=connect)
        assert read_all(server, datanodes) == DATA
        assert asked == [server.address]
        datanodes.close()


def peer_pair() -> tuple[Peer, socket.socket]:
    """Returns a connection and its other end."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname())
        return Peer(("dn", 1), ours, 5.0), listener.accept()[0]


def is_closed_by_us(theirs: socket.socket) -> bool:
    theirs.settimeout(5)
    return theirs.recv(1) == b""


def test_only_so_many_connections_stay_idle() -> None:
    idle = IdlePeers(per_address=2)
    pairs = [peer_pair() for _ in range(3)]
    for peer, _ in pairs:
        idle.give(peer)
    assert is_closed_by_us(pairs[2][1])
    assert [idle.take(("dn", 1)), idle.take(("dn", 1))] == [pairs[1][0], pairs[0][0]]
    assert idle.take(("dn", 1)) is None
    assert idle.take(("other", 1)) is None


def test_idle_connections_that_the_datanode_closed_are_dropped() -> None:
    idle = IdlePeers()
    sound_peer, _open_end = peer_pair()
    gone_peer, end = peer_pair()
    idle.give(sound_peer)
    idle.give(gone_peer)
    end.close()
    wait_until(gone_peer.is_stale)
    assert idle.take(("dn", 1)) is sound_peer


def test_a_closed_pool_keeps_nothing() -> None:
    idle = IdlePeers()
    waiting, late = peer_pair(), peer_pair()
    idle.give(waiting[0])
    idle.close()
    idle.give(late[0])
    assert is_closed_by_us(waiting[1])
    assert is_closed_by_us(late[1])
    assert idle.take(("dn", 1)) is None


@pytest.mark.parametrize("seed", range(30))
def test_bytes_are_taken_in_any_pieces_however_they_came(seed: int) -> None:
    chance = random.Random(seed)
    peer, theirs = peer_pair()
    with peer, theirs:
        wanted = [chance.choice((0, 1, 3, 31, 500, 4_096, 8_192, 8_193, 30_000)) for _ in range(12)]
        body = chance.randbytes(sum(wanted))
        with ThreadPoolExecutor(1) as sending:
            sent = sending.submit(send_in_pieces, theirs, body, chance)
            found = [received(peer, size, chance.random() < 0.5) for size in wanted]
            sent.result()
        assert b"".join(found) == body
        assert not peer.is_stale()


def test_waking_late_loses_nothing() -> None:
    chance = random.Random(5)
    body = chance.randbytes(3 << 20)
    peer, theirs = peer_pair()
    with peer, theirs, ThreadPoolExecutor(1) as sending:
        sent = sending.submit(send_in_pieces, theirs, body + b"end", chance)
        found = memoryview(bytearray(len(body)))
        for at in range(0, len(body), 1 << 20):
            peer.receive_into((found[at : at + (1 << 20)],), len(body) - at - (1 << 20))
        assert found == body
        sent.result()
        assert peer.receive(3) == b"end"
        theirs.sendall(b"!")
        assert peer.receive(1) == b"!"


def send_in_pieces(to: socket.socket, body: bytes, chance: random.Random) -> None:
    while body:
        size = chance.choice((1, 7, 700, 9_000, 60_000))
        to.sendall(body[:size])
        body = body[size:]


def received(peer: Peer, size: int, in_pieces: bool) -> bytes:
    if not in_pieces or size < 2:
        return peer.receive(size)
    target = bytearray(size)
    view = memoryview(target)
    peer.receive_into((view[: size // 2], view[size // 2 :]))
    assert peer.arrived_bytes == size
    return bytes(target)


def test_what_nobody_asked_for_makes_a_connection_useless() -> None:
    peer, theirs = peer_pair()
    with peer, theirs:
        theirs.sendall(b"ab")
        wait_until(peer.is_stale)  # both have come
        assert peer.receive(1) == b"a"
        assert peer.is_stale()
        with pytest.raises(BrokenOffError):
            peer.protect(None)


# ---- stored sums ----------------------------------------------------------------------------------------------------


def sums_answer(crcs: bytes, kind: int | None, crc_type: int = 2) -> bytes:
    options = None if kind is None else BlockChecksumOptionsProto(blockChecksumType=kind)
    sums = OpBlockChecksumResponseProto(
        bytesPerCrc=512, crcPerBlock=9, blockChecksum=crcs, crcType=crc_type, blockChecksumOptions=options
    )
    return response(BlockOpResponseProto(status=0, checksumResponse=sums))


def test_a_datanode_before_composite_crc_has_no_crc() -> None:
    with serving(lambda number, request: Reply(sums_answer(bytes(16), None), Then.CLOSE)) as (server, datanodes):
        sums = datanodes.block_sums(server.address, located(), 1000)
        assert sums == BlockSums(2, 512, None, ())
        assert sums.uncombined
        assert not BlockSums(0, 512, None, ()).uncombined  # NULL: there is nothing that could be combined


@pytest.mark.parametrize("crcs", [b"", bytes(3), bytes(8)])
def test_an_odd_number_of_sums_is_no_answer(crcs: bytes) -> None:
    def script(number: int, request: object) -> Reply:
        if isinstance(request, OpBlockChecksumProto):
            return Reply(sums_answer(crcs, 2), Then.CLOSE)
        assert isinstance(request, OpReadBlockProto)
        return Reply(read_answer(SENDER, request))

    with serving(script) as (server, datanodes):
        with pytest.raises(BlockferryError, match="did not serve"):
            datanodes.block_sums(server.address, located(), 1000)


@pytest.mark.parametrize("algorithm", [None, CASTAGNOLI])
def test_a_dropped_question_for_sums_is_null_sums_or_a_loss(algorithm: Algorithm | None) -> None:
    sender = BlockSender(DATA, algorithm=algorithm)

    def script(number: int, request: object) -> Reply:
        if isinstance(request, OpBlockChecksumProto):
            return Reply(b"", Then.CLOSE)
        assert isinstance(request, OpReadBlockProto)
        return Reply(read_answer(sender, request))

    with serving(script) as (server, datanodes):
        if algorithm is None:
            assert datanodes.block_sums(server.address, located(), 1000) == BlockSums(0, 512, None, ())
            return
        with pytest.raises(BlockferryError) as caught:
            datanodes.block_sums(server.address, located(), 1000)
        assert (caught.value.reason, caught.value.retryable) == ("DATANODE_UNAVAILABLE", True)
