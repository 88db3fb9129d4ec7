"""AES in counter mode, in place, by the system's libcrypto: 16 bytes of key stream per number of a counter.

Encryption and decryption are the same operation. Called through ctypes, because the `cryptography` wheel is Rust, which
no worker loads.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from functools import lru_cache
from types import TracebackType

from blockferry.errors import BlockferryError
from stores.hdfs.security import libcrypto

BLOCK_BYTES = 16
KEY_SIZES = (16, 24, 32)  # AES-128, AES-192, AES-256
# A call of libcrypto takes an `int` as its size.
_CALL_BYTES = 1 << 30


class AesCtr:
    """A key stream that is XORed to bytes in their order. Not for several threads at once: each user makes its own.

    The counter is `iv` as a 128-bit big-endian number, plus one per 16 bytes, and begins again at 0 after the last
    (Hadoop's CryptoCodec.calculateIV, OpenSSL and NIST SP 800-38A agree on the carry).
    """

    __slots__ = ("_context", "_library")

    def __init__(self, key: bytes, iv: bytes, offset_bytes: int = 0) -> None:
        """Sets the key stream to byte `offset_bytes`, any number that is not negative.

        Raises:
            ValueError: the key has not 16, 24 or 32 bytes, the iv not 16, or the offset is negative.
            BlockferryError: LIBCRYPTO_MISSING.
        """
        if len(key) not in KEY_SIZES or len(iv) != BLOCK_BYTES or offset_bytes < 0:
            raise ValueError(f"AES-CTR with a key of {len(key)} and an iv of {len(iv)} bytes from byte {offset_bytes}")
        self._context: int | None = None
        self._library = _load()
        self._context = self._library.EVP_CIPHER_CTX_new()
        cipher = getattr(self._library, f"EVP_aes_{8 * len(key)}_ctr")()
        counter = counter_at(iv, offset_bytes // BLOCK_BYTES)
        self._check(self._context and self._library.EVP_EncryptInit_ex(self._context, cipher, None, key, counter))
        self.crypt(memoryview(bytearray(offset_bytes % BLOCK_BYTES)))

    def crypt(self, view: memoryview) -> None:
        """Encrypts or decrypts the next `view.nbytes` bytes in place. `view` is writable and contiguous.

        Raises:
            TypeError: it is not.
            ValueError: it was closed.
        """
        if self._context is None:
            raise ValueError("the key stream is closed")
        written = ctypes.c_int()
        for address, size in _calls(view):
            done = self._library.EVP_EncryptUpdate(self._context, address, ctypes.byref(written), address, size)
            self._check(done and written.value == size)

    def close(self) -> None:
        """Forgets the key; libcrypto overwrites its copy. Calling it twice is fine."""
        context, self._context = self._context, None
        if context:
            self._library.EVP_CIPHER_CTX_free(context)

    def __enter__(self) -> AesCtr:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_context", None):
            self.close()

    def _check(self, done: object) -> None:
        if not done:
            raise BlockferryError("LIBCRYPTO_FAILED", f"libcrypto refused a step of AES-CTR. {libcrypto.CURE}")


def counter_at(iv: bytes, block: int) -> bytes:
    """Returns the 16 bytes of the counter for key stream block number `block`, modulo 2^128."""
    return ((int.from_bytes(iv, "big") + block) % (1 << 128)).to_bytes(BLOCK_BYTES, "big")


def _calls(view: memoryview) -> Iterator[tuple[int, int]]:
    """Yields address and size of pieces that fit a call. The generator holds the memory while it is worked on."""
    if not view.nbytes:
        return
    held = ctypes.c_char.from_buffer(view)
    begin = ctypes.addressof(held)
    for at in range(0, view.nbytes, _CALL_BYTES):
        yield begin + at, min(_CALL_BYTES, view.nbytes - at)


@lru_cache(maxsize=1)
def _load() -> ctypes.CDLL:
    pointer, number, text = ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p
    return libcrypto.load(
        {
            "EVP_CIPHER_CTX_new": (pointer, ()),
            "EVP_CIPHER_CTX_free": (None, (pointer,)),
            "EVP_EncryptInit_ex": (number, (pointer, pointer, pointer, text, text)),
            "EVP_EncryptUpdate": (number, (pointer, pointer, ctypes.POINTER(number), pointer, number)),
            **{f"EVP_aes_{8 * size}_ctr": (pointer, ()) for size in KEY_SIZES},
        }
    )
