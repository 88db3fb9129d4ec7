"""Parts: exact cover, order, limits, count, alignment; and the sizes that people will look for."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mover.parts import DEFAULT_PART_BYTES, MIB, PartRange, PartSizes, cut, part_sizes
from stores.base import Extent, SinkFeatures

AWS = SinkFeatures(
    min_part_bytes=5 * MIB,
    max_part_bytes=5 << 30,
    max_part_count=10_000,
    max_single_put_bytes=5 << 30,
    max_key_bytes=1024,
)


def blocks(*sizes: int) -> tuple[Extent, ...]:
    """Returns extents of these sizes, one behind the other."""
    offset, extents = 0, []
    for size in sizes:
        extents.append(Extent(offset, size))
        offset += size
    return tuple(extents)


def even_blocks(size: int, block: int) -> tuple[Extent, ...]:
    """Returns the blocks of a plain file."""
    return tuple(Extent(offset, min(block, size - offset)) for offset in range(0, size, block))


def sizes_of(parts: tuple[PartRange, ...]) -> list[int]:
    """Returns the parts' sizes in MiB."""
    return [part.size // MIB for part in parts]


def plan(extents: tuple[Extent, ...], asked: int = 0, features: SinkFeatures = AWS) -> tuple[PartRange, ...]:
    """Cuts a whole file."""
    size = sum(extent.size for extent in extents)
    return cut(extents, size, part_sizes(size, asked, features))


def test_one_block_is_one_part() -> None:
    assert sizes_of(plan(even_blocks(250 * MIB, 64 * MIB))) == [64, 64, 64, 58]


def test_block_of_the_usual_size_is_two_parts() -> None:
    assert sizes_of(plan(even_blocks(300 * MIB, 128 * MIB))) == [64, 64, 64, 64, 44]


def test_small_blocks_are_joined_up_to_the_smallest_part() -> None:
    assert sizes_of(plan(even_blocks(17 * MIB, MIB))) == [5, 5, 5, 2]


def test_large_block_is_cut_into_equal_aligned_pieces() -> None:
    assert sizes_of(plan(blocks(128 * MIB, 66 * MIB))) == [64, 64, 33, 33]


def test_asked_size_cuts_blocks() -> None:
    assert sizes_of(plan(even_blocks(256 * MIB, 128 * MIB), asked=32 * MIB)) == [32] * 8


def test_asked_size_joins_blocks() -> None:
    assert sizes_of(plan(even_blocks(512 * MIB, 128 * MIB), asked=256 * MIB)) == [256, 256]


def test_parts_grow_when_there_would_be_too_many() -> None:
    size = 2_000_000 * MIB
    parts = plan(even_blocks(size, 128 * MIB))
    assert len(parts) <= AWS.max_part_count
    assert parts[0].size >= 200 * MIB


def test_empty_file_has_no_part() -> None:
    assert cut((), 0, part_sizes(0, 0, AWS)) == ()


def test_known_length_cuts_off_what_was_written_later() -> None:
    sizes = part_sizes(10 * MIB, 0, AWS)
    assert sizes_of(cut(even_blocks(40 * MIB, 8 * MIB), 10 * MIB, sizes)) == [8, 2]


def test_length_beyond_the_last_block_counts_as_a_block() -> None:
    sizes = part_sizes(20 * MIB, 0, AWS)
    assert sizes_of(cut(even_blocks(8 * MIB, 8 * MIB), 20 * MIB, sizes)) == [8, 12]


@pytest.mark.parametrize(
    ("asked", "features", "single"),
    [
        (0, AWS, DEFAULT_PART_BYTES),
        (64 * MIB, AWS, 64 * MIB),
        (MIB, AWS, 5 * MIB),
        (0, SinkFeatures(5 * MIB, 5 << 30, 10_000, 16 * MIB, 1024), 16 * MIB),
    ],
)
def test_file_up_to_one_part_goes_in_one_request(asked: int, features: SinkFeatures, single: int) -> None:
    assert part_sizes(1, asked, features).single == single


SIZES = st.one_of(st.integers(1, 600), st.integers(1, 40 * MIB), st.integers(1, 20).map(lambda count: count * MIB))
LIMITS = st.builds(
    lambda smallest, spread, count: SinkFeatures(smallest, smallest + spread + 2 * MIB, count, 5 << 30, 1024),
    st.integers(1, 8 * MIB),
    st.integers(0, 64 * MIB),
    st.integers(8, 50),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(SIZES, min_size=1, max_size=40), st.integers(0, 48 * MIB), LIMITS)
def test_parts_cover_the_file_in_order_within_the_limits(lengths: list[int], asked: int, limits: SinkFeatures) -> None:
    extents = blocks(*lengths)
    size = sum(lengths)
    sizes = part_sizes(size, asked, limits)
    parts = cut(extents, size, sizes)
    assert parts[0].offset == 0
    assert [part.number for part in parts] == list(range(1, len(parts) + 1))
    assert all(one.offset + one.size == two.offset for one, two in pairwise(parts))
    assert parts[-1].offset + parts[-1].size == size
    assert all(part.size >= limits.min_part_bytes for part in parts[:-1])
    assert all(0 < part.size < sizes.ceiling + MIB for part in parts)
    assert len(parts) <= limits.max_part_count
    assert_cuts_lie_between_chunks(extents, parts)


def assert_cuts_lie_between_chunks(extents: tuple[Extent, ...], parts: tuple[PartRange, ...]) -> None:
    """Every cut is the end of a block or a multiple of 1 MiB inside one."""
    for part in parts[:-1]:
        end = part.offset + part.size
        block = next(extent for extent in extents if extent.offset < end <= extent.offset + extent.size)
        assert end == block.offset + block.size or (end - block.offset) % MIB == 0


@given(st.integers(1, 10_000_000 * MIB), st.integers(0, 4 << 30))
def test_sizes_allow_every_file_that_the_store_can_hold(size: int, asked: int) -> None:
    sizes = part_sizes(size, asked, AWS)
    assert AWS.min_part_bytes <= sizes.floor <= sizes.ceiling
    assert sizes.floor * AWS.max_part_count >= size


def test_pieces_of_misaligned_blocks_grow_by_less_than_one_unit() -> None:
    sizes = PartSizes(floor=5 * MIB, ceiling=5 * MIB, whole_blocks=False, single=5 * MIB)
    parts = cut(blocks(100, 40 * MIB), 40 * MIB + 100, sizes)
    assert parts[0].size == 5 * MIB + 100
    assert all(part.size == 5 * MIB for part in parts[1:-1])
