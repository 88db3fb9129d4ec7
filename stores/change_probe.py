"""Whether a sink's listing shows that an object was changed, if only its attributes were.

S3 does: a copy of an object onto itself gives it another LastModified. versitygw keeps LastModified and ETag; in the
listing of `rclone serve s3` an object stays what it was (both measured). There, what was known of an object before
proves nothing, and each must be asked for.

Makes one file and one folder, changes their attributes when the store's clock shows another second, and removes them.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from itertools import takewhile
from typing import Protocol

from stores.base import Attributes, Sink, Stat
from stores.checksum import Algorithm, empty
from stores.hashing import checksum_of

PROBE_PREFIX = ".blockferry-probe-"
PATIENCE_S = 5.0
_PAUSE_S = 0.1
_BODY = b"blockferry asks whether a listing shows changes"
_BEFORE = Attributes("blockferry", "blockferry", 0o600, mtime_ms=0, atime_ms=0)
_AFTER = Attributes("blockferry", "blockferry", 0o400, mtime_ms=1, atime_ms=0)


class Changeable(Sink, Protocol):
    """A sink that can remove what was put."""

    def delete(self, path: str) -> None:
        """Removes an object. No error when there is none."""
        ...


def lists_changes(store: Changeable, sleep: Callable[[float], None] = time.sleep) -> bool:
    """Returns whether the listing shows other attributes by another LastModified or ETag. Takes about a second; False
    where the store's clock does not get on.

    Raises:
        BlockferryError: the store could not be asked.
    """
    name = f"{PROBE_PREFIX}{uuid.uuid4().hex}"
    folder, file = f"{name}-a/", f"{name}-b"
    try:
        store.put(folder, b"", empty(Algorithm.CRC32C), _BEFORE)
        store.put(file, _BODY, checksum_of(Algorithm.CRC32C, _BODY), _BEFORE)
        before = _listed(store, folder, file)
        if not _second_passes(store, file, sleep):
            return False
        for path in (folder, file):
            store.set_attributes(path, _AFTER, Algorithm.CRC32C)
        after = _listed(store, folder, file)
        return len(before) == len(after) == 2 and not before & after
    finally:
        for path in (folder, file):
            store.delete(path)


def _listed(store: Changeable, folder: str, file: str) -> set[tuple[str, str, int]]:
    """Returns what the listing shows of both: path, ETag, LastModified in seconds."""
    stats = takewhile(lambda stat: stat.path <= file, store.list_tree(folder[:-1]))
    return {(stat.path, stat.version, stat.mtime_ms // 1000) for stat in stats if stat.path in (folder, file)}


def _second_passes(store: Changeable, path: str, sleep: Callable[[float], None]) -> bool:
    """Returns whether the store's clock has left the second in which the object at `path` was written."""
    for _ in range(int(PATIENCE_S / _PAUSE_S)):
        found = store.stat(path)
        if found is not None and _has_left(found):
            return True
        sleep(_PAUSE_S)
    return False


def _has_left(found: Stat) -> bool:
    # `seen_ms` is the second that the store told, less what the question took: rounded up it is that second again.
    return -(-found.seen_ms // 1000) > found.mtime_ms // 1000
