"""Uploads in parts: begin, go on with one of an earlier attempt, send a part, complete. Plain blocking functions.

A part that the sink holds already is worth its checksum: what the sink lists, what the source's nodes keep for the
range, or both, and then they must agree. The claim at completion is combined of all of them, and the sink compares
it with all the bytes it holds: so a part that was taken over wrongly cannot become part of an object.
"""

from __future__ import annotations

import logging
from dataclasses import replace

from blockferry.errors import BlockferryError
from mover.calls import AlreadyThere, BeginUpload, Begun, Completed, PartMoved, Resumed, SentPart, UploadLost
from mover.measures import EffortMeter
from mover.parts import PartRange, cut, part_sizes
from mover.worker import Gear, Range, attributes_of, find_moved, send_range
from service.concurrency import AdaptiveThreads
from stores.base import Part, Stat, Upload
from stores.checksum import Checksum, concatenation

LOG = logging.getLogger("blockferry.mover")
CLOCKS_DIFFER_MS = 15 * 60 * 1000
"""By how much our clock and the store's may differ: it refuses requests that are signed with more (S3 API,
RequestTimeTooSkewed)."""


def begin_upload(
    gear: Gear, call: BeginUpload, part_size_bytes: int, resume: bool, meter: EffortMeter
) -> Begun | AlreadyThere:
    """Begins an upload, or finds (`resume`) that the object is there already. Each try after the first one gives up
    what an earlier one may have begun before its answer was lost."""
    file, is_tried = call.file, False

    def clear() -> None:
        abort_orphans(gear, file.path, call.since_ms)

    def begin() -> Upload:
        nonlocal is_tried
        if is_tried:
            clear()
        is_tried = True
        return gear.sink.begin(file.path, algorithm, attributes)

    if call.again:
        gear.again(clear, meter)
    there = find_moved(gear, file, meter) if resume else None
    if there is not None:
        return AlreadyThere(there)
    attributes = attributes_of(gear, file, meter)
    ranges = ranges_of(gear, file, part_size_bytes, meter)
    algorithm = gear.again(lambda: gear.source.claimed_algorithm(file), meter)
    return Begun(gear.again(begin, meter), ranges)


def abort_orphans(gear: Gear, path: str, since_ms: int) -> None:
    """Gives up the uploads of a path that were begun since then: by tries of ours whose answers were lost. A store that
    does not list uploads, or denies it, leaves them to the bucket's lifecycle rule, and the log says so."""
    try:
        count = gear.sink.abort_since(path, since_ms - CLOCKS_DIFFER_MS)
    except BlockferryError as error:
        if error.reason not in ("ACCESS_DENIED", "NOT_SUPPORTED"):
            raise
        text = "an upload may be left: allow s3:ListBucketMultipartUploads, or give the bucket a lifecycle rule for it"
        LOG.warning('action="uploads_not_listed" path=%r detail="%s" error="%s"', path, text, error)
        return
    if count:
        LOG.warning('action="orphans_aborted" path=%r count=%d', path, count)


def ranges_of(gear: Gear, file: Stat, part_size_bytes: int, meter: EffortMeter) -> tuple[PartRange, ...]:
    """Returns the parts of a file: the same for the same version, option and sink."""
    extents = gear.again(lambda: gear.source.extents(file), meter)
    return cut(extents, file.size_bytes, part_sizes(file.size_bytes, part_size_bytes, gear.sink.features))


def resume_upload(
    gear: Gear, file: Stat, upload: Upload, part_size_bytes: int, threads: AdaptiveThreads, meter: EffortMeter
) -> Resumed | UploadLost:
    """Looks which parts the sink holds and can be taken over. Asks the source's nodes for sums; moves no data."""
    try:
        held = gear.again(lambda: gear.sink.list_parts(upload), meter)
    except BlockferryError as error:
        if error.reason != "NO_SUCH_UPLOAD":
            raise
        return UploadLost()
    ranges = ranges_of(gear, file, part_size_bytes, meter)
    by_number = {part.number: part for part in held}

    def look(wanted: PartRange) -> SentPart | None:
        part = by_number.get(wanted.number)
        return _taken_over(gear, file, upload, wanted, part) if part is not None else None

    found = tuple(threads.each(look, ranges))
    return Resumed(
        kept=tuple(sent for sent in found if sent is not None),
        missing=tuple(wanted for wanted, sent in zip(ranges, found, strict=True) if sent is None),
    )


def _taken_over(gear: Gear, file: Stat, upload: Upload, wanted: PartRange, part: Part) -> SentPart | None:
    if part.size_bytes != wanted.size:
        return None

    def keep() -> Checksum | None:
        return gear.source.stored_checksum(file, wanted.offset, wanted.size, upload.algorithm)

    kept = gear.again(keep, EffortMeter())
    known = {checksum for checksum in (part.checksum, kept) if checksum is not None}
    if len(known) != 1:
        return None
    return SentPart(part, known.pop(), proven=kept is not None)


def move_part(gear: Gear, file: Stat, upload: Upload, wanted: PartRange, meter: EffortMeter) -> PartMoved:
    """Reads one range and sends it as a part."""
    part, read = send_range(
        gear,
        Range(file, wanted.offset, wanted.size, upload.algorithm),
        lambda body, claim: gear.sink.put_part(upload, wanted.number, body, claim),
        meter,
    )
    return PartMoved(SentPart(part, read.checksum, read.proven))


def complete_upload(
    gear: Gear, file: Stat, upload: Upload, sent: tuple[SentPart, ...], meter: EffortMeter
) -> Completed:
    """Makes the object, claiming its size and the checksum that follows from those of its parts."""
    parts = tuple(replace(one.part, checksum=one.checksum) for one in sent)
    claim = concatenation((one.checksum, one.part.size_bytes) for one in sent)
    stored = gear.again(lambda: gear.sink.complete(upload, parts, claim, file.size_bytes), meter)
    return Completed(stored, claim)
