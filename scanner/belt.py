"""Entries on their way from the thread that lists to the one that compares.

Holds at most MAX_ENTRIES entries, and at most MAX_BYTES bytes of block layouts, besides the last item put.
"""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

Item = TypeVar("Item")
MAX_ENTRIES = 2_048
MAX_BYTES = 8 << 20
# The taker is woken for so many: waking it costs 20 µs, so 0.1 µs an entry. Fewer wait until its timeout.
WAKE_ENTRIES = 256


class Belt(Generic[Item]):
    """A bounded queue with one putter and one taker, who takes all that there is."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._filled = threading.Condition(self._lock)
        self._emptied = threading.Condition(self._lock)
        self._items: list[Item] = []
        self._count = 0
        self._bytes = 0
        self._ended = False
        self._closed = False

    def put(self, item: Item, entry_count: int, size_bytes: int) -> bool:
        """Puts one item, waiting while the belt is full. Returns False when it was closed: put no more.

        Args:
            item: of one entry or more.
            entry_count: how many.
            size_bytes: of the block layouts that it holds.
        """
        with self._lock:
            while not self._closed and (self._count >= MAX_ENTRIES or self._bytes >= MAX_BYTES):
                self._filled.notify()
                self._emptied.wait()
            before, self._count = self._count, self._count + entry_count
            self._items.append(item)
            self._bytes += size_bytes
            if before < WAKE_ENTRIES <= self._count:
                self._filled.notify()
            return not self._closed

    def end(self) -> None:
        """Says that nothing more will be put."""
        with self._lock:
            self._ended = True
            self._filled.notify()

    def take(self, timeout_s: float) -> list[Item] | None:
        """Returns what was put since, in its order: perhaps nothing, after `timeout_s`. None when that was the end."""
        with self._lock:
            if self._count < WAKE_ENTRIES and self._bytes < MAX_BYTES and not self._ended:
                self._filled.wait(timeout_s)
            taken, self._items, self._count, self._bytes = self._items, [], 0, 0
            self._emptied.notify()
            return taken if taken or not self._ended else None

    def close(self) -> None:
        """Lets the putter go: what it puts from now on is lost."""
        with self._lock:
            self._closed = True
            self._emptied.notify()
