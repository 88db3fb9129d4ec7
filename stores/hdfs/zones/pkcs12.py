"""Certificates out of a PKCS#12 store (RFC 7292), by libcrypto: what `keytool` makes since Java 9.

Java before 16 wrote such stores with ciphers that OpenSSL 3 keeps apart (its legacy provider). They are loaded into a
library context of their own, so that nothing else in the process may use them.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import ExitStack
from functools import lru_cache

from stores.hdfs.security import libcrypto

_P, _INT, _TEXT = ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p
_POINTER_TO_P = ctypes.POINTER(_P)
_SIGNATURES: dict[str, libcrypto.Signature] = {
    "d2i_PKCS12": (_P, (_POINTER_TO_P, ctypes.POINTER(_TEXT), ctypes.c_long)),
    "PKCS12_parse": (_INT, (_P, _TEXT, _POINTER_TO_P, _POINTER_TO_P, _POINTER_TO_P)),
    "PKCS12_free": (None, (_P,)),
    "EVP_PKEY_free": (None, (_P,)),
    "X509_free": (None, (_P,)),
    "i2d_X509": (_INT, (_P, _POINTER_TO_P)),
    "OPENSSL_sk_num": (_INT, (_P,)),
    "OPENSSL_sk_value": (_P, (_P, _INT)),
    "OPENSSL_sk_free": (None, (_P,)),
    "ERR_clear_error": (None, ()),
}
# Since OpenSSL 3; before, the old ciphers were always there.
_CONTEXT_SIGNATURES: dict[str, libcrypto.Signature] = {
    "OSSL_LIB_CTX_new": (_P, ()),
    "OSSL_LIB_CTX_free": (None, (_P,)),
    "OSSL_PROVIDER_load": (_P, (_P, _TEXT)),
    "OSSL_PROVIDER_unload": (_INT, (_P,)),
    "PKCS12_init_ex": (_P, (_INT, _P, _TEXT)),
}
_NID_PKCS7_DATA = 21
_DER_SEQUENCE = b"\x30"


def is_store(content: bytes) -> bool:
    """Returns whether the content begins as a PKCS#12 store does."""
    return content[:1] == _DER_SEQUENCE


def certificates_of(content: bytes, password: str) -> list[bytes]:
    """Returns all certificates of a store (DER): trusted ones, and those of its private keys with their authorities.

    Raises:
        ValueError: it is no such store, or its password is another one.
        BlockferryError: LIBCRYPTO_MISSING.
    """
    library = _load()
    with ExitStack() as held:
        store = _empty_store(library, held)
        start = _TEXT(content)
        if not library.d2i_PKCS12(ctypes.byref(store), ctypes.byref(start), len(content)):
            library.ERR_clear_error()
            raise ValueError("it is not a PKCS#12 store, or it is cut off")
        held.callback(library.PKCS12_free, store)
        key, own, others = _P(), _P(), _P()
        done = library.PKCS12_parse(
            store, password.encode(), ctypes.byref(key), ctypes.byref(own), ctypes.byref(others)
        )
        if not done:
            library.ERR_clear_error()
            raise ValueError("its password is another one, or OpenSSL has no cipher that it is written with")
        held.callback(library.EVP_PKEY_free, key)
        found = [_der(library, each) for each in _taken(library, held, own, others)]
    if not found:
        raise ValueError("no certificate is in it")
    return found


def _empty_store(library: ctypes.CDLL, held: ExitStack) -> ctypes.c_void_p:
    """Returns what a store is to be read into: of a context with the old ciphers, where there are contexts."""
    if not hasattr(library, "OSSL_LIB_CTX_new"):
        return _P()
    libcrypto.declare(library, _CONTEXT_SIGNATURES)
    context = library.OSSL_LIB_CTX_new()
    held.callback(library.OSSL_LIB_CTX_free, context)
    for name in (b"default", b"legacy"):  # the latter is not installed everywhere
        if provider := library.OSSL_PROVIDER_load(context, name):
            held.callback(library.OSSL_PROVIDER_unload, provider)
    library.ERR_clear_error()
    return _P(library.PKCS12_init_ex(_NID_PKCS7_DATA, context, None))


def _taken(
    library: ctypes.CDLL, held: ExitStack, own: ctypes.c_void_p, others: ctypes.c_void_p
) -> Iterator[ctypes.c_void_p]:
    """Yields the certificates, which are freed with the rest."""
    found = [own] if own else []
    if others:
        held.callback(library.OPENSSL_sk_free, others)
        found += [_P(library.OPENSSL_sk_value(others, index)) for index in range(library.OPENSSL_sk_num(others))]
    for each in found:
        held.callback(library.X509_free, each)
    yield from found


def _der(library: ctypes.CDLL, certificate: ctypes.c_void_p) -> bytes:
    size = library.i2d_X509(certificate, None)
    buffer = ctypes.create_string_buffer(size)
    library.i2d_X509(certificate, ctypes.byref(_P(ctypes.addressof(buffer))))
    return buffer.raw


@lru_cache(maxsize=1)
def _load() -> ctypes.CDLL:
    return libcrypto.load(_SIGNATURES)
