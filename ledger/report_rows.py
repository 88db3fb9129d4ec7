"""The rows of a report's lists: which columns they have, and the cells of an entry. Opens no file.

Checksums are written as S3 writes them: base64 of the four bytes, big-endian. Times are milliseconds since 1970 UTC.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pyarrow as pa

from ledger.outcomes import Outcome
from ledger.records import Action, EntryFailure, Proof, Receipt, Verdict
from stores.base import Attributes, Kind, Stat
from stores.checksum import Checksum

Cell = str | int
_NO_STAT = Stat("", Kind.FILE, 0, 0)
_NO_ATTRIBUTES = Attributes("", "", 0, 0, 0)
_NO_FAILURE = EntryFailure("", "")
_NO_RECEIPT = Receipt("", Action.COPY)
_NO_VERDICT = Verdict("", Proof.NONE)


@dataclass(frozen=True, slots=True)
class ReportList:
    """One CSV list: its file, its header, and the cells of an entry that belongs into it."""

    name: str
    header: tuple[str, ...]
    cells: Callable[[str, Outcome], tuple[Cell, ...]]


def failed_object(shard: str, row: Outcome) -> dict[str, object]:
    """Returns a failed entry as a JSON object."""
    failure = row.failure or _NO_FAILURE
    return {
        "path": row.entry.path,
        "shard": shard,
        "phase": row.phase,
        "reason": failure.reason,
        "message": failure.message,
        "coordinates": dict(failure.coordinates),
    }


def entries_table(shard: str, rows: Sequence[Outcome]) -> pa.Table:
    """Returns the entries with the columns of `ENTRIES`; what is not known is empty or 0."""
    return pa.Table.from_arrays(
        [
            pa.array([cell_of(shard, row) for row in rows], field.type)
            for field, cell_of in zip(ENTRIES, _ENTRY_CELLS, strict=True)
        ],
        schema=ENTRIES,
    )


def _failed(shard: str, row: Outcome) -> tuple[Cell, ...]:
    failure = row.failure or _NO_FAILURE
    phase = row.phase or ""
    return row.entry.path, shard, phase, failure.reason, failure.message, _json(failure.coordinates)


def _transferred(_shard: str, row: Outcome) -> tuple[Cell, ...]:
    receipt, entry = row.receipt or _NO_RECEIPT, row.entry
    return (
        entry.path,
        entry.action,
        entry.why,
        receipt.size_bytes,
        receipt.etag,
        receipt.version_id,
        _algorithm(receipt.checksum),
        _base64(receipt.checksum),
        receipt.part_count,
        receipt.attempts,
        _yes_no(receipt.source_proven),
    )


def _verified(_shard: str, row: Outcome) -> tuple[Cell, ...]:
    verdict = row.verdict or _NO_VERDICT
    return (
        row.entry.path,
        verdict.proof,
        _algorithm(verdict.expected or verdict.found),
        _base64(verdict.expected),
        _base64(verdict.found),
        _yes_no(verdict.source_proven),
        row.result,
    )


def _planned(_shard: str, row: Outcome) -> tuple[Cell, ...]:
    return row.entry.path, row.entry.action, row.entry.why, row.size_bytes


def _yes_no(value: bool) -> str:
    return "true" if value else "false"


def _algorithm(checksum: Checksum | None) -> str:
    return checksum.algorithm if checksum else ""


def _base64(checksum: Checksum | None) -> str:
    return checksum.base64 if checksum else ""


def _json(coordinates: tuple[tuple[str, str], ...]) -> str:
    return json.dumps(dict(coordinates), ensure_ascii=False) if coordinates else ""


def _source(row: Outcome) -> Stat:
    return row.entry.source or _NO_STAT


def _attributes(row: Outcome) -> Attributes:
    return _source(row).attributes or _NO_ATTRIBUTES


FAILED = ReportList("failed.csv", ("path", "shard", "phase", "reason", "message", "coordinates"), _failed)
TRANSFERRED = ReportList(
    "transferred.csv",
    (
        "path",
        "action",
        "why",
        "size_bytes",
        "etag",
        "version_id",
        "checksum_algorithm",
        "checksum",
        "part_count",
        "attempts",
        "source_proven",
    ),
    _transferred,
)
VERIFIED = ReportList(
    "verified.csv",
    ("path", "proof", "checksum_algorithm", "expected", "found", "source_proven", "result"),
    _verified,
)
PLANNED = ReportList("planned.csv", ("path", "action", "why", "size_bytes"), _planned)
SKIPPED = ReportList("skipped.csv", PLANNED.header, _planned)

_WORD = pa.dictionary(pa.int32(), pa.string())
_ENTRY_COLUMNS: tuple[tuple[str, pa.DataType, Callable[[str, Outcome], Cell | bool]], ...] = (
    ("path", pa.string(), lambda _, row: row.entry.path),
    ("shard", _WORD, lambda shard, _: shard),
    ("action", _WORD, lambda _, row: row.entry.action),
    ("why", _WORD, lambda _, row: row.entry.why),
    ("result", _WORD, lambda _, row: row.result),
    ("kind", _WORD, lambda _, row: (row.entry.source or row.entry.found or _NO_STAT).kind),
    ("size_bytes", pa.int64(), lambda _, row: row.size_bytes),
    ("owner", _WORD, lambda _, row: _attributes(row).owner),
    ("group", _WORD, lambda _, row: _attributes(row).group),
    ("permissions", pa.int32(), lambda _, row: _attributes(row).permissions),
    ("mtime_ms", pa.int64(), lambda _, row: _source(row).mtime_ms),
    ("etag", pa.string(), lambda _, row: (row.receipt or _NO_RECEIPT).etag),
    ("version_id", pa.string(), lambda _, row: (row.receipt or _NO_RECEIPT).version_id),
    ("checksum_algorithm", _WORD, lambda _, row: _algorithm((row.receipt or _NO_RECEIPT).checksum)),
    ("checksum", pa.string(), lambda _, row: _base64((row.receipt or _NO_RECEIPT).checksum)),
    ("part_count", pa.int32(), lambda _, row: (row.receipt or _NO_RECEIPT).part_count),
    ("attempts", pa.int32(), lambda _, row: row.receipt.attempts if row.receipt else 0),
    ("proof", _WORD, lambda _, row: row.verdict.proof if row.verdict else ""),
    ("expected", pa.string(), lambda _, row: _base64((row.verdict or _NO_VERDICT).expected)),
    ("found", pa.string(), lambda _, row: _base64((row.verdict or _NO_VERDICT).found)),
    ("source_proven", pa.bool_(), lambda _, row: (row.verdict or row.receipt or _NO_RECEIPT).source_proven),
    ("phase", _WORD, lambda _, row: row.phase or ""),
    ("reason", _WORD, lambda _, row: (row.failure or _NO_FAILURE).reason),
    ("message", pa.string(), lambda _, row: (row.failure or _NO_FAILURE).message),
    ("coordinates", pa.string(), lambda _, row: _json((row.failure or _NO_FAILURE).coordinates)),
)
_ENTRY_CELLS = tuple(cell_of for _, _, cell_of in _ENTRY_COLUMNS)
ENTRIES = pa.schema([pa.field(name, kind) for name, kind, _ in _ENTRY_COLUMNS])
