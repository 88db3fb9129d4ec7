"""Measures the scanner without its stores: entries per CPU second from two synthetic listings to plans in a ledger.

    python -m bench.scan [--entries 100000]

Listings are lists in memory, so the cost of listing itself comes on top (see bench of the stores). Prints one line per
case: nothing changed (attributes known, nothing is cut) and everything new (all is cut and written).
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from blockferry.errors import BlockferryError
from ledger.ledger import Ledger
from scanner.facts import Scanned, ScanPurpose
from scanner.scan import ScanOrder, run
from service.jobs import TransferOptions
from stores.base import Attributes, Kind, SinkFeatures, Stat, Stored, Upload
from stores.checksum import Algorithm, Checksum

LAYOUT = bytes(300)  # a block of three replicas as LocatedBlocksProto


@dataclass(frozen=True, slots=True)
class SyntheticEnd:
    """A source or sink that is a list of entries."""

    stats: Sequence[Stat]
    features: SinkFeatures = SinkFeatures(5 << 20, 5 << 30, 10_000, 5 << 30, 1024)  # noqa: RUF009 - frozen

    def list_tree(self, after: str = "") -> Iterator[Stat]:
        """Yields them."""
        return iter(self.stats)

    def list_folder(self, folder: str, after: str) -> Iterator[tuple[Stat, ...]]:
        """A scan lists whole trees."""
        raise NotImplementedError

    def stat(self, path: str) -> Stat | None:
        """Is never asked: the listing has attributes."""
        raise BlockferryError("UNEXPECTED", "the attributes are in the listing", path=path)

    def check_path(self, path: str) -> None:
        """Does what every sink does at least."""
        if len(path.encode()) > self.features.max_key_bytes:
            raise BlockferryError("INVALID_KEY", "too long", path=path)

    def close(self) -> None:
        """Has nothing to close."""

    def put(self, path: str, body: memoryview | bytes, claim: Checksum, attributes: Attributes) -> Stored:
        """A scan writes nothing."""
        raise NotImplementedError

    def begin(self, path: str, algorithm: Algorithm, attributes: Attributes) -> Upload:
        """A scan writes nothing."""
        raise NotImplementedError

    def set_attributes(self, path: str, attributes: Attributes, algorithm: Algorithm) -> Stored:
        """A scan writes nothing."""
        raise NotImplementedError

    def read(self, path: str) -> Iterator[bytes]:
        """A scan reads nothing."""
        raise NotImplementedError


def tree(entry_count: int) -> tuple[Stat, ...]:
    """Returns files of 1 MiB, 100 to a folder."""
    attributes = Attributes("ada", "staff", 0o644, 1_700_000_000_000, 0)
    return tuple(
        Stat(
            f"warehouse/day={number // 100:06d}/part-{number % 100:05d}.parquet",
            Kind.FILE,
            1 << 20,
            attributes.mtime_ms,
            attributes,
            version=f"{number:016x}",
            layout=LAYOUT,
        )
        for number in range(entry_count)
    )


def measure(name: str, source: Iterable[Stat], found: Iterable[Stat]) -> None:
    """Runs one scan and prints what it cost."""
    with tempfile.TemporaryDirectory() as folder:
        ends = SyntheticEnd(tuple(source)), SyntheticEnd(tuple(found))
        scan = ScanOrder(*ends, Ledger(folder), ScanPurpose.TRANSFER, TransferOptions())
        cpu_s, wall_s = time.process_time(), time.perf_counter()
        facts = list(run(scan, threading.Event()))
        cpu_s, wall_s = time.process_time() - cpu_s, time.perf_counter() - wall_s
    assert isinstance(facts[-1], Scanned)
    count = facts[-1].counts.source_listed_count
    rate = count / cpu_s
    print(
        f"{name:9} {count} entries, {len(facts) - 1} shards: {cpu_s:.2f} CPU s, {wall_s:.2f} s, {rate:,.0f} per CPU s"
    )


def main() -> None:
    """Measures both cases, each three times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=100_000)
    source = tree(parser.parse_args().entries)
    for _ in range(3):
        measure("unchanged", source, source)
        measure("new", source, ())


if __name__ == "__main__":
    main()
