"""The sightings of an execution as files of its ledger.

    sightings/scan-1.000004.parquet   sightings/verify-000017.1-t1795283926.parquet

Each is sorted by path, and those of one writer follow each other in key order. All are read together: as sightings are
facts, no file is ever one too many, and one that is missing, damaged or of another version costs a question to the
store, no error. Memory: one file of each writer.

What the execution wrote itself and saw within the same second is written as well, and believed if the store's clock was
seen to get on while the execution lasted: the last `t` of its files, in seconds, says how far. So it can only deceive
if somebody else wrote the same bytes with other attributes there, in the very second in which the execution did.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import cast

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from blockferry.errors import BlockferryError
from ledger.folder import Folder
from ledger.sightings import SCHEMA, Sightings, is_sighting, sightings_of, sightings_table
from stores.base import SETTLED_MS, Stat

LOG = logging.getLogger("blockferry.ledger")
PART = "sightings"
PIECE_ROWS = 10_000  # a file of a scan: 0.2 MB, and 10 MB while it is compared
_NAME = re.compile(
    r"(scan-[0-9]+\.|verify-c?)([0-9]{6,9}(?:-[0-9]{1,9})?(?:\.[0-9]{1,9})?)(?:-t([0-9]{1,12}))?\.parquet"
)
_WORDS = ["owner", "group", "permissions"]


class SightingsWriter:
    """Writes the sightings of one scan as it goes, in files of `PIECE_ROWS`. What is added must come in key order."""

    def __init__(self, folder: Folder, attempt: int) -> None:
        self._folder = folder
        self._attempt = attempt
        self._tables: list[pa.Table] = []
        self._stats: list[Stat] = []
        self._row_count = 0
        self._file_count = 0

    def add(self, stat: Stat) -> None:
        """Takes what a sink told, if it is a sighting."""
        if is_sighting(stat):
            self._stats.append(stat)
            self._count(1)

    def add_known(self, sightings: Sightings, begin: int, end: int) -> None:
        """Takes over rows of earlier sightings."""
        self._settle()
        self._tables.append(sightings.table.slice(begin, end - begin))
        self._count(end - begin)

    def flush(self) -> None:
        """Writes what has been added. What cannot be written is logged."""
        self._settle()
        if self._row_count:
            name = f"scan-{self._attempt}.{self._file_count:06d}"
            write(self._folder, name, pa.concat_tables(self._tables).unify_dictionaries())
            self._file_count += 1
        self._tables, self._row_count = [], 0

    def _count(self, added: int) -> None:
        self._row_count += added
        if self._row_count >= PIECE_ROWS:
            self.flush()

    def _settle(self) -> None:
        if self._stats:
            self._tables.append(sightings_table(self._stats))
            self._stats = []


def write_seen(folder: Folder, name: str, stats: Sequence[Stat]) -> None:
    """Writes what a proof has seen of a shard's objects, or nothing if that is none.

    Args:
        folder: of the ledger.
        name: `{shard}.{attempt}`.
        stats: by path; each is a sighting, or what the execution itself wrote.
    """
    if stats:
        told_s = max(stat.seen_ms for stat in stats) // 1000
        write(folder, f"verify-{name}-t{told_s}", sightings_table(stats))


def write(folder: Folder, name: str, table: pa.Table) -> None:
    """Writes a file. When it cannot be written that is logged."""
    sink = pa.BufferOutputStream()
    plain = {name: "PLAIN" for name in SCHEMA.names if name not in _WORDS}
    parquet.write_table(
        table,
        sink,
        compression="zstd",
        use_dictionary=_WORDS,  # type: ignore[arg-type] # the stubs know only all or none
        column_encoding=plain,
        write_page_checksum=True,
    )
    try:
        folder.write(f"{PART}/{name}.parquet", sink.getvalue())
    except OSError as error:
        LOG.warning('action="sightings_unwritable" path="%s" error="%s"', folder.place(PART), error)


def read(uris: Iterable[str], after: str = "") -> Iterator[Sightings]:
    """Yields what these ledgers have seen of paths greater than `after`, in key order; of one path what was seen last.

    Args:
        uris: ledgers, as `ledger.Ledger` takes them. One that cannot be reached is logged and left out.
        after: a path.
    """
    streams: list[Iterator[pa.Table]] = []
    for folder in _folders(uris):
        names = _names(folder)
        until_ms = told_until_s(names) * 1000
        streams += [_tables(folder, of_one, after, until_ms) for of_one in writers(names)]
    for table in merged(streams):
        yield sightings_of(table)


def merged(streams: Sequence[Iterator[pa.Table]]) -> Iterator[pa.Table]:
    """Yields what several streams of tables, each in key order, hold as one; of one path what was seen last."""
    heads = [(next(stream, None), stream) for stream in streams]
    while present := [(head, stream) for head, stream in heads if head is not None]:
        bound = min(_path(head, -1) for head, _ in present)
        cuts = [(head, _count_up_to(head, bound), stream) for head, stream in present]
        parts = [head.slice(0, count) for head, count, _ in cuts if count]
        yield parts[0] if len(parts) == 1 else _newest(parts)
        heads = [
            (head.slice(count) if count < head.num_rows else next(stream, None), stream) for head, count, stream in cuts
        ]


def writers(names: Iterable[str]) -> list[list[str]]:
    """PURE: returns the names of each writer's files in the order of what they hold; of several attempts at one shard
    only the last one's."""
    found: dict[str, dict[int, tuple[list[int], str]]] = {}
    for name in names:
        if parts := _NAME.fullmatch(name):
            number, *attempts = (int(digits) for digits in re.findall(r"[0-9]+", parts[2]))
            files = found.setdefault(parts[1], {})
            files[number] = max(files.get(number, ([], "")), (attempts, name))
    return [[files[number][1] for number in sorted(files)] for _, files in sorted(found.items())]


