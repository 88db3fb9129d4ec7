"""Buffers: exact views, reuse, growth, and the bound."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pickle import PickleBuffer

import pytest

from mover.buffers import PAGE_BYTES, BufferPool, BuffersBySize


def test_view_has_the_size_that_was_asked() -> None:
    with BufferPool(1).take(1000) as view:
        assert len(view) == 1000
        view[:] = bytes(1000)


def test_buffer_is_used_again() -> None:
    pool = BufferPool(1)
    with pool.take(100) as view:
        view[:3] = b"abc"
    with pool.take(50) as view:
        assert bytes(view[:3]) == b"abc"
    assert pool.held_bytes == PAGE_BYTES


def test_buffer_grows_in_place_of_a_second_one() -> None:
    pool = BufferPool(1)
    with pool.take(100):
        pass
    with pool.take(5 * PAGE_BYTES) as view:
        assert len(view) == 5 * PAGE_BYTES
    assert pool.held_bytes == 5 * PAGE_BYTES


def test_smallest_fitting_buffer_is_taken() -> None:
    pool = BufferPool(2)
    with pool.take(100), pool.take(4 * PAGE_BYTES):
        pass
    with pool.take(10), pool.take(4 * PAGE_BYTES):
        pass
    assert pool.held_bytes == 5 * PAGE_BYTES


def test_view_is_dead_after_the_block() -> None:
    pool = BufferPool(1)
    with pool.take(10) as view:
        kept = view
    with pytest.raises(ValueError, match="released"):
        kept[0] = 1


def test_buffer_that_somebody_still_looks_into_is_given_up() -> None:
    pool = BufferPool(1)
    with pool.take(16) as view:
        view[:] = bytes(16)
        kept = PickleBuffer(view)
    with pool.take(16) as view:
        view[:] = b"x" * 16
    assert kept.raw().tolist() == [0] * 16
    assert pool.held_bytes == PAGE_BYTES


def test_thread_waits_for_a_free_buffer() -> None:
    pool = BufferPool(1)
    order: list[str] = []
    waiting = threading.Event()

    def late() -> None:
        waiting.set()
        with pool.take(10):
            order.append("second")

    with ThreadPoolExecutor(1) as threads:
        with pool.take(10):
            running = threads.submit(late)
            assert waiting.wait(5)
            order.append("first")
        running.result(timeout=5)
    assert order == ["first", "second"]


def test_many_threads_share_few_buffers() -> None:
    pool = BufferPool(2)

    def fill(number: int) -> bool:
        with pool.take(1000) as view:
            view[:] = bytes([number]) * 1000
            return bytes(view) == bytes([number]) * 1000

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(fill, range(200)))
    assert pool.held_bytes <= 2 * PAGE_BYTES


def test_small_pieces_have_buffers_of_their_own() -> None:
    small, large = BufferPool(2, 4096), BufferPool(1)
    buffers = BuffersBySize(small, 4096, large)
    with buffers.take(4097), buffers.take(4096), buffers.take(1):
        pass
    assert small.held_bytes == 2 * 4096
    assert large.held_bytes == PAGE_BYTES
