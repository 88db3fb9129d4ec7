"""Entries on their way from the thread that lists to the one that compares.

Holds at most MAX_ENTRIES entries, and at most MAX_BYTES bytes of block layouts besides the last entry put.
"""

from __future__ import annotations

import threading

from stores.base import Stat

MAX_ENTRIES = 2_048
MAX_BYTES = 8 << 20
# The taker is woken for so many: waking it costs 20 µs, so 0.1 µs an entry. Fewer wait until its timeout.
WAKE_ENTRIES = 256


class Belt:
    """A bounded queue with one putter and one taker, who takes all that there is."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._filled = threading.Condition(self._lock)
        self._emptied = threading.Condition(self._lock)
        self._stats: list[Stat] = []
        self._bytes = 0
        self._ended = False
        self._closed = False

    def put(self, stat: Stat) -> bool:
        """Puts one entry, waiting while the belt is full. Returns False when it was closed: put no more."""
        with self._lock:
            while not self._closed and (len(self._stats) >= MAX_ENTRIES or self._bytes >= MAX_BYTES):
                self._filled.notify()
                self._emptied.wait()
            self._stats.append(stat)
            self._bytes += len(stat.layout)
            if len(self._stats) == WAKE_ENTRIES:
                self._filled.notify()
            return not self._closed

    def end(self) -> None:
        """Says that nothing more will be put."""
        with self._lock:
            self._ended = True
            self._filled.notify()

    def take(self, timeout_s: float) -> list[Stat] | None:
        """Returns what was put since, in its order: perhaps nothing, after `timeout_s`. None when that was the end."""
        with self._lock:
            if len(self._stats) < WAKE_ENTRIES and self._bytes < MAX_BYTES and not self._ended:
                self._filled.wait(timeout_s)
            taken, self._stats, self._bytes = self._stats, [], 0
            self._emptied.notify()
            return taken if taken or not self._ended else None

    def close(self) -> None:
        """Lets the putter go: what it puts from now on is lost."""
        with self._lock:
            self._closed = True
            self._emptied.notify()
