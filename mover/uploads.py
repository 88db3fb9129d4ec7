"""Uploads in parts: begin, go on with one of an earlier attempt, send a part, complete. Plain blocking functions.

A part that the sink holds already is worth its checksum: what the sink lists, what the source's nodes keep for the
range, or both, and then they must agree. The claim at completion is combined of all of them, and the sink compares
it with all the bytes it holds: so a part that was taken over wrongly cannot become part of an object.
"""

from __future__ import annotations

from dataclasses import replace

from blockferry.errors import BlockferryError
from mover.calls import AlreadyThere, Begun, Completed, PartMoved, Resumed, SentPart, UploadLost
from mover.measures import EffortMeter
from mover.parts import PartRange, cut, part_sizes
from mover.worker import Gear, Range, attributes_of, find_moved, send_range
from service.concurrency import AdaptiveThreads
from stores.base import Part, Stat, Upload
from stores.checksum import Checksum, concatenation


def begin_upload(
    gear: Gear, file: Stat, part_size_bytes: int, resume: bool, meter: EffortMeter
) -> Begun | AlreadyThere:
    """Begins an upload, or finds (`resume`) that the object is there already.

    An upload whose begin was answered into the void stays unknown to everybody: a bucket needs a lifecycle rule for
    incomplete uploads all the same.
    """
    there = find_moved(gear, file, meter) if resume else None
    if there is not None:
        return AlreadyThere(there)
    attributes = attributes_of(gear, file, meter)
    ranges = ranges_of(gear, file, part_size_bytes, meter)
    algorithm = gear.again(lambda: gear.source.claimed_algorithm(file), meter)
    upload = gear.again(lambda: gear.sink.begin(file.path, algorithm, attributes), meter)
    return Begun(upload, ranges)


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
