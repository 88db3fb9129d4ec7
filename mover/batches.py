"""Which entries of a shard travel together. PURE.

A batch is one call of an actor: large enough that the call's own cost (0.3 ms) does not count, small enough that all
actors have work and that a lost actor costs little.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ledger.records import Action, PlanEntry
from mover.calls import MoveBatch
from mover.parts import SMALL_FILE_BYTES

BATCH_ENTRIES = 64
BATCH_BYTES = 32 << 20


@dataclass(frozen=True, slots=True)
class Sorting:
    """The entries of a shard by the way they go, each in the order of the plan.

    Attributes:
        batches: small files.
        heavy: files that are one put each.
        large: files that go in parts.
        folders: by depth, the root's first. They follow when all files are there, one depth after the other: a store
            that makes folders by itself for what is put into them (SeaweedFS) lost a folder's attributes in 2 of 100
            tries when both happened at once.
    """

    batches: tuple[MoveBatch, ...]
    heavy: tuple[MoveBatch, ...]
    large: tuple[PlanEntry, ...]
    folders: tuple[tuple[MoveBatch, ...], ...]


def sort_entries(entries: Iterable[PlanEntry], single_bytes: int) -> Sorting:
    """Sorts what the mover has to move: COPY and METADATA entries; it leaves all others to others.

    Args:
        entries: the plan of a shard.
        single_bytes: files up to this size go in one request.
    """
    small: list[PlanEntry] = []
    heavy: list[MoveBatch] = []
    large: list[PlanEntry] = []
    folders: dict[int, list[PlanEntry]] = {}
    for entry in entries:
        size = _data_bytes(entry)
        if size is None:
            continue
        if entry.path.endswith("/"):
            folders.setdefault(entry.path.count("/"), []).append(entry)
        elif size > single_bytes:
            large.append(entry)
        elif size >= SMALL_FILE_BYTES:
            heavy.append(MoveBatch((entry,), heavy=True))
        else:
            small.append(entry)
    by_depth = tuple(_batches(folders[depth]) for depth in sorted(folders))
    return Sorting(_batches(small), tuple(heavy), tuple(large), by_depth)


def halves(batch: MoveBatch) -> tuple[MoveBatch, ...]:
    """Returns the batch in two, or nothing when it has one entry: so one entry that ends a process is found."""
    middle = len(batch.entries) // 2
    return (MoveBatch(batch.entries[:middle]), MoveBatch(batch.entries[middle:])) if middle else ()


def _data_bytes(entry: PlanEntry) -> int | None:
    """Returns how many bytes are sent for an entry; None when it is none of the mover's."""
    match entry.action:
        case Action.COPY:
            return entry.source.size_bytes if entry.source is not None else 0
        case Action.METADATA:
            return 0
        case _:
            return None


def _batches(entries: list[PlanEntry]) -> tuple[MoveBatch, ...]:
    batches: list[MoveBatch] = []
    current: list[PlanEntry] = []
    room = BATCH_BYTES
    for entry in entries:
        size = _data_bytes(entry) or 0
        if current and (len(current) == BATCH_ENTRIES or size > room):
            batches.append(MoveBatch(tuple(current)))
            current, room = [], BATCH_BYTES
        current.append(entry)
        room -= size
    return (*batches, MoveBatch(tuple(current))) if current else tuple(batches)
