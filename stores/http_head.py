"""PURE: the heads of HTTP/1.1 messages (RFC 9112): requests to bytes, bytes to answers, and how a body is framed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

END = b"\r\n\r\n"
MAX_HEAD_BYTES = 64 << 10
UNTIL_CLOSE = -1
CHUNKED = -2


class NoHttpError(ValueError):
    """What came is no answer of HTTP/1.1."""


@dataclass(frozen=True, slots=True)
class Head:
    """The begin of an answer. Names of headers are in small letters; values of repeated ones are joined by a comma."""

    status: int
    headers: Mapping[str, str]
    keeps: bool

    def body_bytes(self, method: str) -> int:
        """Returns the size of the body that follows, or CHUNKED, or UNTIL_CLOSE (RFC 9112, section 6.3)."""
        if method == "HEAD" or self.status in (204, 304) or self.status < 200:
            return 0
        if "chunked" in self.headers.get("transfer-encoding", "").lower():
            return CHUNKED
        size = self.headers.get("content-length")
        if size is None:
            return UNTIL_CLOSE
        if not size.isdecimal():
            raise NoHttpError(f"a Content-Length of {size[:40]!r}")
        return int(size)


def request_head(method: str, target: str, headers: Mapping[str, str]) -> bytes:
    """Returns the head of a request.

    Raises:
        ValueError: a header holds a line break, or a character outside ISO 8859-1.
    """
    lines = [f"{method} {target} HTTP/1.1", *[f"{name}: {value}" for name, value in headers.items()], "", ""]
    text = "\r\n".join(lines)
    if text.count("\r") != len(lines) - 1 or text.count("\n") != len(lines) - 1:
        raise ValueError("a header holds a line break")
    return text.encode("latin-1")


def parse_head(data: bytes) -> Head:
    """Returns the head of an answer; `data` ends before the empty line.

    Raises:
        NoHttpError: it is none.
    """
    first, *lines = data.decode("latin-1").split("\r\n")
    version, _, rest = first.partition(" ")
    status = rest[:3]
    if not version.startswith("HTTP/1.") or not (status.isdecimal() and len(status) == 3):
        raise NoHttpError(f"an answer that begins with {first[:40]!r}")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            raise NoHttpError(f"a header {line[:40]!r}")
        name, value = name.strip().lower(), value.strip()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    said = headers.get("connection", "").lower()
    keeps = "close" not in said and (version != "HTTP/1.0" or "keep-alive" in said)
    return Head(int(status), headers, keeps)


def chunk_bytes(line: bytes) -> int:
    """Returns the size that a chunk's line tells (RFC 9112, section 7.1); extensions are ignored.

    Raises:
        NoHttpError: it is none.
    """
    digits = line.partition(b";")[0].strip()
    if not digits or digits.strip(b"0123456789abcdefABCDEF"):
        raise NoHttpError(f"a chunk of size {digits[:40]!r}")
    return int(digits, 16)
