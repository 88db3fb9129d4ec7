"""Every store that the conformance suite runs over, with what is known to be beyond each: declared, so it is seen."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from stores.base import Attributes, Lister, Multipart, Prober, Sink
from stores.checksum import Algorithm, Checksum
from stores.hashing import checksum_of
from stores.location import CredentialsKind, CredentialsReference, S3Location
from stores.memory import MemoryStore
from stores.s3 import S3Store
from tests.support.s3 import S3Server

MIB = 1 << 20
ATTRIBUTES = Attributes("ada", "analysts", 0o640, mtime_ms=1_700_000_000_123, atime_ms=1_700_000_000_456)
OTHERS = Attributes("müller", "прод 😀 50%", 0o1755, mtime_ms=5, atime_ms=0)


class Limit(StrEnum):
    """What a store does otherwise than S3. A test meets it with an assertion of its own, so that a cure is noticed."""

    PARTS_LISTED_WITHOUT_CHECKSUMS = "PARTS_LISTED_WITHOUT_CHECKSUMS"
    SIZE_OF_COMPLETION_UNCHECKED = "SIZE_OF_COMPLETION_UNCHECKED"
    BACKSLASH_BECOMES_SLASH = "BACKSLASH_BECOMES_SLASH"
    NO_FILE_BESIDE_ITS_FOLDER = "NO_FILE_BESIDE_ITS_FOLDER"  # `a` and `a/b`
    NO_COPY_IN_PARTS = "NO_COPY_IN_PARTS"
    FOLDERS_HAVE_NO_CHECKSUM = "FOLDERS_HAVE_NO_CHECKSUM"
    UPLOADS_OF_ONE_KEY_NOT_PAGED = "UPLOADS_OF_ONE_KEY_NOT_PAGED"  # it refuses its own marker


KNOWN_LIMITS = {
    "memory": frozenset[Limit](),
    "seaweedfs": frozenset(
        {
            Limit.PARTS_LISTED_WITHOUT_CHECKSUMS,
            Limit.SIZE_OF_COMPLETION_UNCHECKED,
            Limit.BACKSLASH_BECOMES_SLASH,
            Limit.FOLDERS_HAVE_NO_CHECKSUM,
        }
    ),
    "versitygw": frozenset(
        {Limit.NO_FILE_BESIDE_ITS_FOLDER, Limit.NO_COPY_IN_PARTS, Limit.UPLOADS_OF_ONE_KEY_NOT_PAGED}
    ),
}


class Removable(Sink, Multipart, Prober, Lister, Protocol):
    """A sink of which a test may remove what it put."""

    def delete(self, path: str) -> None:
        """Removes an object."""
        ...


@dataclass(frozen=True, slots=True)
class StoreUnderTest:
    """One empty store. `location` is absent for the one in memory."""

    store: Removable
    limits: frozenset[Limit]
    location: S3Location | None = None
    part_bytes: int = 5 * MIB

    def put(self, path: str, body: bytes = b"", attributes: Attributes = ATTRIBUTES) -> None:
        """Puts an object with its true claim."""
        self.store.put(path, body, crc32c(body), attributes)

    def content(self, path: str) -> bytes:
        """Returns what a read gives."""
        return b"".join(self.store.read(path))

    def paths(self, after: str = "") -> list[str]:
        """Returns the paths of a listing."""
        return [entry.path for entry in self.store.list_tree(after)]


def crc32c(body: bytes | memoryview) -> Checksum:
    """Returns the true claim for a body."""
    return checksum_of(Algorithm.CRC32C, body)


def false_of(claim: Checksum) -> Checksum:
    """Returns another claim."""
    return Checksum(claim.algorithm, claim.value ^ 0x1)


def credentials_file(folder: Path, access_key: str, secret_key: str) -> CredentialsReference:
    """Writes an AWS credentials file and returns the reference to it."""
    file = folder / f"credentials-{uuid.uuid4().hex}"
    file.write_text(f"[default]\naws_access_key_id = {access_key}\naws_secret_access_key = {secret_key}\n")
    return CredentialsReference(CredentialsKind.FILE, str(file))


def location_at(server: S3Server, bucket: str, folder: Path, prefix: str = "") -> S3Location:
    """Returns a location in a bucket of a server, with its keys in a file below `folder`."""
    return S3Location(
        bucket,
        prefix,
        server.endpoint,
        server.region,
        credentials=credentials_file(folder, server.access_key, server.secret_key),
        ca_bundle=str(server.ca_file) if server.ca_file else "",
    )


def memory_under_test() -> StoreUnderTest:
    """Returns an empty store in memory, with the part sizes of S3."""
    store = MemoryStore(f"conformance-{uuid.uuid4().hex}")
    return StoreUnderTest(store, KNOWN_LIMITS["memory"], part_bytes=5)


def s3_under_test(name: str, server: S3Server, bucket: str, folder: Path) -> StoreUnderTest:
    """Returns an empty prefix of a server's bucket."""
    location = location_at(server, bucket, folder, f"conformance/{uuid.uuid4().hex}/")
    return StoreUnderTest(S3Store(location), KNOWN_LIMITS[name], location)
