"""New attributes for an object that is there: the store copies it onto itself, no data passes through here.

Up to the size of a single put by CopyObject; beyond it part by part (UploadPartCopy), the whole claimed with the
checksum that the object has. A copy begins only from the version that was looked at.
"""

from __future__ import annotations

from blockferry.errors import BlockferryError
from stores.base import Attributes, Part, SinkFeatures, Stat, Stored, Upload
from stores.checksum import Algorithm
from stores.s3_door import Door
from stores.s3_headers import date_ms, metadata_headers
from stores.s3_uploads import Uploads
from stores.s3_wire import Ask, quoted_source, texts_of, xml_of


def copy_with(door: Door, found: Stat, attributes: Attributes, algorithm: Algorithm, features: SinkFeatures) -> Stored:
    """Copies the object `found` onto itself with other attributes.

    Raises:
        BlockferryError: OBJECT_CHANGED, somebody wrote it meanwhile; NOT_SUPPORTED, it is larger than a single copy
            and has no checksum that the copy could claim.
    """
    if found.size_bytes > features.max_single_put_bytes:
        return _copy_parts(door, found, attributes, features.max_single_put_bytes)
    kept = found.checksum.algorithm if found.checksum else algorithm
    headers = _source(door, found) | metadata_headers(found.path, attributes) | door.storage_headers
    headers |= {"x-amz-metadata-directive": "REPLACE", "x-amz-checksum-algorithm": kept.value}
    answer = door.wire.send(Ask("PUT", door.key(found.path), headers=headers))
    etag = texts_of(xml_of(answer.body)).get("ETag", "").strip('"')
    return Stored(etag, answer.headers.get("x-amz-version-id", ""), date_ms(answer.headers))


def _copy_parts(door: Door, found: Stat, attributes: Attributes, part_bytes: int) -> Stored:
    if found.checksum is None:
        text = (
            f"The object has {found.size_bytes} bytes, more than the store copies at once ({part_bytes}), and no "
            "checksum for a copy in parts: transfer it again (ALL)."
        )
        raise door.at(found.path).error("NOT_SUPPORTED", text)
    uploads = Uploads(door)
    upload = uploads.begin(found.path, found.checksum.algorithm, attributes)
    try:
        starts = range(0, found.size_bytes, part_bytes)
        parts = tuple(
            _copy_part(door, uploads, upload, found, number, (start, min(start + part_bytes, found.size_bytes)))
            for number, start in enumerate(starts, 1)
        )
        return uploads.complete(upload, parts, found.checksum, found.size_bytes)
    except BlockferryError:
        uploads.abort(upload)
        raise


def _copy_part(door: Door, uploads: Uploads, upload: Upload, found: Stat, number: int, span: tuple[int, int]) -> Part:
    """Copies the bytes of `span` (begin, end) into a part."""
    headers = _source(door, found) | {"x-amz-copy-source-range": f"bytes={span[0]}-{span[1] - 1}"}
    return uploads.copy_part(upload, number, headers, span[1] - span[0])


def _source(door: Door, found: Stat) -> dict[str, str]:
    source = quoted_source(door.location.bucket, door.key(found.path))
    return {"x-amz-copy-source": source, "x-amz-copy-source-if-match": f'"{found.version}"'}
