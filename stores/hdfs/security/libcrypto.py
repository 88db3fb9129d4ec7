"""OpenSSL's libcrypto through ctypes: found once, with the signatures that a caller declares.

The libcrypto of this Python's own `hashlib` is taken where there is one, so that a process has only one. A call gives
the interpreter's lock away while it works.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Mapping
from ctypes.util import find_library

from blockferry.errors import BlockferryError

CURE = "Install OpenSSL's library (Debian and Ubuntu: apt-get install libssl3; RHEL: dnf install openssl-libs)."

# Result and arguments of a function, as ctypes wants them.
Signature = tuple[object, tuple[object, ...]]


def load(signatures: Mapping[str, Signature]) -> ctypes.CDLL:
    """Returns a libcrypto that has all these functions, with their types declared.

    Raises:
        BlockferryError: LIBCRYPTO_MISSING.
    """
    for name in candidates():
        try:
            library = ctypes.CDLL(name)
            declare(library, signatures)
            return library
        except (OSError, AttributeError):
            continue
    raise BlockferryError("LIBCRYPTO_MISSING", f"OpenSSL's libcrypto is needed and cannot be loaded here. {CURE}")


def declare(library: ctypes.CDLL, signatures: Mapping[str, Signature]) -> None:
    """Declares functions. Raises AttributeError when one is missing."""
    for name, (result, arguments) in signatures.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments


def candidates() -> Iterator[str]:
    """Yields what may be loaded, the best first."""
    try:
        import _hashlib

        yield getattr(_hashlib, "__file__", "")  # symbols of what it is linked with are found through it
    except ImportError:
        pass
    yield from ("libcrypto.so.3", "libcrypto.so.1.1")
    if found := find_library("crypto"):
        yield found
