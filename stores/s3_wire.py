"""Signed requests to one bucket over pooled connections. Each is sent once; who calls decides about another try.

Keys are those that botocore finds. The payload is unsigned: the claimed checksum protects it (0.35 instead of 1.28 CPU
s/GiB). What a call costs: `bench/s3_put.py`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from urllib.parse import quote, urlsplit
from xml.etree import ElementTree

from botocore.credentials import Credentials
from botocore.utils import get_environ_proxies

from stores.checksum import Checksum
from stores.http_pool import Answer, Body, HttpPool, Route
from stores.s3_errors import ObjectPlace, Refusal, refusal_error, retry_after_s
from stores.s3_guard import Guarded
from stores.s3_signing import UNSIGNED, SigningKey, authorization, signing_key

CONNECT_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 60.0
_UNRESERVED = "-_.~"
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
        url = urlsplit(login.root)
        self._origin, self._path = f"{url.scheme}://{url.netloc}", url.path
        self._host = url.netloc.removesuffix({"http": ":80", "https": ":443"}[url.scheme])  # as it is signed
        proxy = get_environ_proxies(login.root).get(url.scheme, "")
        route = Route(self._origin, proxy, login.authorities, CONNECT_TIMEOUT_S, READ_TIMEOUT_S)
        self._pool = HttpPool(route, connections)
        self._key_of_day = (("", "", ""), SigningKey("", "", b""))

    def send(self, ask: Ask) -> HttpAnswer:
        """Sends one request and returns the answer.

        Raises:
            BlockferryError: any answer of status 300 and above, a 200 that holds an error, or none.
        """
        with Guarded(self.place, ask.key):
            target, headers = self._signed(ask)
            answer = self._pool.ask(ask.method, target, headers, ask.body)
        if answer.status >= 300 or b"<Error>" in answer.body[:_ERROR_WITHIN]:
            raise refusal_error(_refusal(answer), replace(self.place, key=ask.key), ask.claim)
        return HttpAnswer(answer.headers, answer.body)

    def read(self, key: str, slice_bytes: int) -> Iterator[bytes]:
        """Yields an object's content in slices of at most `slice_bytes`. Raises when it ends before its length."""
        place = replace(self.place, key=key)
        with Guarded(self.place, key):
            target, headers = self._signed(Ask("GET", key))
            head, body = self._pool.stream(target, headers, slice_bytes)
            if head.status >= 300:
                raise refusal_error(_refusal(Answer(head.status, head.headers, b"".join(body))), place)
            yield from body

    def close(self) -> None:
        """Closes the idle connections."""
        self._pool.close()

    def _signed(self, ask: Ask) -> tuple[str, dict[str, str]]:
        """Returns the path with the query, and all headers."""
        path = (self._path + "/" + quote(ask.key, safe="/" + _UNRESERVED) if ask.key else self._path) or "/"
        asked = "&".join(
            f"{name}={quote(value, safe=_UNRESERVED)}" for name, value in sorted((ask.query or {}).items())
        )
        keys = self._login.credentials.get_frozen_credentials()
        now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        headers = {
            "host": self._host,
            "content-length": str(len(ask.body)),
            "x-amz-date": now,
            "x-amz-content-sha256": UNSIGNED,
            **(ask.headers or {}),
        }
        if keys.token:
            headers["x-amz-security-token"] = keys.token
        key = self._signing_key(keys.access_key or "", keys.secret_key or "", now[:8])
        headers["authorization"] = authorization(ask.method, path, asked, headers, key)
        return path + (f"?{asked}" if asked else ""), headers

    def _signing_key(self, access_key: str, secret_key: str, date: str) -> SigningKey:
        """Returns what signs today; derives it again on another day, and with other keys."""
        of, key = self._key_of_day
        if of != (access_key, secret_key, date):
            of, key = self._key_of_day = (
                (access_key, secret_key, date),
                signing_key(access_key, secret_key, date, self._login.region),
            )
        return key


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


def _refusal(answer: Answer) -> Refusal:
    wait_s = retry_after_s(answer.headers.get("retry-after"))
    try:
        said = texts_of(xml_of(answer.body))
    except ElementTree.ParseError:
        return Refusal(answer.status, retry_after_s=wait_s)
    return Refusal(answer.status, said.get("Code", ""), said.get("Message", ""), wait_s)
