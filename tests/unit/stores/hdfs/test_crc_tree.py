"""The vectorised combination agrees with hashing the bytes, for every count, size and rest."""

from __future__ import annotations

import random
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stores.checksum import Algorithm, empty
from stores.hashing import checksum_of, crc_of
from stores.hdfs.transfer.crc_tree import sum_of_chunks, words_of

ALGORITHMS = st.sampled_from(list(Algorithm))


def wire_sums(algorithm: Algorithm, data: bytes, bytes_per_crc: int) -> bytes:
    crcs = [crc_of(algorithm, data[at : at + bytes_per_crc]) for at in range(0, len(data), bytes_per_crc)]
    return struct.pack(f">{len(crcs)}I", *crcs)


@given(ALGORITHMS, st.sampled_from([1, 3, 64, 100]), st.integers(0, 40_000), st.randoms(use_true_random=False))
def test_sum_of_chunks_is_the_hash_of_the_bytes(
    algorithm: Algorithm, bytes_per_crc: int, size_bytes: int, source: random.Random
) -> None:
    data = source.randbytes(min(size_bytes, 600 * bytes_per_crc))
    words = words_of(wire_sums(algorithm, data, bytes_per_crc))
    assert sum_of_chunks(algorithm, words, bytes_per_crc, len(data)) == checksum_of(algorithm, data)


@pytest.mark.parametrize("bytes_per_crc", [64, 512, 1536, 1 << 20])
@pytest.mark.parametrize("chunk_count", [1, 2, 15, 16, 17, 255, 256, 257, 300])
@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_chunk_sizes_that_hadoop_allows(algorithm: Algorithm, chunk_count: int, bytes_per_crc: int) -> None:
    count = min(chunk_count, (3 << 20) // bytes_per_crc)
    data = random.Random(count).randbytes(bytes_per_crc * count - bytes_per_crc // 3)
    words = words_of(wire_sums(algorithm, data, bytes_per_crc))
    assert sum_of_chunks(algorithm, words, bytes_per_crc, len(data)) == checksum_of(algorithm, data)


@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_no_chunks_are_no_bytes(algorithm: Algorithm) -> None:
    assert sum_of_chunks(algorithm, words_of(b""), 512, 0) == empty(algorithm)


@given(ALGORITHMS, st.integers(0, 299), st.integers(0, 31))
def test_one_flipped_bit_in_any_crc_changes_the_sum(algorithm: Algorithm, chunk: int, bit: int) -> None:
    data = bytes(300 * 64)
    stored = bytearray(wire_sums(algorithm, data, 64))
    stored[4 * chunk + bit // 8] ^= 1 << bit % 8
    assert sum_of_chunks(algorithm, words_of(stored), 64, len(data)) != checksum_of(algorithm, data)


@pytest.mark.parametrize("size_bytes", [512, 513, 1025, 2000])
def test_wrong_number_of_words_is_refused(size_bytes: int) -> None:
    if size_bytes in (513,):
        assert sum_of_chunks(Algorithm.CRC32C, words_of(bytes(8)), 512, size_bytes)
        return
    with pytest.raises(ValueError, match="one CRC per 512 bytes"):
        sum_of_chunks(Algorithm.CRC32C, words_of(bytes(8)), 512, size_bytes)


def test_words_may_be_a_slice_of_something_bigger() -> None:
    data = random.Random(5).randbytes(64 * 40)
    words = words_of(wire_sums(Algorithm.CRC32C, data, 64))
    assert sum_of_chunks(Algorithm.CRC32C, words[8:24], 64, 1024) == checksum_of(Algorithm.CRC32C, data[512:1536])
