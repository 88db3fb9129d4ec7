"""Answers that real test servers do not give on demand, sent over a real socket: what S3Store makes of them."""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from blockferry.errors import BlockferryError
from stores.base import Attributes, Part, Upload
from stores.checksum import Algorithm
from stores.hashing import checksum_of
from stores.location import S3Location
from stores.s3 import S3Store
from tests.support.served import served
from tests.support.stores_under_test import credentials_file

_ATTRIBUTES = Attributes("ada", "staff", 0o644, mtime_ms=0, atime_ms=0)
_CLAIM = checksum_of(Algorithm.CRC32C, b"x")
_ERROR = "<Error><Code>{}</Code><Message>said so</Message></Error>"
_UPLOAD = Upload("file", "file", "id", Algorithm.CRC32C)
_PART = Part(1, 1, "etag", _CLAIM)
_Reply = tuple[int, dict[str, str], bytes]


class Scripted(ThreadingHTTPServer):
    """Answers each request with the next reply; an empty reply closes the connection.

    Attributes:
        asked: method and path of every request.
    """

    daemon_threads = True

    def __init__(self, *replies: _Reply | None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.replies = list(replies)
        self.asked: list[str] = []


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        assert isinstance(self.server, Scripted)
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.server.asked.append(f"{self.command} {self.path}")
        reply = self.server.replies.pop(0) if self.server.replies else (500, {}, b"")
        if reply is None:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        status, headers, body = reply
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
            self.wfile.flush()
        if "Content-Length" in headers:
            self.close_connection = True

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _answer

    def log_message(self, format: str, *args: object) -> None:
        """Keeps quiet."""


@contextmanager
def _serving(folder: Path, *replies: _Reply | None) -> Iterator[tuple[S3Store, Scripted]]:
    with served(Scripted(*replies)) as server:
        endpoint = f"http://127.0.0.1:{server.server_address[1]}"
        keys = credentials_file(folder, "KEY", "SECRET")
        yield S3Store(S3Location("bucket", "", endpoint, credentials=keys)), server


def _error(folder: Path, call: str, *replies: _Reply | None) -> BlockferryError:
    with _serving(folder, *replies) as (store, _):
        calls: dict[str, Callable[[], object]] = {
            "put": lambda: store.put("file", b"x", _CLAIM, _ATTRIBUTES),
            "list": lambda: list(store.list_tree()),
            "stat": lambda: store.stat("file"),
            "read": lambda: b"".join(store.read("file")),
            "complete": lambda: store.complete(_UPLOAD, (_PART,), _CLAIM, 1),
            "begin": lambda: store.begin("file", Algorithm.CRC32C, _ATTRIBUTES),
            "parts": lambda: store.list_parts(_UPLOAD),
        }
        with pytest.raises(BlockferryError) as raised:
            calls[call]()
        return raised.value


def _listed(*keys: str, truncated: bool = False, more: str = "") -> bytes:
    entries = "".join(
        f"<Contents><Key>{key}</Key><LastModified>2026-11-21T11:49:27Z</LastModified><ETag>e</ETag><Size>1</Size>"
        "</Contents>"
        for key in keys
    )
    said = "true" if truncated else "false"
    return f"<ListBucketResult><IsTruncated>{said}</IsTruncated>{more}{entries}</ListBucketResult>".encode()


def test_slow_down_tells_how_long(tmp_path: Path) -> None:
    error = _error(tmp_path, "put", (503, {"Retry-After": "4"}, _ERROR.format("SlowDown").encode()))
    assert (error.reason, error.retryable, error.retry_after_s) == ("STORE_BUSY", True, 4.0)


def test_each_call_is_sent_once(tmp_path: Path) -> None:
    with _serving(tmp_path, (500, {}, b""), (200, {"ETag": '"e"'}, b"")) as (store, server):
        with pytest.raises(BlockferryError) as raised:
            store.put("file", b"x", _CLAIM, _ATTRIBUTES)
        assert raised.value.retryable
        assert server.asked == ["PUT /bucket/file"]
        assert store.put("file", b"x", _CLAIM, _ATTRIBUTES).etag == "e"


@pytest.mark.parametrize("call", ["put", "list", "stat", "read", "complete"])
def test_a_connection_that_breaks_off_is_tried_again(tmp_path: Path, call: str) -> None:
    error = _error(tmp_path, call, None)
    assert (error.reason, error.retryable) == ("STORE_UNAVAILABLE", True)


def test_a_completion_of_200_may_be_an_error(tmp_path: Path) -> None:
    body = b'<?xml version="1.0" encoding="UTF-8"?>\n' + _ERROR.format("InternalError").encode()
    error = _error(tmp_path, "complete", (200, {}, body))
    assert (error.reason, error.retryable) == ("STORE_UNAVAILABLE", True)


def test_a_completion_of_200_may_be_a_rejection(tmp_path: Path) -> None:
    error = _error(tmp_path, "complete", (200, {}, _ERROR.format("BadDigest").encode()))
    assert (error.reason, error.coordinates["expected"]) == ("CHECKSUM_REJECTED", _CLAIM.hex)


def test_a_completion_may_begin_with_white_space(tmp_path: Path) -> None:
    body = (
        '\n \n<?xml version="1.0" encoding="UTF-8"?><CompleteMultipartUploadResult><ETag>"e-1"</ETag>'
        f"<ChecksumCRC32C>{_CLAIM.base64}</ChecksumCRC32C></CompleteMultipartUploadResult>"
    )
    with _serving(tmp_path, (200, {}, body.encode())) as (store, _):
        assert store.complete(_UPLOAD, (_PART,), _CLAIM, 1).etag == "e-1"


def _head(claim: str, size: int = 1) -> _Reply:
    headers = {"ETag": '"e-1"', "x-amz-checksum-crc32c": claim, "x-amz-checksum-type": "FULL_OBJECT"}
    return 200, headers | {"Content-Length": str(size), "Last-Modified": "Sat, 21 Nov 2026 11:49:27 GMT"}, b""


_GONE: _Reply = (404, {}, _ERROR.format("NoSuchUpload").encode())
_SILENT: _Reply = (200, {}, b"<CompleteMultipartUploadResult><ETag>e-1</ETag></CompleteMultipartUploadResult>")


@pytest.mark.parametrize("answer", [_GONE, _SILENT])
def test_a_completion_that_worked_before_its_answer_was_lost_is_a_success(tmp_path: Path, answer: _Reply) -> None:
    with _serving(tmp_path, answer, _head(_CLAIM.base64)) as (store, server):
        assert store.complete(_UPLOAD, (_PART,), _CLAIM, 1).etag == "e-1"
        assert [line.split()[0] for line in server.asked] == ["POST", "HEAD"]


@pytest.mark.parametrize("answer", [_GONE, _SILENT])
@pytest.mark.parametrize("head", [_head("AAAAAA=="), _head(_CLAIM.base64, size=2), (404, {}, b"")])
def test_a_completion_that_left_another_object_is_none(tmp_path: Path, answer: _Reply, head: _Reply) -> None:
    error = _error(tmp_path, "complete", answer, head)
    assert (error.reason, error.retryable) == ("NO_SUCH_UPLOAD", False)


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"<ListBucketResult></ListBucketResult>", _listed("a", truncated=True)[:-30], _listed("")],
)
def test_a_listing_that_is_no_whole_page_raises(tmp_path: Path, body: bytes) -> None:
    reply: _Reply = (200, {}, body)
    error = _error(tmp_path, "list", reply, reply)
    assert (error.reason, error.retryable) == ("LIST_FAILED", True)
    assert error.coordinates["bucket"] == "bucket"


