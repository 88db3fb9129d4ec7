"""CRCs as values, and the arithmetic of their combination: the CRC of two neighbours from the CRC of each. PURE.

A CRC is a polynomial over GF(2). Both CRCs here are reflected: bit 31 of a value is the coefficient of x^0. The CRC of
`first + second` is `crc(first) * x^(8 * len(second)) + crc(second)` modulo the CRC's polynomial; the inversions at the
begin and the end of both cancel out. Never touches the bytes themselves: that is `stores.hashing`.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from stores.parcel import rebuilt_by_fields


class Algorithm(StrEnum):
    """Checksums that HDFS keeps and S3 can be asked to claim, both as FULL_OBJECT."""

    CRC32C = "CRC32C"  # Castagnoli, RFC 3720
    CRC32 = "CRC32"  # gzip, ISO 3309


@rebuilt_by_fields
@dataclass(frozen=True, slots=True)
class Checksum:
    """One CRC of some bytes. `value` is unsigned, 32 bits."""

    algorithm: Algorithm
    value: int

    @property
    def base64(self) -> str:
        """The form that S3 writes: base64 of the four bytes, big-endian."""
        return base64.b64encode(self.value.to_bytes(4, "big")).decode()

    @property
    def hex(self) -> str:
        """The form that HDFS writes: eight hexadecimal digits."""
        return f"{self.value:08x}"

    @classmethod
    def from_base64(cls, algorithm: Algorithm, text: str) -> Checksum:
        """Reads S3's form. Raises ValueError when it is not base64 of four bytes."""
        raw = base64.b64decode(text, validate=True)
        if len(raw) != 4:
            raise ValueError(f"a {algorithm} has 4 bytes, not {len(raw)}: {text!r}")
        return cls(algorithm, int.from_bytes(raw, "big"))


def empty(algorithm: Algorithm) -> Checksum:
    """Returns the checksum of no bytes: 0 for both algorithms."""
    return Checksum(algorithm, 0)


def combine(first: Checksum, second: Checksum, second_size_bytes: int) -> Checksum:
    """Returns the checksum of the bytes of `first` followed by those of `second`, which are so many.

    Raises:
        ValueError: the algorithms differ, or the size is negative.
    """
    if first.algorithm is not second.algorithm:
        raise ValueError(f"a {first.algorithm} and a {second.algorithm} cannot be combined")
    if second_size_bytes < 0:
        raise ValueError(f"a size cannot be negative: {second_size_bytes}")
    if not first.value:  # as that of nothing is: 0, however far it is shifted
        return second
    shifted = _multiply(first.value, _power(first.algorithm, second_size_bytes), _POLYNOMIALS[first.algorithm])
    return Checksum(first.algorithm, shifted ^ second.value)


def concatenation(parts: Iterable[tuple[Checksum, int]]) -> Checksum:
    """Returns the checksum of neighbours in their order, each given with its size in bytes.

    Raises:
        ValueError: there is no part, two algorithms differ, or a size is negative.
    """
    whole: Checksum | None = None
    for part, size_bytes in parts:
        whole = combine(whole or empty(part.algorithm), part, size_bytes)
    if whole is None:
        raise ValueError("a concatenation needs at least one part: without one its algorithm is not known")
    return whole


def _multiply(first: int, second: int, polynomial: int) -> int:
    """Returns the product of two polynomials modulo `polynomial`, all reflected."""
    product = 0
    while first:
        if first & 0x80000000:
            product ^= second
        first = first << 1 & 0xFFFFFFFF
        second = second >> 1 ^ (polynomial if second & 1 else 0)
    return product


def _squares(polynomial: int) -> tuple[int, ...]:
    """Returns x^(8 * 2^k) for k from 0 to 63."""
    powers = [0x00800000]
    while len(powers) < 64:
        powers.append(_multiply(powers[-1], powers[-1], polynomial))
    return tuple(powers)


_POLYNOMIALS = {Algorithm.CRC32C: 0x82F63B78, Algorithm.CRC32: 0xEDB88320}
_SQUARES = {algorithm: _squares(polynomial) for algorithm, polynomial in _POLYNOMIALS.items()}


@lru_cache(maxsize=1024)
def _power(algorithm: Algorithm, size_bytes: int) -> int:
    """Returns x^(8 * size_bytes). Cached, because parts and blocks have few sizes: 5 us instead of 100."""
    power = 0x80000000
    for exponent, square in enumerate(_SQUARES[algorithm]):
        if size_bytes >> exponent & 1:
            power = _multiply(power, square, _POLYNOMIALS[algorithm])
    return power
