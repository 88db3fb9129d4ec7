"""Bytes land where they belong, are summed once, and are compared with every stored sum."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blockferry.errors import BlockferryError, Whose
from stores.checksum import Algorithm, Checksum
from stores.hashing import checksum_of
from stores.hdfs.replica import Replica
from stores.hdfs.transfer.crc_tree import words_of
from stores.hdfs.transfer.tally import Tally
from stores.hdfs.transfer.target import Target
from tests.support.block_sender import BlockSender, flipped

REPLICA = Replica(7, "dn:9866")


def dealt(view: memoryview, cell_bytes: int) -> tuple[memoryview, ...]:
    """Returns the view as cells of so many bytes, the first one shorter; 0: as one."""
    if not cell_bytes or len(view) <= 1:
        return (view,)
    first = len(view) // 2 % cell_bytes + 1
    ends = [0, *range(first, len(view), cell_bytes), len(view)]
    return tuple(view[begin:end] for begin, end in pairwise(ends))


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
    sender: BlockSender, sent: bytes, offset: int, cells: tuple[memoryview, ...], wanted: Algorithm, window_chunks: int
) -> tuple[Checksum, ...]:
    """Runs a read of `sent`, which the sender may have stored otherwise, in windows of so many chunks."""
    start, end = sender.start(offset), sender.end(offset, sum(map(len, cells)))
    target = Target(start, offset, cells, end)
    tally = Tally(REPLICA, target, sender.algorithm, sender.bytes_per_crc, wanted)
    step = sender.bytes_per_crc * window_chunks
    for first in range(start, end, step):
        last = min(first + step, end)
        middle = (first + last) // 2
        for batch in ((first, middle), (middle, last)):
            fill(target, sent, *batch)
            tally.hash(*batch)
        tally.verify(words_of(sender.crcs(sender.data[first:last])), first, last)
    return tally.checksums


@settings(deadline=None)
@given(reads(), st.integers(1, 9), st.sampled_from(list(Algorithm)), st.sampled_from([0, 1, 7, 64, 1000]))
def test_exactly_the_wanted_bytes_are_filled_and_summed(
    read: tuple[BlockSender, int, int], window_chunks: int, wanted: Algorithm, cell_bytes: int
) -> None:
    sender, offset, size = read
    guarded = bytearray(b"\xaa" * (size + 20))
    cells = dealt(memoryview(guarded)[10 : 10 + size], cell_bytes)
    found = tally_of(sender, sender.data, offset, cells, wanted, window_chunks)
    expected = sender.data[offset : offset + size]
    assert guarded == b"\xaa" * 10 + expected + b"\xaa" * 10
    assert found == tuple(checksum_of(wanted, cell) for cell in cells)


@settings(deadline=None)
@given(reads(), st.integers(1, 9), st.sampled_from([0, 7, 100]), st.data())
def test_one_flipped_bit_in_any_sent_byte_is_found_in_its_chunk(
    read: tuple[BlockSender, int, int], window_chunks: int, cell_bytes: int, data: st.DataObject
) -> None:
    sender, offset, size = read
    start, end = sender.start(offset), sender.end(offset, size)
    if start == end:
        return
    place = data.draw(st.integers(start, end - 1))
    sent = flipped(sender.data, place, data.draw(st.integers(0, 7)))
    with pytest.raises(BlockferryError) as caught:
        cells = dealt(memoryview(bytearray(size)), cell_bytes)
        tally_of(sender, sent, offset, cells, Algorithm.CRC32C, window_chunks)
    error = caught.value
    assert (error.reason, error.whose, error.retryable) == ("CHECKSUM_MISMATCH", Whose.SOURCE, False)
    assert error.coordinates["offset"] == str(sender.start(place))
    assert error.coordinates["block_id"] == "7"
    assert error.coordinates["host"] == "dn:9866"
    assert error.coordinates["expected"] != error.coordinates["found"]


@settings(deadline=None)
@given(reads(), st.sampled_from(list(Algorithm)))
def test_without_stored_sums_bytes_are_only_hashed(read: tuple[BlockSender, int, int], wanted: Algorithm) -> None:
    sender, offset, size = read
    unsummed = BlockSender(sender.data, sender.bytes_per_crc, None)
    (found,) = tally_of(unsummed, sender.data, offset, (memoryview(bytearray(size)),), wanted, 3)
    assert found == checksum_of(wanted, sender.data[offset : offset + size])


def test_pieces_of_a_read_inside_one_chunk() -> None:
    view = memoryview(bytearray(100))
    target = Target(512, 600, (view,), 1024)
    assert [len(piece) for piece in target.pieces(512, 1024)] == [88, 100, 324]
    assert [len(piece) for piece in target.pieces(512, 550)] == [38]
    assert [len(piece) for piece in target.pieces(590, 610)] == [10, 10]
    assert target.pieces(700, 700) == ()
    assert [(cell, len(piece)) for cell, piece in target.wanted(512, 650)] == [(0, 50)]
    assert target.wanted(900, 1024) == []


def test_the_wanted_bytes_of_several_cells() -> None:
    cells = tuple(memoryview(bytearray(size)) for size in (40, 100, 60))
    target = Target(512, 600, cells, 1024)
    assert [(cell, len(piece)) for cell, piece in target.wanted(512, 1024)] == [(0, 40), (1, 100), (2, 60)]
    assert [(cell, len(piece)) for cell, piece in target.wanted(640, 740)] == [(1, 100)]
    assert [(cell, len(piece)) for cell, piece in target.wanted(639, 741)] == [(0, 1), (1, 100), (2, 1)]
    assert [len(piece) for piece in target.pieces(590, 1000)] == [10, 40, 100, 60, 200]
    assert target.together(639, 641) is None
    assert target.together(590, 610) is None
    assert (target.cell_count, target.smallest_cell_bytes, target.wanted_end) == (3, 100, 800)


def test_the_usual_packet_is_one_piece_of_the_view_itself() -> None:
    memory = bytearray(4096)
    (piece,) = Target(0, 0, (memoryview(memory),), 4096).pieces(1024, 2048)
    piece[0] = 9
    assert memory[1024] == 9
