"""Where a file is cut into parts: blocks in, ranges out. PURE: knows sizes only, never a store.

By default one block is one part. Blocks below the smallest part are joined; a block above the largest is cut into
equal pieces. A cut inside a block lies at a multiple of 1 MiB of the block, so that it never splits a checksum chunk
of any usual size (HDFS: 64 bytes to 1 MiB) and the source's own sums can be combined for each part.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass

from stores.base import Extent, SinkFeatures

MIB = 1 << 20
DEFAULT_PART_BYTES = 64 * MIB
"""The largest part when nothing else is asked: what a buffer of a mover holds. A block of 128 MiB is two parts."""

SMALL_FILE_BYTES = 4 * MIB
"""Files below go in batches: their requests wait longer for the network than for the data."""


@dataclass(frozen=True, slots=True)
class PartRange:
    """The bytes of one part. `number` counts from 1; `size` in bytes."""

    number: int
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class PartSizes:
    """How large parts may be, in bytes.

    Attributes:
        floor: no part but the last is smaller.
        ceiling: no part is larger, but for less than 1 MiB where no aligned cut lies between floor and ceiling.
        whole_blocks: True: a part ends at the first end of a block that it may end at; False: at the last one.
        single: files up to this size go in one request.
    """

    floor: int
    ceiling: int
    whole_blocks: bool
    single: int


def part_sizes(size: int, asked: int, features: SinkFeatures) -> PartSizes:
    """Returns the sizes of the parts of a file of `size` bytes.

    Args:
        size: of the file, in bytes.
        asked: the wanted part in bytes; 0: one block is one part.
        features: the sink's limits. Parts grow where more than `max_part_count` would be needed.
    """
    wanted = asked or DEFAULT_PART_BYTES
    ceiling = min(max(wanted, features.min_part_bytes), features.max_part_bytes - MIB)
    floor = max(features.min_part_bytes, -(-size // features.max_part_count))
    return PartSizes(
        floor=floor,
        ceiling=max(ceiling, floor),
        whole_blocks=asked == 0,
        single=min(ceiling, features.max_single_put_bytes),
    )


def cut(extents: tuple[Extent, ...], size: int, sizes: PartSizes) -> tuple[PartRange, ...]:
    """Returns the parts that cover the first `size` bytes of a file exactly, in order.

    Bytes beyond the last extent (a file that is being written) count as one more block. An empty file has no part.
    """
    starts, ends = _edges(extents, size)
    parts: list[PartRange] = []
    start = 0
    while start < size:
        end = _end(start, size, starts, ends, sizes)
        parts.append(PartRange(len(parts) + 1, start, end - start))
        start = end
    return tuple(parts)


def _edges(extents: tuple[Extent, ...], size: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    inner = {extent.offset for extent in extents} | {extent.offset + extent.size for extent in extents}
    ordered = [0, *sorted(edge for edge in inner if 0 < edge < size), size]
    return tuple(ordered[:-1]), tuple(ordered[1:])


def _end(start: int, size: int, starts: tuple[int, ...], ends: tuple[int, ...], sizes: PartSizes) -> int:
    if size - start <= sizes.floor:
        return size
    lowest, highest = start + sizes.floor, start + sizes.ceiling
    first, last = bisect_left(ends, lowest), bisect_right(ends, highest) - 1
    if first <= last:
        return ends[first] if sizes.whole_blocks else ends[last]
    return min(_end_inside(start, lowest, highest, starts, ends), size)


def _end_inside(start: int, lowest: int, highest: int, starts: tuple[int, ...], ends: tuple[int, ...]) -> int:
    """Returns the aligned cut inside the block that holds both `lowest` and `highest`: equal pieces where the part
    begins in that block, else the largest part that fits."""
    block = bisect_right(starts, lowest) - 1
    base, rest = starts[block], ends[block] - start
    wanted = start + -(-rest // -(-rest // (highest - start))) if start >= base else highest
    for candidate in (_aligned_up(base, max(wanted, lowest)), _aligned_down(base, highest)):
        if lowest <= candidate <= highest:
            return candidate
    return min(_aligned_up(base, lowest), ends[block])


def _aligned_up(base: int, position: int) -> int:
    return base + -(-(position - base) // MIB) * MIB


def _aligned_down(base: int, position: int) -> int:
    return base + (position - base) // MIB * MIB
