"""Plan entries, receipts and verdicts as Arrow tables and back, column by column. Never touches a file.

A column is built by one list comprehension, and words that repeat are dictionary-encoded: so a row costs a few
microseconds, and after reading all rows share one string per owner, group or action. No column but `coordinates` and
the paths of stats holds nulls: what is absent is empty, with a `_present` column where empty has a meaning of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar, cast

import pyarrow as pa

from ledger.records import Action, EntryFailure, PlanEntry, Proof, Receipt, Verdict, Why
from stores.base import Attributes, Condition, Kind, Stat
from stores.checksum import Algorithm, Checksum

Word = TypeVar("Word")
Cell = TypeVar("Cell")
Columns = dict[str, "pa.Array[pa.Scalar[pa.DataType]]"]
_WORD = pa.dictionary(pa.int32(), pa.string())
_COORDINATES = pa.map_(pa.string(), pa.string())
_NO_STAT = Stat("", Kind.FILE, 0, 0)
_NO_ATTRIBUTES = Attributes("", "", 0, 0, 0)


def plan_table(entries: Sequence[PlanEntry]) -> pa.Table:
    """Returns the entries as a table, in the same order."""
    columns: Columns = {
        "path": pa.array([entry.path for entry in entries], pa.string()),
        "action": pa.array([entry.action for entry in entries], _WORD),
        "why": pa.array([entry.why for entry in entries], _WORD),
    }
    columns |= _stat_columns("source_", entries, [entry.source for entry in entries])
    columns |= _stat_columns("found_", entries, [entry.found for entry in entries])
    columns |= _failure_columns([entry.failure for entry in entries])
    return pa.table(columns)


def plan_entries(table: pa.Table) -> tuple[PlanEntry, ...]:
    """Returns the entries of a table that `plan_table` made. Raises KeyError or ValueError for any other."""
    paths = _values(table, "path", str)
    return tuple(
        map(
            PlanEntry,
            paths,
            _words(table, "action", Action),
            _words(table, "why", Why),
            _stats(table, "source_", paths),
            _stats(table, "found_", paths),
            _failures(table),
        )
    )


def receipts_table(receipts: Sequence[Receipt]) -> pa.Table:
    """Returns the receipts as a table, in the same order."""
    columns: Columns = {
        "path": pa.array([receipt.path for receipt in receipts], pa.string()),
        "action": pa.array([receipt.action for receipt in receipts], _WORD),
        "size_bytes": pa.array([receipt.size_bytes for receipt in receipts], pa.int64()),
        "etag": pa.array([receipt.etag for receipt in receipts], pa.string()),
        "version_id": pa.array([receipt.version_id for receipt in receipts], pa.string()),
        "source_proven": pa.array([receipt.source_proven for receipt in receipts], pa.bool_()),
        "source_version": pa.array([receipt.source_version for receipt in receipts], pa.string()),
        "part_count": pa.array([receipt.part_count for receipt in receipts], pa.int32()),
        "attempts": pa.array([receipt.attempts for receipt in receipts], pa.int32()),
        "written_ms": pa.array([receipt.written_ms for receipt in receipts], pa.int64()),
    }
    columns |= _checksum_columns("checksum", [receipt.checksum for receipt in receipts])
    columns |= _failure_columns([receipt.failure for receipt in receipts])
    return pa.table(columns)


def receipts(table: pa.Table) -> tuple[Receipt, ...]:
    """Returns the receipts of a table that `receipts_table` made. Raises KeyError or ValueError for any other."""
    return tuple(
        map(
            Receipt,
            _values(table, "path", str),
            _words(table, "action", Action),
            _values(table, "size_bytes", int),
            _values(table, "etag", str),
            _values(table, "version_id", str),
            _checksums(table, "checksum"),
            _values(table, "source_proven", bool),
            _values(table, "source_version", str),
            _values(table, "part_count", int),
            _values(table, "attempts", int),
            _failures(table),
            # Absent from what was written before 2026-11-21, of which an execution may still be under way.
            _values(table, "written_ms", int) if "written_ms" in table.column_names else [0] * table.num_rows,
        )
    )


def verdicts_table(verdicts: Sequence[Verdict]) -> pa.Table:
    """Returns the verdicts as a table, in the same order."""
    columns: Columns = {
        "path": pa.array([verdict.path for verdict in verdicts], pa.string()),
        "proof": pa.array([verdict.proof for verdict in verdicts], _WORD),
        "size_bytes": pa.array([verdict.size_bytes for verdict in verdicts], pa.int64()),
        "source_proven": pa.array([verdict.source_proven for verdict in verdicts], pa.bool_()),
    }
    columns |= _checksum_columns("expected", [verdict.expected for verdict in verdicts])
    columns |= _checksum_columns("found", [verdict.found for verdict in verdicts])
    columns |= _failure_columns([verdict.failure for verdict in verdicts])
    return pa.table(columns)


def verdicts(table: pa.Table) -> tuple[Verdict, ...]:
    """Returns the verdicts of a table that `verdicts_table` made. Raises KeyError or ValueError for any other."""
    return tuple(
        map(
            Verdict,
            _values(table, "path", str),
            _words(table, "proof", Proof),
            _values(table, "size_bytes", int),
            _checksums(table, "expected"),
            _checksums(table, "found"),
            _values(table, "source_proven", bool),
            _failures(table),
        )
    )


def _stat_columns(prefix: str, entries: Sequence[PlanEntry], stats: Sequence[Stat | None]) -> Columns:
    """Returns the columns of one side. `{prefix}path` is null where it is the entry's, which it nearly always is."""
    full = [stat or _NO_STAT for stat in stats]
    known = [stat.attributes or _NO_ATTRIBUTES for stat in full]
    paths = [
        None if stat is None or stat.path == entry.path else stat.path
        for entry, stat in zip(entries, stats, strict=True)
    ]
    columns: Columns = {
        "present": pa.array([stat is not None for stat in stats], pa.bool_()),
        "path": pa.array(paths, pa.string()),
        "kind": pa.array([stat.kind for stat in full], _WORD),
        "size_bytes": pa.array([stat.size_bytes for stat in full], pa.int64()),
        "mtime_ms": pa.array([stat.mtime_ms for stat in full], pa.int64()),
        "version": pa.array([stat.version for stat in full], pa.string()),
        "layout": pa.array([stat.layout for stat in full], pa.binary()),
        "condition": pa.array([stat.condition for stat in full], _WORD),
        "keeps_attributes": pa.array([stat.keeps_attributes for stat in full], pa.bool_()),
        "attributes_present": pa.array([stat.attributes is not None for stat in full], pa.bool_()),
        "owner": pa.array([attributes.owner for attributes in known], _WORD),
        "group": pa.array([attributes.group for attributes in known], _WORD),
        "permissions": pa.array([attributes.permissions for attributes in known], pa.int32()),
        "attributes_mtime_ms": pa.array([attributes.mtime_ms for attributes in known], pa.int64()),
        "attributes_atime_ms": pa.array([attributes.atime_ms for attributes in known], pa.int64()),
    }
    columns |= _checksum_columns("checksum", [stat.checksum for stat in full])
    return {prefix + name: column for name, column in columns.items()}


