"""Attributes as S3 user metadata, in the form that AWS DataSync, FSx and Storage Gateway read. PURE.

    file-permissions   octal file type and mode as in st_mode: 0100644 for a file, 0040755 for a folder
    file-owner         name of the user
    file-group         name of the group
    file-mtime         milliseconds since 1970 UTC
    file-atime         milliseconds since 1970 UTC

S3 carries user metadata in HTTP headers, which are US-ASCII. Names are therefore percent-encoded: every byte of the
name's UTF-8 that is not a printable ASCII character, and `%` itself, becomes `%XX`; a space too, as headers lose spaces
at their ends. `müller` is `m%C3%BCller`; a name of plain letters is kept as it is. Decoding leaves a `%` alone that
begins no such group, so names that other tools wrote come back as they are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import quote, unquote_to_bytes

from stores.base import Attributes, Kind

_PERMISSIONS = "file-permissions"
_OWNER = "file-owner"
_GROUP = "file-group"
_MTIME = "file-mtime"
_ATIME = "file-atime"

_KEPT = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) != "%")
_TYPES = {Kind.FILE: 0o100000, Kind.FOLDER: 0o040000, Kind.SYMLINK: 0o120000}
_OCTAL = re.compile(r"[0-7]{1,7}")
_MILLISECONDS = re.compile(r"-?[0-9]{1,15}")
_NANOSECONDS = re.compile(r"(-?[0-9]{1,21})ns")  # FSx for Lustre writes these


def to_metadata(attributes: Attributes, kind: Kind) -> dict[str, str]:
    """Returns the user metadata (names without `x-amz-meta-`), pure ASCII."""
    return {
        _PERMISSIONS: f"0{_TYPES[kind] | attributes.permissions:06o}",
        _OWNER: _encoded(attributes.owner),
        _GROUP: _encoded(attributes.group),
        _MTIME: str(attributes.mtime_ms),
        _ATIME: str(attributes.atime_ms),
    }


def from_metadata(metadata: Mapping[str, str]) -> Attributes | None:
    """Returns the attributes in some user metadata, whatever the case of its names; None where one of the five is
    missing or cannot be read: then the object was not written by us or a tool of the same habits."""
    found = {name.lower(): value for name, value in metadata.items()}
    permissions = _OCTAL.fullmatch(found.get(_PERMISSIONS, ""))
    mtime_ms = _time_ms(found.get(_MTIME, ""))
    atime_ms = _time_ms(found.get(_ATIME, ""))
    if permissions is None or mtime_ms is None or atime_ms is None or _OWNER not in found or _GROUP not in found:
        return None
    mode = int(permissions[0], 8) & 0o7777
    return Attributes(_decoded(found[_OWNER]), _decoded(found[_GROUP]), mode, mtime_ms, atime_ms)


def _time_ms(text: str) -> int | None:
    """Returns milliseconds from `1734968895000` or from `1734968895000000000ns`."""
    if _MILLISECONDS.fullmatch(text):
        return int(text)
    nanoseconds = _NANOSECONDS.fullmatch(text)
    return int(nanoseconds[1]) // 1_000_000 if nanoseconds else None


@lru_cache(maxsize=4096)
def _encoded(name: str) -> str:
    return quote(name, safe=_KEPT)


def _decoded(text: str) -> str:
    raw = unquote_to_bytes(text)
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return text
