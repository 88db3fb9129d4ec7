"""Certificates out of a truststore, as PEM: Java's own format (JKS), or PEM itself. PURE.

Facts from sun.security.provider.JavaKeyStore (OpenJDK): certificates stand there in clear; the password only seals the
file by SHA-1. A PKCS#12 store keeps them encrypted: see `pkcs12`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import struct
import textwrap
from collections.abc import Iterable

_MAGIC = 0xFEEDFEED
_KEY, _CERTIFICATE = 1, 2
_SEAL_BYTES = 20
_PEM_BEGIN = b"-----BEGIN CERTIFICATE-----"


def pem_of(content: bytes, password: str = "") -> str:
    """Returns all trusted certificates as PEM, and those of its private keys, as Java trusts them.

    Args:
        content: of the file.
        password: of the store. Empty: unknown, and its seal is not checked.

    Raises:
        ValueError: it is neither, it is damaged, its seal is of another password, or no certificate is in it.
    """
    if _PEM_BEGIN in content and content[:4] != _MAGIC.to_bytes(4, "big"):
        return content.decode("latin-1")
    try:
        certificates = _certificates(content)
    except (struct.error, IndexError):
        raise ValueError("it is neither PEM nor a Java truststore (JKS), or it is cut off") from None
    if password and not _is_sealed_by(content, password):
        raise ValueError("its seal does not fit its password: the password is another one, or the file is damaged")
    if not certificates:
        raise ValueError("no certificate is in it")
    return as_pem(certificates)


def as_pem(certificates: Iterable[bytes]) -> str:
    """Returns certificates (DER) as PEM."""
    return "".join(map(_pem, certificates))


def _certificates(content: bytes) -> list[bytes]:
    reader = _Reader(content)
    if reader.number() != _MAGIC or (version := reader.number()) not in (1, 2):
        raise ValueError("it is neither PEM nor a Java truststore (JKS)")
    found: list[bytes] = []
    for _ in range(reader.number()):
        tag = reader.number()
        reader.text()  # alias
        reader.take(8)  # date
        if tag == _KEY:
            reader.take(reader.number())
            found += [reader.certificate(version) for _ in range(reader.number())][:1]
        elif tag == _CERTIFICATE:
            found.append(reader.certificate(version))
        else:
            raise ValueError(f"an entry of the unknown kind {tag} is in it")
    return found


def _is_sealed_by(content: bytes, password: str) -> bool:
    seal = hashlib.sha1(password.encode("utf-16-be") + b"Mighty Aphrodite" + content[:-_SEAL_BYTES])  # noqa: S324
    return hmac.compare_digest(seal.digest(), content[-_SEAL_BYTES:])


def _pem(certificate: bytes) -> str:
    lines = "\n".join(textwrap.wrap(base64.b64encode(certificate).decode(), 64))
    return f"-----BEGIN CERTIFICATE-----\n{lines}\n-----END CERTIFICATE-----\n"


class _Reader:
    """A Java DataInputStream. Raises struct.error at the end."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._at = 0

    def take(self, size: int) -> bytes:
        piece = self._content[self._at : self._at + size]
        if len(piece) != size:
            raise struct.error("cut off")
        self._at += size
        return piece

    def number(self) -> int:
        return int.from_bytes(self.take(4), "big")

    def text(self) -> bytes:
        return self.take(int.from_bytes(self.take(2), "big"))

    def certificate(self, version: int) -> bytes:
        if version == 2:
            self.text()  # "X.509"
        return self.take(self.number())
