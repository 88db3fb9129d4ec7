"""What a store must be able to do, as a source and as a sink, and the words for what it answers.

Paths are relative to the location's root, without a slash at their begin: `a/b`. The path of a folder ends with a
slash: `a/`. A listing comes in key order: the order of the paths' UTF-8 bytes, which is the order of Python's str.
So `a-b` comes before `a/`, and `a/` before `a/b`. The root itself is not listed. When the location's root is one file,
its listing is one entry, whose path is the file's name.

Every method raises `BlockferryError` with coordinates, retryable or not. Methods block: callers give them a thread.
A store object may be used by several threads at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol, runtime_checkable

from stores.checksum import Algorithm, Checksum
from stores.parcel import rebuilt_by_fields

# A change in the same second as the one before has the same LastModified. So an object was seen late enough when the
# store's clock had left that second; half a second more for the clocks of a store's several machines.
SETTLED_MS = 1_500


class Kind(StrEnum):
    """What an entry is."""

    FILE = "FILE"
    FOLDER = "FOLDER"
    SYMLINK = "SYMLINK"


class Condition(StrEnum):
    """What is special about a source's file. Not all can be moved."""

    PLAIN = "PLAIN"
    OPEN = "OPEN"  # somebody is writing it: its size is what the store knows now
    ENCRYPTED = "ENCRYPTED"  # in an encryption zone: its blocks hold ciphertext (also if it is erasure-coded)
    OPEN_ENCRYPTED = "OPEN_ENCRYPTED"  # both
    ERASURE_CODED = "ERASURE_CODED"  # and neither open nor encrypted

    @property
    def is_open(self) -> bool:
        """Whether somebody is writing the file."""
        return self is Condition.OPEN or self is Condition.OPEN_ENCRYPTED

    @property
    def is_encrypted(self) -> bool:
        """Whether the file's blocks hold ciphertext."""
        return self is Condition.ENCRYPTED or self is Condition.OPEN_ENCRYPTED


@rebuilt_by_fields
@dataclass(frozen=True, slots=True)
class Attributes:
    """What is carried besides the bytes. `permissions` is the mode without the file type, e.g. 0o644; times in ms."""

    owner: str
    group: str
    permissions: int
    mtime_ms: int
    atime_ms: int


@rebuilt_by_fields
@dataclass(frozen=True, slots=True)
class Stat:
    """One entry of a store.

    Attributes:
        path: relative, see the module.
        size_bytes: 0 for folders.
        mtime_ms: the store's own time of the last change (S3: LastModified), milliseconds since 1970 UTC.
        attributes: what belongs to the entry; at a sink, what was written with it. None: not known from a listing
            (`Lister.stat` tells).
        version: changes whenever the content does. HDFS: hash of file id, block ids, generation stamps and length;
            S3: the ETag. Compared for equality only.
        layout: what the store needs to read the file without asking again (HDFS: serialised LocatedBlocksProto).
            Opaque to everybody else. Empty: not known.
        checksum: what the store itself keeps for the whole content. None in listings.
        keeps_attributes: False where a sink can keep no attributes for this entry, whatever is sent along (SeaweedFS
            drops those of folders): then their absence is no difference and no failure.
        seen_ms: when a sink told this, by its own clock; 0: not known. No part of what is compared.
    """

    path: str
    kind: Kind
    size_bytes: int
    mtime_ms: int
    attributes: Attributes | None = None
    version: str = ""
    layout: bytes = b""
    condition: Condition = Condition.PLAIN
    checksum: Checksum | None = None
    keeps_attributes: bool = True
    seen_ms: int = field(default=0, compare=False)

    @property
    def settled(self) -> bool:
        """Whether any change after this was seen shows another LastModified, which counts whole seconds."""
        return self.seen_ms - self.mtime_ms // 1000 * 1000 >= SETTLED_MS


SourceRow = tuple[str, int, int, str, str, int]
"""Path, size, modification time in ms, owner, group, permissions."""
SinkRow = tuple[str, str, int, int]
"""Path, version, LastModified in whole seconds, size."""


