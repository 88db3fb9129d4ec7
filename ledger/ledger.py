"""The ledger of an execution: a folder with the plan, receipts, verdicts and upload notes of every shard.

    plan/000017.parquet   receipts/000017.1.parquet   verdicts/000017.1.parquet   uploads/000017/{hash of path}.json

Every write replaces an older file of the same name, whole or not at all, so that calls may be repeated. Memory: one
shard. Never decides anything.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable
from typing import TypeVar

import pyarrow as pa
from pyarrow import parquet

from blockferry.errors import BlockferryError, Whose
from ledger import tables
from ledger.folder import Folder
from ledger.records import Note, PlanEntry, Receipt, UploadIntent, UploadNote, Verdict
from stores.base import Upload
from stores.checksum import Algorithm

_SHARD = re.compile(r"[a-z]?[0-9]{6,9}(-[0-9]{1,9})?")
_SHARD_ATTEMPT = re.compile(rf"{_SHARD.pattern}\.[0-9]{{1,9}}")
_Rows = TypeVar("_Rows")


class Ledger:
    """Reads and writes the ledger at a pyarrow.fs URI or an absolute path. Threads may share it.

    Every method raises `BlockferryError`: LEDGER_NAME_INVALID, LEDGER_MISSING, LEDGER_DAMAGED, LEDGER_UNREADABLE or
    LEDGER_UNWRITABLE, with the file's `path`.
    """

    def __init__(self, uri: str) -> None:
        self.folder = Folder(uri)

    def write_plan(self, shard: str, entries: Iterable[PlanEntry]) -> None:
        """Writes the plan of a shard."""
        self._write("plan", _checked(shard, _SHARD), tables.plan_table(tuple(entries)))

    def read_plan(self, shard: str) -> tuple[PlanEntry, ...]:
        """Returns the plan of a shard in the order in which it was written."""
        return self._read("plan", _checked(shard, _SHARD), tables.plan_entries)

    def write_receipts(self, name: str, receipts: Iterable[Receipt]) -> None:
        """Writes the receipts `{shard}.{attempt}`."""
        self._write("receipts", _checked(name, _SHARD_ATTEMPT), tables.receipts_table(tuple(receipts)))

    def read_receipts(self, name: str) -> tuple[Receipt, ...]:
        """Returns the receipts `{shard}.{attempt}`."""
        return self._read("receipts", _checked(name, _SHARD_ATTEMPT), tables.receipts)

    def write_verdicts(self, name: str, verdicts: Iterable[Verdict]) -> None:
        """Writes the verdicts `{shard}.{attempt}`."""
        self._write("verdicts", _checked(name, _SHARD_ATTEMPT), tables.verdicts_table(tuple(verdicts)))

    def read_verdicts(self, name: str) -> tuple[Verdict, ...]:
        """Returns the verdicts `{shard}.{attempt}`."""
        return self._read("verdicts", _checked(name, _SHARD_ATTEMPT), tables.verdicts)

    def note_upload(self, shard: str, note: Note) -> None:
        """Notes that an upload is about to be begun, or was, so that a later attempt can go on with it or give it up.
        One note per path: the newest."""
        name = _note_name(_checked(shard, _SHARD), note.path)
        _guarded_write(self.folder, name, lambda: json.dumps(_note_to_json(note)).encode())

    def upload_notes(self, shard: str) -> tuple[Note, ...]:
        """Returns the uploads that were noted for a shard and not dropped."""
        below = f"uploads/{_checked(shard, _SHARD)}"
        try:
            names = self.folder.names(below)
        except OSError as error:
            raise _unreadable(self.folder.place(below), error) from error
        return tuple(self._read_note(f"{below}/{name}") for name in names)

    def drop_upload(self, shard: str, path: str) -> None:
        """Forgets an upload, because it was completed or given up. None noted is no error."""
        name = _note_name(_checked(shard, _SHARD), path)
        try:
            self.folder.delete(name)
        except OSError as error:
            raise _unwritable(self.folder.place(name), error) from error

    def _write(self, part: str, name: str, table: pa.Table) -> None:
        _guarded_write(self.folder, f"{part}/{name}.parquet", lambda: _to_parquet(table))

    def _read(self, part: str, name: str, rows_of: Callable[[pa.Table], _Rows]) -> _Rows:
        file = f"{part}/{name}.parquet"
        content = _guarded_read(self.folder, file)
        try:
            return rows_of(
                parquet.read_table(pa.BufferReader(content), use_threads=False, page_checksum_verification=True)
            )
        except (pa.ArrowException, OSError, KeyError, ValueError, TypeError) as error:
            raise _damaged(self.folder.place(file), error) from error

    def _read_note(self, file: str) -> Note:
        content = _guarded_read(self.folder, file)
        try:
            return _note_from_json(json.loads(content.to_pybytes()))
        except (KeyError, ValueError, TypeError) as error:
            raise _damaged(self.folder.place(file), error) from error


def _to_parquet(table: pa.Table) -> pa.Buffer:
    sink = pa.BufferOutputStream()
    parquet.write_table(table, sink, compression="zstd", write_page_checksum=True)
    return sink.getvalue()


def _checked(name: str, pattern: re.Pattern[str]) -> str:
    """Returns the name if it is a safe one: it becomes a part of a path."""
    if not pattern.fullmatch(name):
        raise BlockferryError(
            "LEDGER_NAME_INVALID",
            "the name of a shard must be six digits or more, with one letter before them in a check and the scan's "
            "attempt behind them, and for receipts and verdicts a point and the attempt; use the name that the ledger "
            "was written with",
            whose=Whose.CALLER,
            name=name,
        )
    return name


def _guarded_read(folder: Folder, file: str) -> pa.Buffer:
    try:
        return folder.read(file)
    except FileNotFoundError as error:
        raise BlockferryError(
            "LEDGER_MISSING",
            "the ledger has no such file: it was removed, or the ledger's folder is not shared by all workers; "
            "bring it back, or start a new execution",
            path=folder.place(file),
        ) from error
    except OSError as error:
        raise _unreadable(folder.place(file), error) from error


def _guarded_write(folder: Folder, file: str, content: Callable[[], pa.Buffer | bytes]) -> None:
    try:
        folder.write(file, content())
    except OSError as error:
        raise _unwritable(folder.place(file), error) from error


def _damaged(place: str, error: Exception) -> BlockferryError:
    return BlockferryError(
        "LEDGER_DAMAGED",
        "a file of the ledger cannot be understood: it was damaged or written by another version; "
        "bring it back, or start a new execution",
        path=place,
        detail=f"{type(error).__name__}: {error}",
    )


def _unreadable(place: str, error: OSError) -> BlockferryError:
    return BlockferryError(
        "LEDGER_UNREADABLE",
        "a file of the ledger cannot be read; check the disk or store of the ledger and the rights of the worker",
        retryable=not isinstance(error, PermissionError),
        path=place,
        detail=error,
    )


def _unwritable(place: str, error: OSError) -> BlockferryError:
    return BlockferryError(
        "LEDGER_UNWRITABLE",
        "a file of the ledger cannot be written; check the free space, the disk or store of the ledger and the "
        "rights of the worker",
        retryable=not isinstance(error, PermissionError),
        path=place,
        detail=error,
    )


def _note_name(shard: str, path: str) -> str:
    """Returns the note's file: a path can be longer than a file name may be, so its hash stands for it."""
    return f"uploads/{shard}/{hashlib.sha256(path.encode('utf-8', 'surrogatepass')).hexdigest()}.json"


def _note_to_json(note: Note) -> dict[str, str | int]:
    if isinstance(note, UploadIntent):
        return {"path": note.path, "since_ms": note.since_ms}
    return {
        "path": note.upload.path,
        "key": note.upload.key,
        "upload_id": note.upload.upload_id,
        "algorithm": note.upload.algorithm,
        "source_version": note.source_version,
        "part_bytes": note.part_bytes,
    }


def _note_from_json(note: dict[str, str]) -> Note:
    if "since_ms" in note:
        return UploadIntent(note["path"], int(note["since_ms"]))
    upload = Upload(note["path"], note["key"], note["upload_id"], Algorithm(note["algorithm"]))
    return UploadNote(upload, note["source_version"], int(note["part_bytes"]))
