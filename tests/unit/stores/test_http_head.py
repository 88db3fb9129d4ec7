"""Heads of HTTP/1.1: what is sent, what is understood, what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stores.http_head import CHUNKED, UNTIL_CLOSE, NoHttpError, chunk_bytes, parse_head, request_head

_NAMES = st.text("abcdefghijklmnopqrstuvwxyz-", min_size=1, max_size=12)
_VALUES = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20)


def test_a_request_is_its_line_and_its_headers() -> None:
    assert (
        request_head("PUT", "/b/k?x=1", {"Host": "h", "A": "ä"})
        == b"PUT /b/k?x=1 HTTP/1.1\r\nHost: h\r\nA: \xe4\r\n\r\n"
    )


@pytest.mark.parametrize("value", ["a\r\nB: c", "a\nb", "a\rb"])
def test_a_header_cannot_smuggle_another(value: str) -> None:
    with pytest.raises(ValueError, match="line break"):
        request_head("GET", "/", {"A": value})


@given(st.integers(100, 599), st.dictionaries(_NAMES, _VALUES))
def test_what_is_written_is_read(status: int, headers: dict[str, str]) -> None:
    lines = [f"HTTP/1.1 {status} Some Reason", *(f"{name.title()}:  {value} " for name, value in headers.items())]
    head = parse_head("\r\n".join(lines).encode())
    assert (head.status, head.headers) == (status, headers)


def test_repeated_headers_are_joined() -> None:
    assert parse_head(b"HTTP/1.1 200 OK\r\nVary: a\r\nVary: b").headers == {"vary": "a, b"}


@pytest.mark.parametrize(
    ("head", "keeps"),
    [
        (b"HTTP/1.1 200 OK", True),
        (b"HTTP/1.1 200 OK\r\nConnection: Close", False),
        (b"HTTP/1.0 200 OK", False),
        (b"HTTP/1.0 200 OK\r\nConnection: Keep-Alive", True),
    ],
)
def test_whether_the_connection_stays(head: bytes, keeps: bool) -> None:
    assert parse_head(head).keeps is keeps


@pytest.mark.parametrize(
    "data", [b"", b"SSH-2.0-x", b"HTTP/1.1 OK", b"HTTP/1.1 20", b"HTTP/2 200\r\nx", b"HTTP/1.1 200 OK\r\nx"]
)
def test_nonsense_is_no_answer(data: bytes) -> None:
    with pytest.raises(NoHttpError):
        parse_head(data)


@pytest.mark.parametrize(
    ("method", "status", "headers", "size"),
    [
        ("GET", 200, {"content-length": "12"}, 12),
        ("HEAD", 200, {"content-length": "12"}, 0),
        ("DELETE", 204, {}, 0),
        ("GET", 304, {"content-length": "12"}, 0),
        ("PUT", 100, {}, 0),
        ("GET", 200, {"transfer-encoding": "Chunked", "content-length": "12"}, CHUNKED),
        ("GET", 200, {}, UNTIL_CLOSE),
    ],
)
def test_how_long_a_body_is(method: str, status: int, headers: dict[str, str], size: int) -> None:
    lines = [f"HTTP/1.1 {status} x", *(f"{name}: {value}" for name, value in headers.items())]
    assert parse_head("\r\n".join(lines).encode()).body_bytes(method) == size


@pytest.mark.parametrize("size", ["-1", "1e3", "", "0x10", "1, 1"])
def test_a_wrong_length_is_refused(size: str) -> None:
    with pytest.raises(NoHttpError):
        parse_head(f"HTTP/1.1 200 OK\r\nContent-Length: {size}".encode()).body_bytes("GET")


def test_sizes_of_chunks() -> None:
    assert [chunk_bytes(line) for line in (b"0", b"1f", b"A;name=value", b" 10 ")] == [0, 31, 10, 16]


@pytest.mark.parametrize("line", [b"", b"x", b"-1"])
def test_a_wrong_chunk_is_refused(line: bytes) -> None:
    with pytest.raises(NoHttpError):
        chunk_bytes(line)
