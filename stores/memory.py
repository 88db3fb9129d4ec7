"""A store in this process, source and sink: what unit tests run on. Keeps every contract of `stores.base` for real.

It computes the checksum of what it is given, refuses a false claim and keeps the old object. `honest=False` makes the
store that believes every claim, as some real ones do. What is damaged (`damage`) still has the sums of what was
written. All stores of one name in one process hold the same content; `forget` drops it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from blockferry.errors import BlockferryError, Whose
from stores.base import (
    Attributes,
    Check,
    ClaimProbe,
    Condition,
    Extent,
    Part,
    RangeRead,
    SinkFeatures,
    Stat,
    Stored,
    Upload,
)
from stores.checksum import Algorithm, Checksum
from stores.claim_probe import probe_claims
from stores.hashing import checksum_of
from stores.memory_objects import MemoryObject, MemoryPart, MemoryUpload, Shelves, etag_of, etag_of_parts
from stores.naming import MAX_KEY_BYTES, check_key

MIB = 1 << 20
READ_BYTES = MIB
# Those of S3, but parts may be small, so that tests of uploads need few bytes.
FEATURES = SinkFeatures(
    min_part_bytes=1, max_part_bytes=64 * MIB, max_part_count=10_000, max_single_put_bytes=64 * MIB,
    max_key_bytes=MAX_KEY_BYTES,
)  # fmt: skip
_SHELVES = Shelves()


def forget(name: str) -> None:
    """Drops what the stores of that name hold."""
    _SHELVES.forget(name)


class MemoryStore:
    """`Source`, `Sink`, `Multipart` and `Prober` of `stores.base`. For several threads at once.

    Attributes:
        features: limits of the store.
    """

    def __init__(
        self,
        name: str,
        block_bytes: int = MIB,
        honest: bool = True,
        features: SinkFeatures = FEATURES,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        lists_attributes: bool = True,
    ) -> None:
        """Opens the content of a name. `lists_attributes=False`: as S3, a listing shows none."""
        self.features = features
        self._name = name
        self._shelf = _SHELVES.shelf(name)
        self._block_bytes = block_bytes
        self._honest = honest
        self._now_ms = now_ms
        self._lists_attributes = lists_attributes

    # -- as a person fills it ------------------------------------------------------------------------------------------

    def add(
        self,
        path: str,
        body: bytes,
        attributes: Attributes,
        algorithm: Algorithm | None = Algorithm.CRC32C,
        condition: Condition = Condition.PLAIN,
    ) -> Stat:
        """Writes an entry as a source has it: with sums of `algorithm` (None: without sums) and a condition."""
        self._keep(
            MemoryObject(
                path,
                body,
                body,
                attributes,
                algorithm,
                self._block_bytes,
                attributes.mtime_ms,
                etag_of(body),
                condition,
            )
        )
        return self._object(path).listed()

    def damage(self, path: str, offset: int) -> None:
        """Flips a bit of what is served, as a disk does: the sums stay those of what was written."""
        found = self._object(path)
        served = bytearray(found.served)
        served[offset] ^= 1
        self._keep(replace(found, served=bytes(served)))

    def delete(self, path: str) -> None:
        """Removes an entry. No error when there is none."""
        with self._shelf.lock:
            self._shelf.objects.pop(path, None)

    # -- Lister --------------------------------------------------------------------------------------------------------

    def list_tree(self, after: str = "") -> Iterator[Stat]:
        """See `stores.base.Lister.list_tree`. Shows what was there at the first step."""
        with self._shelf.lock:
            found = sorted((path, entry) for path, entry in self._shelf.objects.items() if path > after)
        seen_ms = self._now_ms()
        for _, entry in found:
            listed = entry.listed()
            yield replace(listed, attributes=listed.attributes if self._lists_attributes else None, seen_ms=seen_ms)

    def list_folder(self, folder: str, after: str) -> Iterator[tuple[Stat, ...]]:
        """See `stores.base.Lister.list_folder`. Pages of a hundred."""
        inside = [
            entry
            for entry in self.list_tree(after)
            if entry.path.startswith(folder) and "/" not in entry.path[len(folder) :]
        ]
        for at in range(0, len(inside), 100):
            yield tuple(inside[at : at + 100])

    def stat(self, path: str) -> Stat | None:
        """See `stores.base.Lister.stat`."""
        with self._shelf.lock:
            found = self._shelf.objects.get(path)
        if found is None:
            return None
        return replace(found.listed(), checksum=found.checksum(0, len(found.written)), seen_ms=self._now_ms())

    # -- Source --------------------------------------------------------------------------------------------------------

    def extents(self, file: Stat) -> tuple[Extent, ...]:
        """See `stores.base.Source.extents`."""
        found = self._object(file.path)
        size, block = len(found.written), found.block_bytes
        return tuple(Extent(offset, min(block, size - offset)) for offset in range(0, size, block))

    def claimed_algorithm(self, file: Stat) -> Algorithm:
        """See `stores.base.Source.claimed_algorithm`."""
        return self._object(file.path).algorithm or Algorithm.CRC32C

    def read_into(self, file: Stat, offset: int, view: memoryview, algorithm: Algorithm | None) -> RangeRead:
        """See `stores.base.Source.read_into`."""
        found = self._object(file.path)
        served = found.served[offset : offset + len(view)]
        if len(served) != len(view):
            text = "The range lies beyond the end of the file: it was shortened."
            raise BlockferryError("SOURCE_CHANGED", text, whose=Whose.SOURCE, path=file.path, offset=offset)
        view[:] = served
        kept = found.checksum(offset, len(view))
        if kept is not None and kept != checksum_of(kept.algorithm, served):
            text = "No replica holds the bytes that its checksums were made of: repair the file at the source."
            raise BlockferryError(
                "CHECKSUM_FAILURE", text, whose=Whose.SOURCE, path=file.path, offset=offset, expected=kept.hex
            )
        return RangeRead(checksum_of(algorithm or self.claimed_algorithm(file), served), proven=kept is not None)

    def stored_checksum(self, file: Stat, offset: int, size: int, algorithm: Algorithm) -> Checksum | None:
        """See `stores.base.Source.stored_checksum`."""
        kept = self._object(file.path).checksum(offset, size)
        return kept if kept is not None and kept.algorithm is algorithm else None

    def close(self) -> None:
        """Does nothing: the content stays until it is forgotten."""

    # -- Sink ----------------------------------------------------------------------------------------------------------

    def put(self, path: str, body: memoryview | bytes, claim: Checksum, attributes: Attributes) -> Stored:
        """See `stores.base.Sink.put`."""
        self.check_path(path)
        content = bytes(body)
        self._verify(path, checksum_of(claim.algorithm, content), claim)
        return self._write(path, content, etag_of(content), claim.algorithm, attributes)

    def begin(self, path: str, algorithm: Algorithm, attributes: Attributes) -> Upload:
        """See `stores.base.Sink.begin`."""
        self.check_path(path)
        with self._shelf.lock:
            self._shelf.upload_count += 1
            upload_id = f"upload-{self._shelf.upload_count}"
            self._shelf.uploads[upload_id] = MemoryUpload(path, algorithm, attributes, self._now_ms())
        return Upload(path, path, upload_id, algorithm)

    def set_attributes(self, path: str, attributes: Attributes, algorithm: Algorithm) -> Stored:
        """See `stores.base.Sink.set_attributes`."""
        found = self._object(path)
        changed = replace(found, attributes=attributes, mtime_ms=self._now_ms())
        self._keep(changed)
        return Stored(found.etag, written_ms=changed.mtime_ms)

    def read(self, path: str) -> Iterator[bytes]:
        """See `stores.base.Sink.read`."""
        served = self._object(path).served
        for offset in range(0, len(served), READ_BYTES):
            yield served[offset : offset + READ_BYTES]

    def check_path(self, path: str) -> None:
        """See `stores.base.Sink.check_path`."""
        check_key("", path, self.features.max_key_bytes)

    # -- Multipart -----------------------------------------------------------------------------------------------------

    def put_part(self, upload: Upload, number: int, body: memoryview, claim: Checksum) -> Part:
        """See `stores.base.Multipart.put_part`."""
        content = bytes(body)
        found = checksum_of(claim.algorithm, content)
        self._verify(upload.path, found, claim)
        part = MemoryPart(content, etag_of(content), found)
        with self._shelf.lock:
            self._upload(upload).parts[number] = part
        return Part(number, len(content), part.etag, found)

    def list_parts(self, upload: Upload) -> tuple[Part, ...]:
        """See `stores.base.Multipart.list_parts`."""
        with self._shelf.lock:
            parts = sorted(self._upload(upload).parts.items())
        return tuple(Part(number, len(part.body), part.etag, part.checksum) for number, part in parts)

    def complete(self, upload: Upload, parts: tuple[Part, ...], claim: Checksum, size_bytes: int) -> Stored:
        """See `stores.base.Multipart.complete`."""
        if (stored := self._already(upload, claim, size_bytes)) is not None:
            return stored
        with self._shelf.lock:
            begun = self._upload(upload)
        held = tuple(self._listed(begun, part) for part in parts)
        if any(len(part.body) < self.features.min_part_bytes for part in held[:-1]):
            text = f"A part that is not the last one has fewer than {self.features.min_part_bytes} bytes."
            raise BlockferryError("LIMIT_EXCEEDED", text, whose=Whose.SINK, path=upload.path)
        content = b"".join(part.body for part in held)
        found = checksum_of(claim.algorithm, content)
        self._verify(upload.path, found, claim)
        if self._honest and len(content) != size_bytes:
            raise self._rejected(upload.path, f"{len(content)} bytes", f"{size_bytes} bytes")
        stored = self._write(upload.path, content, etag_of_parts(held), claim.algorithm, begun.attributes)
        self.abort(upload)
        return stored

    def abort(self, upload: Upload) -> None:
        """See `stores.base.Multipart.abort`."""
        with self._shelf.lock:
            self._shelf.uploads.pop(upload.upload_id, None)

    def abort_since(self, path: str, since_ms: int) -> int:
        """See `stores.base.Multipart.abort_since`."""
        with self._shelf.lock:
            found = self._shelf.uploads.items()
            strays = [upload_id for upload_id, one in found if one.path == path and one.begun_ms >= since_ms]
            for upload_id in strays:
                del self._shelf.uploads[upload_id]
        return len(strays)

    # -- Prober --------------------------------------------------------------------------------------------------------

    def checks(self, write: bool) -> tuple[Check, ...]:
        """See `stores.base.Prober.checks`."""
        listed = Check("list", True, f"memory://{self._name}/ can be listed")
        if not write:
            return (listed,)
        probe = self.probe_claims()
        reason = "" if probe.trusted else "CLAIMS_NOT_VERIFIED"
        return listed, Check("checksum claims", probe.trusted, probe.detail, reason)

    def probe_claims(self) -> ClaimProbe:
        """See `stores.base.Prober.probe_claims`."""
        return probe_claims(self)

    # ------------------------------------------------------------------------------------------------------------------

    def _object(self, path: str) -> MemoryObject:
        with self._shelf.lock:
            found = self._shelf.objects.get(path)
        if found is None:
            raise BlockferryError("NOT_FOUND", "There is no such entry.", whose=Whose.CALLER, path=path)
        return found

    def _keep(self, entry: MemoryObject) -> None:
        with self._shelf.lock:
            self._shelf.objects[entry.path] = entry

    def _write(self, path: str, content: bytes, etag: str, algorithm: Algorithm, attributes: Attributes) -> Stored:
        now_ms = self._now_ms()
        self._keep(MemoryObject(path, content, content, attributes, algorithm, self._block_bytes, now_ms, etag))
        return Stored(etag, written_ms=now_ms)

    def _upload(self, upload: Upload) -> MemoryUpload:
        """Returns the upload; the shelf's lock is held."""
        begun = self._shelf.uploads.get(upload.upload_id)
        if begun is None:
            text = "The store has forgotten the upload: begin it again."
            raise BlockferryError("NO_SUCH_UPLOAD", text, whose=Whose.SINK, path=upload.path)
        return begun

    def _listed(self, begun: MemoryUpload, part: Part) -> MemoryPart:
        held = begun.parts.get(part.number)
        if held is None or held.etag != part.etag or part.checksum not in (None, held.checksum):
            raise self._rejected(begun.path, f"part {part.number}", part.etag)
        return held

    def _already(self, upload: Upload, claim: Checksum, size_bytes: int) -> Stored | None:
        """Returns what an earlier completion has made, if the upload is gone and it is what is claimed."""
        with self._shelf.lock:
            gone = upload.upload_id not in self._shelf.uploads
        found = self.stat(upload.path) if gone else None
        same = found is not None and found.checksum == claim and found.size_bytes == size_bytes
        return Stored(found.version) if found is not None and same else None

    def _verify(self, path: str, found: Checksum, claim: Checksum) -> None:
        if self._honest and found != claim:
            raise self._rejected(path, found.hex, claim.hex)

    def _rejected(self, path: str, found: str, expected: str) -> BlockferryError:
        text = "The store computed another checksum than the one claimed, and kept nothing."
        return BlockferryError(
            "CHECKSUM_REJECTED", text, retryable=True, whose=Whose.SINK, path=path, found=found, expected=expected
        )
