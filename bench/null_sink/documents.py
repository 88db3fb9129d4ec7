"""The XML that S3 clients are answered with, and the XML that they send."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from urllib.parse import quote
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from bench.null_sink import claims
from bench.null_sink.objects import (
    AFTER_ALL,
    Bucket,
    KeptChecksum,
    ListedPart,
    MultipartUpload,
    Page,
    PageAsk,
    StoredObject,
)
from bench.null_sink.refusal import Refusal

_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'
_SPACE = ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
_RETURN = {"\r": "&#13;"}  # XML would read it as a line feed


@lru_cache(maxsize=64)
def iso_time(moment_s: int) -> str:
    """Returns a time as listings write it."""
    return datetime.fromtimestamp(moment_s, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def error(refusal: Refusal, resource: str) -> bytes:
    """Returns the document of a refusal."""
    texts = {"Code": refusal.code, "Message": refusal.message, "Resource": resource, "RequestId": "null-sink"}
    return (_HEAD + f"<Error>{_elements(texts)}</Error>").encode("utf-8", "replace")


def buckets(found: Mapping[str, Bucket]) -> bytes:
    """Returns ListAllMyBucketsResult."""
    rows = (
        f"<Bucket>{_elements({'Name': name, 'CreationDate': iso_time(bucket.created_s)})}</Bucket>"
        for name, bucket in sorted(found.items())
    )
    return _document("ListAllMyBucketsResult", f"<Owner><ID>bench</ID></Owner><Buckets>{''.join(rows)}</Buckets>")


def location() -> bytes:
    """Returns LocationConstraint of us-east-1, which is empty."""
    return _document("LocationConstraint", "")


def versioning() -> bytes:
    """Returns VersioningConfiguration of a bucket that never had versions."""
    return _document("VersioningConfiguration", "")


def listing(bucket: str, ask: PageAsk, page: Page, query: Mapping[str, str]) -> bytes:
    """Returns ListBucketResult of version 2 or 1, with keys URL-encoded if `query` asks for it."""
    name_of = _url if query.get("encoding-type") == "url" else _xml
    said = {"Name": bucket, "MaxKeys": str(ask.limit), "IsTruncated": "true" if page.last else "false"}
    said |= {"EncodingType": "url"} if name_of is _url else {}
    names = {"Prefix": ask.prefix, "Delimiter": ask.delimiter}
    if query.get("list-type") == "2":
        said["KeyCount"] = str(len(page.objects) + len(page.folders))
        said |= {"ContinuationToken": query["continuation-token"]} if query.get("continuation-token") else {}
        said |= {"NextContinuationToken": token_of(page.last)} if page.last else {}
        names["StartAfter"] = query.get("start-after", "")
    else:
        names |= {"Marker": query.get("marker", ""), "NextMarker": page.last.removesuffix(AFTER_ALL)}
    head = [_elements(said), *(f"<{name}>{name_of(text)}</{name}>" for name, text in names.items() if text)]
    rows = [_row(name_of(key), stored) for key, stored in page.objects]
    folders = [f"<CommonPrefixes><Prefix>{name_of(folder)}</Prefix></CommonPrefixes>" for folder in page.folders]
    return _document("ListBucketResult", "".join((*head, *rows, *folders)))


def token_of(last: str) -> str:
    """Returns the continuation token after a key, or after everything in a folder."""
    plain = f"p{last.removesuffix(AFTER_ALL)}" if last.endswith(AFTER_ALL) else f"k{last}"
    return base64.urlsafe_b64encode(plain.encode()).decode()


def last_of(token: str) -> str:
    """Returns what `token_of` was given. Raises Refusal."""
    try:
        plain = base64.urlsafe_b64decode(token).decode()
    except (binascii.Error, ValueError):
        plain = ""
    if plain[:1] not in ("k", "p"):
        raise Refusal.of("InvalidArgument", "The continuation token is none of ours.")
    return plain[1:] + (AFTER_ALL if plain[0] == "p" else "")


def begun(bucket: str, upload: MultipartUpload) -> bytes:
    """Returns InitiateMultipartUploadResult."""
    texts = {"Bucket": bucket, "Key": upload.key, "UploadId": upload.upload_id}
    return _document("InitiateMultipartUploadResult", _elements(texts))


def completed(bucket: str, key: str, stored: StoredObject) -> bytes:
    """Returns CompleteMultipartUploadResult."""
    texts = {"Location": f"/{bucket}/{key}", "Bucket": bucket, "Key": key, "ETag": f'"{stored.etag}"'}
    return _document("CompleteMultipartUploadResult", _elements(texts | _checksum(stored.checksum)))


def copied(stored: StoredObject) -> bytes:
    """Returns CopyObjectResult."""
    texts = {"LastModified": iso_time(stored.modified_s), "ETag": f'"{stored.etag}"'}
    return _document("CopyObjectResult", _elements(texts | _checksum(stored.checksum)))


def parts(bucket: str, upload: MultipartUpload, marker: int, limit: int) -> bytes:
    """Returns ListPartsResult: at most `limit` parts whose numbers are greater than `marker`."""
    numbers = sorted(number for number in tuple(upload.parts) if number > marker)
    shown = numbers[:limit]
    texts = {
        "Bucket": bucket, "Key": upload.key, "UploadId": upload.upload_id, "PartNumberMarker": str(marker),
        "MaxParts": str(limit), "IsTruncated": "true" if len(shown) < len(numbers) else "false",
    }  # fmt: skip
    texts |= {"NextPartNumberMarker": str(shown[-1])} if shown else {}
    texts |= {"ChecksumAlgorithm": upload.algorithm, "ChecksumType": upload.kind} if upload.algorithm else {}
    rows = (f"<Part>{_elements(_part(upload, number))}</Part>" for number in shown)
    return _document("ListPartsResult", _elements(texts) + "".join(rows))


def uploads(bucket: str, found: Iterable[MultipartUpload]) -> bytes:
    """Returns ListMultipartUploadsResult, always whole."""
    rows = (
        {"Key": upload.key, "UploadId": upload.upload_id, "Initiated": iso_time(upload.begun_s)} for upload in found
    )
    body = "".join(f"<Upload>{_elements(row)}</Upload>" for row in rows)
    return _document("ListMultipartUploadsResult", _elements({"Bucket": bucket, "IsTruncated": "false"}) + body)


def deleted(keys: Iterable[str]) -> bytes:
    """Returns DeleteResult."""
    return _document("DeleteResult", "".join(f"<Deleted>{_elements({'Key': key})}</Deleted>" for key in keys))


def parse_deletion(body: bytes) -> tuple[tuple[str, ...], bool]:
    """Returns the keys of a DeleteObjects, and whether it wants no answer about them."""
    root = _root(body)
    keys = tuple(_texts(element).get("Key", "") for element in root if _name(element) == "Object")
    return keys, _texts(root).get("Quiet") == "true"


def parse_completion(body: bytes) -> tuple[ListedPart, ...]:
    """Returns the parts of a CompleteMultipartUpload in their order."""
    return tuple(_listed(_texts(element)) for element in _root(body) if _name(element) == "Part")


def _listed(texts: Mapping[str, str]) -> ListedPart:
    try:
        number, etag = int(texts["PartNumber"]), texts["ETag"].strip('"')
    except (KeyError, ValueError):
        raise Refusal.of("MalformedXML", "A part has no number or no ETag.") from None
    claimed = ((name, texts.get(f"Checksum{name}")) for name in claims.ALGORITHMS)
    return ListedPart(number, etag, {name: claims.digest_of(name, text) for name, text in claimed if text})


def _part(upload: MultipartUpload, number: int) -> dict[str, str]:
    part = upload.parts[number]
    texts = {"PartNumber": str(number), "LastModified": iso_time(part.modified_s), "ETag": f'"{part.etag}"'}
    texts["Size"] = str(part.received.size_bytes)
    if upload.algorithm:
        texts[f"Checksum{upload.algorithm}"] = claims.text_of(part.received.digests[upload.algorithm])
    return texts


def _row(name: str, stored: StoredObject) -> str:
    return (
        f"<Contents><Key>{name}</Key><LastModified>{iso_time(stored.modified_s)}</LastModified>"
        f'<ETag>"{stored.etag}"</ETag><Size>{stored.size_bytes}</Size><StorageClass>STANDARD</StorageClass></Contents>'
    )


def _checksum(kept: KeptChecksum | None) -> dict[str, str]:
    return {f"Checksum{kept.algorithm}": kept.text, "ChecksumType": kept.kind} if kept else {}


def _root(body: bytes) -> ElementTree.Element:
    try:
        return ElementTree.fromstring(body)  # noqa: S314 - only benches send it
    except ElementTree.ParseError as fault:
        raise Refusal.of("MalformedXML", f"The body is no XML: {fault}") from None


def _name(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def _texts(element: ElementTree.Element) -> dict[str, str]:
    return {_name(child): child.text or "" for child in element}


def _document(name: str, content: str) -> bytes:
    return f"{_HEAD}<{name}{_SPACE}>{content}</{name}>".encode("utf-8", "replace")


def _elements(texts: Mapping[str, str]) -> str:
    return "".join(f"<{name}>{_xml(text)}</{name}>" for name, text in texts.items())


def _xml(text: str) -> str:
    return escape(text, _RETURN)


def _url(text: str) -> str:
    return quote(text, safe="/-_.~*")
