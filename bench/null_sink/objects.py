"""Buckets without data: what S3 tells about objects and uploads, kept in memory. Knows nothing of HTTP.

Contents are thrown away, but those of at most KEPT_BYTES. Memory: about 1.4 KiB for each object with five attributes.
For several threads at once.
"""

from __future__ import annotations

import itertools
import threading
import time
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from bench.null_sink import claims
from bench.null_sink.refusal import Refusal

KEPT_BYTES = 64
MIN_PART_BYTES = 5 << 20
MAX_KEY_BYTES = 1024
AFTER_ALL = "\U0010ffff" * (MAX_KEY_BYTES // 4 + 1)  # no key that begins like a text is greater than the text with that


@dataclass(frozen=True, slots=True)
class Received:
    """A body that was received: its size, digests by algorithm, and its content if it is to be kept."""

    size_bytes: int
    digests: Mapping[str, bytes]
    content: bytes | None

    @property
    def main(self) -> tuple[str, bytes]:
        """The algorithm and digest that is told of it: CRC32C if it was computed, else the first one."""
        algorithm = next(name for name in claims.ALGORITHMS if name in self.digests)
        return algorithm, self.digests[algorithm]


@dataclass(frozen=True, slots=True)
class KeptChecksum:
    """A checksum of an object, as S3 writes it. `kind` is FULL_OBJECT or COMPOSITE."""

    algorithm: str
    text: str
    kind: str = "FULL_OBJECT"


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object. `headers` are those that HEAD gives back; `content` is None where it was thrown away."""

    size_bytes: int
    etag: str
    modified_s: int
    headers: Mapping[str, str]
    checksum: KeptChecksum | None
    content: bytes | None


@dataclass(frozen=True, slots=True)
class StoredPart:
    """One part of an upload."""

    etag: str
    modified_s: int
    received: Received


@dataclass(slots=True)
class MultipartUpload:
    """An upload that was begun. `algorithm` is empty where none was named; `kind` FULL_OBJECT or COMPOSITE."""

    upload_id: str
    key: str
    begun_s: int
    headers: Mapping[str, str]
    algorithm: str
    kind: str
    parts: dict[int, StoredPart] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ListedPart:
    """A part as a completion lists it. `digests` are the checksums claimed there."""

    number: int
    etag: str
    digests: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Condition:
    """If-Match and If-None-Match of a write; empty where absent."""

    match: str = ""
    none_match: str = ""

    def check(self, old: StoredObject | None) -> None:
        """Raises Refusal when the object that is there does not meet it."""
        there = old is not None and self.none_match in ("*", old.etag)
        another = self.match and (old is None or self.match not in ("*", old.etag))
        if another or (self.none_match and there):
            raise Refusal.of("PreconditionFailed", "The object does not meet the condition.")


@dataclass(frozen=True, slots=True)
class PageAsk:
    """Which page of a listing: keys that begin with `prefix` and are greater than `after`, at most `limit` entries."""

    prefix: str = ""
    delimiter: str = ""
    after: str = ""
    limit: int = 1000


@dataclass(frozen=True, slots=True)
class Page:
    """Entries of a listing in key order. `last` is the key after which the next page begins, empty at the end."""

    objects: tuple[tuple[str, StoredObject], ...]
    folders: tuple[str, ...]
    last: str


class Bucket:
    """Objects and uploads of one bucket."""

    def __init__(self) -> None:
        self.created_s = int(time.time())
        self._lock = threading.Lock()
        self._objects: dict[str, StoredObject] = {}
        self._uploads: dict[str, MultipartUpload] = {}
        self._numbers = itertools.count(1)
        self._order: list[str] = []  # sorted; never changed, only replaced
        self._added: list[str] = []
        self._removed: set[str] = set()

    def __len__(self) -> int:
        return len(self._objects)

    def find(self, key: str) -> StoredObject:
        """Returns an object. Raises NoSuchKey."""
        found = self._objects.get(key)
        if found is None:
            raise Refusal.of("NoSuchKey", "There is no such object.")
        return found

    def put(self, key: str, stored: StoredObject, condition: Condition | None = None) -> None:
        """Keeps an object in the place of an earlier one."""
        with self._lock:
            old = self._objects.get(key)
            if condition is not None:
                condition.check(old)
            self._objects[key] = stored
            if old is None:
                if key in self._removed:
                    self._removed.discard(key)
                else:
                    self._added.append(key)

    def delete(self, key: str) -> None:
        """Forgets an object. No error when there is none."""
        with self._lock:
            if self._objects.pop(key, None) is not None:
                self._removed.add(key)

    def page(self, ask: PageAsk) -> Page:
        """Returns one page of the listing."""
        objects: list[tuple[str, StoredObject]] = []
        folders: list[str] = []
        last = ""
        if ask.limit <= 0:
            return Page((), (), "")
        for key, folder in self._entries(ask):
            if len(objects) + len(folders) == ask.limit:
                return Page(tuple(objects), tuple(folders), last)
            if folder:
                folders.append(folder)
                last = folder + AFTER_ALL
            elif stored := self._objects.get(key):
                objects.append((key, stored))
                last = key
        return Page(tuple(objects), tuple(folders), "")

    def begin(self, key: str, headers: Mapping[str, str], algorithm: str, kind: str) -> MultipartUpload:
        """Begins an upload."""
        upload_id = f"{next(self._numbers):08x}-{time.time_ns():016x}"
        upload = MultipartUpload(upload_id, key, int(time.time()), headers, algorithm, kind)
        self._uploads[upload_id] = upload
        return upload

    def upload(self, key: str, upload_id: str) -> MultipartUpload:
        """Returns an upload of that key. Raises NoSuchUpload."""
        found = self._uploads.get(upload_id)
        if found is None or found.key != key:
            raise Refusal.of("NoSuchUpload", "There is no such upload: it was completed, aborted or never begun.")
        return found

    def abort(self, key: str, upload_id: str) -> None:
        """Forgets an upload. Raises NoSuchUpload."""
        self.upload(key, upload_id)
        self._uploads.pop(upload_id, None)

    def complete(self, upload: MultipartUpload, stored: StoredObject, condition: Condition | None) -> None:
        """Keeps the object of an upload and forgets the upload. Raises NoSuchUpload when another did so before."""
        self.put(upload.key, stored, condition)
        self._uploads.pop(upload.upload_id, None)

    def uploads(self, prefix: str) -> tuple[MultipartUpload, ...]:
        """Returns the begun uploads by key and age."""
        found = (upload for upload in tuple(self._uploads.values()) if upload.key.startswith(prefix))
        return tuple(sorted(found, key=lambda upload: (upload.key, upload.upload_id)))

    def _entries(self, ask: PageAsk) -> Iterator[tuple[str, str]]:
        """Yields keys, or folders (the second) where the delimiter follows the prefix, in key order."""
        order = self._sorted()
        index = bisect_left(order, ask.prefix)
        if ask.after:
            index = max(index, bisect_right(order, ask.after))
        begin = len(ask.prefix)
        while index < len(order) and (key := order[index]).startswith(ask.prefix):
            cut = key.find(ask.delimiter, begin) if ask.delimiter else -1
            if cut < 0:
                yield key, ""
                index += 1
            else:
                folder = key[: cut + len(ask.delimiter)]
                yield key, folder
                index = bisect_right(order, folder + AFTER_ALL)

    def _sorted(self) -> list[str]:
        """Returns all keys in order. Keys that came since the last call are sorted in, a merge of sorted runs."""
        with self._lock:
            if self._removed:
                known = itertools.chain(self._order, self._added)
                self._order = sorted(key for key in known if key not in self._removed)
                self._added, self._removed = [], set()
            elif self._added:
                self._order = sorted(self._order + self._added)
                self._added = []
            return self._order


def put_object(received: Received, headers: Mapping[str, str]) -> StoredObject:
    """Returns the object of a body that came at once. Its ETag ends with -1, so that nobody takes it for an MD5."""
    algorithm, digest = received.main
    checksum = KeptChecksum(algorithm, claims.text_of(digest))
    etag = etag_of(received)
    return StoredObject(received.size_bytes, etag, int(time.time()), headers, checksum, received.content)


def etag_of(received: Received) -> str:
    """Returns the ETag of a body: its digest and size."""
    return f"{received.main[1][:8].hex():0>16}{received.size_bytes:016x}-1"


def whole_object(upload: MultipartUpload, listed: tuple[ListedPart, ...]) -> StoredObject:
    """Returns the object of an upload's parts. Raises InvalidPart, InvalidPartOrder, EntityTooSmall, BadDigest."""
    parts = tuple(_part(upload, one) for one in listed)
    if not parts or any(first.number >= second.number for first, second in itertools.pairwise(listed)):
        raise Refusal.of("InvalidPartOrder" if parts else "MalformedXML", "The parts must be listed by number.")
    if any(part.received.size_bytes < MIN_PART_BYTES for part in parts[:-1]):
        raise Refusal.of("EntityTooSmall", f"A part before the last has less than {MIN_PART_BYTES} bytes.")
    size_bytes = sum(part.received.size_bytes for part in parts)
    kept = all(part.received.content is not None for part in parts) and size_bytes <= KEPT_BYTES
    content = b"".join(part.received.content or b"" for part in parts) if kept else None
    checksum = whole_checksum(upload, parts)
    mixed = claims.sum_of("CRC64NVME")
    mixed.update(memoryview("".join(part.etag for part in parts).encode()))
    etag = f"{mixed.digest().hex()}{size_bytes:016x}-{len(parts)}"
    return StoredObject(size_bytes, etag, int(time.time()), upload.headers, checksum, content)


def whole_checksum(upload: MultipartUpload, parts: tuple[StoredPart, ...]) -> KeptChecksum | None:
    """Returns the checksum of an upload's parts together; None where they have no common one."""
    algorithm = upload.algorithm or claims.DEFAULT
    digests = [part.received.digests.get(algorithm, b"") for part in parts]
    if not all(digests):
        return None
    if upload.kind == "COMPOSITE":
        return KeptChecksum(algorithm, claims.composite(algorithm, digests), upload.kind)
    sizes = (part.received.size_bytes for part in parts)
    whole = claims.full_object(algorithm, zip(digests, sizes, strict=True))
    return KeptChecksum(algorithm, claims.text_of(whole)) if whole is not None else None


def renamed(source: StoredObject, headers: Mapping[str, str] | None) -> StoredObject:
    """Returns a copy of an object, with other headers unless they are None."""
    return replace(source, modified_s=int(time.time()), headers=source.headers if headers is None else headers)


def _part(upload: MultipartUpload, listed: ListedPart) -> StoredPart:
    found = upload.parts.get(listed.number)
    if found is None or found.etag != listed.etag:
        raise Refusal.of("InvalidPart", f"There is no part {listed.number} with this ETag.")
    return found
