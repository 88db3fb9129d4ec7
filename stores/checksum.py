"""CRCs as values. (The arithmetic of their combination follows in this file.) PURE."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from enum import StrEnum


class Algorithm(StrEnum):
    """Checksums that HDFS keeps and S3 can be asked to claim, both as FULL_OBJECT."""

    CRC32C = "CRC32C"  # Castagnoli, RFC 3720
    CRC32 = "CRC32"  # gzip, ISO 3309


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
