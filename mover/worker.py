"""Moves one entry, or one part: plain blocking functions over a source and a sink. Knows no Ray and no event loop.

Every byte that is sent was read into a buffer and compared there with the source's own sums; the same sum is claimed
at the sink. So a difference between what was read and what the sink took cannot go unseen, at no cost of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from blockferry.errors import BlockferryError, Whose
from ledger.records import Action, EntryFailure, Kind, PlanEntry, Receipt
from mover import measures
from mover.buffers import Buffers
from mover.measures import EffortMeter
from mover.parts import SMALL_FILE_BYTES
from service.backoff import Backoff
from service.retry import call_with_retry
from stores.base import Attributes, Multipart, RangeRead, Sink, Source, Stat, Stored
from stores.checksum import Algorithm, Checksum, empty
from stores.login_reasons import LOGIN_REASONS

REREAD_COUNT = 2
"""How often a range is read again when the sink finds another checksum: memory or wire may have damaged it."""

T = TypeVar("T")


class Destination(Sink, Multipart, Protocol):
    """A sink with uploads in parts."""


@dataclass(frozen=True, slots=True)
class Gear:
    """What a worker function works with.

    Attributes:
        source, sink: opened stores; threads may share them.
        buffers: where ranges are read into.
        backoff: how often, and with what waits, a request is made again.
        pause: waits so many seconds, and raises CANCELLED when the run was stopped.
    """

    source: Source
    sink: Destination
    buffers: Buffers
    backoff: Backoff
    pause: Callable[[float], None]

    def again(self, call: Callable[[], T], meter: EffortMeter) -> T:
        """Returns what `call` returns; makes it again as `backoff` allows while its errors are retryable."""

        def made() -> T:
            self.pause(0.0)
            try:
                return call()
            except BlockferryError as error:
                if error.reason == "CHECKSUM_REJECTED":
                    error.retryable = False  # the same bytes with the same claim: they have to be read again first
                raise

        return call_with_retry(made, self.backoff, self.pause, meter.retried)


def move_entry(gear: Gear, entry: PlanEntry, resume: bool, meter: EffortMeter) -> Receipt:
    """Moves an entry that goes as one request, and returns its receipt.

    Args:
        gear: stores and buffers.
        entry: a COPY or METADATA entry.
        resume: an earlier attempt may have moved it: look first.
        meter: counts what it costs.

    Raises:
        BlockferryError: the entry was not moved.
    """
    file = _source_of(entry)
    if entry.action is Action.METADATA:
        return _change_attributes(gear, entry, file, meter)
    match file.kind:
        case Kind.FOLDER:
            return _put_folder(gear, entry, file, meter)
        case Kind.FILE:
            there = find_moved(gear, file, meter) if resume else None
            return there or _move_file(gear, file, meter)
        case _:
            text = f"{file.path} is a {file.kind.lower()}, which cannot be moved: leave it out by a filter."
            raise BlockferryError("KIND_UNSUPPORTED", text, whose=Whose.CALLER, path=file.path, kind=file.kind)


def _source_of(entry: PlanEntry) -> Stat:
    if entry.source is None:
        text = f"The plan wants {entry.path} moved but knows no source of it: plan the shard again."
        raise BlockferryError("PLAN_INVALID", text, path=entry.path)
    return entry.source


def attributes_of(gear: Gear, file: Stat, meter: EffortMeter) -> Attributes:
    """Returns the file's attributes; asks the source where the listing did not tell them."""
    if file.attributes is not None:
        return file.attributes
    now = gear.again(lambda: gear.source.stat(file.path), meter)
    if now is None or now.attributes is None:
        raise gone(file)
    return now.attributes


def gone(file: Stat) -> BlockferryError:
    """Returns the error for a file that was planned and is not there any more."""
    text = f"{file.path} was deleted while it was moved: run the task again."
    return BlockferryError("SOURCE_CHANGED", text, whose=Whose.SOURCE, path=file.path)


