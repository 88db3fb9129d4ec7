"""A bounded pool of buffers that are used again and again. Knows nothing of what is in them.

A fresh buffer of 64 MiB costs 16,384 page faults when it is filled the first time; one that was filled before costs
none. So buffers are kept for the life of the process, and grow only when a larger one is asked for.
"""

from __future__ import annotations

import mmap
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

PAGE_BYTES = 2 << 20  # a huge page of x86-64 and of most arm64 kernels


class Buffers(Protocol):
    """Where buffers come from."""

    def take(self, size: int) -> AbstractContextManager[memoryview]:
        """Gives a writable view of exactly `size` bytes of any content, until the block ends. Waits for a free one."""
        ...


class BufferPool:
    """At most `count` buffers, each as large as the largest piece it ever held.

    Memory: peak_bytes = count * (largest size asked, rounded up to `page_bytes`). Threads may share the pool; one that
    finds no free buffer waits for it, and that is what bounds the memory.
    """

    def __init__(self, count: int, page_bytes: int = PAGE_BYTES) -> None:
        self.count = count
        self._page_bytes = page_bytes
        self._free: list[mmap.mmap] = []
        self._made = 0
        self._changed = threading.Condition()

    @contextmanager
    def take(self, size: int) -> Iterator[memoryview]:
        """See `Buffers.take`."""
        buffer = self._grown(self._taken(size), size)
        view = memoryview(buffer)[:size]
        try:
            yield view
        finally:
            self._give_back(buffer, view)

    @property
    def held_bytes(self) -> int:
        """Size of the free buffers, in bytes."""
        with self._changed:
            return sum(len(buffer) for buffer in self._free)

    def _taken(self, size: int) -> mmap.mmap | None:
        with self._changed:
            while not self._free and self._made == self.count:
                self._changed.wait()
            if not self._free or (self._made < self.count and all(len(buffer) < size for buffer in self._free)):
                self._made += 1
                return None
            # The smallest that is large enough, else the largest: it has the least to grow.
            large = [buffer for buffer in self._free if len(buffer) >= size]
            chosen = min(large, key=len) if large else max(self._free, key=len)
            self._free.remove(chosen)
            return chosen

    def _give_back(self, buffer: mmap.mmap, view: memoryview) -> None:
        with self._changed:
            try:
                view.release()
                self._free.append(buffer)
            except BufferError:
                # Somebody looks into it still, from the traceback of an error for example: it must not change.
                self._made -= 1
            self._changed.notify()

    def _grown(self, buffer: mmap.mmap | None, size: int) -> mmap.mmap:
        if buffer is not None and len(buffer) >= size:
            return buffer
        del buffer  # its pages go back before new ones are asked for
        try:
            return _fresh(size, self._page_bytes)
        except (OSError, MemoryError):
            with self._changed:
                self._made -= 1
                self._changed.notify()
            raise


class BuffersBySize:
    """Two pools: small pieces do not wait for the buffers of larger ones, and take no memory from them."""

    def __init__(self, small: BufferPool, small_bytes: int, large: BufferPool) -> None:
        """Pieces of up to `small_bytes` go into `small`."""
        self._small = small
        self._small_bytes = small_bytes
        self._large = large

    def take(self, size: int) -> AbstractContextManager[memoryview]:
        """See `Buffers.take`."""
        return (self._small if size <= self._small_bytes else self._large).take(size)


def _fresh(size: int, page_bytes: int) -> mmap.mmap:
    buffer = mmap.mmap(-1, -(-max(size, 1) // page_bytes) * page_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if page_bytes >= PAGE_BYTES:
        buffer.madvise(mmap.MADV_HUGEPAGE)
    return buffer
