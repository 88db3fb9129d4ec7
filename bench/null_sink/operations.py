"""The operations of S3 over buckets without data. Every claim of a body is checked before anything is kept.

Signatures and x-amz-content-sha256 are not checked. What is not offered is refused with NotImplemented: reading
contents that were thrown away, copying into parts, versions, tags, access lists.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from urllib.parse import unquote

from bench.null_sink import claims, documents
from bench.null_sink.counters import Counters
from bench.null_sink.http import Answer, Connection, Request, http_time, key_of
from bench.null_sink.intake import Intake
from bench.null_sink.objects import (
    AFTER_ALL,
    KEPT_BYTES,
    MAX_KEY_BYTES,
    Bucket,
    Condition,
    ListedPart,
    MultipartUpload,
    PageAsk,
    Received,
    StoredObject,
    StoredPart,
    etag_of,
    put_object,
    renamed,
    whole_object,
)
from bench.null_sink.refusal import Refusal

_DOCUMENT_BYTES = 16 << 20  # a completion of 10,000 parts has 2 MB
_MAX_PART_NUMBER = 10_000
_GIVEN_BACK = (
    "content-type",
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "expires",
)
_META = "x-amz-meta-"
# Questions about a bucket or an object that are operations of their own.
_SUBRESOURCES = ("uploads", "uploadId", "delete", "location", "versioning")
_NOT_OFFERED = frozenset({
    "accelerate", "acl", "analytics", "attributes", "cors", "encryption", "inventory", "legal-hold", "lifecycle",
    "logging", "metrics", "notification", "object-lock", "ownershipControls", "policy", "policyStatus",
    "publicAccessBlock", "replication", "requestPayment", "restore", "retention", "select", "tagging", "torrent",
    "versions", "website", "append", "renameObject",
})  # fmt: skip
_BUCKET_OPERATIONS = {
    ("PUT", ""): "CreateBucket", ("HEAD", ""): "HeadBucket", ("DELETE", ""): "DeleteBucket", ("GET", ""): "ListObjects",
    ("GET", "location"): "GetBucketLocation", ("GET", "versioning"): "GetBucketVersioning",
    ("GET", "uploads"): "ListMultipartUploads", ("POST", "delete"): "DeleteObjects",
}  # fmt: skip
_OBJECT_OPERATIONS = {
    ("PUT", ""): "PutObject", ("HEAD", ""): "HeadObject", ("GET", ""): "GetObject", ("DELETE", ""): "DeleteObject",
    ("POST", "uploads"): "CreateMultipartUpload", ("PUT", "uploadId"): "UploadPart", ("GET", "uploadId"): "ListParts",
    ("POST", "uploadId"): "CompleteMultipartUpload", ("DELETE", "uploadId"): "AbortMultipartUpload",
}  # fmt: skip
_SENDS_DATA = frozenset({"PutObject", "UploadPart"})


def operation_of(request: Request) -> str:
    """Returns the name of the operation that a request asks for. Raises Refusal when there is none."""
    method, query = request.method, request.query
    if not request.bucket:
        if method == "GET":
            return "ListBuckets"
        raise Refusal.of("MethodNotAllowed", "Only GET is known here.")
    asked = next((name for name in _SUBRESOURCES if name in query), "") if query else ""
    if query and not _NOT_OFFERED.isdisjoint(query):
        raise Refusal.of("NotImplemented", "This is not offered.")
    name = (_OBJECT_OPERATIONS if request.key else _BUCKET_OPERATIONS).get((method, asked))
    if name is None:
        raise Refusal.of("MethodNotAllowed", f"{method} is not known here.")
    if name == "ListObjects" and query.get("list-type") == "2":
        return "ListObjectsV2"
    if name in _SENDS_DATA and "x-amz-copy-source" in request.headers:
        return {"PutObject": "CopyObject", "UploadPart": "UploadPartCopy"}[name]
    return name


class Operations:
    """All buckets, and what is done with them. `checks_md5`: whether Content-MD5 is compared, 1.5 CPU s per GiB."""

    def __init__(self, counters: Counters, checks_md5: bool) -> None:
        self._checks_md5 = checks_md5
        self._counters = counters
        self._intake = Intake(counters)
        self._buckets: dict[str, Bucket] = {}
        self._calls: Mapping[str, Callable[[Request, Received], Answer]] = {
            "ListBuckets": self._list_buckets,
            "CreateBucket": self._create_bucket,
            "HeadBucket": self._head_bucket,
            "DeleteBucket": self._delete_bucket,
            "GetBucketLocation": self._get_location,
            "GetBucketVersioning": self._get_versioning,
            "ListObjects": self._list,
            "ListObjectsV2": self._list,
            "ListMultipartUploads": self._list_uploads,
            "DeleteObjects": self._delete_objects,
            "PutObject": self._put,
            "CopyObject": self._copy,
            "HeadObject": self._head,
            "GetObject": self._get,
            "DeleteObject": self._delete,
            "CreateMultipartUpload": self._begin,
            "UploadPart": self._put_part,
            "ListParts": self._list_parts,
            "CompleteMultipartUpload": self._complete,
            "AbortMultipartUpload": self._abort,
        }

    def answer(self, request: Request, connection: Connection) -> Answer:
        """Receives the request's body and returns the answer to it. Raises Refusal, the body received."""
        trailers: dict[str, str] = {}
        body = connection.body(request, trailers)
        try:
            if request.bucket == "-":
                return self._told(request)
            operation = operation_of(request)
            self._counters.request(operation)
            return self._done(operation, request, body, trailers)
        finally:
            self._intake.drain(body)

    def _done(
        self, operation: str, request: Request, body: Iterator[memoryview], trailers: Mapping[str, str]
    ) -> Answer:
        if "authorization" not in request.headers:
            raise Refusal.of("AccessDenied", "The request is not signed.")
        call = self._calls.get(operation)
        if call is None:
            raise Refusal.of("NotImplemented", f"{operation} is not offered.")
        claimed = claims.claims_of(request.headers)
        if claims.MD5 in claimed.expected and not self._checks_md5:
            self._counters.add("claims_unchecked")
            claimed = claimed.without(claims.MD5)
        if operation == "CompleteMultipartUpload":  # what its headers claim is the object's, not the body's
            claimed = claims.Claims({})
        wanted = self._algorithm(request) if operation == "UploadPart" else ""
        limit = KEPT_BYTES if operation in _SENDS_DATA else _DOCUMENT_BYTES
        received = self._intake.receive(body, claimed.algorithms(wanted), limit)
        self._intake.check(claimed, received, trailers)
        return call(request, received)

    def _told(self, request: Request) -> Answer:
        """Answers what is asked about the server itself."""
        match request.method, request.key:
            case "GET", "counters":
                objects = sum(len(bucket) for bucket in tuple(self._buckets.values()))
                text = json.dumps(self._counters.values() | {"objects": objects})
                return Answer(200, {"Content-Type": "application/json"}, text.encode())
            case "POST", "reset":
                self._buckets = {}
                self._counters.reset()
                return Answer(204)
        raise Refusal.of("MethodNotAllowed", "Known are GET /-/counters and POST /-/reset.")

    def _bucket(self, request: Request) -> Bucket:
        found = self._buckets.get(request.bucket)
        if found is None:
            raise Refusal.of("NoSuchBucket", "There is no such bucket.")
        return found

    def _upload(self, request: Request) -> MultipartUpload:
        return self._bucket(request).upload(request.key, request.query["uploadId"])

    def _algorithm(self, request: Request) -> str:
        """Returns the algorithm in which the parts of a request's upload are summed."""
        return self._upload(request).algorithm or claims.DEFAULT

    def _list_buckets(self, request: Request, received: Received) -> Answer:
        return _xml(documents.buckets(dict(self._buckets)))

    def _create_bucket(self, request: Request, received: Received) -> Answer:
        if self._buckets.setdefault(request.bucket, made := Bucket()) is not made:
            raise Refusal.of("BucketAlreadyOwnedByYou", "The bucket is there already.")
        return Answer(200, {"Location": f"/{request.bucket}"})

    def _head_bucket(self, request: Request, received: Received) -> Answer:
        self._bucket(request)
        return Answer(200, {"x-amz-bucket-region": "us-east-1"})

    def _delete_bucket(self, request: Request, received: Received) -> Answer:
        if len(self._bucket(request)):
            raise Refusal.of("BucketNotEmpty", "The bucket holds objects.")
        self._buckets.pop(request.bucket, None)
        return Answer(204)

    def _get_location(self, request: Request, received: Received) -> Answer:
        self._bucket(request)
        return _xml(documents.location())

    def _get_versioning(self, request: Request, received: Received) -> Answer:
        self._bucket(request)
        return _xml(documents.versioning())

    def _list(self, request: Request, received: Received) -> Answer:
        ask = _page_ask(request.query)
        page = self._bucket(request).page(ask)
        return _xml(documents.listing(request.bucket, ask, page, request.query))

    def _list_uploads(self, request: Request, received: Received) -> Answer:
        found = self._bucket(request).uploads(request.query.get("prefix", ""))
        return _xml(documents.uploads(request.bucket, found))

    def _delete_objects(self, request: Request, received: Received) -> Answer:
        bucket = self._bucket(request)
        keys, quiet = documents.parse_deletion(received.content or b"")
        for key in keys:
            bucket.delete(key)
        return _xml(documents.deleted(() if quiet else keys))

    def _put(self, request: Request, received: Received) -> Answer:
        bucket = self._bucket(request)
        _check_key(request.key)
        stored = put_object(received, _given_back(request.headers))
        bucket.put(request.key, stored, _condition(request.headers))
        return Answer(200, _etag(stored.etag) | _checksum_headers(stored))

    def _copy(self, request: Request, received: Received) -> Answer:
        _check_key(request.key)
        name, _, key = request.headers["x-amz-copy-source"].partition("?")[0].removeprefix("/").partition("/")
        source = self._buckets.get(unquote(name))
        if source is None:
            raise Refusal.of("NoSuchBucket", "There is no bucket of that name to copy from.")
        found = source.find(key_of(key))
        Condition(request.headers.get("x-amz-copy-source-if-match", "").strip('"')).check(found)
        asked = request.headers.get("x-amz-checksum-algorithm", "").upper()
        if asked and (found.checksum is None or asked != found.checksum.algorithm):
            raise Refusal.of("NotImplemented", f"The content is gone, so its {asked} cannot be computed.")
        replaces = request.headers.get("x-amz-metadata-directive", "COPY").upper() == "REPLACE"
        stored = renamed(found, _given_back(request.headers) if replaces else None)
        self._bucket(request).put(request.key, stored, _condition(request.headers))
        return _xml(documents.copied(stored))

    def _head(self, request: Request, received: Received) -> Answer:
        stored = self._bucket(request).find(request.key)
        return Answer(200, _told_of(stored, request), length=stored.size_bytes)

    def _get(self, request: Request, received: Received) -> Answer:
        stored = self._bucket(request).find(request.key)
        if stored.content is None:
            raise Refusal.of("NotImplemented", "The content was checked and thrown away: it cannot be read.")
        return Answer(200, _told_of(stored, request), stored.content)

    def _delete(self, request: Request, received: Received) -> Answer:
        self._bucket(request).delete(request.key)
        return Answer(204)

    def _begin(self, request: Request, received: Received) -> Answer:
        bucket = self._bucket(request)
        _check_key(request.key)
        algorithm = request.headers.get("x-amz-checksum-algorithm", "").upper()
        if algorithm not in ("", *claims.ALGORITHMS):
            raise Refusal.of("InvalidRequest", f"{algorithm} is no checksum algorithm.")
        kind = request.headers.get("x-amz-checksum-type", "").upper() or _usual_kind(algorithm)
        if kind == "FULL_OBJECT" and claims.full_object(algorithm or claims.DEFAULT, ()) is None:
            raise Refusal.of("InvalidRequest", f"A {algorithm} cannot be a FULL_OBJECT checksum of parts.")
        upload = bucket.begin(request.key, _given_back(request.headers), algorithm, kind)
        said = {"x-amz-checksum-algorithm": algorithm, "x-amz-checksum-type": kind} if algorithm else {}
        return _xml(documents.begun(request.bucket, upload), said)

    def _put_part(self, request: Request, received: Received) -> Answer:
        number = request.query.get("partNumber", "")
        if not number.isdecimal() or not 1 <= int(number) <= _MAX_PART_NUMBER:
            raise Refusal.of("InvalidArgument", f"A part's number is between 1 and {_MAX_PART_NUMBER}.")
        part = StoredPart(etag_of(received), int(time.time()), received)
        self._upload(request).parts[int(number)] = part
        sums = {f"{claims.HEADER}{name.lower()}": claims.text_of(digest) for name, digest in received.digests.items()}
        return Answer(200, _etag(part.etag) | sums)

    def _list_parts(self, request: Request, received: Received) -> Answer:
        marker, limit = _number(request.query, "part-number-marker", 0), _number(request.query, "max-parts", 1000)
        return _xml(documents.parts(request.bucket, self._upload(request), marker, min(limit, 1000)))

    def _complete(self, request: Request, received: Received) -> Answer:
        upload = self._upload(request)
        listed = documents.parse_completion(received.content or b"")
        stored = whole_object(upload, listed)
        self._check_parts(upload, listed)
        self._check_whole(stored, request.headers)
        self._bucket(request).complete(upload, stored, _condition(request.headers))
        return _xml(documents.completed(request.bucket, request.key, stored))

    def _check_parts(self, upload: MultipartUpload, listed: tuple[ListedPart, ...]) -> None:
        for one in listed:
            for algorithm, digest in one.digests.items():
                self._intake.compare(
                    f"{algorithm} of part {one.number}",
                    digest,
                    upload.parts[one.number].received.digests.get(algorithm),
                )

    def _check_whole(self, stored: StoredObject, headers: Mapping[str, str]) -> None:
        """Compares what the headers of a completion claim about the object."""
        for algorithm in claims.ALGORITHMS:
            text = headers.get(claims.HEADER + algorithm.lower())
            if text is not None:
                kept = stored.checksum
                found = kept.text if kept is not None and kept.algorithm == algorithm else ""
                self._intake.compare(f"{algorithm} of the whole object", text, found)
        size = headers.get("x-amz-mp-object-size")
        if size is not None:
            self._intake.compare("x-amz-mp-object-size", size, str(stored.size_bytes))

    def _abort(self, request: Request, received: Received) -> Answer:
        self._bucket(request).abort(request.key, request.query["uploadId"])
        return Answer(204)


