"""One scan from its listings to its planned shards: lists, marches, looks up, decides, cuts, writes plans, tells.

Everything here blocks: `stream.py` gives it a thread. Memory does not grow with the tree: see `walk.py` and `lookup.py`
for their bounds; besides there is one open shard.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import Protocol

from opentelemetry import metrics, trace

from blockferry.errors import BlockferryError
from ledger.failures import group_failures
from ledger.records import Action, PlanEntry
from ledger.sightings import Sightings
from scanner.cut import Bounds, Cutter
from scanner.decide import Rules, decide, decide_check
from scanner.facts import Counts, Cursor, Fact, Listed, PlannedShard, Scanned, ScanPurpose, shard_name
from scanner.lookup import Lookup
from scanner.march import Pair, Side, in_order, march
from scanner.skim import Same, skim
from scanner.sums import Sums, move_totals, verify_count
from scanner.walk import Walk, list_failed, stopped
from service.backoff import Backoff
from service.jobs import OpenFiles, Transfer, TransferOptions
from service.retry import call_with_retry
from stores.base import Lister, Sink, Stat

LISTED_S = 1.0  # so often counts are told while no shard is cut
CLOSE_S = 2.0  # how long the end waits for a listing's thread that is in a call of its store

_TRACER = trace.get_tracer("blockferry.scanner")
_METER = metrics.get_meter("blockferry.scanner")
_ENTRIES = _METER.create_counter("blockferry.scanner.entries.count", description="Entries that were listed, by side.")
_SHARDS = _METER.create_counter("blockferry.scanner.shards.count", description="Shards whose plan was written.")


class PlanWriter(Protocol):
    """Where plans go (`ledger.Ledger`)."""

    def write_plan(self, shard: str, entries: Iterable[PlanEntry]) -> None:
        """Writes a shard's plan; it is there, whole, when this returns."""
        ...


class SightingsKeeper(Protocol):
    """Where goes what is seen of objects (`ledger.sightings_files.SightingsWriter`), in key order. Never raises."""

    def add(self, stat: Stat) -> None: ...
    def add_known(self, sightings: Sightings, begin: int, end: int) -> None: ...
    def flush(self) -> None: ...


class Forgetful:
    """Keeps nothing."""

    def add(self, stat: Stat) -> None:
        """Does nothing."""

    def add_known(self, sightings: Sightings, begin: int, end: int) -> None:
        """Does nothing."""

    def flush(self) -> None:
        """Does nothing."""


def nothing_seen(after: str) -> Iterator[Sightings]:
    """Yields no sightings."""
    return iter(())


@dataclass(frozen=True, slots=True)
class ScanOrder:
    """What to scan and how.

    Attributes:
        cursor: where to go on; the default is the begin.
        attempt: 1 for the first try; names the shards of later ones apart.
        list_skipped: entries SKIP are written to the plan as well, for a dry run's list.
        seen: yields what earlier executions have seen of objects behind a path. The sink is not asked for those again.
        keeper: takes what this scan has seen, or has been spared to see again.
    """

    source: Lister
    sink: Sink
    ledger: PlanWriter
    purpose: ScanPurpose
    options: TransferOptions
    cursor: Cursor = field(default_factory=Cursor)
    attempt: int = 1
    list_skipped: bool = False
    bounds: Bounds = field(default_factory=Bounds)
    backoff: Backoff = field(default_factory=Backoff)
    seen: Callable[[str], Iterator[Sightings]] = nothing_seen
    keeper: SightingsKeeper = field(default_factory=Forgetful)


def run(scan: ScanOrder, stop: threading.Event, clock: Callable[[], float] = time.monotonic) -> Iterator[Fact]:
    """Yields a fact for each shard, after its plan is in the ledger; signs of life; and `Scanned` at a good end.

    Args:
        scan: what to scan.
        stop: ends the scan within a fraction of a second.
        clock: seconds, never going back.

    Raises:
        BlockferryError: the reason of a failed listing, or LIST_FAILED; SCAN_STOPPED.
    """
    after, backoff, known = scan.cursor.last_path, scan.backoff, _known(scan)
    source = Walk(scan.source, Side.SOURCE, after, stop, backoff, in_stretches=known is not None)
    walks = [source]
    if _lists_destination(scan):
        walks.append(Walk(scan.sink, Side.DESTINATION, after, stop, backoff, in_stretches=known is not None))
    lookup = Lookup(partial(_ask, scan.sink, backoff, stop))
    try:
        items = _items(scan, known, *walks)
        yield from _Plan(scan).facts(
            lookup.complete(items) if scan.purpose is ScanPurpose.TRANSFER else items, stop, clock
        )
    finally:
        stop.set()
        lookup.close()
        scan.keeper.flush()
        for walk in walks:
            walk.close(CLOSE_S)


def _known(scan: ScanOrder) -> Iterator[Sightings] | None:
    """Returns what was seen before, where something was and entries that need nothing may go by unseen."""
    skips = scan.purpose is ScanPurpose.TRANSFER and _lists_destination(scan) and not scan.list_skipped
    if not skips or scan.options.open_files is OpenFiles.FAIL:
        return None
    sightings = scan.seen(scan.cursor.last_path)
    first = next(sightings, None)
    return chain((first,), sightings) if first is not None else None


