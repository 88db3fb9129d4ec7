"""Which paths an object store can hold as keys, and the way from one to the other. PURE. Asks no store.

A key is the location's prefix followed by the path: nothing is encoded, so other tools see the names that HDFS had.
What cannot be held byte for byte is refused here, before anything is sent. Limits of one actual store (a component of
255 bytes, say) are learnt from its answers.
"""

from __future__ import annotations

import re

from blockferry.errors import BlockferryError, Whose

MAX_KEY_BYTES = 1024  # UTF-8, the prefix included (Amazon S3 User Guide, "Naming Amazon S3 objects")

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")


def key_of(prefix: str, path: str) -> str:
    """Returns the key of a relative path. `prefix` is empty or ends with a slash; neither is checked here."""
    return prefix + path


def path_of(prefix: str, key: str) -> str:
    """Returns the relative path of a key. Raises ValueError when the key does not begin with the prefix."""
    if not key.startswith(prefix):
        raise ValueError(f"the key {key!r} does not begin with {prefix!r}")
    return key[len(prefix) :]


def check_key(prefix: str, path: str, max_key_bytes: int = MAX_KEY_BYTES) -> None:
    """Raises INVALID_KEY with the cause and the cure when `prefix + path` cannot be a key."""
    trouble = _trouble(path) or _too_long(key_of(prefix, path), max_key_bytes)
    if trouble:
        printable = path.encode("utf-8", "backslashreplace").decode()
        raise BlockferryError("INVALID_KEY", f"The path cannot be an object's key: {trouble}.", whose=Whose.SOURCE,
                              path=printable)  # fmt: skip


def _trouble(path: str) -> str:
    """Returns what is wrong with the characters and segments of a path; empty when nothing is."""
    segments = path.removesuffix("/").split("/")
    if not path:
        return "it is empty"
    if "" in segments:
        return "it has an empty segment (two slashes, or a slash at its begin): rename it"
    if "." in segments or ".." in segments:
        return "it has a segment `.` or `..`, which HTTP clients resolve away: rename it"
    if found := _CONTROL.search(path):
        return f"it has the control character U+{ord(found[0]):04X}, which S3 cannot list: rename it"
    if _SURROGATE.search(path):
        return "it has bytes that are not UTF-8 (an unpaired surrogate): rename it"
    return ""


def _too_long(key: str, max_key_bytes: int) -> str:
    """Returns what is wrong with the length of a key; empty when nothing is."""
    size = len(key.encode())
    if size <= max_key_bytes:
        return ""
    return f"its key has {size} bytes, the store allows {max_key_bytes}: shorten the path or the destination's prefix"
