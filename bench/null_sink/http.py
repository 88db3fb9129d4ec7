"""As much of HTTP/1.1 as S3 clients use, over one connection and one buffer that is used again and again.

A large body is received in pieces of the buffer's size, each by one call where the kernel can wait for so many bytes;
nothing is copied. A piece is valid until the next one is asked for. Bodies may come by Content-Length, in chunks of
HTTP, and in signed or unsigned chunks of `aws-chunked` inside either; signatures of chunks are not looked at.
Memory: BUFFER_BYTES for each connection, of which only what was received is ever touched.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.utils import formatdate
from functools import lru_cache
from typing import Protocol
from urllib.parse import unquote_plus, unquote_to_bytes

from bench.null_sink.refusal import BrokenBody, Refusal
from bench.null_sink.streams import Stream

BUFFER_BYTES = 512 << 10
_HEAD_BYTES = 64 << 10  # S3 allows 8 KiB of headers
_LINE_BYTES = 8 << 10
_LOOK_BYTES = 256  # a signed chunk's head has about 90
_NOTHING = memoryview(b"")
_HEXADECIMAL = re.compile(rb"[0-9a-fA-F]{1,16}")
_REASONS = {
    200: "OK", 204: "No Content", 400: "Bad Request", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
    409: "Conflict", 412: "Precondition Failed", 500: "Internal Server Error", 501: "Not Implemented",
}  # fmt: skip


@lru_cache(maxsize=64)
def http_time(moment_s: int) -> str:
    """Returns a time as headers write it."""
    return formatdate(moment_s, usegmt=True)


@dataclass(frozen=True, slots=True)
class Request:
    """One request without its body. Header names in small letters, values as they came (Latin-1)."""

    method: str
    bucket: str
    key: str
    query: Mapping[str, str]
    headers: Mapping[str, str]

    @property
    def stays_open(self) -> bool:
        """Whether the client may send another request on this connection."""
        return self.headers.get("connection", "").lower() != "close"


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer. `length` is said in the head instead of the body's own (HEAD)."""

    status: int = 200
    headers: Mapping[str, str] | None = None
    body: bytes = b""
    length: int | None = None

    def encoded(self, bodiless: bool, closes: bool) -> bytes:
        """Returns the bytes to send; `bodiless` for an answer to HEAD."""
        lines = [f"HTTP/1.1 {self.status} {_REASONS.get(self.status, 'Error')}"]
        lines += [f"{name}: {value}" for name, value in (self.headers or {}).items()]
        if self.status != 204:
            lines.append(f"Content-Length: {len(self.body) if self.length is None else self.length}")
        if closes:
            lines.append("Connection: close")
        lines.append(f"Date: {http_time(int(time.time()))}")
        head = "\r\n".join((*lines, "Server: null-sink\r\n\r\n")).encode("latin-1")
        return head if bodiless else head + self.body


class Pieces(Protocol):
    """Bytes that come piece by piece."""

    def some(self, limit: int) -> memoryview:
        """Returns at least one byte and at most `limit`; raises BrokenBody at the end."""

    def line(self) -> bytes:
        """Returns the next line without its end."""


class Connection:
    """One client's connection: its requests, their bodies, our answers. `Pieces` of what the stream gives."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self.send = stream.send
        self._buffer = bytearray(BUFFER_BYTES)
        self._view = memoryview(self._buffer)
        self._start = 0
        self._end = 0

    def request(self) -> Request | None:
        """Returns the next request; None when the client is gone. Raises Refusal when it is none."""
        stop = self._find(b"\r\n\r\n", _HEAD_BYTES)
        if stop < 0:
            return None
        head = self._buffer[self._start : stop].decode("latin-1")
        self._start = stop + 4
        return _parsed(head.lstrip("\r\n"))

    def body(self, request: Request, trailers: dict[str, str]) -> Iterator[memoryview]:
        """Yields the body's pieces. What comes after it, by name in small letters, is added to `trailers`."""
        headers = request.headers
        if "expect" in headers and self._start == self._end:
            self.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        chunked = headers.get("transfer-encoding", "").lower() == "chunked"
        pieces = _chunks(self, trailers) if chunked else _limited(self, _length(headers, "content-length"))
        if not headers.get("x-amz-content-sha256", "").startswith("STREAMING-"):
            return pieces
        return _unwrapped(pieces, trailers, headers)

    def some(self, limit: int) -> memoryview:
        """See `Pieces.some`."""
        if self._start == self._end:
            self._start, self._end = 0, self._stream.fill(self._view[: min(limit, BUFFER_BYTES)])
            if not self._end:
                raise BrokenBody.of("IncompleteBody", "The connection ended within the body.")
        stop = min(self._end, self._start + limit)
        piece = self._view[self._start : stop]
        self._start = stop
        return piece

    def line(self) -> bytes:
        """See `Pieces.line`."""
        stop = self._find(b"\n", _LINE_BYTES)
        if stop < 0:
            raise BrokenBody.of("IncompleteBody", "The connection ended within the body.")
        found = bytes(self._view[self._start : stop])
        self._start = stop + 1
        return found.rstrip(b"\r")

    def _find(self, mark: bytes, limit: int) -> int:
        """Returns where `mark` is, received as far as that; -1 when the client is gone."""
        searched = self._start
        while (found := self._buffer.find(mark, searched, self._end)) < 0:
            if self._end - self._start > limit:
                raise BrokenBody.of("RequestHeaderSectionTooLarge", "The head is too large.")
            searched = max(self._start, self._end - len(mark) + 1)
            if self._start == self._end:
                self._start = self._end = searched = 0
            elif self._end == BUFFER_BYTES:
                searched -= self._start
                self._to_begin()
            count = self._stream.some(self._view[self._end :])
            if not count:
                return -1
            self._end += count
        return found

    def _to_begin(self) -> None:
        rest = bytes(self._view[self._start : self._end])
        self._view[: len(rest)] = rest
        self._start, self._end = 0, len(rest)


