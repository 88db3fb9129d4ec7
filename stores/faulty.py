"""Stores that fail, stall and corrupt by a script: a wrapper over any source or sink, for tests and for drills.

The same script with the same seed and the same order of calls does the same. What a fault does:
    FAIL     the call raises `error` and the store is not asked
    LOSE     the store does what was asked, then the call raises `error`: an answer that was lost on its way
    STALL    the call waits `stall_s` first
    CORRUPT  one bit of the bytes is flipped: on the way to the sink, or after the source has verified them

A fault in a listing or a content that is read strikes after `position` entries or slices.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, TypeVar

from blockferry.errors import BlockferryError
from stores.base import (
    Attributes,
    Check,
    ClaimProbe,
    Extent,
    Multipart,
    Part,
    Prober,
    RangeRead,
    Sink,
    SinkFeatures,
    Source,
    Stat,
    Stored,
    Upload,
)
from stores.checksum import Algorithm, Checksum

T = TypeVar("T")


class Harm(StrEnum):
    """What a fault does: see the module."""

    FAIL = "FAIL"
    LOSE = "LOSE"
    STALL = "STALL"
    CORRUPT = "CORRUPT"


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault, struck once or by chance.

    Attributes:
        method: of the store, e.g. `put_part`.
        harm: what happens.
        call: which call of that method (and path) is struck, from 1; 0: each, with `probability`.
        path: only calls about this path; empty: about any.
        probability: from 0 to 1, for `call` 0.
        position: entries or slices that pass before (list_tree, read).
        stall_s: how long to wait.
        error: what is raised; None: STORE_UNAVAILABLE, retryable.
    """

    method: str
    harm: Harm = Harm.FAIL
    call: int = 1
    path: str = ""
    probability: float = 1.0
    position: int = 0
    stall_s: float = 0.0
    error: BlockferryError | None = None


