"""An S3 bucket as a sink. Keys, error codes, pages, uploads and the wire are in `stores.s3_*`."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

from blockferry.errors import BlockferryError, Whose
from stores.base import Attributes, Check, ClaimProbe, Kind, Part, SinkFeatures, Stat, Stored, Stretch, Upload
from stores.checksum import Algorithm, Checksum, empty
from stores.claim_probe import probe_claims
from stores.key_probe import keeps_backslash
from stores.location import S3Location
from stores.naming import MAX_KEY_BYTES, check_key
from stores.s3_checks import run_checks
from stores.s3_copy import copy_with
from stores.s3_door import Door, open_door
from stores.s3_headers import claim_headers, kind_of, metadata_headers, stat_of, stored_of
from stores.s3_listing import Listing
from stores.s3_pages import KeyPages
from stores.s3_uploads import Uploads
from stores.s3_wire import Ask

MIB = 1 << 20
GIB = 1 << 30
READ_BYTES = MIB
# Amazon S3 User Guide, "Multipart upload limits"; third-party stores have these or higher ones.
FEATURES = SinkFeatures(
    min_part_bytes=5 * MIB,
    max_part_bytes=5 * GIB,
    max_part_count=10_000,
    max_single_put_bytes=5 * GIB,
    max_key_bytes=MAX_KEY_BYTES,
)


class S3Store:
    """One bucket below one prefix: `Sink`, `Multipart` and `Prober` of `stores.base`. For several threads at once.

    Nothing is sent, and no key looked for, before the first call. Every call sends its request once.

    Attributes:
        features: limits of the store.
    """

    def __init__(self, location: S3Location, connections: int = 40, features: SinkFeatures = FEATURES) -> None:
        self.features = features
        self._location = location
        self._connections = connections
        self._lock = threading.Lock()
        self._opened: tuple[Door, Uploads, Listing] | None = None
        self._bucket_seen = False
        self._asking = threading.Lock()
        self._backslash: bool | None = None

    def __repr__(self) -> str:
        return f"S3Store({self._location.uri})"

    def list_tree(self, after: str = "") -> Iterator[Stat]:
        """See `stores.base.Lister.list_tree`. `mtime_ms` is LastModified, `version` the ETag."""
        return self._parts()[2].entries(after)

    def list_stretches(self, after: str) -> Iterator[Stretch]:
        """See `stores.base.QuickLister.list_stretches`."""
        return self._parts()[2].stretches(after)

    def list_folder(self, folder: str, after: str) -> Iterator[tuple[Stat, ...]]:
        """See `stores.base.Lister.list_folder`."""
        return self._parts()[2].folder(folder, after)

    def stat(self, path: str) -> Stat | None:
        """See `stores.base.Lister.stat`."""
        door, begin_s = self._door, time.monotonic()
        try:
            answer = door.wire.send(Ask("HEAD", door.key(path), headers={"x-amz-checksum-mode": "ENABLED"}))
        except BlockferryError as error:
            if error.reason != "NOT_FOUND":
                raise
            self._require_bucket()
            return None
        return stat_of(path, answer.headers, time.monotonic() - begin_s)

    def put(self, path: str, body: memoryview | bytes, claim: Checksum, attributes: Attributes) -> Stored:
        """See `stores.base.Sink.put`."""
        self.check_path(path)
        door = self._door
        headers = metadata_headers(path, attributes) | claim_headers(claim) | door.storage_headers
        return stored_of(door.wire.send(Ask("PUT", door.key(path), None, headers, body, claim)).headers)

    def begin(self, path: str, algorithm: Algorithm, attributes: Attributes) -> Upload:
        """See `stores.base.Sink.begin`."""
        self.check_path(path)
        return self._uploads.begin(path, algorithm, attributes)

    def put_part(self, upload: Upload, number: int, body: memoryview, claim: Checksum) -> Part:
        """See `stores.base.Multipart.put_part`."""
        return self._uploads.put_part(upload, number, body, claim)

    def list_parts(self, upload: Upload) -> tuple[Part, ...]:
        """See `stores.base.Multipart.list_parts`."""
        return self._uploads.list_parts(upload)

    def complete(self, upload: Upload, parts: tuple[Part, ...], claim: Checksum, size_bytes: int) -> Stored:
        """See `stores.base.Multipart.complete`."""
        return self._uploads.complete(upload, parts, claim, size_bytes)

    def abort(self, upload: Upload) -> None:
        """See `stores.base.Multipart.abort`."""
        self._uploads.abort(upload)

    def abort_since(self, path: str, since_ms: int) -> int:
        """See `stores.base.Multipart.abort_since`."""
        return self._uploads.abort_since(path, since_ms)

    def set_attributes(self, path: str, attributes: Attributes, algorithm: Algorithm) -> Stored:
        """See `stores.base.Sink.set_attributes`. Raises NOT_FOUND when there is no such object."""
        if kind_of(path) is Kind.FOLDER:
            return self.put(path, b"", empty(algorithm), attributes)
        found = self.stat(path)
        if found is None:
            text = "There is no such object whose attributes could be set: transfer it again."
            raise self._door.at(path).error("NOT_FOUND", text)
        return copy_with(self._door, found, attributes, algorithm, self.features)

    def read(self, path: str) -> Iterator[bytes]:
        """See `stores.base.Sink.read`. Raises when the content ends early."""
        return self._door.wire.read(self._door.key(path), READ_BYTES)

    def delete(self, path: str) -> None:
        """Removes an object. No error when there is none."""
        self._door.wire.send(Ask("DELETE", self._door.key(path)))

    def check_path(self, path: str) -> None:
        """See `stores.base.Sink.check_path`. The first path with a backslash asks the store whether it keeps it."""
        check_key(self._location.prefix, path, self.features.max_key_bytes)
        if "\\" in path and not self._keeps_backslash():
            text = "The path cannot be an object's key: this store writes a slash for a backslash. Rename the file."
            raise BlockferryError("INVALID_KEY", text, whose=Whose.SOURCE, path=path)

    def checks(self, write: bool) -> tuple[Check, ...]:
        """See `stores.base.Prober.checks`."""
        return run_checks(self, self._location, write)

    def probe_claims(self) -> ClaimProbe:
        """See `stores.base.Prober.probe_claims`."""
        return probe_claims(self)

    def close(self) -> None:
        """Closes every connection."""
        with self._lock:
            opened, self._opened = self._opened, None
        if opened is not None:
            opened[0].wire.close()

    def _keeps_backslash(self) -> bool:
        with self._asking:
            if self._backslash is None:
                door = self._door
                claim = claim_headers(empty(Algorithm.CRC32C))
                self._backslash = keeps_backslash(
                    lambda path: door.wire.send(Ask("PUT", door.key(path), None, claim, b"", empty(Algorithm.CRC32C))),
                    self.list_tree,
                    self.delete,
                )
            return self._backslash

    def _parts(self) -> tuple[Door, Uploads, Listing]:
        with self._lock:
            if self._opened is None:
                door = open_door(self._location, self._connections)
                pages = KeyPages(door.wire, self._location.prefix)
                self._opened = (door, Uploads(door), Listing(pages, door.wire.place))
            return self._opened

    @property
    def _door(self) -> Door:
        return self._parts()[0]

    @property
    def _uploads(self) -> Uploads:
        return self._parts()[1]

    def _require_bucket(self) -> None:
        """Raises BUCKET_NOT_FOUND: an answer without a body does not tell a missing object from a missing bucket."""
        if self._bucket_seen:
            return
        self._door.wire.send(Ask("HEAD"))
        self._bucket_seen = True
