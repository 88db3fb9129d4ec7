"""Where the bytes of an answer go: the wanted ones straight into the caller's memory, the rest of their chunks beside
it. PURE. A DataNode sends whole chunks, and only whole chunks can be compared with the stored CRCs.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import accumulate


class Target:
    """The place of the bytes from `start` to `end` of a block, of which `cells` take those from `offset` on.

    A plain read has one cell. A unit of an erasure-coded file has many: its bytes are dealt over the caller's view.
    Places are counted from the block's begin. Beside the cells it holds at most two chunks.

    Attributes:
        start: begin of the chunk of the first wanted byte.
        offset: first wanted byte.
        wanted_end: behind the last wanted byte.
        end: behind the last byte that there is room for.
        cell_count: one or more.
        smallest_cell_bytes: of the cells between the first and the last one; all wanted bytes if there are none.
    """

    __slots__ = (
        "_begins", "_cells", "_head", "_tail",
        "cell_count", "end", "offset", "smallest_cell_bytes", "start", "wanted_end",
    )  # fmt: skip

    def __init__(self, start: int, offset: int, cells: Sequence[memoryview], end: int) -> None:
        self.start = start
        self.offset = offset
        self._cells = cells
        self.cell_count = len(cells)
        self._begins = list(accumulate(map(len, cells), initial=offset))
        self.wanted_end = self._begins.pop()
        self.smallest_cell_bytes = min(map(len, cells[1:-1]), default=self.wanted_end - offset)
        self.end = end
        self._head = memoryview(bytearray(offset - start))
        self._tail = memoryview(bytearray(end - self.wanted_end))

    def head(self, first: int, last: int) -> memoryview:
        """Returns the bytes before the wanted ones that lie in [first, last)."""
        return self._head[max(first - self.start, 0) : max(last - self.start, 0)]

    def wanted(self, first: int, last: int) -> list[tuple[int, memoryview]]:
        """Returns the wanted bytes that lie in [first, last), with the numbers of their cells; in order, none empty."""
        first, last = max(first, self.offset), min(last, self.wanted_end)
        if first >= last:
            return []
        if self.cell_count == 1:
            return [(0, self._cells[0][first - self.offset : last - self.offset])]
        begins, cells = self._begins, self._cells
        numbers = range(bisect_right(begins, first) - 1, bisect_left(begins, last))
        return [(at, cells[at][max(first - begins[at], 0) : last - begins[at]]) for at in numbers]

    def tail(self, first: int, last: int) -> memoryview:
        """Returns the bytes after the wanted ones that lie in [first, last)."""
        return self._tail[max(first - self.wanted_end, 0) : max(last - self.wanted_end, 0)]

    def together(self, first: int, last: int) -> memoryview | None:
        """Returns the memory of [first, last) if all of it is wanted and lies in one cell."""
        if first < self.offset or last > self.wanted_end:
            return None
        if self.cell_count == 1:
            return self._cells[0][first - self.offset : last - self.offset]
        found = self.wanted(first, last)
        return found[0][1] if len(found) == 1 else None

    def pieces(self, first: int, last: int) -> tuple[memoryview, ...]:
        """Returns the memory of [first, last) in order, none of it empty. The usual packet is one piece."""
        parts = [view for _, view in self.wanted(first, last)]
        if first < self.offset and len(head := self.head(first, last)):
            parts.insert(0, head)
        if last > self.wanted_end and len(tail := self.tail(first, last)):
            parts.append(tail)
        return tuple(parts)