class Script:
    """Decides which calls are struck. For several threads at once; one script may serve a source and a sink.

    Attributes:
        struck: every fault that was struck, in order, as (fault, path).
    """

    def __init__(self, *faults: Fault, seed: int = 0, sleep: Callable[[float], object] = time.sleep) -> None:
        self._faults = faults
        self._random = random.Random(seed)  # noqa: S311 - a script is no secret
        self._sleep = sleep
        self._lock = threading.Lock()
        self._counts: Counter[Fault] = Counter()
        self.struck: list[tuple[Fault, str]] = []

    def faults(self, method: str, path: str) -> tuple[Fault, ...]:
        """Counts a call and returns the faults that strike it. Waits where one of them stalls."""
        with self._lock:
            struck = tuple(fault for fault in self._faults if self._strikes(fault, method, path))
            self.struck += [(fault, path) for fault in struck]
        for fault in struck:
            if fault.harm is Harm.STALL:
                self._sleep(fault.stall_s)
        return struck

    def flipped(self, body: memoryview | bytes) -> memoryview:
        """Returns a copy of the bytes with one bit flipped, nothing for no bytes."""
        copy = bytearray(body)
        if copy:
            with self._lock:
                bit = self._random.randrange(len(copy) * 8)
            copy[bit // 8] ^= 1 << bit % 8
        return memoryview(copy)

    def _strikes(self, fault: Fault, method: str, path: str) -> bool:
        if fault.method != method or fault.path not in ("", path):
            return False
        self._counts[fault] += 1
        if fault.call:
            return self._counts[fault] == fault.call
        return self._random.random() < fault.probability


class FaultySource:
    """A source under a script: `Source` and `Prober` of `stores.base`."""

    def __init__(self, store: ProbedSource, script: Script) -> None:
        self._store = store
        self._script = script

    def list_tree(self, after: str = "") -> Iterator[Stat]:
        """See `stores.base.Lister.list_tree`."""
        return _interrupted(self._script.faults("list_tree", after), self._store.list_tree(after), "list_tree", after)

    def list_folder(self, folder: str, after: str) -> Iterator[tuple[Stat, ...]]:
        """See `stores.base.Lister.list_folder`."""
        pages = self._store.list_folder(folder, after)
        return _interrupted(self._script.faults("list_folder", folder), pages, "list_folder", folder)

    def stat(self, path: str) -> Stat | None:
        """See `stores.base.Lister.stat`."""
        return _struck(self._script.faults("stat", path), lambda: self._store.stat(path), path)

    def extents(self, file: Stat) -> tuple[Extent, ...]:
        """See `stores.base.Source.extents`."""
        return _struck(self._script.faults("extents", file.path), lambda: self._store.extents(file), file.path)

    def claimed_algorithm(self, file: Stat) -> Algorithm:
        """See `stores.base.Source.claimed_algorithm`."""
        faults = self._script.faults("claimed_algorithm", file.path)
        return _struck(faults, lambda: self._store.claimed_algorithm(file), file.path)

    def read_into(self, file: Stat, offset: int, view: memoryview, algorithm: Algorithm | None) -> RangeRead:
        """See `stores.base.Source.read_into`."""
        faults = self._script.faults("read_into", file.path)
        found = _struck(faults, lambda: self._store.read_into(file, offset, view, algorithm), file.path)
        if _corrupts(faults):
            view[:] = self._script.flipped(view)
        return found

    def stored_checksum(self, file: Stat, offset: int, size: int, algorithm: Algorithm) -> Checksum | None:
        """See `stores.base.Source.stored_checksum`."""
        faults = self._script.faults("stored_checksum", file.path)
        return _struck(faults, lambda: self._store.stored_checksum(file, offset, size, algorithm), file.path)

    def close(self) -> None:
        """See `stores.base.Source.close`. Never struck."""
        self._store.close()

    def checks(self, write: bool) -> tuple[Check, ...]:
        """See `stores.base.Prober.checks`. Never struck."""
        return self._store.checks(write)

    def probe_claims(self) -> ClaimProbe:
        """See `stores.base.Prober.probe_claims`."""
        return _struck(self._script.faults("probe_claims", ""), self._store.probe_claims, "")


class FaultySink:
    """A sink under a script: `Sink`, `Multipart` and `Prober` of `stores.base`."""

    def __init__(self, store: ProbedSink, script: Script) -> None:
        self._store = store
        self._script = script

    @property
    def features(self) -> SinkFeatures:
        """Limits of the store."""
        return self._store.features

    def list_tree(self, after: str = "") -> Iterator[Stat]:
        """See `stores.base.Lister.list_tree`."""
        return _interrupted(self._script.faults("list_tree", after), self._store.list_tree(after), "list_tree", after)

    def list_folder(self, folder: str, after: str) -> Iterator[tuple[Stat, ...]]:
        """See `stores.base.Lister.list_folder`."""
        pages = self._store.list_folder(folder, after)
        return _interrupted(self._script.faults("list_folder", folder), pages, "list_folder", folder)

    def stat(self, path: str) -> Stat | None:
        """See `stores.base.Lister.stat`."""
        return _struck(self._script.faults("stat", path), lambda: self._store.stat(path), path)

    def put(self, path: str, body: memoryview | bytes, claim: Checksum, attributes: Attributes) -> Stored:
        """See `stores.base.Sink.put`."""
        faults = self._script.faults("put", path)
        sent = self._script.flipped(body) if _corrupts(faults) else body
        return _struck(faults, lambda: self._store.put(path, sent, claim, attributes), path)

    def begin(self, path: str, algorithm: Algorithm, attributes: Attributes) -> Upload:
        """See `stores.base.Sink.begin`."""
        faults = self._script.faults("begin", path)
        return _struck(faults, lambda: self._store.begin(path, algorithm, attributes), path)

    def set_attributes(self, path: str, attributes: Attributes, algorithm: Algorithm) -> Stored:
        """See `stores.base.Sink.set_attributes`."""
        faults = self._script.faults("set_attributes", path)
        return _struck(faults, lambda: self._store.set_attributes(path, attributes, algorithm), path)

    def read(self, path: str) -> Iterator[bytes]:
        """See `stores.base.Sink.read`."""
        faults = self._script.faults("read", path)
        slices = _interrupted(faults, self._store.read(path), "read", path)
        return (bytes(self._script.flipped(piece)) for piece in slices) if _corrupts(faults) else slices

    def check_path(self, path: str) -> None:
        """See `stores.base.Sink.check_path`. Never struck."""
        self._store.check_path(path)

    def close(self) -> None:
        """See `stores.base.Sink.close`. Never struck."""
        self._store.close()

    def put_part(self, upload: Upload, number: int, body: memoryview, claim: Checksum) -> Part:
        """See `stores.base.Multipart.put_part`."""
        faults = self._script.faults("put_part", upload.path)
        sent = self._script.flipped(body) if _corrupts(faults) else body
        return _struck(faults, lambda: self._store.put_part(upload, number, sent, claim), upload.path)

    def list_parts(self, upload: Upload) -> tuple[Part, ...]:
        """See `stores.base.Multipart.list_parts`."""
        faults = self._script.faults("list_parts", upload.path)
        return _struck(faults, lambda: self._store.list_parts(upload), upload.path)

    def complete(self, upload: Upload, parts: tuple[Part, ...], claim: Checksum, size_bytes: int) -> Stored:
        """See `stores.base.Multipart.complete`."""
        faults = self._script.faults("complete", upload.path)
        return _struck(faults, lambda: self._store.complete(upload, parts, claim, size_bytes), upload.path)

    def abort(self, upload: Upload) -> None:
        """See `stores.base.Multipart.abort`."""
        _struck(self._script.faults("abort", upload.path), lambda: self._store.abort(upload), upload.path)

    def abort_since(self, path: str, since_ms: int) -> int:
        """See `stores.base.Multipart.abort_since`."""
        return _struck(self._script.faults("abort_since", path), lambda: self._store.abort_since(path, since_ms), path)

    def checks(self, write: bool) -> tuple[Check, ...]:
        """See `stores.base.Prober.checks`. Never struck."""
        return self._store.checks(write)

    def probe_claims(self) -> ClaimProbe:
        """See `stores.base.Prober.probe_claims`."""
        return _struck(self._script.faults("probe_claims", ""), self._store.probe_claims, "")


class ProbedSource(Source, Prober, Protocol):
    """What `FaultySource` wraps."""


class ProbedSink(Sink, Multipart, Prober, Protocol):
    """What `FaultySink` wraps."""


def _struck(faults: tuple[Fault, ...], call: Callable[[], T], path: str) -> T:
    """Makes a call under its faults."""
    for fault in faults:
        if fault.harm is Harm.FAIL:
            raise _error(fault, path)
    result = call()
    for fault in faults:
        if fault.harm is Harm.LOSE:
            raise _error(fault, path)
    return result


def _interrupted(faults: tuple[Fault, ...], items: Iterator[T], what: str, path: str) -> Iterator[T]:
    """Yields items until a fault fails."""
    ends = {fault.position: fault for fault in faults if fault.harm in (Harm.FAIL, Harm.LOSE)}
    passed = 0
    for item in items:
        if passed in ends:
            raise _error(ends[passed], path or what)
        yield item
        passed += 1
    if passed in ends:
        raise _error(ends[passed], path or what)


def _corrupts(faults: tuple[Fault, ...]) -> bool:
    return any(fault.harm is Harm.CORRUPT for fault in faults)


def _error(fault: Fault, path: str) -> BlockferryError:
    if fault.error is not None:
        return fault.error
    text = f"A fault of the script: {fault.method} was struck ({fault.harm.value.lower()})."
    return BlockferryError("STORE_UNAVAILABLE", text, retryable=True, path=path)
