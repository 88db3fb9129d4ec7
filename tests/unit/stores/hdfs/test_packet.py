"""Packet headers are read as protobuf writes them, and predicted as BlockSender sends them."""

from __future__ import annotations

import struct

import pytest
from google.protobuf.internal.encoder import _VarintBytes  # type: ignore[attr-defined]
from hypothesis import given
from hypothesis import strategies as st

from stores.checksum import Algorithm
from stores.hdfs.delimited import varint
from stores.hdfs.transfer import packet
from stores.hdfs.transfer.packet import HEADER_BYTES, Layout, PacketHeader
from stores.hdfs.wire.datanode_pb2 import ClientReadStatusProto, PacketHeaderProto
from tests.support.block_sender import BlockSender


def header_bytes(offset: int, seqno: int, last: bool, data_bytes: int, crcs_bytes: int, sync: bool = False) -> bytes:
    message = PacketHeaderProto(offsetInBlock=offset, seqno=seqno, lastPacketInBlock=last, dataLen=data_bytes)
    if sync:
        message.syncBlock = True
    body = message.SerializeToString()
    return struct.pack(">IH", 4 + crcs_bytes + data_bytes, len(body)) + body


@given(st.integers(0, 2**63 - 1), st.integers(0, 2**40), st.booleans(), st.integers(0, 2**30), st.integers(0, 2**20))
def test_headers_of_any_kind_are_parsed(offset: int, seqno: int, last: bool, data_bytes: int, crcs_bytes: int) -> None:
    for sync in (False, True):
        raw = header_bytes(offset, seqno, last, data_bytes, crcs_bytes, sync)
        assert packet.parse_header(raw) == PacketHeader(len(raw), offset, seqno, last, crcs_bytes, data_bytes)
        assert packet.message_bytes(raw[:HEADER_BYTES]) == len(raw) - 6
        assert (len(raw) == HEADER_BYTES) is not sync


@given(st.binary(min_size=HEADER_BYTES, max_size=HEADER_BYTES))
def test_garbage_is_no_header_or_a_consistent_one(raw: bytes) -> None:
    try:
        packet.message_bytes(raw)
        header = packet.parse_header(raw)
    except ValueError:
        return
    assert header.data_bytes >= 0
    assert header.crcs_bytes >= 0


@pytest.mark.parametrize(("data_bytes", "crcs_bytes"), [(100, -101), (-1, 4)])
def test_contradicting_sizes_are_refused(data_bytes: int, crcs_bytes: int) -> None:
    body = PacketHeaderProto(offsetInBlock=0, seqno=0, lastPacketInBlock=False, dataLen=data_bytes).SerializeToString()
    raw = struct.pack(">IH", max(4 + crcs_bytes + data_bytes, 0), len(body)) + body
    with pytest.raises(ValueError, match="cannot hold"):
        packet.parse_header(raw)


def test_a_header_that_is_too_small_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 25"):
        packet.message_bytes(struct.pack(">IH", 4, 3) + bytes(25))


@given(st.integers(0, 2**63 - 1))
def test_varints_are_those_of_protobuf(number: int) -> None:
    assert varint(number) == _VarintBytes(number)


def test_a_request_is_version_operation_and_delimited_message() -> None:
    message = ClientReadStatusProto(status=6)
    assert packet.request(packet.READ_BLOCK, message) == b"\x00\x1c\x51\x02\x08\x06"


@st.composite
def senders(draw: st.DrawFn) -> tuple[BlockSender, int, int]:
    bytes_per_crc = draw(st.sampled_from([1, 64, 100, 512]))
    data = bytes(draw(st.integers(1, 5000)))
    packet_bytes = bytes_per_crc * draw(st.integers(1, 12))
    algorithm = draw(st.sampled_from([Algorithm.CRC32C, None]))
    offset = draw(st.integers(0, len(data) - 1))
    size = draw(st.integers(1, len(data) - offset))
    return BlockSender(data, bytes_per_crc, algorithm, packet_bytes), offset, size


def layout_of(sender: BlockSender, offset: int, size: int) -> Layout | None:
    first = packet.parse_header(next(sender.packets(offset, size))[:HEADER_BYTES])
    crc_bytes = 4 if sender.algorithm else 0
    return packet.predict(first, sender.start(offset), sender.end(offset, size), sender.bytes_per_crc, crc_bytes)


@given(senders())
def test_the_layout_predicts_every_packet(case: tuple[BlockSender, int, int]) -> None:
    sender, offset, size = case
    packets = list(sender.packets(offset, size))
    layout = layout_of(sender, offset, size)
    assert layout is not None
    assert layout.packet_count == len(packets) - 1
    predicted = layout.headers(0, len(packets))
    assert [row.tobytes() for row in predicted] == [sent[:HEADER_BYTES] for sent in packets]
    for number, sent in enumerate(packets[:-1]):
        data_bytes = layout.begin_of(number + 1) - layout.begin_of(number)
        assert layout.row_bytes_of(number) + data_bytes == len(sent)
        assert layout.row_bytes_of(number) <= layout.row_bytes


@given(senders(), st.integers(0, 20), st.integers(0, 20))
def test_any_window_of_headers_is_a_slice_of_all(case: tuple[BlockSender, int, int], first: int, count: int) -> None:
    layout = layout_of(*case)
    assert layout is not None
    first = min(first, layout.packet_count)
    end = min(first + count, layout.packet_count + 1)
    everything = layout.headers(0, layout.packet_count + 1)
    assert layout.headers(first, end).tobytes() == everything[first:end].tobytes()


@pytest.mark.parametrize(
    "header",
    [
        PacketHeader(33, 0, 0, False, 4, 512),  # longer than the later ones would be taken for
        PacketHeader(31, 512, 0, False, 4, 512),  # begins elsewhere
        PacketHeader(31, 0, 1, False, 4, 512),  # not the first
        PacketHeader(31, 0, 0, True, 0, 0),  # nothing follows
        PacketHeader(31, 0, 0, False, 8, 700),  # does not end at a chunk, and is not all
        PacketHeader(31, 0, 0, False, 20, 2048),  # more than was asked for
        PacketHeader(31, 0, 0, False, 8, 512),  # more sums than chunks
    ],
)
def test_first_headers_that_predict_nothing(header: PacketHeader) -> None:
    assert packet.predict(header, 0, 1024, 512, 4) is None