def _change_attributes(gear: Gear, entry: PlanEntry, file: Stat, meter: EffortMeter) -> Receipt:
    if file.kind is Kind.FOLDER:
        return _put_folder(gear, entry, file, meter)
    attributes = attributes_of(gear, file, meter)
    # The copy in the store gets a sum of the algorithm that the source keeps, so that both can be compared later.
    algorithm = gear.again(lambda: gear.source.claimed_algorithm(file), meter)
    stored = gear.again(lambda: gear.sink.set_attributes(file.path, attributes, algorithm), meter)
    return _receipt(entry.action, file, stored, None, proven=False, meter=meter)


def _put_folder(gear: Gear, entry: PlanEntry, file: Stat, meter: EffortMeter) -> Receipt:
    attributes, claim = attributes_of(gear, file, meter), empty(Algorithm.CRC32C)
    stored = gear.again(lambda: gear.sink.put(file.path, b"", claim, attributes), meter)
    return _receipt(entry.action, file, stored, None, proven=True, meter=meter)


def _move_file(gear: Gear, file: Stat, meter: EffortMeter) -> Receipt:
    """Moves a file in one request; once more, as it is then, when it changed meanwhile."""
    try:
        return _put_file(gear, file, meter)
    except BlockferryError as error:
        if error.reason != "SOURCE_CHANGED":
            raise
        meter.retried(error)
        return _put_file(gear, _restated(gear, file, meter), meter)


def _restated(gear: Gear, file: Stat, meter: EffortMeter) -> Stat:
    now = gear.again(lambda: gear.source.stat(file.path), meter)
    if now is None:
        raise gone(file)
    if now.condition.is_open:
        return replace(now, size_bytes=min(now.size_bytes, file.size_bytes))
    if now.size_bytes > max(file.size_bytes, SMALL_FILE_BYTES):
        text = (
            f"{file.path} grew from {file.size_bytes} to {now.size_bytes} bytes while it was moved: run the task again."
        )
        raise BlockferryError(
            "SOURCE_CHANGED",
            text,
            whose=Whose.SOURCE,
            path=file.path,
            expected=file.size_bytes,
            found=now.size_bytes,
        )
    return now


def _put_file(gear: Gear, file: Stat, meter: EffortMeter) -> Receipt:
    attributes = attributes_of(gear, file, meter)
    if file.size_bytes == 0:
        claim = empty(Algorithm.CRC32C)
        stored = gear.again(lambda: gear.sink.put(file.path, b"", claim, attributes), meter)
        return _receipt(Action.COPY, file, stored, claim, proven=True, meter=meter)
    stored, read = send_range(
        gear,
        Range(file, 0, file.size_bytes, algorithm=None),
        lambda body, claim: gear.sink.put(file.path, body, claim, attributes),
        meter,
    )
    return _receipt(Action.COPY, file, stored, read.checksum, read.proven, meter)


def _receipt(
    action: Action, file: Stat, stored: Stored, checksum: Checksum | None, proven: bool, meter: EffortMeter
) -> Receipt:
    return Receipt(
        path=file.path,
        action=action,
        size_bytes=file.size_bytes,
        etag=stored.etag,
        version_id=stored.version_id,
        checksum=checksum,
        source_proven=proven,
        source_version=file.version,
        part_count=1 if file.size_bytes and action is Action.COPY else 0,
        attempts=1 + meter.retry_count,
        written_ms=stored.written_ms,
    )


@dataclass(frozen=True, slots=True)
class Range:
    """What is read: bytes of a file, and the algorithm they are to be summed by; None: the one of the file."""

    file: Stat
    offset: int
    size: int
    algorithm: Algorithm | None


