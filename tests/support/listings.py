"""Ends of a scan that consist of their listings alone, with faults where a test wants them. Holds no content."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from blockferry.errors import BlockferryError, Whose
from ledger.records import PlanEntry
from stores.base import Attributes, Condition, Kind, SinkFeatures, Stat, Stored, Upload
from stores.checksum import Algorithm, Checksum

OWNER = Attributes("ada", "staff", 0o644, mtime_ms=1_000, atime_ms=0)


def file(
    path: str, size_bytes: int = 1, attributes: Attributes = OWNER, condition: Condition = Condition.PLAIN
) -> Stat:
    """Returns a file at the source."""
    return Stat(path, Kind.FILE, size_bytes, attributes.mtime_ms, attributes, version="v1", condition=condition)


def folder(path: str, attributes: Attributes = OWNER) -> Stat:
    """Returns a folder at the source; `path` ends with a slash."""
    return Stat(path, Kind.FOLDER, 0, attributes.mtime_ms, attributes)


def written(stat: Stat, last_modified_ms: int = 5_000) -> Stat:
    """Returns the object that a transfer of `stat` leaves, as `Lister.stat` shows it."""
    return replace(stat, mtime_ms=last_modified_ms, version="etag", layout=b"")


class ListedEnd:
    """A source or a sink. As S3 does, it keeps attributes out of its listing when `hides_attributes`.

    `gate` is waited for before the path that it belongs to is listed. `faults` are raised once, before theirs.
    """

    features = SinkFeatures(5 << 20, 5 << 30, 10_000, 5 << 30, 1024)

    def __init__(
        self,
        stats: Iterable[Stat],
        hides_attributes: bool = False,
        faults: Mapping[str, Iterable[BlockferryError]] | None = None,
        gates: Mapping[str, threading.Event] | None = None,
    ) -> None:
        self.stats = {stat.path: stat for stat in stats}
        self.asked: list[str] = []
        self.list_count = 0
        self._hides_attributes = hides_attributes
        self._faults = {path: list(errors) for path, errors in (faults or {}).items()}
        self._gates = dict(gates or {})

    def list_tree(self, after: str = "") -> Iterator[Stat]:
        self.list_count += 1
        for path in sorted({*self.stats, *self._faults, *self._gates}):
            if path <= after:
                continue
            if path in self._gates:
                assert self._gates[path].wait(20), "nobody opened the gate"
            if self._faults.get(path):
                raise self._faults[path].pop(0)
            if path in self.stats:
                stat = self.stats[path]
                yield replace(stat, attributes=None) if self._hides_attributes else stat

    def stat(self, path: str) -> Stat | None:
        self.asked.append(path)
        if self._faults.get(path):
            raise self._faults[path].pop(0)
        return self.stats.get(path)

    def check_path(self, path: str) -> None:
        if "\\" in path:
            raise BlockferryError("INVALID_KEY", f"No key can be {path!r}: rename it.", whose=Whose.CALLER, path=path)

    def close(self) -> None:
        """Has nothing to close."""

    # A scan lists whole trees and writes nothing: these are here because a sink has them.
    def list_folder(self, folder: str, after: str) -> Iterator[tuple[Stat, ...]]:
        raise AssertionError(f"a scan must not ask for {folder} alone")

    def put(self, path: str, body: memoryview | bytes, claim: Checksum, attributes: Attributes) -> Stored:
        raise AssertionError(f"a scan must not write {path}")

    def begin(self, path: str, algorithm: Algorithm, attributes: Attributes) -> Upload:
        raise AssertionError(f"a scan must not write {path}")

    def set_attributes(self, path: str, attributes: Attributes, algorithm: Algorithm) -> Stored:
        raise AssertionError(f"a scan must not write {path}")

    def read(self, path: str) -> Iterator[bytes]:
        raise AssertionError(f"a scan must not read {path}")


class KeptPlans:
    """Where a scan's plans go, by shard."""

    def __init__(self) -> None:
        self.plans: dict[str, tuple[PlanEntry, ...]] = {}

    def write_plan(self, shard: str, entries: Iterable[PlanEntry]) -> None:
        self.plans[shard] = tuple(entries)

    def entries(self) -> list[PlanEntry]:
        """Returns all entries in the order of their shards."""
        return [entry for name in sorted(self.plans) for entry in self.plans[name]]
