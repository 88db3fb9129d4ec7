"""The calls of MIT's libgssapi_krb5 that a client needs, through ctypes: a security context out of a ticket cache.

Never fetches a ticket: the cache has the one for the service already (`kerberos` sees to it), so that the system's
krb5.conf, which this library reads, has nothing to decide. Only in the last 30 seconds of a ticket does the library
try by itself to log in again, by the system's krb5.conf and DNS (seen with 1.20: 5 s where a name server is silent);
`kerberos` has renewed long before. Struct layouts: gssapi.h (RFC 2744).
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from ctypes import POINTER, byref, c_char_p, c_int, c_size_t, c_uint32, c_void_p
from enum import IntFlag
from functools import lru_cache

from stores.hdfs.security.libkrb5 import Krb5Error
from stores.hdfs.security.libkrb5_abi import missing

_KRB5_OID = bytes.fromhex("2a864886f712010202")
_SPNEGO_OID = bytes.fromhex("2b0601050502")
_PRINCIPAL_NAME_OID = bytes.fromhex("2a864886f71201020201")
_INITIATE = 1
_CONTINUE_NEEDED = 1
_FAILED = 0xFFFF0000  # the bits of a major status that mean an error
_MECHANISM_STATUS = 2


class Wants(IntFlag):
    """What a context shall do: request flags of RFC 2744."""

    MUTUAL = 2
    REPLAY = 4
    SEQUENCE = 8
    PRIVACY = 16
    INTEGRITY = 32


ALL = Wants.MUTUAL | Wants.REPLAY | Wants.SEQUENCE | Wants.PRIVACY | Wants.INTEGRITY


class _Buffer(ctypes.Structure):
    _fields_ = (("length", c_size_t), ("value", c_void_p))


class _Oid(ctypes.Structure):
    _fields_ = (("length", c_uint32), ("elements", c_void_p))


class _OidSet(ctypes.Structure):
    _fields_ = (("count", c_size_t), ("elements", POINTER(_Oid)))


class _Pair(ctypes.Structure):
    _fields_ = (("key", c_char_p), ("value", c_char_p))


class _Pairs(ctypes.Structure):
    _fields_ = (("count", c_uint32), ("elements", POINTER(_Pair)))


class SecurityContext:
    """A context with one service, by Kerberos alone or inside SPNEGO (for HTTP). For one thread at a time.

    Every method raises Krb5Error with code 0 and the library's text.
    """

    def __init__(self, cache: str, principal: str, spnego: bool = False) -> None:
        """Takes the tickets of `cache`, which has one for `principal` (`service/host@REALM`) already."""
        self._library = _load()
        self._context, self._credential, self._name = c_void_p(), c_void_p(), c_void_p()
        self._mechanism = _oid(_SPNEGO_OID if spnego else _KRB5_OID)
        self.complete = False
        try:
            self._acquire(cache)
            self._import(principal)
        except BaseException:
            self.close()
            raise

    def step(self, token: bytes = b"") -> bytes:
        """Takes the service's token (none for the first step) and returns ours; may be empty when it is complete."""
        flags, minor, output = c_uint32(), c_uint32(), _Buffer()
        with _input(token) as taken:
            major = self._library.gss_init_sec_context(
                byref(minor),
                self._credential,
                byref(self._context),
                self._name,
                byref(self._mechanism),
                int(ALL),
                0,
                None,
                byref(taken) if token else None,
                None,
                byref(output),
                byref(flags),
                None,
            )
        answer = self._taken(output)
        self._check(major, minor)
        self.complete = not major & _CONTINUE_NEEDED
        return answer

    def wrap(self, message: bytes | memoryview, private: bool) -> bytes:
        """Returns a message with its proof, encrypted if `private`."""
        minor, output = c_uint32(), _Buffer()
        with _input(message) as taken:
            major = self._library.gss_wrap(
                byref(minor), self._context, int(private), 0, byref(taken), None, byref(output)
            )
        answer = self._taken(output)
        self._check(major, minor)
        return answer

    def unwrap(self, wrapped: bytes | memoryview) -> bytes:
        """Returns the message of what the service has wrapped; checks its proof and its order."""
        minor, output = c_uint32(), _Buffer()
        with _input(wrapped) as taken:
            major = self._library.gss_unwrap(byref(minor), self._context, byref(taken), byref(output), None, None)
        answer = self._taken(output)
        self._check(major, minor)
        if major:  # a token that came twice or out of order
            raise Krb5Error(0, "a message came twice or out of order")
        return answer

    def close(self) -> None:
        """Forgets the keys. Calling it twice is fine."""
        minor = c_uint32()
        self._library.gss_delete_sec_context(byref(minor), byref(self._context), None)
        self._library.gss_release_cred(byref(minor), byref(self._credential))
        self._library.gss_release_name(byref(minor), byref(self._name))

    def __del__(self) -> None:
        with suppress(AttributeError):  # the library was not there
            self.close()

    def _acquire(self, cache: str) -> None:
        mechanisms = (_Oid * 2)(_oid(_KRB5_OID), _oid(_SPNEGO_OID))
        wanted = _OidSet(2, mechanisms)
        store = _Pairs(1, (_Pair * 1)(_Pair(b"ccache", cache.encode())))
        minor = c_uint32()
        major = self._library.gss_acquire_cred_from(
            byref(minor), None, 0, byref(wanted), _INITIATE, byref(store), byref(self._credential), None, None
        )
        self._check(major, minor)

    def _import(self, principal: str) -> None:
        minor, kind = c_uint32(), _oid(_PRINCIPAL_NAME_OID)
        with _input(principal.encode()) as text:
            major = self._library.gss_import_name(byref(minor), byref(text), byref(kind), byref(self._name))
        self._check(major, minor)

    def _check(self, major: int, minor: c_uint32) -> None:
        if major & _FAILED:
            raise Krb5Error(0, self._said(minor.value) or f"GSSAPI status {major:#x}")

    def _said(self, status: int) -> str:
        minor, more, text = c_uint32(), c_uint32(), _Buffer()
        self._library.gss_display_status(
            byref(minor), status, _MECHANISM_STATUS, byref(self._mechanism), byref(more), byref(text)
        )
        return self._taken(text).decode(errors="replace")

    def _taken(self, buffer: _Buffer) -> bytes:
        try:
            return ctypes.string_at(buffer.value, buffer.length) if buffer.value else b""
        finally:
            self._library.gss_release_buffer(byref(c_uint32()), byref(buffer))


