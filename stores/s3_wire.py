"""Signed requests to one bucket over pooled connections. Each is sent once; who calls decides about another try.

boto3 spends about 0.9 ms of CPU on each call, this about 0.2 ms (`bench/s3_put.py`). Keys and signatures are those of
botocore, with the payload unsigned: the claimed checksum protects it (0.35 instead of 1.28 CPU s/GiB).
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from urllib.parse import quote, urlsplit
from xml.etree import ElementTree

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.utils import get_environ_proxies
from urllib3 import BaseHTTPResponse, PoolManager, ProxyManager, Timeout
from urllib3.connection import HTTPConnection

from stores.checksum import Checksum
from stores.s3_errors import ObjectPlace, Refusal, refusal_error, retry_after_s
from stores.s3_guard import guarded

Body = memoryview | bytes | bytearray
CONNECT_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 60.0
SLICE_BYTES = 256 * 1024
_SOCKET_OPTIONS = [*HTTPConnection.default_socket_options, (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
_UNRESERVED = "-_.~"
_UNSIGNED = Config(s3={"payload_signing_enabled": False})
_ERROR_WITHIN = 512  # bytes; an answer 200 that is an error says so at its begin


@dataclass(frozen=True, slots=True)
class Login:
    """What requests are made with: the bucket's URL, the region, the keys, the file of trusted authorities."""

    root: str
    region: str
    credentials: Credentials
    authorities: str


@dataclass(frozen=True, slots=True)
class Ask:
    """One request. `key` is empty for the bucket itself."""

    method: str
    key: str = ""
    query: Mapping[str, str] | None = None
    headers: Mapping[str, str] | None = None
    body: Body = b""
    claim: Checksum | None = None


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What the store answered: headers (names in small letters) and the whole body."""

    headers: Mapping[str, str]
    body: bytes

    @property
    def etag(self) -> str:
        """The header ETag without quotes."""
        return self.headers.get("etag", "").strip('"')


class Wire:
    """One bucket over pooled connections. For several threads at once; each takes one connection for a request.

    Attributes:
        place: the bucket.
    """

    def __init__(self, login: Login, place: ObjectPlace, connections: int) -> None:
        self.place = place
        self._login = login
        self._pool = _pool(login, connections)

    def send(self, ask: Ask) -> HttpAnswer:
        """Sends one request and returns the answer.

        Raises:
            BlockferryError: any answer of status 300 and above, a 200 that holds an error, or none.
        """
        place = replace(self.place, key=ask.key)
        with guarded(place):
            response = self._sent(ask, whole=True)
        body = response.data
        if response.status >= 300 or b"<Error>" in body[:_ERROR_WITHIN]:
            raise refusal_error(_refusal(response.status, response.headers, body), place, ask.claim)
        return HttpAnswer({name.lower(): value for name, value in response.headers.items()}, body)

    def read(self, key: str, slice_bytes: int) -> Iterator[bytes]:
        """Yields an object's content in slices of at most `slice_bytes`. Raises when it ends before its length."""
        place = replace(self.place, key=key)
        with guarded(place):
            response = self._sent(Ask("GET", key), whole=False)
            try:
                if response.status >= 300:
                    raise refusal_error(_refusal(response.status, response.headers, response.data), place)
                yield from response.stream(slice_bytes)
                response.release_conn()
            except BaseException:
                response.close()
                raise

    def close(self) -> None:
        """Closes the idle connections."""
        self._pool.clear()

    def _sent(self, ask: Ask, whole: bool) -> BaseHTTPResponse:
        url, headers = self._signed(ask)
        return self._pool.urlopen(
            ask.method, url, body=_pieces(ask.body), headers=headers, redirect=False, retries=False,
            decode_content=False, preload_content=whole,
        )  # fmt: skip

    def _signed(self, ask: Ask) -> tuple[str, dict[str, str]]:
        """Returns the URL and all headers."""
        path = "/" + quote(ask.key, safe="/" + _UNRESERVED) if ask.key else ""
        asked = "&".join(
            f"{name}={quote(value, safe=_UNRESERVED)}" for name, value in sorted((ask.query or {}).items())
        )
        root = self._login.root if path or urlsplit(self._login.root).path else self._login.root + "/"
        url = root + path + (f"?{asked}" if asked else "")
        headers = {**(ask.headers or {}), "Content-Length": str(len(ask.body))}
        request = AWSRequest(ask.method, url, headers=headers)
        request.context["client_config"] = _UNSIGNED
        keys = self._login.credentials.get_frozen_credentials()
        S3SigV4Auth(keys, "s3", self._login.region).add_auth(request)
        return url, dict(request.headers.items())


def quoted_source(bucket: str, key: str) -> str:
    """Returns the value of x-amz-copy-source."""
    return quote(f"/{bucket}/{key}", safe="/" + _UNRESERVED)


def texts_of(root: ElementTree.Element) -> dict[str, str]:
    """Returns the texts of an element's children by their names without the XML namespace."""
    return {element.tag.rpartition("}")[2]: element.text or "" for element in root}


def xml_of(body: bytes) -> ElementTree.Element:
    """Returns an answer's root element. AWS sends white space first when a completion takes long.

    Raises:
        ElementTree.ParseError: it is no XML.
    """
    return ElementTree.fromstring(body.strip())  # noqa: S314 - expat >= 2.4.1 bounds the expansion of entities


def _pieces(body: Body) -> Body | list[memoryview] | None:
    """Returns what urllib3 sends: a large body in slices, as one call of the socket must end within its timeout."""
    if len(body) <= SLICE_BYTES:
        return body or None
    view = memoryview(body)
    return [view[start : start + SLICE_BYTES] for start in range(0, len(view), SLICE_BYTES)]


def _pool(login: Login, connections: int) -> PoolManager:
    timeout = Timeout(connect=CONNECT_TIMEOUT_S, read=READ_TIMEOUT_S)
    proxy = get_environ_proxies(login.root).get(urlsplit(login.root).scheme)
    if proxy:
        return ProxyManager(proxy, maxsize=connections, timeout=timeout, ca_certs=login.authorities,
                            socket_options=_SOCKET_OPTIONS)  # fmt: skip
    return PoolManager(maxsize=connections, timeout=timeout, ca_certs=login.authorities,
                       socket_options=_SOCKET_OPTIONS)  # fmt: skip


def _refusal(status: int, headers: Mapping[str, str], body: bytes) -> Refusal:
    wait_s = retry_after_s(headers.get("Retry-After"))
    try:
        said = texts_of(xml_of(body))
    except ElementTree.ParseError:
        return Refusal(status, retry_after_s=wait_s)
    return Refusal(status, said.get("Code", ""), said.get("Message", ""), wait_s)