def source_row(stat: Stat) -> SourceRow | None:
    """Returns what a comparison looks at first; None for what is no file or folder with attributes."""
    known = stat.attributes
    if known is None or stat.kind is Kind.SYMLINK:
        return None
    return stat.path, stat.size_bytes, known.mtime_ms, known.owner, known.group, known.permissions


def sink_row(stat: Stat) -> SinkRow:
    """Returns what a comparison looks at first."""
    return stat.path, stat.version, stat.mtime_ms // 1000, stat.size_bytes


@dataclass(frozen=True, slots=True)
class Stretch:
    """Entries that follow each other in a listing: of each what a comparison looks at first, and all of it on demand.
    A tenth of the cost where nothing has changed.

    Attributes:
        paths: of all.
        rows: as `source_row` or `sink_row`.
        stat_at: returns the stat of one, by its index.
    """

    paths: Sequence[str]
    rows: Sequence[SourceRow | SinkRow | None]
    stat_at: Callable[[int], Stat]


@runtime_checkable
class QuickLister(Protocol):
    """A lister that can give stretches. Optional: any other's are made of its stats."""

    def list_stretches(self, after: str) -> Iterator[Stretch]:
        """Yields what `Lister.list_tree` yields, in stretches that are not empty. A source may take files for closed
        that are open, as long as nobody asks for their stats."""
        ...


@dataclass(frozen=True, slots=True)
class Extent:
    """A slice of a file that lies in one block: the natural unit of reading. Sizes in bytes."""

    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class RangeRead:
    """What a read of a range found.

    Attributes:
        checksum: of exactly the bytes of the range. Of the algorithm that the store keeps, where it keeps one that can
            be claimed (CRC32C or CRC32), else our own CRC32C.
        proven: True if every byte was compared with sums that the source keeps. False: our own hash only. Of an
            encrypted file the bytes that were compared are its ciphertext, and `checksum` is our own of the plaintext.
        retry_count: replicas that failed before this one.
    """

    checksum: Checksum
    proven: bool
    retry_count: int = 0


class Lister(Protocol):
    """A store that can be listed."""

    def list_tree(self, after: str = "") -> Iterator[Stat]:
        """Yields every entry below the root whose path is greater than `after`, in key order, in flat memory.

        Raises:
            BlockferryError: LIST_FAILED, ACCESS_DENIED, NOT_FOUND, UNAVAILABLE. Never ends early without an error.
        """
        ...

    def list_folder(self, folder: str, after: str) -> Iterator[tuple[Stat, ...]]:
        """Yields what lies directly in a folder, in pages of about 1,000 entries, one request each, beginning with the
        entry that follows the path `after` in the store's own order, which may not be key order. `folder` is empty (the
        root) or ends with a slash. Subfolders may be left out. For many stats at once: an entry is as `stat` tells it,
        but without stored checksum and, at a sink, without attributes.

        Raises:
            BlockferryError: as `list_tree`.
        """
        ...

    def stat(self, path: str) -> Stat | None:
        """Returns one entry with its attributes (and stored checksum, at a sink); None if there is none."""
        ...


class Source(Lister, Protocol):
    """A store that can be read."""

    def extents(self, file: Stat) -> tuple[Extent, ...]:
        """Returns the file's blocks in order, as of `file.layout` or, without it, as the store says now."""
        ...

    def claimed_algorithm(self, file: Stat) -> Algorithm:
        """Returns the one algorithm in which all ranges of the file will be summed: CRC32C, or CRC32 for files that
        HDFS keeps CRC32 for. NULL and mixed ones are CRC32C. May ask a DataNode, moves no data."""
        ...

    def read_into(self, file: Stat, offset: int, view: memoryview, algorithm: Algorithm | None) -> RangeRead:
        """Fills `view` with the bytes from `offset` on, verified against the store's own sums; returns their checksum
        in `algorithm`; None: in the file's `claimed_algorithm`, which costs no question of its own for a file of one
        block that is read as a whole.

        Tries every replica before it gives up. When it raises, the content of `view` is undefined.
        """
        ...

    def stored_checksum(self, file: Stat, offset: int, size: int, algorithm: Algorithm) -> Checksum | None:
        """Returns the checksum of a range from what the store keeps; None where it keeps none (NULL or mixed sums, or
        another algorithm than asked). Moves no data, but from HDFS before 3.1.1, whose sums come with the data only."""
        ...

    def close(self) -> None:
        """Closes every connection."""
        ...


