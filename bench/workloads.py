"""PURE: what is copied in the comparison, as data: trees of files, and what a run does with them.

Sizes and counts follow `scale`: 1.0 is the full workload.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from tests.support.tree import FileSpec

GIB = 1 << 30
BLOCK = 128 << 20  # HDFS's own default
START = "start"
_MIXED_SEED = 20
_MIXED_SIGMA = 2.35  # with it the mean is 16 times the median: a few large files hold most of the bytes
_MIXED_LARGEST = 256 << 20
_FOLDER_FILES = 99  # per folder, so that 100 entries are a folder and its files
_CHANGED_SEED = 1_000_000


class Deed(StrEnum):
    """What a run does."""

    COPY = "copy into an empty bucket"
    NOTHING = "copy again: nothing has changed"
    CHANGES = "copy again: 1 percent has changed"
    VERIFY = "verify both sides, copy nothing"


class Unit(StrEnum):
    """What CPU is divided by."""

    GIB = "CPU s per GiB"
    FILE = "CPU ms per file"


@dataclass(frozen=True, slots=True)
class Workload:
    """One row of the comparison.

    Attributes:
        name: as on the command line.
        title: with the figures of scale 1.
        root: folder in HDFS; workloads with the same folder share the tree.
        tree: the files by scale.
        transfers: files at the same time.
    """

    name: str
    title: str
    root: str
    tree: Callable[[float], tuple[FileSpec, ...]]
    deed: Deed
    unit: Unit
    transfers: int


def start(scale: float) -> tuple[FileSpec, ...]:
    """Returns one file of 4 KiB, at every scale."""
    return (FileSpec("/start/file", size=4096, seed=1),)


def large(scale: float) -> tuple[FileSpec, ...]:
    """Returns 2 GiB in files of one block."""
    return _large_files("/large", 16, 2 * GIB, scale)


def one(scale: float) -> tuple[FileSpec, ...]:
    """Returns one file of 4 GiB in 32 blocks."""
    return (FileSpec("/one/file", size=int(4 * GIB * scale), seed=1, block_size=BLOCK),)


def small(scale: float) -> tuple[FileSpec, ...]:
    """Returns 10,000 files of 4 KiB."""
    return _many("/small", _scaled(10_000, scale), 4096)


def mixed(scale: float) -> tuple[FileSpec, ...]:
    """Returns 1 GiB in 2,000 files of log-normal sizes; the same for the same scale."""
    dice = random.Random(_MIXED_SEED)
    drawn = [dice.lognormvariate(0.0, _MIXED_SIGMA) for _ in range(_scaled(2_000, scale))]
    factor = GIB * scale / sum(drawn)
    sizes = [min(_MIXED_LARGEST, int(size * factor)) for size in drawn]
    return tuple(
        FileSpec(_path("/mixed", number), size=size, seed=number, block_size=BLOCK) for number, size in enumerate(sizes)
    )


def many(scale: float) -> tuple[FileSpec, ...]:
    """Returns 100,000 entries: 1,000 folders with 99 files of 100 bytes each."""
    return _many("/many", math.ceil(_scaled(100_000, scale) * _FOLDER_FILES / (_FOLDER_FILES + 1)), 100)


def changed(tree: tuple[FileSpec, ...]) -> tuple[FileSpec, ...]:
    """Returns every hundredth file, of the same size with other bytes."""
    return tuple(
        FileSpec(spec.path, size=spec.size, seed=spec.seed + _CHANGED_SEED, block_size=spec.block_size)
        for spec in tree[::100]
    )


def entry_count(tree: tuple[FileSpec, ...]) -> int:
    """Returns the number of files, and of folders below the root."""
    return len(tree) + len({spec.path.rpartition("/")[0] for spec in tree if spec.path.count("/") > 2})


def _large_files(root: str, count: int, size: int, scale: float) -> tuple[FileSpec, ...]:
    count = max(2, round(count * scale))
    each = min(BLOCK, int(size * scale) // count)
    return tuple(FileSpec(f"{root}/{number:03}", size=each, seed=number, block_size=BLOCK) for number in range(count))


def _many(root: str, count: int, size: int) -> tuple[FileSpec, ...]:
    return tuple(FileSpec(_path(root, number), size=size, seed=number, block_size=BLOCK) for number in range(count))


def _path(root: str, number: int) -> str:
    return f"{root}/{number // _FOLDER_FILES:04}/{number % _FOLDER_FILES:02}"


def _scaled(count: int, scale: float) -> int:
    return max(1, round(count * scale))


# Workloads that use what an earlier one has left at the destination come after it.
_ALL = (
    Workload(START, "one file of 4 KiB: what a start costs", "/start", start, Deed.COPY, Unit.FILE, 1),
    Workload("large", "2 GiB in 16 files of 128 MiB", "/large", large, Deed.COPY, Unit.GIB, 4),
    Workload("one", "one file of 4 GiB", "/one", one, Deed.COPY, Unit.GIB, 4),
    Workload("small", "10,000 files of 4 KiB", "/small", small, Deed.COPY, Unit.FILE, 16),
    Workload("mixed", "1 GiB in 2,000 files of log-normal sizes", "/mixed", mixed, Deed.COPY, Unit.GIB, 16),
    Workload("unchanged", "100,000 entries, nothing changed", "/many", many, Deed.NOTHING, Unit.FILE, 16),
    Workload("changed", "100,000 entries, 1 percent changed", "/many", many, Deed.CHANGES, Unit.FILE, 16),
    Workload("verify", "10,000 files of 4 KiB, verification alone", "/small", small, Deed.VERIFY, Unit.FILE, 16),
)
WORKLOADS = {workload.name: workload for workload in _ALL}