def _stats(table: pa.Table, prefix: str, entry_paths: Sequence[str]) -> Sequence[Stat | None]:
    present = _values(table, prefix + "present", bool)
    if not any(present):
        return [None] * table.num_rows
    stats = map(
        Stat,
        [own or path for own, path in zip(_values(table, prefix + "path", str), entry_paths, strict=True)],
        _words(table, prefix + "kind", Kind),
        _values(table, prefix + "size_bytes", int),
        _values(table, prefix + "mtime_ms", int),
        _attributes(table, prefix),
        _values(table, prefix + "version", str),
        _values(table, prefix + "layout", bytes),
        _words(table, prefix + "condition", Condition),
        _checksums(table, prefix + "checksum"),
        _values(table, prefix + "keeps_attributes", bool),
    )
    return [stat if there else None for there, stat in zip(present, stats, strict=True)]


def _attributes(table: pa.Table, prefix: str) -> Sequence[Attributes | None]:
    present = _values(table, prefix + "attributes_present", bool)
    if not any(present):
        return [None] * table.num_rows
    known = map(
        Attributes,
        _words(table, prefix + "owner", str),
        _words(table, prefix + "group", str),
        _values(table, prefix + "permissions", int),
        _values(table, prefix + "attributes_mtime_ms", int),
        _values(table, prefix + "attributes_atime_ms", int),
    )
    return [attributes if there else None for there, attributes in zip(present, known, strict=True)]


def _checksum_columns(name: str, checksums: Sequence[Checksum | None]) -> Columns:
    """Returns `{name}_algorithm` (empty: there is none) and `{name}` (uint32)."""
    return {
        f"{name}_algorithm": pa.array([sum_.algorithm if sum_ else "" for sum_ in checksums], _WORD),
        name: pa.array([sum_.value if sum_ else 0 for sum_ in checksums], pa.uint32()),
    }


def _checksums(table: pa.Table, name: str) -> Sequence[Checksum | None]:
    algorithms = _words(table, f"{name}_algorithm", _algorithm)
    if not any(algorithms):
        return [None] * table.num_rows
    return [
        Checksum(algorithm, value) if algorithm else None
        for algorithm, value in zip(algorithms, _values(table, name, int), strict=True)
    ]


def _algorithm(word: str) -> Algorithm | None:
    return Algorithm(word) if word else None


def _failure_columns(failures: Sequence[EntryFailure | None]) -> Columns:
    """Returns `failure_reason` (empty: it did not fail), `failure_message` and `failure_coordinates`."""
    return {
        "failure_reason": pa.array([failure.reason if failure else "" for failure in failures], _WORD),
        "failure_message": pa.array([failure.message if failure else "" for failure in failures], _WORD),
        "failure_coordinates": pa.array([failure and failure.coordinates for failure in failures], _COORDINATES),
    }


def _failures(table: pa.Table) -> Sequence[EntryFailure | None]:
    reasons = _words(table, "failure_reason", str)
    if not any(reasons):
        return [None] * table.num_rows
    messages = _words(table, "failure_message", str)
    column = table.column("failure_coordinates")
    return [
        EntryFailure(reason, message, tuple(map(tuple, column[row].as_py()))) if reason else None
        for row, (reason, message) in enumerate(zip(reasons, messages, strict=True))
    ]


def _values(table: pa.Table, name: str, kind: type[Cell]) -> list[Cell]:
    """Returns a column as Python values, which the writer made of `kind`.

    Strings and bytes take the way over numpy: it is twice as fast.
    """
    column = table.column(name).combine_chunks()
    if pa.types.is_string(column.type) or pa.types.is_binary(column.type):
        return cast("list[Cell]", column.to_numpy(zero_copy_only=False).tolist())
    return cast("list[Cell]", column.to_pylist())


def _words(table: pa.Table, name: str, word_of: Callable[[str], Word]) -> list[Word]:
    """Returns a dictionary-encoded column; `word_of` is called once per different word."""
    column = table.column(name).unify_dictionaries().combine_chunks()
    if not isinstance(column, pa.DictionaryArray):
        raise ValueError(f"{name} is a column of {column.type}")
    words = [word_of(word) for word in cast("list[str]", column.dictionary.to_pylist())]
    return [words[index] for index in cast("list[int]", column.indices.to_pylist())]
