"""The ciphers of DIGEST-MD5's privacy, by the system's libcrypto: RC4, and triple DES with two keys in CBC mode.

Both are old; they are here because Hadoop's SASL knows no others (AES/CTR is agreed on beside SASL, see `aes_ctr`).
RC4 comes from OpenSSL's "legacy" provider, which is loaded into a library context of its own: nothing else in the
process sees it. Where that provider is not installed, triple DES is left.
"""

from __future__ import annotations

import ctypes
from contextlib import suppress
from ctypes import byref, c_char_p, c_int, c_void_p
from functools import lru_cache
from typing import Protocol

from blockferry.errors import BlockferryError, Whose

# In the order of our choice: triple DES takes 20 times as long.
_FETCHED = {"rc4": b"RC4", "3des": b"DES-EDE-CBC"}
_CURE = "Install OpenSSL 3 with its legacy provider, or set dfs.encrypt.data.transfer.cipher.suites for AES."


class Cipher(Protocol):
    """One direction's key stream or chain."""

    block_bytes: int

    def crypt(self, view: memoryview) -> None:
        """Encrypts or decrypts the next bytes in place; whole blocks."""
        ...


class Sealer:
    """RC4 (`block_bytes` 1) or triple DES (8). Not for several threads at once."""

    def __init__(self, name: str, key: bytes, encrypt: bool) -> None:
        """Takes the 16 bytes of a sealing key of DIGEST-MD5. Raises BlockferryError: CIPHER_MISSING."""
        self._context: int | None = None
        self._library = _library()
        cipher = _fetched(name)
        if cipher is None:
            raise BlockferryError("CIPHER_MISSING", f"The cipher {name} cannot be had here. {_CURE}", whose=Whose.US)
        self.block_bytes = 1 if name == "rc4" else 8
        self._context = self._library.EVP_CIPHER_CTX_new()
        real_key, iv = (key, None) if name == "rc4" else (des_key(key[:7]) + des_key(key[7:14]), key[8:])
        self._check(self._library.EVP_CipherInit_ex(self._context, cipher, None, real_key, iv, int(encrypt)))
        self._check(self._library.EVP_CIPHER_CTX_set_padding(self._context, 0))
        self._written = c_int()

    def crypt(self, view: memoryview) -> None:
        """Encrypts or decrypts the next bytes in place; whole blocks, writable."""
        if not view.nbytes:
            return
        address = ctypes.addressof(ctypes.c_char.from_buffer(view))
        done = self._library.EVP_CipherUpdate(self._context, address, byref(self._written), address, view.nbytes)
        self._check(done and self._written.value == view.nbytes)

    def __del__(self) -> None:
        if getattr(self, "_context", None):
            self._library.EVP_CIPHER_CTX_free(self._context)

    def _check(self, done: object) -> None:
        if not done:
            raise BlockferryError("LIBCRYPTO_FAILED", f"libcrypto refused a step of DIGEST-MD5's cipher. {_CURE}")


def available() -> tuple[str, ...]:
    """Returns the names of the ciphers that there are here, in the order of our choice."""
    return tuple(name for name in _FETCHED if _fetched(name) is not None)


def des_key(seven: bytes) -> bytes:
    """Returns a DES key of 8 bytes, whose lowest bits are parity, from 7 bytes of key."""
    bits = int.from_bytes(seven, "big")
    septets = (bits >> (49 - 7 * index) & 0x7F for index in range(8))
    return bytes(septet << 1 | (septet.bit_count() + 1) % 2 for septet in septets)


@lru_cache(maxsize=4)
def _fetched(name: str) -> int | None:
    """Returns the cipher's address in libcrypto, where it stays; None where there is none."""
    library = _library()
    if not hasattr(library, "EVP_CIPHER_fetch"):  # OpenSSL 1.1 has all of them
        function = getattr(library, {"rc4": "EVP_rc4", "3des": "EVP_des_ede_cbc"}[name])
        function.restype = c_void_p
        address: int | None = function()
        return address
    found: int | None = library.EVP_CIPHER_fetch(_context(), _FETCHED[name], None)
    return found


@lru_cache(maxsize=1)
def _context() -> int | None:
    library = _library()
    context: int | None = library.OSSL_LIB_CTX_new()
    for provider in (b"default", b"legacy"):
        library.OSSL_PROVIDER_load(context, provider)  # one that is not there only has no ciphers
    return context


@lru_cache(maxsize=1)
def _library() -> ctypes.CDLL:
    """Returns the libcrypto of this Python's `hashlib` where there is one, so that a process has only one."""
    names = ["libcrypto.so.3", "libcrypto.so.1.1"]
    with suppress(ImportError):
        import _hashlib

        names.insert(0, getattr(_hashlib, "__file__", names[0]))
    for name in names:
        with suppress(OSError, AttributeError):
            return _declared(ctypes.CDLL(name))
    raise BlockferryError("LIBCRYPTO_MISSING", f"DIGEST-MD5's ciphers need libcrypto. {_CURE}", whose=Whose.US)


def _declared(library: ctypes.CDLL) -> ctypes.CDLL:
    pointer, number, text = c_void_p, c_int, c_char_p
    always: dict[str, tuple[object, tuple[object, ...]]] = {
        "EVP_CIPHER_CTX_new": (pointer, ()),
        "EVP_CIPHER_CTX_free": (None, (pointer,)),
        "EVP_CIPHER_CTX_set_padding": (number, (pointer, number)),
        "EVP_CipherInit_ex": (number, (pointer, pointer, pointer, text, text, number)),
        "EVP_CipherUpdate": (number, (pointer, pointer, ctypes.POINTER(number), pointer, number)),
    }
    since_3: dict[str, tuple[object, tuple[object, ...]]] = {
        "OSSL_LIB_CTX_new": (pointer, ()),
        "OSSL_PROVIDER_load": (pointer, (pointer, text)),
        "EVP_CIPHER_fetch": (pointer, (pointer, text, text)),
    }
    for name, (result, arguments) in (always | (since_3 if hasattr(library, "EVP_CIPHER_fetch") else {})).items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library
