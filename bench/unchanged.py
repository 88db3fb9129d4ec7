"""Measures a scan that finds nothing changed: entries per CPU second from a NameNode's pages and an S3 server's listing
to the end, with what earlier executions have seen, and without (each object is asked for by HEAD).

    python -m bench.unchanged [--entries 20000] [--rounds 3]

The pages of the NameNode are made here, one block a file; the S3 server is the null sink, whose CPU stands apart. All
of the scanner is in the figure: both listings, comparing, reading and writing of sightings. Prints one line a round.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from bench.hdfs_list import made
from bench.null_sink.process import NullSink
from bench.scan import SyntheticEnd
from ledger.folder import Folder
from ledger.ledger import Ledger
from ledger.sightings_files import SightingsWriter, read
from scanner.__main__ import spare_collections
from scanner.facts import Scanned, ScanPurpose
from scanner.scan import ScanOrder, run
from service.jobs import TransferOptions
from stores.base import Attributes, Stat, Stretch
from stores.checksum import Algorithm
from stores.hashing import checksum_of
from stores.hdfs.entries import listed_of, stretch_of
from stores.hdfs.lookahead import PagesAhead
from stores.hdfs.tree import runs, walk
from stores.location import S3Location
from stores.s3 import S3Store

FILE_BYTES = 1000
BODY = bytes(FILE_BYTES)
SETTLE_S = 2.5


@dataclass(frozen=True, slots=True)
class NameNodePages(SyntheticEnd):
    """A source that is listed as HDFS is, without a NameNode."""

    stats: tuple[Stat, ...] = ()
    fetch: Callable[[str, bytes], bytes] = field(default=lambda _folder, _after: b"")

    def list_tree(self, after: str = "") -> Iterator[Stat]:
        """Parses the pages anew each time."""
        pages: PagesAhead[Stat] = PagesAhead(self.fetch, lambda folder: folder)
        try:
            yield from walk(pages, after)
        finally:
            pages.close()

    def list_stretches(self, after: str) -> Iterator[Stretch]:
        """Likewise."""
        pages = PagesAhead(self.fetch, lambda folder: folder, listed_of)
        try:
            yield from map(stretch_of, runs(pages, after))
        finally:
            pages.close()


def fill(sink: S3Store, source: NameNodePages) -> None:
    """Puts what a transfer would have put."""
    claim = checksum_of(Algorithm.CRC32C, BODY)
    for stat in source.list_tree():
        sink.put(stat.path, BODY, claim, stat.attributes or Attributes("", "", 0, 0, 0))


def measure(source: NameNodePages, sink: S3Store, ledger: str, earlier: tuple[str, ...]) -> dict[str, object]:
    """Runs one scan. Returns what it cost this process."""
    order = ScanOrder(source, sink, Ledger(ledger), ScanPurpose.TRANSFER, TransferOptions())
    order = replace(order, keeper=SightingsWriter(Folder(ledger), 1), seen=partial(read, earlier))
    cpu_s, wall_s = time.process_time(), time.perf_counter()
    facts = list(run(order, threading.Event()))
    cpu_s, wall_s = time.process_time() - cpu_s, time.perf_counter() - wall_s
    end = facts[-1]
    assert isinstance(end, Scanned) and end.counts.estimated_count == 0, end
    count = end.counts.skipped_count
    return {
        "way": "known" if earlier else "asked",
        "entries": count,
        "cpu_s": round(cpu_s, 3),
        "wall_s": round(wall_s, 3),
        "entries_per_cpu_s": round(count / cpu_s),
        "cpu_us_per_entry": round(cpu_s / count * 1e6, 2),
    }


def main() -> None:
    """Measures both ways in turns."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    spare_collections()  # as the scanner does
    with tempfile.TemporaryDirectory() as name, NullSink.start(Path(name, "s3")) as server:
        os.environ.update({"AWS_ACCESS_KEY_ID": server.access_key, "AWS_SECRET_ACCESS_KEY": server.secret_key})
        sink = S3Store(S3Location(server.make_bucket("bench"), endpoint=server.endpoint))
        source = NameNodePages(fetch=made(asked.entries, locations=True))
        fill(sink, source)
        time.sleep(SETTLE_S)
        for number in range(asked.rounds):
            first, second = (str(Path(name, f"{way}-{number}")) for way in ("asked", "known"))
            print(json.dumps(measure(source, sink, first, ())), flush=True)
            print(json.dumps(measure(source, sink, second, (first,))), flush=True)


if __name__ == "__main__":
    main()