class _Held:
    """`Pieces` of an iterator of pieces. At the end it gives an empty piece."""

    def __init__(self, pieces: Iterator[memoryview]) -> None:
        self._pieces = pieces
        self._piece = _NOTHING

    def some(self, limit: int) -> memoryview:
        self._go_on()
        piece, self._piece = self._piece[:limit], self._piece[limit:]
        return piece

    def line(self) -> bytes:
        found = b""
        while self._go_on():
            if len(found) > _LINE_BYTES:
                raise BrokenBody.of("InvalidChunkSizeError", "A chunk's head is too long.")
            looked_at = bytes(self._piece[:_LOOK_BYTES])
            stop = looked_at.find(b"\n") + 1
            found += looked_at[:stop] if stop else looked_at
            self._piece = self._piece[stop or len(looked_at) :]
            if stop:
                break
        return found.rstrip(b"\r\n")

    def _go_on(self) -> bool:
        """Asks for the next piece where this one is used up; returns whether there is one."""
        if not self._piece:
            self._piece = next(self._pieces, _NOTHING)
        return bool(self._piece)


def _limited(source: Pieces, size_bytes: int) -> Iterator[memoryview]:
    while size_bytes:
        piece = source.some(size_bytes)
        size_bytes -= len(piece)
        yield piece


def _chunks(source: Pieces, trailers: dict[str, str]) -> Iterator[memoryview]:
    """Yields what chunks hold: size in hexadecimal with extensions, content, an empty line; trailers after the last."""
    while size_bytes := _chunk_size(source.line()):
        while size_bytes:
            piece = source.some(size_bytes)
            if not piece:
                raise BrokenBody.of("IncompleteBody", "The body ends within a chunk.")
            size_bytes -= len(piece)
            yield piece
        if source.line():
            raise BrokenBody.of("InvalidChunkSizeError", "A chunk is longer than it says.")
    while line := source.line():
        name, _, value = line.decode("latin-1").partition(":")
        trailers[name.strip().lower()] = value.strip()


def _unwrapped(
    pieces: Iterator[memoryview], trailers: dict[str, str], headers: Mapping[str, str]
) -> Iterator[memoryview]:
    """Yields what a body of `aws-chunked` holds, which must be as long as its header says."""
    size_bytes = 0
    held = _Held(pieces)
    for piece in _chunks(held, trailers):
        size_bytes += len(piece)
        yield piece
    if held.some(1):
        raise BrokenBody.of("InvalidChunkSizeError", "The body goes on after its last chunk.")
    if "x-amz-decoded-content-length" in headers and size_bytes != _length(headers, "x-amz-decoded-content-length"):
        raise Refusal.of("IncompleteBody", f"The body has {size_bytes} bytes: not what its header says.")


def _chunk_size(line: bytes) -> int:
    size = line.partition(b";")[0].strip()
    if not _HEXADECIMAL.fullmatch(size):
        raise BrokenBody.of("InvalidChunkSizeError", f"{line[:80]!r} is no chunk's head.")
    return int(size, 16)


def _length(headers: Mapping[str, str], name: str) -> int:
    text = headers.get(name, "0")
    if not text.isdecimal():
        raise BrokenBody.of("InvalidArgument", f"{name} is no number: {text!r}")
    return int(text)


def _parsed(head: str) -> Request:
    first, *lines = head.split("\r\n")
    try:
        method, target, version = first.split(" ")
    except ValueError:
        raise BrokenBody.of("InvalidRequest", f"{first[:80]!r} is no request.") from None
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    if version == "HTTP/1.0":
        headers["connection"] = "close"
    path, _, asked = target.partition("?")
    bucket, _, key = path.removeprefix("/").partition("/")
    return Request(method, bucket, key_of(key), _query(asked), headers)


def key_of(quoted: str) -> str:
    """Returns the key that a path names. Raises Refusal when it is no UTF-8."""
    if "%" not in quoted and quoted.isascii():
        return quoted
    try:
        return unquote_to_bytes(quoted.encode("latin-1")).decode()
    except UnicodeDecodeError:
        raise BrokenBody.of("InvalidURI", "The key is no UTF-8.") from None


def _query(asked: str) -> dict[str, str]:
    if not asked:
        return {}
    pairs = (pair.partition("=") for pair in asked.split("&"))
    return {unquote_plus(name): unquote_plus(value) for name, _, value in pairs}
