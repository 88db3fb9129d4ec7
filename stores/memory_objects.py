"""What a store in memory holds: objects, uploads, and the shelves that stores of one name share."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass, field

from stores.base import Attributes, Condition, Kind, Stat
from stores.checksum import Algorithm, Checksum
from stores.hashing import checksum_of


@dataclass(frozen=True, slots=True)
class MemoryObject:
    """One entry.

    Attributes:
        written: what was written; the sums that the store keeps are those of these bytes.
        served: what a read gives: other bytes than `written` where a disk has damaged them.
        algorithm: of the sums that the store keeps; None where it keeps none (HDFS: NULL).
        block_bytes: size of a block, all but the last one are whole.
        mtime_ms: the store's own time of the last change.
    """

    path: str
    written: bytes
    served: bytes
    attributes: Attributes | None
    algorithm: Algorithm | None
    block_bytes: int
    mtime_ms: int
    etag: str
    condition: Condition = Condition.PLAIN

    @property
    def kind(self) -> Kind:
        """A folder ends with a slash."""
        return Kind.FOLDER if self.path.endswith("/") else Kind.FILE

    def listed(self) -> Stat:
        """Returns the entry as a listing shows it, with its attributes: HDFS tells them there."""
        return Stat(
            self.path,
            self.kind,
            len(self.written),
            self.mtime_ms,
            self.attributes,
            self.etag,
            condition=self.condition,
        )

    def checksum(self, offset: int, size: int) -> Checksum | None:
        """Returns the checksum of a range that the store keeps."""
        if self.algorithm is None:
            return None
        return checksum_of(self.algorithm, self.written[offset : offset + size])


@dataclass(frozen=True, slots=True)
class MemoryPart:
    """One part of an upload."""

    body: bytes
    etag: str
    checksum: Checksum


@dataclass(slots=True)
class MemoryUpload:
    """An upload that was begun. Changed under the shelf's lock only."""

    path: str
    algorithm: Algorithm
    attributes: Attributes
    begun_ms: int
    parts: dict[int, MemoryPart] = field(default_factory=dict)


@dataclass(slots=True)
class Shelf:
    """Everything that stores of one name hold. `lock` guards all of it."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    objects: dict[str, MemoryObject] = field(default_factory=dict)
    uploads: dict[str, MemoryUpload] = field(default_factory=dict)
    upload_count: int = 0


class Shelves:
    """Shelves by name. For several threads at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._shelves: dict[str, Shelf] = {}

    def shelf(self, name: str) -> Shelf:
        """Returns the shelf of that name, a new one at its first use."""
        with self._lock:
            return self._shelves.setdefault(name, Shelf())

    def forget(self, name: str) -> None:
        """Drops the shelf of that name; stores that are open keep theirs."""
        with self._lock:
            self._shelves.pop(name, None)


def etag_of(body: bytes | memoryview) -> str:
    """Returns the ETag of a body that is put at once, as S3 makes it."""
    return hashlib.md5(body, usedforsecurity=False).hexdigest()


def etag_of_parts(parts: tuple[MemoryPart, ...]) -> str:
    """Returns the ETag of an upload in parts, as S3 makes it."""
    digests = b"".join(bytes.fromhex(part.etag) for part in parts)
    return f"{etag_of(digests)}-{len(parts)}"
