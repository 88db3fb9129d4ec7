"""CRCs of bytes, by the processor's own instructions: awscrt for CRC32C (0.04 CPU s/GiB), isal for CRC32 (0.013).

Holds no arithmetic of combination (that is `stores.checksum`) and never copies what it hashes.
"""

from __future__ import annotations

from awscrt import checksums
from isal import isal_zlib

from stores.checksum import Algorithm, Checksum


def crc_of(algorithm: Algorithm, data: bytes | bytearray | memoryview, seed: int = 0) -> int:
    """Returns the CRC of what `seed` is the CRC of, followed by `data` (contiguous bytes): unsigned, 32 bits."""
    if algorithm is Algorithm.CRC32C:
        return int(checksums.crc32c(data, seed))
    return int(isal_zlib.crc32(data, seed))


def checksum_of(algorithm: Algorithm, data: bytes | bytearray | memoryview) -> Checksum:
    """Returns the checksum of `data`, contiguous bytes."""
    return Checksum(algorithm, crc_of(algorithm, data))


class Hasher:
    """The checksum of bytes that come piece by piece. Not for several threads at once.

    Attributes:
        size_bytes: how many bytes have come so far.
    """

    __slots__ = ("_value", "algorithm", "size_bytes")

    def __init__(self, algorithm: Algorithm) -> None:
        self.algorithm = algorithm
        self.size_bytes = 0
        self._value = 0

    def update(self, data: bytes | bytearray | memoryview) -> None:
        """Adds the next bytes."""
        self._value = crc_of(self.algorithm, data, self._value)
        self.size_bytes += len(data)

    @property
    def checksum(self) -> Checksum:
        """The checksum of all bytes so far."""
        return Checksum(self.algorithm, self._value)