def _usual_kind(algorithm: str) -> str:
    """Returns the checksum type of an upload that names none. CRC32C of an upload without an algorithm is ours."""
    return "FULL_OBJECT" if algorithm in ("", "CRC64NVME") else "COMPOSITE"


def _page_ask(query: Mapping[str, str]) -> PageAsk:
    prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
    if query.get("list-type") == "2":
        token = query.get("continuation-token", "")
        after = documents.last_of(token) if token else query.get("start-after", "")
    else:
        after = query.get("marker", "")
        is_folder = delimiter and after.endswith(delimiter) and after != prefix
        after += AFTER_ALL if is_folder else ""
    limit = min(_number(query, "max-keys", 1000), 1000)
    return PageAsk(prefix, delimiter, after, limit)


def _number(query: Mapping[str, str], name: str, otherwise: int) -> int:
    text = query.get(name, "")
    if text and not text.isdecimal():
        raise Refusal.of("InvalidArgument", f"{name} is no number: {text!r}")
    return int(text) if text else otherwise


def _check_key(key: str) -> None:
    if len(key) > MAX_KEY_BYTES or len(key.encode()) > MAX_KEY_BYTES:
        raise Refusal.of("KeyTooLongError", f"A key has at most {MAX_KEY_BYTES} bytes.")