def send_range(
    gear: Gear, wanted: Range, send: Callable[[memoryview, Checksum], T], meter: EffortMeter
) -> tuple[T, RangeRead]:
    """Reads a range into a buffer and sends it with its checksum claimed. Waits for a free buffer.

    When the sink finds another checksum, the range is read again, `REREAD_COUNT` times at most.

    Raises:
        BlockferryError: CHECKSUM_FAILURE when the sink still finds another one; else what the stores raise.
    """
    with gear.buffers.take(wanted.size) as body:
        for reread in range(REREAD_COUNT + 1):
            read = _read(gear, wanted, body, meter)
            try:
                return _send(gear, body, read.checksum, send, meter), read
            except BlockferryError as error:
                if error.reason != "CHECKSUM_REJECTED":
                    raise
                if reread == REREAD_COUNT:
                    raise _checksum_failure(wanted, error) from error
                meter.retried(error, reread + 1)
    raise AssertionError("the last reading returns or raises")


def _read(gear: Gear, wanted: Range, body: memoryview, meter: EffortMeter) -> RangeRead:
    def read() -> RangeRead:
        with measures.Timed(measures.READ_SECONDS):
            return gear.source.read_into(wanted.file, wanted.offset, body, wanted.algorithm)

    found = gear.again(read, meter)
    meter.failed_over(found.retry_count)
    return found


def _send(
    gear: Gear, body: memoryview, claim: Checksum, send: Callable[[memoryview, Checksum], T], meter: EffortMeter
) -> T:
    def sent() -> T:
        meter.wrote(len(body))
        with measures.Timed(measures.SEND_SECONDS):
            return send(body, claim)

    taken = gear.again(sent, meter)
    measures.MOVED_BYTES.add(len(body))
    return taken


def _checksum_failure(wanted: Range, error: BlockferryError) -> BlockferryError:
    path = wanted.file.path
    text = (
        f"{path}: the bytes from {wanted.offset} on were read {REREAD_COUNT + 1} times, and each time the store found "
        f"another checksum than we claimed ({error.message}). Look at the network and the memory on the way there."
    )
    failure = BlockferryError("CHECKSUM_FAILURE", text, whose=Whose.SINK, path=path, offset=wanted.offset)
    failure.coordinates = {**error.coordinates, **failure.coordinates}
    return failure


def find_moved(gear: Gear, file: Stat, meter: EffortMeter) -> Receipt | None:
    """Returns a receipt if the sink holds the object already: size, attributes and checksum are what sending it would
    give. Asks the source's nodes for the sum they keep; moves no data. None when that cannot be told."""
    try:
        found = gear.again(lambda: gear.sink.stat(file.path), meter)
        if found is None or found.checksum is None or not _looks_like(found, file):
            return None
        algorithm = found.checksum.algorithm
        kept = (
            gear.again(lambda: gear.source.stored_checksum(file, 0, file.size_bytes, algorithm), meter)
            if file.size_bytes
            else empty(algorithm)
        )
    except BlockferryError as error:
        if concerns_all(error):
            raise
        return None
    if kept != found.checksum:
        return None
    return _receipt(Action.COPY, file, Stored(found.version), kept, proven=True, meter=meter)


def _looks_like(found: Stat, file: Stat) -> bool:
    return found.size_bytes == file.size_bytes and found.attributes == file.attributes


CONCERN_ALL = LOGIN_REASONS | frozenset(
    {
        "BUCKET_NOT_FOUND",
        "CANCELLED",
        "CREDENTIALS_MISSING",
        "CREDENTIALS_REFUSED",
        "NAMENODE_STANDBY",
        "NAMENODE_UNAVAILABLE",
        "STORE_BUSY",
        "STORE_FULL",
        "TLS_UNTRUSTED",
        "WRONG_REGION",
    }
)
"""Reasons that say nothing about one entry: the next one would fail alike."""


def concerns_all(error: BlockferryError) -> bool:
    """True if every other entry would fail in the same way, so that the shard has to be given back.

    A store that does not answer concerns all. One that answers with a fault of its own (5xx, coordinate `code`) may
    have it with this key only: `shard.py` looks whether others pass.
    """
    if error.reason == "STORE_UNAVAILABLE":
        return "code" not in error.coordinates
    return error.reason in CONCERN_ALL


def failure_of(error: BlockferryError) -> EntryFailure:
    """Returns the error as it stands in a receipt."""
    return EntryFailure(error.reason, error.message, tuple(sorted(error.coordinates.items())))
