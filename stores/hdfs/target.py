"""Where the bytes of an answer go: the wanted ones straight into the caller's view, the rest of their chunks beside
it. PURE. A DataNode sends whole chunks, and only whole chunks can be compared with the stored CRCs.
"""

from __future__ import annotations


class Target:
    """The place of the bytes from `start` to `end` of a block, of which `view` takes those from `offset` on.

    Places are counted from the block's begin. Beside the view it holds at most two chunks.

    Attributes:
        start: begin of the chunk of the first wanted byte.
        offset: first wanted byte.
        wanted_end: behind the last wanted byte.
        end: behind the last byte that there is room for.
    """

    __slots__ = ("_head", "_tail", "_view", "end", "offset", "start", "wanted_end")

    def __init__(self, start: int, offset: int, view: memoryview, end: int) -> None:
        self.start = start
        self.offset = offset
        self.wanted_end = offset + len(view)
        self.end = end
        self._head = memoryview(bytearray(offset - start))
        self._view = view
        self._tail = memoryview(bytearray(end - self.wanted_end))

    def head(self, first: int, last: int) -> memoryview:
        """Returns the bytes before the wanted ones that lie in [first, last)."""
        return self._head[max(first - self.start, 0) : max(last - self.start, 0)]

    def wanted(self, first: int, last: int) -> memoryview:
        """Returns the wanted bytes that lie in [first, last)."""
        return self._view[max(first - self.offset, 0) : max(last - self.offset, 0)]

    def tail(self, first: int, last: int) -> memoryview:
        """Returns the bytes after the wanted ones that lie in [first, last)."""
        return self._tail[max(first - self.wanted_end, 0) : max(last - self.wanted_end, 0)]

    def pieces(self, first: int, last: int) -> tuple[memoryview, ...]:
        """Returns the memory of [first, last) in order, none of it empty. The usual packet is one piece."""
        if first >= self.offset and last <= self.wanted_end:
            return (self._view[first - self.offset : last - self.offset],) if first < last else ()
        parts = (self.head(first, last), self.wanted(first, last), self.tail(first, last))
        return tuple(part for part in parts if len(part))
