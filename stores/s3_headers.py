"""Objects as HTTP headers: what goes along with a put, and what a HEAD says. PURE. Header names in small letters."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache
from math import ceil
from urllib.parse import quote, unquote

from stores.base import Attributes, Kind, Stat, Stored
from stores.checksum import Algorithm, Checksum
from stores.object_metadata import from_metadata, to_metadata

# SeaweedFS drops the user metadata of folder objects (it makes a directory of them), but keeps their Content-Type. So a
# folder's attributes go along there as well, as parameters; what S3 itself has as user metadata comes first.
FOLDER_TYPE = "application/x-directory"
_META = "x-amz-meta-"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def kind_of(path: str) -> Kind:
    """Returns what a path is at S3: a folder ends with a slash."""
    return Kind.FOLDER if path.endswith("/") else Kind.FILE


def metadata_headers(path: str, attributes: Attributes) -> dict[str, str]:
    """Returns the headers that carry the attributes of a path."""
    metadata = to_metadata(attributes, kind_of(path))
    headers = {_META + name: value for name, value in metadata.items()}
    if kind_of(path) is Kind.FOLDER:
        parameters = (f"{name}={quote(value, safe='')}" for name, value in metadata.items())
        headers["content-type"] = "; ".join((FOLDER_TYPE, *parameters))
    return headers


def claim_headers(claim: Checksum) -> dict[str, str]:
    """Returns the header that claims a checksum."""
    return {claim_header(claim.algorithm): claim.base64}


def claim_header(algorithm: Algorithm) -> str:
    """Returns the name of the header that carries a checksum."""
    return f"x-amz-checksum-{algorithm.value.lower()}"


def stored_of(headers: Mapping[str, str]) -> Stored:
    """Returns what the answer to a put says."""
    return Stored(headers.get("etag", "").strip('"'), headers.get("x-amz-version-id", ""), date_ms(headers))


def seen_ms(headers: Mapping[str, str], elapsed_s: float) -> int:
    """Returns when a store has looked at what it answers, at the earliest, by its own clock; 0 where it does not tell
    its time (RFC 9110, section 6.6.1: a server with a clock does).

    Args:
        headers: of the answer.
        elapsed_s: from before the request was sent until its answer was there.
    """
    told_ms = date_ms(headers)
    return told_ms - ceil(elapsed_s * 1000) if told_ms else 0


def date_ms(headers: Mapping[str, str]) -> int:
    """Returns the time that an answer tells; 0 where it tells none."""
    return _date_ms(headers.get("date", ""))


@lru_cache(maxsize=64)
def _date_ms(text: str) -> int:
    try:
        return (parsedate_to_datetime(text) - _EPOCH) // timedelta(milliseconds=1)
    except (TypeError, ValueError):
        return 0


def stat_of(path: str, headers: Mapping[str, str], elapsed_s: float = 0.0) -> Stat:
    """Returns the entry that a HEAD with checksum mode describes. Raises ValueError for an answer that is none.

    Args:
        path: of the entry.
        headers: of the answer.
        elapsed_s: see `seen_ms`.
    """
    metadata = {name.removeprefix(_META): value for name, value in headers.items() if name.startswith(_META)}
    folder = kind_of(path) is Kind.FOLDER
    modified = parsedate_to_datetime(headers.get("last-modified", ""))
    return Stat(
        path,
        kind_of(path),
        0 if folder else int(headers.get("content-length", "")),
        (modified - _EPOCH) // timedelta(milliseconds=1),
        from_metadata(metadata) or from_metadata(_parameters(headers.get("content-type", "")) if folder else {}),
        headers.get("etag", "").strip('"'),
        checksum=whole_checksum(headers),
        seen_ms=seen_ms(headers, elapsed_s),
    )


def whole_checksum(headers: Mapping[str, str]) -> Checksum | None:
    """Returns the checksum of the whole content, None where the store keeps none.

    Only one of type FULL_OBJECT counts. A store that names no type (SeaweedFS after a put) is believed when the ETag
    is not that of an upload in parts, which ends with `-` and their number; a checksum of checksums ends so as well.
    """
    kind = headers.get("x-amz-checksum-type", "")
    in_parts = "-" in headers.get("etag", "")
    if kind != "FULL_OBJECT" and (kind or in_parts):
        return None
    for algorithm in Algorithm:
        if text := headers.get(claim_header(algorithm), ""):
            try:
                return Checksum.from_base64(algorithm, text)
            except ValueError:
                return None
    return None


def _parameters(content_type: str) -> dict[str, str]:
    """Returns the parameters of a Content-Type."""
    pairs = (parameter.strip().partition("=") for parameter in content_type.split(";")[1:])
    return {name: unquote(value) for name, _, value in pairs}
