"""Uploads in parts, every part and the whole claimed. Each call is one request; who calls decides about another try.

The measured rule (four honest servers agree): the upload is created with ChecksumAlgorithm and ChecksumType
FULL_OBJECT, each part is claimed, the completion lists each part's checksum and claims the whole's, and its size.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from xml.etree import ElementTree

from blockferry.errors import BlockferryError
from stores.base import Attributes, Part, Stored, Upload
from stores.checksum import Algorithm, Checksum
from stores.s3_door import Door
from stores.s3_headers import claim_headers, metadata_headers, stored_of, whole_checksum
from stores.s3_pages import milliseconds_of
from stores.s3_wire import Ask, HttpAnswer, texts_of, xml_of

_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
_FULL = {"x-amz-checksum-type": "FULL_OBJECT"}


class Uploads:
    """The uploads of one bucket. For several threads at once."""

    def __init__(self, door: Door) -> None:
        self._door = door

    def begin(self, path: str, algorithm: Algorithm, attributes: Attributes) -> Upload:
        """See `stores.base.Sink.begin`."""
        headers = metadata_headers(path, attributes) | self._door.storage_headers | _FULL
        headers["x-amz-checksum-algorithm"] = algorithm.value
        key = self._door.key(path)
        answer = self._door.wire.send(Ask("POST", key, {"uploads": ""}, headers))
        return Upload(path, key, self._result(answer, path)["UploadId"], algorithm)

    def put_part(self, upload: Upload, number: int, body: memoryview, claim: Checksum) -> Part:
        """See `stores.base.Multipart.put_part`."""
        query = {"partNumber": str(number), "uploadId": upload.upload_id}
        answer = self._door.wire.send(Ask("PUT", upload.key, query, claim_headers(claim), body, claim))
        return Part(number, body.nbytes, answer.etag, claim)

    def copy_part(self, upload: Upload, number: int, headers: dict[str, str], size_bytes: int) -> Part:
        """Fills a part from an object of the store. `headers` name the object and its range."""
        query = {"partNumber": str(number), "uploadId": upload.upload_id}
        answer = self._door.wire.send(Ask("PUT", upload.key, query, headers))
        return _part(self._result(answer, upload.path), number, size_bytes, upload.algorithm)

    def list_parts(self, upload: Upload) -> tuple[Part, ...]:
        """See `stores.base.Multipart.list_parts`."""
        parts: list[Part] = []
        marker = 0
        while True:
            query = {"uploadId": upload.upload_id, "part-number-marker": str(marker)}
            answer = self._door.wire.send(Ask("GET", upload.key, query))
            root = self._root(answer, upload.path)
            page, found = texts_of(root), _rows(root, "Part")
            parts += (_part(one, int(one["PartNumber"]), int(one["Size"]), upload.algorithm) for one in found)
            if page.get("IsTruncated") != "true":
                return tuple(parts)
            if not parts or parts[-1].number <= marker:
                text = "The store's list of parts is truncated but does not say where it goes on."
                raise self._door.at(upload.path).error("LIST_FAILED", text, retryable=True)
            marker = parts[-1].number

    def complete(self, upload: Upload, parts: tuple[Part, ...], claim: Checksum, size_bytes: int) -> Stored:
        """See `stores.base.Multipart.complete`. Called again after an answer that was lost, it finds the object."""
        headers = claim_headers(claim) | _FULL | {"x-amz-mp-object-size": str(size_bytes)}
        ask = Ask("POST", upload.key, {"uploadId": upload.upload_id}, headers, _completion(parts), claim)
        try:
            answer = self._door.wire.send(ask)
        except BlockferryError as error:
            stored = self._made(upload, claim, size_bytes) if error.reason == "NO_SUCH_UPLOAD" else None
            if stored is None:
                raise
            return stored
        said = self._result(answer, upload.path)
        if said.get(f"Checksum{claim.algorithm.value}") == claim.base64:
            return Stored(said.get("ETag", "").strip('"'), answer.headers.get("x-amz-version-id", ""))
        return self._looked_at(upload, claim, size_bytes)

    def abort(self, upload: Upload) -> None:
        """See `stores.base.Multipart.abort`."""
        try:
            self._door.wire.send(Ask("DELETE", upload.key, {"uploadId": upload.upload_id}))
        except BlockferryError as error:
            if error.reason not in ("NO_SUCH_UPLOAD", "NOT_FOUND"):
                raise

    def abort_since(self, path: str, since_ms: int) -> int:
        """See `stores.base.Multipart.abort_since`. Needs the right s3:ListBucketMultipartUploads."""
        strays = [upload for upload, begun_ms in self._open(path) if begun_ms >= since_ms]
        for upload in strays:
            self.abort(upload)
        return len(strays)

    def _open(self, path: str) -> Iterator[tuple[Upload, int]]:
        """Yields the uploads of a path that are open, with the milliseconds when they were begun, by the store's clock.

        The prefix is the whole key: MinIO lists uploads of exactly that key only, others also those of longer ones,
        and SeaweedFS in another order than that of the keys.
        """
        key = self._door.key(path)
        markers: dict[str, str] = {}
        while True:
            answer = self._door.wire.send(Ask("GET", "", {"uploads": "", "prefix": key} | markers))
            root = self._root(answer, path)
            for one in _rows(root, "Upload"):
                if one.get("Key") == key:
                    begun = datetime.fromisoformat(one["Initiated"])
                    yield Upload(path, key, one["UploadId"], Algorithm.CRC32C), milliseconds_of(begun)  # any algorithm
            page = texts_of(root)
            if page.get("IsTruncated") != "true":
                return
            names = {"key-marker": "NextKeyMarker", "upload-id-marker": "NextUploadIdMarker"}
            following = {name: page.get(told, "") for name, told in names.items()}
            if following == markers or not any(following.values()):
                text = "The store's list of uploads is truncated but does not say where it goes on."
                raise self._door.at(path).error("LIST_FAILED", text, retryable=True)
            markers = following

    def _looked_at(self, upload: Upload, claim: Checksum, size_bytes: int) -> Stored:
        """Returns the object after a completion whose answer did not repeat the claim: is it there?

        versitygw 1.8.0 answers 200 to the completion of an upload that was aborted, when there is an older object of
        that name, even with the ETag that the upload would have had.
        """
        stored = self._made(upload, claim, size_bytes, answered=True)
        if stored is None:
            text = (
                "The store answered that the upload is complete, but the object there is another one: begin it again."
            )
            raise self._door.at(upload.path).error("NO_SUCH_UPLOAD", text, more={"expected": claim.hex})
        return stored

    def _made(self, upload: Upload, claim: Checksum, size_bytes: int, answered: bool = False) -> Stored | None:
        """Returns the object if it is the one that a completion with this claim makes, by its checksum and size. Where
        the store keeps no checksum, its answer and the size must do: such a store is never trusted for proof."""
        try:
            headers = self._door.wire.send(Ask("HEAD", upload.key, headers={"x-amz-checksum-mode": "ENABLED"})).headers
        except BlockferryError as error:
            if error.reason == "NOT_FOUND":
                return None
            raise
        kept, stored = whole_checksum(headers), stored_of(headers)
        same = kept == claim if kept is not None else answered
        return stored if same and headers.get("content-length") == str(size_bytes) else None

    def _result(self, answer: HttpAnswer, path: str) -> dict[str, str]:
        """Returns the texts of an answer's elements. Raises as `_root`."""
        return texts_of(self._root(answer, path))

    def _root(self, answer: HttpAnswer, path: str) -> ElementTree.Element:
        """Returns an answer's root element. Raises STORE_UNAVAILABLE (retryable) when it is no XML."""
        try:
            return xml_of(answer.body)
        except ElementTree.ParseError as error:
            text = f"The store's answer is no XML ({error}): check the endpoint's address."
            raise self._door.at(path).error("STORE_UNAVAILABLE", text, retryable=True) from error


def _rows(root: ElementTree.Element, name: str) -> list[dict[str, str]]:
    """Returns the texts of the root's children of that name."""
    return [texts_of(element) for element in root if element.tag.rpartition("}")[2] == name]


def _completion(parts: tuple[Part, ...]) -> bytes:
    """Returns the body that completes an upload."""
    root = ElementTree.Element("CompleteMultipartUpload", xmlns=_NAMESPACE)
    for part in parts:
        element = ElementTree.SubElement(root, "Part")
        texts = {"PartNumber": str(part.number), "ETag": f'"{part.etag}"'}
        if part.checksum is not None:
            texts[f"Checksum{part.checksum.algorithm.value}"] = part.checksum.base64
        for name, text in texts.items():
            ElementTree.SubElement(element, name).text = text
    return bytes(ElementTree.tostring(root, encoding="utf-8"))


def _part(found: dict[str, str], number: int, size_bytes: int, algorithm: Algorithm) -> Part:
    text = found.get(f"Checksum{algorithm.value}", "")
    checksum = Checksum.from_base64(algorithm, text) if text else None
    return Part(number, size_bytes, found.get("ETag", "").strip('"'), checksum)
