"""Sizes, rates and durations as people write and read them. Pure."""

from __future__ import annotations

import re

from blockferry.errors import BlockferryError, Whose

_UNITS = {"": 1, "B": 1, "KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30, "TIB": 1 << 40}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)")


def parse_size(text: str) -> int:
    """Returns bytes: `64MiB`, `1.5 GiB`, `1048576`. Raises INVALID_SIZE."""
    match = _SIZE.fullmatch(text.strip())
    if not match or match[2].upper() not in _UNITS:
        message = f"{text!r} is no size: write a number with B, KiB, MiB, GiB or TiB, e.g. 64MiB."
        raise BlockferryError("INVALID_SIZE", message, whose=Whose.CALLER, size=text)
    return int(float(match[1]) * _UNITS[match[2].upper()])


def show_size(size_bytes: float) -> str:
    """Returns a size with one decimal: `1.5 GiB`."""
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if abs(size_bytes) < 1024 or unit == "TiB":
            return f"{size_bytes:.0f} B" if unit == "B" else f"{size_bytes:.1f} {unit}"
        size_bytes /= 1024
    raise AssertionError("the last unit takes all")


def show_duration(seconds: float) -> str:
    """Returns `4.2 s`, `3 min 05 s` or `2 h 07 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"
