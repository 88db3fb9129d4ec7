"""The bytes of test files, made from a seed; hadoop/MakeTree.java makes the same ones. Never read from a disk.

A file is one block of 64 KiB (splitmix64 of the seed, little endian) again and again; the last 8 bytes of repetition i
hold i, so that no two stretches of a file are equal and a swap of blocks shows.
"""

import numpy as np

BLOCK_BYTES = 65_536
_WORDS = BLOCK_BYTES // 8
_GOLDEN = 0x9E3779B97F4A7C15
_MASK = 2**64 - 1


def _block(seed: int) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    """Returns uint64, shape (8192,): splitmix64 started with `seed` (Steele, Lea, Flood 2014)."""
    state = (np.arange(1, _WORDS + 1, dtype=np.uint64) * np.uint64(_GOLDEN)) + np.uint64(seed & _MASK)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(state ^ (state >> np.uint64(31)))


def content(seed: int, size: int) -> bytes:
    """Returns the first `size` bytes of the file of that seed; 300 MiB take about 0.3 s."""
    repetitions = -(-size // BLOCK_BYTES)
    words = np.tile(_block(seed), (max(repetitions, 1), 1))
    words[:, -1] = np.arange(len(words), dtype=np.uint64)
    return words.reshape(-1).view(np.uint8)[:size].tobytes()
