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
from typing import Protocol

from opentelemetry import metrics, trace

from blockferry.errors import BlockferryError
from ledger.failures import group_failures
from ledger.records import Action, PlanEntry
from scanner.cut import Bounds, Cutter
from scanner.decide import Rules, decide, decide_check
from scanner.facts import Counts, Cursor, Fact, Listed, PlannedShard, Scanned, ScanPurpose, shard_name
from scanner.lookup import KnownAttributes, Lookup, nothing_known
from scanner.march import Pair, Side, in_order, march
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


@dataclass(frozen=True, slots=True)
class ScanOrder:
    """What to scan and how.

    Attributes:
        cursor: where to go on; the default is the begin.
        attempt: 1 for the first try; names the shards of later ones apart.
        list_skipped: entries SKIP are written to the plan as well, for a dry run's list.
        known_attributes: asked before the sink is asked for the attributes of an object.
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
    known_attributes: KnownAttributes = nothing_known


def run(scan: ScanOrder, stop: threading.Event, clock: Callable[[], float] = time.monotonic) -> Iterator[Fact]:
    """Yields a fact for each shard, after its plan is in the ledger; signs of life; and `Scanned` at a good end.

    Args:
        scan: what to scan.
        stop: ends the scan within a fraction of a second.
        clock: seconds, never going back.

    Raises:
        BlockferryError: the reason of a failed listing, or LIST_FAILED; SCAN_STOPPED.
    """
    after, backoff = scan.cursor.last_path, scan.backoff
    walks = [Walk(scan.source, Side.SOURCE, after, stop, backoff)]
    sources = in_order(walks[0], Side.SOURCE, after)
    founds: Iterator[Stat | None] = iter(())
    if _lists_destination(scan):
        walks.append(Walk(scan.sink, Side.DESTINATION, after, stop, backoff))
        founds = in_order(walks[1], Side.DESTINATION, after)
    lookup = Lookup(partial(_ask, scan.sink, backoff, stop), scan.known_attributes)
    try:
        pairs = march(sources, founds)
        yield from _Plan(scan).facts(
            lookup.complete(pairs) if scan.purpose is ScanPurpose.TRANSFER else pairs, stop, clock
        )
    finally:
        stop.set()
        lookup.close()
        for walk in walks:
            walk.close(CLOSE_S)


def rules_of(options: TransferOptions, sink: Sink) -> Rules:
    """Returns what the options and the sink's limits say about all entries."""
    features = sink.features
    return Rules(
        transfer_all=options.transfer is Transfer.ALL,
        fail_open=options.open_files is OpenFiles.FAIL,
        max_object_bytes=features.max_part_count * features.max_part_bytes,
        check_path=sink.check_path,
    )


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

    def facts(self, pairs: Iterable[Pair | None], stop: threading.Event, clock: Callable[[], float]) -> Iterator[Fact]:
        told_s = clock()
        for pair in pairs:
            now_s = clock()
            if pair is not None:
                shard = self._take(pair, now_s)
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

    def _take(self, pair: Pair, now_s: float) -> tuple[PlanEntry, ...]:
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