def _items(
    scan: ScanOrder, known: Iterator[Sightings] | None, source: Walk, found: Walk | None = None
) -> Iterator[Pair | Same | None]:
    """Yields what stands at the two ends."""
    after = scan.cursor.last_path
    if found is None:
        return march(in_order(source, Side.SOURCE, after), iter(()))
    if known is not None:
        return skim(source.stretches(), found.stretches(), known, after, max_object_bytes(scan.sink))
    return march(in_order(source, Side.SOURCE, after), in_order(found, Side.DESTINATION, after))


def rules_of(options: TransferOptions, sink: Sink) -> Rules:
    """Returns what the options and the sink's limits say about all entries."""
    return Rules(
        transfer_all=options.transfer is Transfer.ALL,
        fail_open=options.open_files is OpenFiles.FAIL,
        max_object_bytes=max_object_bytes(sink),
        check_path=sink.check_path,
    )


def max_object_bytes(sink: Sink) -> int:
    """Returns the size of the largest object that a sink can be given."""
    return sink.features.max_part_count * sink.features.max_part_bytes


def _lists_destination(scan: ScanOrder) -> bool:
    return scan.purpose is ScanPurpose.CHECK or scan.options.transfer is Transfer.CHANGED


def _ask(sink: Sink, backoff: Backoff, stop: threading.Event, path: str) -> Stat | None:
    def sleep(delay_s: float) -> None:
        if stop.wait(delay_s):
            raise stopped()

    try:
        return call_with_retry(partial(sink.stat, path), backoff, sleep)
    except BlockferryError as error:
        raise list_failed(error, Side.DESTINATION) from error


class _Plan:
    """The open shard of a scan and its sums."""

    def __init__(self, scan: ScanOrder) -> None:
        self._scan = scan
        self._rules = rules_of(scan.options, scan.sink)
        self._judge = decide if scan.purpose is ScanPurpose.TRANSFER else decide_check
        self._cutter = Cutter(scan.bounds, is_first=scan.cursor.shard_number == 0)
        self._sums = Sums(scan.cursor.counts)
        self._number = scan.cursor.shard_number
        self._last_path = scan.cursor.last_path
        self._told = scan.cursor.counts

    def facts(
        self, items: Iterable[Pair | Same | None], stop: threading.Event, clock: Callable[[], float]
    ) -> Iterator[Fact]:
        told_s = clock()
        for item in items:
            now_s = clock()
            if isinstance(item, Same):
                shard = self._pass(item, now_s)
            elif item is not None:
                shard = self._take(item, now_s)
            elif stop.is_set():
                raise stopped()
            else:
                shard = self._cutter.tick(now_s)
            if shard:
                yield self._write(shard)
                told_s = clock()
            elif now_s - told_s >= LISTED_S:
                yield Listed(self._measured())
                told_s = now_s
        if shard := self._cutter.flush():
            yield self._write(shard)
        yield Scanned(self._measured())

    def _pass(self, same: Same, now_s: float) -> tuple[PlanEntry, ...]:
        self._sums.add_same(same.entry_count, same.size_bytes)
        self._last_path = same.path
        self._scan.keeper.add_known(same.sightings, same.begin, same.end)
        return self._cutter.tick(now_s)

    def _take(self, pair: Pair, now_s: float) -> tuple[PlanEntry, ...]:
        if pair.found is not None and pair.found.seen_ms:
            self._scan.keeper.add(pair.found)
        entry = self._judge(pair, self._rules)
        self._sums.add(pair, entry)
        self._last_path = pair.path
        if entry is None or (entry.action is Action.SKIP and not self._scan.list_skipped):
            return self._cutter.tick(now_s)
        return self._cutter.add(entry, now_s)

    def _write(self, shard: tuple[PlanEntry, ...]) -> PlannedShard:
        self._number += 1
        name = shard_name(self._scan.purpose, self._number, self._scan.attempt)
        with _TRACER.start_as_current_span("plan shard") as span:
            span.set_attribute("blockferry.shard", name)
            span.set_attribute("blockferry.entry.count", len(shard))
            self._scan.ledger.write_plan(name, shard)
        _SHARDS.add(1)
        count, size_bytes = move_totals(shard)
        return PlannedShard(
            name=name,
            move_count=count,
            move_bytes=size_bytes,
            verify_count=verify_count(shard, self._scan.options.verify),
            cursor=Cursor(self._number, self._last_path, self._measured()),
            failures=group_failures((entry.path, entry.failure) for entry in shard if entry.failure is not None),
        )

    def _measured(self) -> Counts:
        counts, told = self._sums.counts(), self._told
        self._told = counts
        _ENTRIES.add(counts.source_listed_count - told.source_listed_count, {"side": Side.SOURCE})
        _ENTRIES.add(counts.destination_listed_count - told.destination_listed_count, {"side": Side.DESTINATION})
        return counts
