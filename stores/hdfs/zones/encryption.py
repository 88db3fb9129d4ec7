"""Files of encryption zones: their stored ciphertext, decrypted in place. Everything else goes through untouched.

HDFS keeps sums of the ciphertext only. So what is read is compared with those sums first, and then decrypted; the
checksum of the plaintext is our own, and nothing can be claimed of it without reading. No ciphertext leaves this module
as a file's content: without a key it raises.
"""

from __future__ import annotations

from dataclasses import replace

from blockferry.errors import BlockferryError, Whose
from stores.base import Condition, Extent, RangeRead, Stat
from stores.checksum import Algorithm, Checksum, empty
from stores.hashing import Hasher
from stores.hdfs.layouts import Layouts
from stores.hdfs.reader import FileReader
from stores.hdfs.security.aes_ctr import AesCtr
from stores.hdfs.wire.hdfs_pb2 import FileEncryptionInfoProto
from stores.hdfs.zones.data_keys import DataKeys
from stores.hdfs.zones.kms_wire import EncryptedKey, encrypted_key

# Below it the NameNode shows what the DataNodes hold, without telling keys.
RAW_ROOT = "/.reserved/raw"
# CipherSuite and CryptoProtocolVersion of hdfs.proto: AES/CTR/NoPadding, ENCRYPTION_ZONES.
_AES_CTR, _ENCRYPTION_ZONES = 2, 2
# Decrypted and hashed at once, while it is in the processor's cache.
SLICE_BYTES = 1 << 20


class ZoneReader:
    """Reads files, encrypted ones as their plaintext. Thread safe. The methods are those of `Source`."""

    def __init__(self, stored: FileReader, layouts: Layouts, keys: DataKeys) -> None:
        """`layouts` is what `stored` reads by: one answer of the NameNode gives a file's blocks and its key."""
        self._stored = stored
        self._layouts = layouts
        self._keys = keys

    def extents(self, file: Stat) -> tuple[Extent, ...]:
        """See `Source.extents`. Of an encrypted file it gets the key as well: who asks for extents is about to read it,
        and so begins no upload for a file that may not be read."""
        if not file.condition.is_encrypted:
            return self._stored.extents(file)
        if file.size_bytes:
            self._key(file)
        return self._stored.extents(self._as_stored(file))

    def claimed_algorithm(self, file: Stat) -> Algorithm:
        """See `Source.claimed_algorithm`. Of an encrypted file it asks nobody."""
        return Algorithm.CRC32C if file.condition.is_encrypted else self._stored.claimed_algorithm(file)

    def read_into(self, file: Stat, offset: int, view: memoryview, algorithm: Algorithm | None) -> RangeRead:
        """See `Source.read_into`. `proven` of an encrypted file says that the ciphertext was compared; the checksum is
        our own of the plaintext.

        Raises:
            BlockferryError: what `FileReader.read_into` raises; ACCESS_DENIED by the KMS, KMS_UNAVAILABLE (retryable)
                and the other errors of `ZoneKms`; ENCRYPTION_UNSUPPORTED, CIPHERTEXT_REFUSED.
        """
        if not file.condition.is_encrypted:
            return self._stored.read_into(file, offset, view, algorithm)
        if not len(view):
            return RangeRead(empty(algorithm or Algorithm.CRC32C), True)
        key, iv = self._key(file)
        found = self._stored.read_into(self._as_stored(file), offset, view, Algorithm.CRC32C)
        self._check_iv(file, iv)
        with AesCtr(key, iv, offset) as stream:
            return replace(found, checksum=_decrypted(stream, view, algorithm or Algorithm.CRC32C))

    def stored_checksum(self, file: Stat, offset: int, size: int, algorithm: Algorithm) -> Checksum | None:
        """See `Source.stored_checksum`. None for encrypted files: what is kept is not of their content."""
        if file.condition.is_encrypted:
            return None
        return self._stored.stored_checksum(file, offset, size, algorithm)

    def _as_stored(self, file: Stat) -> Stat:
        """Returns the file as `stored` may read it: whatever it is besides encrypted."""
        if not file.size_bytes:
            return replace(file, condition=Condition.PLAIN)
        coded = self._layouts.layout(file).erasure_coding
        return replace(file, condition=Condition.ERASURE_CODED if coded is not None else Condition.PLAIN)

    def _key(self, file: Stat) -> tuple[bytes, bytes]:
        """Returns the file's key, decrypted, and its iv."""
        try:
            key = self._encrypted_key(file)
            return self._keys.get(key), key.iv
        except BlockferryError as error:
            error.coordinates.setdefault("path", file.path)
            raise

    def _check_iv(self, file: Stat, iv: bytes) -> None:
        """Raises SOURCE_CHANGED when another thread found another file at this path while we read: what we have may be
        its blocks, and no sum would tell. A zone that is encrypted anew changes keys, not the iv."""
        info = self._layouts.layout(file).encryption
        if info is None or info.iv != iv:
            raise BlockferryError(
                "SOURCE_CHANGED",
                f"The file {file.path} was replaced while it was read. Run again to transfer it as it is now.",
                whose=Whose.SOURCE,
                path=file.path,
            )

    def _encrypted_key(self, file: Stat) -> EncryptedKey:
        info = self._layouts.layout(file).encryption
        if info is None:
            raise _ciphertext(file)
        if (info.suite, info.cryptoProtocolVersion) != (_AES_CTR, _ENCRYPTION_ZONES):
            raise _unsupported(file, info)
        try:
            return encrypted_key(info.keyName, info.ezKeyVersionName, info.iv, info.key)
        except ValueError as error:
            raise _unsupported(file, info) from error


def refuse_raw(root: str) -> None:
    """Raises CIPHERTEXT_REFUSED for a root at or below /.reserved/raw, or above it: older NameNodes do not even tell
    that files there are encrypted."""
    if f"{root}/".startswith(f"{RAW_ROOT}/") or root == "/.reserved":
        raise BlockferryError(
            "CIPHERTEXT_REFUSED",
            f"{root} shows the files of encryption zones as ciphertext, which is never copied. Give the ordinary path, "
            f"without {RAW_ROOT} before it.",
            whose=Whose.CALLER,
            path=root,
        )


def _decrypted(stream: AesCtr, view: memoryview, algorithm: Algorithm) -> Checksum:
    """Decrypts `view` in place and returns the checksum of what it holds then."""
    hasher = Hasher(algorithm)
    for at in range(0, len(view), SLICE_BYTES):
        piece = view[at : at + SLICE_BYTES]
        stream.crypt(piece)
        hasher.update(piece)
    return hasher.checksum


def _ciphertext(file: Stat) -> BlockferryError:
    return BlockferryError(
        "CIPHERTEXT_REFUSED",
        f"{file.path} is encrypted, and the NameNode does not tell its key: so it does below {RAW_ROOT}. "
        "Ciphertext is never copied: give the file's ordinary path.",
        whose=Whose.CALLER,
        path=file.path,
    )


def _unsupported(file: Stat, info: FileEncryptionInfoProto) -> BlockferryError:
    return BlockferryError(
        "ENCRYPTION_UNSUPPORTED",
        f"{file.path} is encrypted with the cipher suite {info.suite}, protocol {info.cryptoProtocolVersion}, an iv of "
        f"{len(info.iv)} bytes: only AES/CTR/NoPadding (2, 2, 16) can be read. Copy it to such a zone first.",
        whose=Whose.CALLER,
        path=file.path,
        suite=info.suite,
    )