def _condition(headers: Mapping[str, str]) -> Condition | None:
    match, none_match = headers.get("if-match", ""), headers.get("if-none-match", "")
    return Condition(match.strip('"'), none_match.strip('"')) if match or none_match else None


def _given_back(headers: Mapping[str, str]) -> dict[str, str]:
    """Returns the headers of a put that HEAD gives back."""
    kept = {name: value for name, value in headers.items() if name.startswith(_META) or name in _GIVEN_BACK}
    if "content-encoding" in kept:
        codings = (coding.strip() for coding in kept.pop("content-encoding").split(","))
        if left := ",".join(coding for coding in codings if coding and coding != "aws-chunked"):
            kept["content-encoding"] = left
    return kept


def _told_of(stored: StoredObject, request: Request) -> dict[str, str]:
    """Returns the headers that describe an object."""
    told = {"Last-Modified": http_time(stored.modified_s), "Accept-Ranges": "none"} | _etag(stored.etag)
    told |= {"content-type": "binary/octet-stream"} | dict(stored.headers)
    if request.headers.get("x-amz-checksum-mode", "").upper() == "ENABLED":
        told |= _checksum_headers(stored)
    return told


def _checksum_headers(stored: StoredObject) -> dict[str, str]:
    kept = stored.checksum
    if kept is None:
        return {}
    return {claims.HEADER + kept.algorithm.lower(): kept.text, "x-amz-checksum-type": kept.kind}


def _etag(etag: str) -> dict[str, str]:
    return {"ETag": f'"{etag}"'}


def _xml(body: bytes, headers: Mapping[str, str] | None = None) -> Answer:
    return Answer(200, {"Content-Type": "application/xml", **(headers or {})}, body)