@dataclass(frozen=True, slots=True)
class SinkFeatures:
    """Limits of a sink. Sizes in bytes. Asked, never guessed."""

    min_part_bytes: int
    max_part_bytes: int
    max_part_count: int
    max_single_put_bytes: int
    max_key_bytes: int


@dataclass(frozen=True, slots=True)
class Stored:
    """What the sink says it has written. `written_ms`: its own clock then, as LastModified has it; 0: not known."""

    etag: str
    version_id: str = ""
    written_ms: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Part:
    """A part that the sink holds. `checksum` is None where the sink does not list it."""

    number: int
    size_bytes: int
    etag: str
    checksum: Checksum | None


@dataclass(frozen=True, slots=True)
class Upload:
    """An upload that was begun and not completed. `key` is the sink's full key."""

    path: str
    key: str
    upload_id: str
    algorithm: Algorithm


class Sink(Lister, Protocol):
    """A store that can be written. Every write claims a checksum; a sink that finds another one refuses it with reason
    CHECKSUM_REJECTED and keeps nothing."""

    @property
    def features(self) -> SinkFeatures:
        """What it can hold."""
        ...

    def put(self, path: str, body: memoryview | bytes, claim: Checksum, attributes: Attributes) -> Stored:
        """Writes a whole object, or a folder (path ends with a slash, empty body)."""
        ...

    def begin(self, path: str, algorithm: Algorithm, attributes: Attributes) -> Upload:
        """Begins an upload in parts with a FULL_OBJECT checksum of `algorithm`."""
        ...

    def set_attributes(self, path: str, attributes: Attributes, algorithm: Algorithm) -> Stored:
        """Changes the attributes of an object without sending its data (server-side copy)."""
        ...

    def read(self, path: str) -> Iterator[bytes]:
        """Yields an object's content in slices of at most 1 MiB."""
        ...

    def check_path(self, path: str) -> None:
        """Raises INVALID_KEY when the sink cannot hold `path` byte for byte. Asks the store once at most."""
        ...

    def close(self) -> None:
        """Closes every connection."""
        ...


class Multipart(Protocol):
    """A sink's uploads in parts. Implemented by the same object as `Sink`."""

    def put_part(self, upload: Upload, number: int, body: memoryview, claim: Checksum) -> Part:
        """Writes one part, numbered from 1. A part that is written again takes the place of the earlier one."""
        ...

    def list_parts(self, upload: Upload) -> tuple[Part, ...]:
        """Returns the parts that the sink holds, by number. Raises NO_SUCH_UPLOAD when the upload is gone."""
        ...

    def complete(self, upload: Upload, parts: tuple[Part, ...], claim: Checksum, size_bytes: int) -> Stored:
        """Makes the object of its parts (each with its checksum), claiming the whole one's checksum and size."""
        ...

    def abort(self, upload: Upload) -> None:
        """Gives the upload up. No error when it is gone already."""
        ...

    def abort_since(self, path: str, since_ms: int) -> int:
        """Gives every upload of exactly this path up that was begun at that time of the sink's clock (milliseconds
        since 1970 UTC) or later, whoever began it. Returns how many that were."""
        ...


@dataclass(frozen=True, slots=True)
class ClaimProbe:
    """What a store did with false claims. `detail` is for people and names each claim that was accepted."""

    trusted: bool
    detail: str = ""
    accepted: tuple[str, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Check:
    """One step of a location's test. `reason` is empty when it passed."""

    step: str
    passed: bool
    message: str
    reason: str = ""


class Prober(Protocol):
    """A store that can be tried out. Implemented by the same objects as `Source` and `Sink`."""

    def checks(self, write: bool) -> tuple[Check, ...]:
        """Tries the location step by step. Never raises for what it finds. With `write` it also writes and deletes
        objects whose names begin with `.blockferry-probe-`."""
        ...

    def probe_claims(self) -> ClaimProbe:
        """Sends a put, a part and a completion with false CRC32C claims and removes what was accepted. A source has
        none and answers `trusted=True`."""
        ...
