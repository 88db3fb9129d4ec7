"""Writes the report of an execution: what a user downloads. Reads the ledger shard by shard; memory: one shard.

    summary.json      the summary, and counts by result and by reason
    failed.csv        every entry that failed (also failed.jsonl)
    transferred.csv   what was written, with its checksum
    verified.csv      what was proved, how, and what was found
    planned.csv       what would be done (dry run), or was not done because the execution ended before
    skipped.csv       what the destination had already (only when there is such a thing)
    entries.parquet   all of it, one row per entry

CSV is RFC 4180 in UTF-8 with a header: any name comes back from it byte for byte. Never decides what counts.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import BinaryIO

import pyarrow as pa
from pyarrow import parquet

from blockferry.errors import BlockferryError
from ledger.failures import FailureTally
from ledger.folder import Folder, shown
from ledger.ledger import Ledger
from ledger.outcomes import FailedPhase, Outcome, Result, outcomes
from ledger.records import Action
from ledger.report_rows import (
    ENTRIES,
    FAILED,
    PLANNED,
    SKIPPED,
    TRANSFERRED,
    VERIFIED,
    ReportList,
    entries_table,
    failed_object,
)

FOLDER = "report"
_FAILED_LINES = "failed.jsonl"
_ENTRIES_FILE = "entries.parquet"
_SUMMARY_FILE = "summary.json"
_COPY_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class ShardNames:
    """What counts of one shard: the names of its plan, receipts and verdicts. Empty: there are none."""

    shard: str
    receipts: str = ""
    verdicts: str = ""


def write_report(
    ledger: Ledger,
    summary: Mapping[str, object],
    shards: Iterable[ShardNames],
    also_uri: str = "",
    on_shard: Callable[[], None] = lambda: None,
) -> str:
    """Writes the report into the ledger's folder and, when `also_uri` is given, there too. May be repeated.

    Args:
        ledger: of the execution.
        summary: a JSON object; the report adds its key `report`.
        shards: in the order of the report.
        also_uri: a pyarrow.fs URI or an absolute path; the files go directly into that folder.
        on_shard: called after each shard; what it raises ends the work.

    Returns:
        Where the report is: `also_uri` if given, else the ledger's folder.

    Raises:
        BlockferryError: REPORT_FAILED with the place that could not be written; LEDGER_* when the ledger cannot be
            read.
    """
    folder = ledger.folder
    with _named_place(folder.place(FOLDER)):
        files = _write_files(ledger, folder, summary, shards, on_shard)
    if not also_uri:
        return folder.place(FOLDER)
    with _named_place(shown(also_uri)):
        target = Folder(also_uri)
        _copy(folder, files, target)
    return target.place()


@contextmanager
def _named_place(place: str) -> Iterator[None]:
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        raise _failed(place, str(error)) from error
    except BlockferryError as error:
        if error.reason != "LEDGER_URI_INVALID":
            raise
        raise _failed(place, error.message) from error


def _failed(place: str, detail: str) -> BlockferryError:
    return BlockferryError(
        "REPORT_FAILED",
        f"The report cannot be written to {place}: {detail}. Check that the place exists, has space and may be written "
        "by the worker; the execution itself is not harmed.",
        path=place,
    )


def _write_files(
    ledger: Ledger,
    folder: Folder,
    summary: Mapping[str, object],
    shards: Iterable[ShardNames],
    on_shard: Callable[[], None],
) -> tuple[str, ...]:
    with ExitStack() as stack:
        writer = _Writer(folder, stack)
        for names in shards:
            writer.add(names.shard, _outcomes_of(ledger, names))
            on_shard()
    text = json.dumps({**summary, "report": writer.counts()}, indent=2, ensure_ascii=False) + "\n"
    folder.write(f"{FOLDER}/{_SUMMARY_FILE}", text.encode())
    if SKIPPED.name not in writer.files:  # of an earlier report
        folder.delete(f"{FOLDER}/{SKIPPED.name}")
    return (*writer.files, _SUMMARY_FILE)


def _outcomes_of(ledger: Ledger, names: ShardNames) -> tuple[Outcome, ...]:
    receipts = ledger.read_receipts(names.receipts) if names.receipts else ()
    verdicts = ledger.read_verdicts(names.verdicts) if names.verdicts else ()
    return tuple(outcomes(ledger.read_plan(names.shard), receipts, verdicts))


def _copy(folder: Folder, files: Sequence[str], target: Folder) -> None:
    for name in files:
        with folder.open(f"{FOLDER}/{name}") as source, target.replacing(name) as copy:
            while chunk := source.read(_COPY_BYTES):
                copy.write(chunk)


class _Writer:
    """Writes the lists of a report as the shards come. The files get their names when the stack is closed."""

    def __init__(self, folder: Folder, stack: ExitStack) -> None:
        self._folder = folder
        self._stack = stack
        self._tallies = {phase: FailureTally() for phase in FailedPhase}
        self._results = dict.fromkeys(Result, 0)
        self._lists: dict[str, io.TextIOWrapper] = {}
        for listing in (FAILED, TRANSFERRED, VERIFIED, PLANNED):
            self._csv(listing)
        self._failed_lines = self._text(_FAILED_LINES)
        self._entries = stack.enter_context(
            parquet.ParquetWriter(self._binary(_ENTRIES_FILE), ENTRIES, compression="zstd")
        )

    @property
    def files(self) -> tuple[str, ...]:
        """The names of the files that are written."""
        return (*self._lists, _ENTRIES_FILE)

    def add(self, shard: str, rows: Sequence[Outcome]) -> None:
        """Writes the entries of a shard."""
        for row in rows:
            self._results[row.result] += 1
            if row.phase is not None and row.failure is not None:
                self._tallies[row.phase].add(row.entry.path, row.failure)
                self._failed_lines.write(json.dumps(failed_object(shard, row), ensure_ascii=False) + "\n")
        self._list(FAILED, shard, [row for row in rows if row.failure is not None])
        self._list(TRANSFERRED, shard, [row for row in rows if row.receipt is not None and row.receipt.failure is None])
        self._list(VERIFIED, shard, [row for row in rows if row.verdict is not None])
        self._list(PLANNED, shard, [row for row in rows if row.result is Result.PLANNED])
        skipped = [row for row in rows if row.entry.action is Action.SKIP]
        if skipped:
            self._list(SKIPPED, shard, skipped)
        self._entries.write_table(entries_table(shard, rows))

    def counts(self) -> dict[str, object]:
        """Returns how many entries came how far, and what failed, by phase and reason."""
        failures = [
            {
                "phase": phase,
                "reason": group.reason,
                "failure_count": group.failure_count,
                "message": group.message,
                "sample_paths": group.sample_paths,
            }
            for phase, tally in self._tallies.items()
            for group in tally.groups()
        ]
        return {"entries": self._results, "failures": failures, "files": sorted((*self.files, _SUMMARY_FILE))}

    def _list(self, listing: ReportList, shard: str, rows: Sequence[Outcome]) -> None:
        csv.writer(self._csv(listing)).writerows(listing.cells(shard, row) for row in rows)

    def _csv(self, listing: ReportList) -> io.TextIOWrapper:
        if listing.name not in self._lists:
            csv.writer(self._text(listing.name)).writerow(listing.header)
        return self._lists[listing.name]

    def _text(self, name: str) -> io.TextIOWrapper:
        # "\r\n" ends a record of RFC 4180 and must not be translated: names may hold any of the two.
        text = io.TextIOWrapper(self._binary(name), encoding="utf-8", newline="")
        self._stack.callback(text.flush)
        self._lists[name] = text
        return text

    def _binary(self, name: str) -> BinaryIO:
        return self._stack.enter_context(self._folder.replacing(f"{FOLDER}/{name}"))
