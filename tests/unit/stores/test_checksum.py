"""The arithmetic of CRCs agrees with hashing the bytes themselves."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stores.checksum import Algorithm, Checksum, combine, concatenation, empty
from stores.hashing import Hasher, checksum_of, crc_of

ALGORITHMS = st.sampled_from(list(Algorithm))
BOTH = pytest.mark.parametrize("algorithm", list(Algorithm))


@pytest.mark.parametrize(("algorithm", "value"), [(Algorithm.CRC32C, 0xE3069283), (Algorithm.CRC32, 0xCBF43926)])
def test_check_values_of_the_standards(algorithm: Algorithm, value: int) -> None:
    assert checksum_of(algorithm, b"123456789") == Checksum(algorithm, value)


@given(ALGORITHMS, st.binary(max_size=3000), st.binary(max_size=3000))
def test_combine_is_the_hash_of_both(algorithm: Algorithm, first: bytes, second: bytes) -> None:
    combined = combine(checksum_of(algorithm, first), checksum_of(algorithm, second), len(second))
    assert combined == checksum_of(algorithm, first + second)


@given(ALGORITHMS, st.lists(st.binary(max_size=600), min_size=1, max_size=20))
def test_concatenation_is_the_hash_of_all(algorithm: Algorithm, pieces: list[bytes]) -> None:
    whole = concatenation((checksum_of(algorithm, piece), len(piece)) for piece in pieces)
    assert whole == checksum_of(algorithm, b"".join(pieces))


@given(ALGORITHMS, st.integers(0, 2**32 - 1), st.integers(0, 2**63 - 1))
def test_no_bytes_change_nothing(algorithm: Algorithm, value: int, size_bytes: int) -> None:
    some = Checksum(algorithm, value)
    assert combine(some, empty(algorithm), 0) == some
    assert combine(empty(algorithm), some, size_bytes) == some


@given(ALGORITHMS, *[st.integers(0, 2**32 - 1)] * 3, *[st.integers(0, 2**45)] * 2)
def test_combining_is_associative_for_sizes_beyond_four_gib(
    algorithm: Algorithm, a: int, b: int, c: int, b_size: int, c_size: int
) -> None:
    first, second, third = (Checksum(algorithm, value) for value in (a, b, c))
    left = combine(combine(first, second, b_size), third, c_size)
    right = combine(first, combine(second, third, c_size), b_size + c_size)
    assert left == right


@BOTH
def test_five_gib_of_zeros_by_doubling(algorithm: Algorithm) -> None:
    """Doubling 1 MiB of zeros up to 4 GiB and adding 1 GiB is the same as 5,120 times 1 MiB."""
    mebibyte = checksum_of(algorithm, bytes(1 << 20))
    powers = [mebibyte]
    for exponent in range(12):
        powers.append(combine(powers[-1], powers[-1], 1 << 20 + exponent))
    five_gib = combine(powers[12], powers[10], 1 << 30)
    assert five_gib == concatenation([(mebibyte, 1 << 20)] * 5120)


def test_crc32_is_the_one_of_zlib() -> None:
    data = bytes(range(256)) * 7
    assert crc_of(Algorithm.CRC32, data, 99) == zlib.crc32(data, 99)


@BOTH
def test_combine_refuses_what_has_no_meaning(algorithm: Algorithm) -> None:
    other = Algorithm.CRC32 if algorithm is Algorithm.CRC32C else Algorithm.CRC32C
    with pytest.raises(ValueError, match="cannot be combined"):
        combine(empty(algorithm), empty(other), 1)
    with pytest.raises(ValueError, match="negative"):
        combine(empty(algorithm), empty(algorithm), -1)
    with pytest.raises(ValueError, match="at least one part"):
        concatenation([])


@given(ALGORITHMS, st.lists(st.binary(max_size=100), max_size=8))
def test_a_hasher_sums_what_came_so_far(algorithm: Algorithm, pieces: list[bytes]) -> None:
    hasher = Hasher(algorithm)
    for piece in pieces:
        hasher.update(memoryview(piece))
    assert hasher.checksum == checksum_of(algorithm, b"".join(pieces))
    assert hasher.size_bytes == sum(map(len, pieces))


@BOTH
def test_written_forms_of_s3_and_hdfs(algorithm: Algorithm) -> None:
    some = Checksum(algorithm, 0x01020304)
    assert (some.base64, some.hex) == ("AQIDBA==", "01020304")
    assert Checksum.from_base64(algorithm, "AQIDBA==") == some
    with pytest.raises(ValueError, match="4 bytes"):
        Checksum.from_base64(algorithm, "AQID")