def test_a_listing_whose_second_page_breaks_never_ends_early(tmp_path: Path) -> None:
    first = _listed("a", "b", truncated=True, more="<NextContinuationToken>t</NextContinuationToken>")
    with _serving(tmp_path, (200, {}, first), (503, {}, b"")) as (store, _):
        seen = []
        with pytest.raises(BlockferryError) as raised:
            for entry in store.list_tree():
                seen.append(entry.path)
        assert (seen, raised.value.reason) == (["a", "b"], "STORE_BUSY")


def test_a_truncated_page_without_an_end_raises(tmp_path: Path) -> None:
    assert _error(tmp_path, "list", (200, {}, _listed(truncated=True))).reason == "LIST_FAILED"


def test_a_key_that_xml_cannot_hold_is_asked_for_url_encoded(tmp_path: Path) -> None:
    replies: tuple[_Reply, ...] = (200, {}, _listed("a\x01b")), (200, {}, _listed("a%01b", "c+d", "e%2Bf"))
    with _serving(tmp_path, *replies) as (store, server):
        assert [entry.path for entry in store.list_tree()] == ["a\x01b", "c d", "e+f"]
        assert ["encoding-type=url" in line for line in server.asked] == [False, True]


def test_a_content_that_ends_early_raises(tmp_path: Path) -> None:
    error = _error(tmp_path, "read", (200, {"Content-Length": "10"}, b"short"))
    assert (error.reason, error.retryable) == ("STORE_UNAVAILABLE", True)


@pytest.mark.parametrize("call", ["begin", "parts"])
def test_an_answer_of_something_that_is_no_store(tmp_path: Path, call: str) -> None:
    error = _error(tmp_path, call, (200, {}, b"<!doctype html><p>Welcome"))
    assert (error.reason, error.retryable) == ("STORE_UNAVAILABLE", True)


def test_a_redirect_is_not_followed(tmp_path: Path) -> None:
    error = _error(tmp_path, "put", (301, {"Location": "http://127.0.0.1:1/"}, b""))
    assert (error.reason, error.retryable) == ("WRONG_REGION", False)


def test_parts_of_several_pages(tmp_path: Path) -> None:
    def page(number: int, truncated: str) -> _Reply:
        part = f"<Part><PartNumber>{number}</PartNumber><Size>7</Size><ETag>e</ETag></Part>"
        space = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
        body = f"<ListPartsResult {space}><IsTruncated>{truncated}</IsTruncated>{part}</ListPartsResult>"
        return 200, {}, body.encode()

    with _serving(tmp_path, page(1, "true"), page(2, "false")) as (store, server):
        assert [part.number for part in store.list_parts(_UPLOAD)] == [1, 2]
        assert "part-number-marker=1" in server.asked[1]
    assert _error(tmp_path, "parts", page(1, "true"), page(1, "true")).reason == "LIST_FAILED"