def told_until_s(names: Iterable[str]) -> int:
    """PURE: returns the last time of the store's clock that files of an execution tell; 0 for none."""
    return max((int(parts[3]) for name in names if (parts := _NAME.fullmatch(name)) and parts[3]), default=0)


def _folders(uris: Iterable[str]) -> Iterator[Folder]:
    for uri in uris:
        try:
            yield Folder(uri)
        except BlockferryError as error:
            LOG.warning('action="sightings_unreadable" error="%s"', error)


def _names(folder: Folder) -> tuple[str, ...]:
    try:
        return folder.names(PART)
    except OSError as error:
        LOG.warning('action="sightings_unreadable" path="%s" error="%s"', folder.place(PART), error)
        return ()


def _tables(folder: Folder, names: Iterable[str], after: str, until_ms: int) -> Iterator[pa.Table]:
    last = after
    for name in names:
        table = _read_file(folder, f"{PART}/{name}")
        if table is not None and name.startswith("verify-"):
            table = _settled(table, until_ms)
        if table is not None and table.num_rows and _path(table, -1) > last:
            table = table.slice(_count_up_to(table, last))
            last = _path(table, -1)
            yield table


def _settled(table: pa.Table, until_ms: int) -> pa.Table:
    """Returns the rows that were seen late enough, or that the execution outlasted by as much; these as if they had
    been seen last at its end."""
    seen_ms = pc.max_element_wise(table.column("seen_ms"), pa.scalar(until_ms, pa.int64()))
    begin_ms = pc.multiply(table.column("modified_s"), pa.scalar(1000, pa.int64()))
    settled = pc.greater_equal(pc.subtract(seen_ms, begin_ms), pa.scalar(SETTLED_MS, pa.int64()))
    place = SCHEMA.get_field_index("seen_ms")
    return table.set_column(place, SCHEMA.field(place), seen_ms).filter(settled)


def _read_file(folder: Folder, file: str) -> pa.Table | None:
    try:
        reader = parquet.ParquetFile(pa.BufferReader(folder.read(file)), page_checksum_verification=True)
        if not reader.schema_arrow.equals(SCHEMA, check_metadata=True):
            raise ValueError("it was written by another version")
        return reader.read(use_threads=False)
    except (OSError, ValueError, pa.ArrowException) as error:
        LOG.warning('action="sightings_unreadable" path="%s" error="%s"', folder.place(file), error)
        return None


def _newest(parts: list[pa.Table]) -> pa.Table:
    table = pa.concat_tables(parts).unify_dictionaries()
    table = table.sort_by([("path", "ascending"), ("seen_ms", "ascending")]).combine_chunks()
    paths = table.column("path").combine_chunks()
    newest = pc.not_equal(paths[:-1], paths[1:])
    return table.filter(pa.concat_arrays([newest, pa.array([True])]))


def _path(table: pa.Table, row: int) -> str:
    return cast(str, table.column("path")[row].as_py())


def _count_up_to(table: pa.Table, bound: str) -> int:
    """Returns how many rows have a path that is not greater."""
    low, high = 0, table.num_rows
    if _path(table, -1) <= bound:
        return high
    while low < high:
        middle = (low + high) // 2
        if _path(table, middle) <= bound:
            low = middle + 1
        else:
            high = middle
    return low
