"""Bytes land where they belong, are summed once, and are compared with every stored sum."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blockferry.errors import BlockferryError, Whose
from stores.checksum import Algorithm, Checksum
from stores.hashing import checksum_of
from stores.hdfs.crc_tree import words_of
from stores.hdfs.replica import Replica
from stores.hdfs.tally import Tally
from stores.hdfs.target import Target
from tests.support.block_sender import BlockSender, flipped

REPLICA = Replica(7, "dn:9866")


@st.composite
def reads(draw: st.DrawFn) -> tuple[BlockSender, int, int]:
    """A block, the first wanted byte, and how many are wanted."""
    data = random.Random(draw(st.integers(0, 99))).randbytes(draw(st.integers(1, 4000)))
    sender = BlockSender(data, draw(st.sampled_from([1, 64, 100, 512])), draw(st.sampled_from(list(Algorithm))))
    offset = draw(st.integers(0, len(data)))
    return sender, offset, draw(st.integers(0, len(data) - offset))


def fill(target: Target, data: bytes, first: int, last: int) -> None:
    """Puts what arrived where it belongs, as a scatter read does."""
    place = first
    for piece in target.pieces(first, last):
        piece[:] = data[place : place + len(piece)]
        place += len(piece)
    assert place == last


def tally_of(
    sender: BlockSender, sent: bytes, offset: int, view: memoryview, wanted: Algorithm, window_chunks: int
) -> Checksum:
    """Runs a read of `sent`, which the sender may have stored otherwise, in windows of so many chunks."""
    start, end = sender.start(offset), sender.end(offset, len(view))
    target = Target(start, offset, view, end)
    tally = Tally(REPLICA, target, sender.algorithm, sender.bytes_per_crc, wanted)
    step = sender.bytes_per_crc * window_chunks
    for first in range(start, end, step):
        last = min(first + step, end)
        middle = (first + last) // 2
        for batch in ((first, middle), (middle, last)):
            fill(target, sent, *batch)
            tally.hash(*batch)
        tally.verify(words_of(sender.crcs(sender.data[first:last])), first, last)
    return tally.checksum


@given(reads(), st.integers(1, 9), st.sampled_from(list(Algorithm)))
def test_exactly_the_wanted_bytes_are_filled_and_summed(
    read: tuple[BlockSender, int, int], window_chunks: int, wanted: Algorithm
) -> None:
    sender, offset, size = read
    guarded = bytearray(b"\xaa" * (size + 20))
    found = tally_of(sender, sender.data, offset, memoryview(guarded)[10 : 10 + size], wanted, window_chunks)
    expected = sender.data[offset : offset + size]
    assert found == checksum_of(wanted, expected)
    assert guarded == b"\xaa" * 10 + expected + b"\xaa" * 10


@given(reads(), st.integers(1, 9), st.data())
def test_one_flipped_bit_in_any_sent_byte_is_found_in_its_chunk(
    read: tuple[BlockSender, int, int], window_chunks: int, data: st.DataObject
) -> None:
    sender, offset, size = read
    start, end = sender.start(offset), sender.end(offset, size)
    if start == end:
        return
    place = data.draw(st.integers(start, end - 1))
    sent = flipped(sender.data, place, data.draw(st.integers(0, 7)))
    with pytest.raises(BlockferryError) as caught:
        tally_of(sender, sent, offset, memoryview(bytearray(size)), Algorithm.CRC32C, window_chunks)
    error = caught.value
    assert (error.reason, error.whose, error.retryable) == ("CHECKSUM_MISMATCH", Whose.SOURCE, False)
    assert error.coordinates["offset"] == str(sender.start(place))
    assert error.coordinates["block_id"] == "7"
    assert error.coordinates["host"] == "dn:9866"
    assert error.coordinates["expected"] != error.coordinates["found"]


@given(reads(), st.sampled_from(list(Algorithm)))
def test_without_stored_sums_bytes_are_only_hashed(read: tuple[BlockSender, int, int], wanted: Algorithm) -> None:
    sender, offset, size = read
    unsummed = BlockSender(sender.data, sender.bytes_per_crc, None)
    found = tally_of(unsummed, sender.data, offset, memoryview(bytearray(size)), wanted, 3)
    assert found == checksum_of(wanted, sender.data[offset : offset + size])


def test_pieces_of_a_read_inside_one_chunk() -> None:
    view = memoryview(bytearray(100))
    target = Target(512, 600, view, 1024)
    assert [len(piece) for piece in target.pieces(512, 1024)] == [88, 100, 324]
    assert [len(piece) for piece in target.pieces(512, 550)] == [38]
    assert [len(piece) for piece in target.pieces(590, 610)] == [10, 10]
    assert target.pieces(700, 700) == ()
    assert len(target.wanted(512, 650)) == 50
    assert len(target.wanted(900, 1024)) == 0


def test_the_usual_packet_is_one_piece_of_the_view_itself() -> None:
    memory = bytearray(4096)
    (piece,) = Target(0, 0, memoryview(memory), 4096).pieces(1024, 2048)
    piece[0] = 9
    assert memory[1024] == 9