def _oid(encoded: bytes) -> _Oid:
    # only for this module's constants: nothing else keeps the bytes alive
    return _Oid(len(encoded), ctypes.cast(ctypes.c_char_p(encoded), c_void_p))


@contextmanager
def _input(data: bytes | memoryview) -> Iterator[_Buffer]:
    held = bytes(data)
    yield _Buffer(len(held), ctypes.cast(ctypes.c_char_p(held), c_void_p))


@lru_cache(maxsize=1)
def _load() -> ctypes.CDLL:
    try:
        return _declared(ctypes.CDLL("libgssapi_krb5.so.2"))
    except (OSError, AttributeError) as error:
        raise missing("libgssapi_krb5.so.2") from error


def _declared(library: ctypes.CDLL) -> ctypes.CDLL:
    minor, handle, out = POINTER(c_uint32), c_void_p, POINTER(c_void_p)
    buffer, oid, number = POINTER(_Buffer), POINTER(_Oid), c_uint32
    signatures: dict[str, tuple[object, ...]] = {
        "gss_acquire_cred_from": (
            *(minor, handle, number, POINTER(_OidSet), c_int, POINTER(_Pairs), out),
            *(out, minor),
        ),
        "gss_import_name": (minor, buffer, oid, out),
        "gss_init_sec_context": (
            *(minor, handle, out, handle, oid, number, number, handle, buffer),
            *(out, buffer, minor, minor),
        ),
        "gss_wrap": (minor, handle, c_int, number, buffer, POINTER(c_int), buffer),
        "gss_unwrap": (minor, handle, buffer, buffer, POINTER(c_int), minor),
        "gss_display_status": (minor, number, c_int, oid, minor, buffer),
        "gss_release_buffer": (minor, buffer),
        "gss_release_cred": (minor, out),
        "gss_release_name": (minor, out),
        "gss_delete_sec_context": (minor, out, buffer),
    }
    for name, arguments in signatures.items():
        function = getattr(library, name)
        function.restype, function.argtypes = c_uint32, arguments
    return library
