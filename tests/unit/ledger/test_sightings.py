"""What is known of objects from earlier executions: written, merged, and never an error."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from ledger import sightings_files
from ledger.folder import Folder
from ledger.sightings import SCHEMA, is_sighting, sightings_of, sightings_table
from ledger.sightings_files import SightingsWriter, merged, read, told_until_s, write_seen, writers
from stores.base import SETTLED_MS, Attributes, Kind, Stat, sink_row, source_row

ADA = Attributes("ada", "staff", 0o640, mtime_ms=1_001, atime_ms=7)
WRITTEN_MS = 1_700_000_000_000


def seen(path: str, later_ms: int = 10_000, attributes: Attributes | None = ADA, etag: str = "etag") -> Stat:
    """Returns what a sink tells of an object `later_ms` after it was written."""
    kind = Kind.FOLDER if path.endswith("/") else Kind.FILE
    return Stat(path, kind, 5, WRITTEN_MS, attributes, etag, seen_ms=WRITTEN_MS + later_ms)


def listed(path: str) -> Stat:
    return replace(seen(path), attributes=None, seen_ms=0)


def known(folder: Path, *paths: str, after: str = "") -> dict[str, Attributes | None]:
    """Returns what the ledger at `folder` knows of listed objects."""
    found: dict[str, Attributes | None] = {}
    for some in read([str(folder)], after):
        rows = {path: row for row, path in enumerate(some.paths)}
        found |= {path: some.attributes_of(rows[path], listed(path)) for path in rows}
    return {path: found.get(path) for path in paths} if paths else found


def keep(folder: Path, *stats: Stat, attempt: int = 1) -> None:
    writer = SightingsWriter(Folder(str(folder)), attempt)
    for stat in stats:
        writer.add(stat)
    writer.flush()


def test_what_was_seen_is_known_by_path_etag_size_and_second(tmp_path: Path) -> None:
    keep(tmp_path, seen("a"), seen("é/"))
    assert known(tmp_path) == {"a": ADA, "é/": ADA}
    (some,) = read([str(tmp_path)])
    for other in (
        replace(listed("a"), version="other"),
        replace(listed("a"), size_bytes=6),
        replace(listed("a"), mtime_ms=WRITTEN_MS + 1000),
        listed("b"),
    ):
        assert some.attributes_of(0, other) is None
    assert some.attributes_of(0, replace(listed("a"), mtime_ms=WRITTEN_MS + 999)) == ADA, "HEAD tells whole seconds"


@pytest.mark.parametrize(
    "stat",
    [
        seen("a", later_ms=SETTLED_MS - 1),
        seen("a", attributes=None),
        seen("a", etag=""),
        replace(seen("a"), seen_ms=0),
    ],
)
def test_what_can_change_unseen_is_no_sighting(tmp_path: Path, stat: Stat) -> None:
    assert not is_sighting(stat)
    keep(tmp_path, stat)
    assert known(tmp_path) == {}


def test_our_own_writes_are_believed_once_the_execution_has_outlasted_their_second(tmp_path: Path) -> None:
    folder = Folder(str(tmp_path))
    write_seen(folder, "000001.1", [seen("a", later_ms=100), seen("b", later_ms=200)])
    assert known(tmp_path) == {}
    write_seen(folder, "000002.1", [replace(seen("c", later_ms=9_000), mtime_ms=WRITTEN_MS + 8_900)])
    assert known(tmp_path, "a", "b", "c") == {"a": ADA, "b": ADA, "c": None}
    ((some,),) = [list(read([str(tmp_path)]))]
    assert some.seen_ms(0) == WRITTEN_MS + 9_000, "so that it is carried on as settled"


def test_nothing_seen_makes_no_file(tmp_path: Path) -> None:
    write_seen(Folder(str(tmp_path)), "000001.1", [])
    keep(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_scan_writes_files_of_a_bounded_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sightings_files, "PIECE_ROWS", 3)
    keep(tmp_path, *(seen(f"{number}") for number in range(8)))
    assert len(list((tmp_path / "sightings").iterdir())) == 3
    assert list(known(tmp_path)) == [f"{number}" for number in range(8)]
    assert list(known(tmp_path, after="4")) == ["5", "6", "7"]


def test_rows_are_carried_over_between_new_ones(tmp_path: Path) -> None:
    keep(tmp_path / "old", *(seen(name) for name in "bcde"))
    (old,) = read([str(tmp_path / "old")])
    writer = SightingsWriter(Folder(str(tmp_path / "new")), 1)
    writer.add(seen("a"))
    writer.add_known(old, 0, 2)
    writer.add(seen("cc"))
    writer.add_known(old, 3, 4)
    writer.flush()
    assert known(tmp_path / "new") == dict.fromkeys(("a", "b", "c", "cc", "e"), ADA)


def test_of_one_path_the_last_sighting_counts(tmp_path: Path) -> None:
    bob = replace(ADA, owner="bob")
    keep(tmp_path / "one", seen("a"), seen("b", attributes=bob, later_ms=20_000))
    keep(tmp_path / "two", seen("a", attributes=bob, later_ms=20_000), seen("b"))
    (some,) = read([str(tmp_path / name) for name in ("one", "two")])
    assert [some.attributes_of(row, listed(path)) for row, path in enumerate(some.paths)] == [bob, bob]


def test_rows_are_those_that_are_compared(tmp_path: Path) -> None:
    keep(tmp_path, seen("a"), seen("b/"))
    (some,) = read([str(tmp_path)])
    assert some.sources == [source_row(seen("a")), source_row(seen("b/"))]
    assert some.sinks == [sink_row(seen("a")), sink_row(seen("b/"))]


def test_later_attempts_at_a_shard_take_the_place_of_earlier_ones() -> None:
    names = (
        "verify-000002.1-t5.parquet",
        "verify-000010-2.1-t5.parquet",
        "verify-000010.7-t5.parquet",
        "verify-000002.10-t5.parquet",
        "verify-000002.9-t5.parquet",
        "verify-c000001.1-t9.parquet",
        "scan-1.000001.parquet",
        "scan-1.000000.parquet",
        "scan-2.000000.parquet",
        "else.parquet",
    )
    assert writers(names) == [
        ["scan-1.000000.parquet", "scan-1.000001.parquet"],
        ["scan-2.000000.parquet"],
        ["verify-000002.10-t5.parquet", "verify-000010.7-t5.parquet"],
        ["verify-c000001.1-t9.parquet"],
    ]
    assert told_until_s(names) == 9


@settings(deadline=None)  # the first example loads what Arrow needs
@given(st.lists(st.lists(st.text(max_size=3), min_size=1, unique=True).map(sorted), max_size=4), st.integers(1, 3))
def test_streams_become_one_in_key_order(streams: list[list[str]], table_rows: int) -> None:
    def tables(number: int, paths: list[str]) -> list[pa.Table]:
        stats = [seen(path, later_ms=10_000 + number) for path in paths]
        return [sightings_table(stats[at : at + table_rows]) for at in range(0, len(stats), table_rows)]

    rows = [
        (path, row)
        for table in merged([iter(tables(number, paths)) for number, paths in enumerate(streams)])
        for path, row in zip(sightings_of(table).paths, table.column("seen_ms").to_pylist(), strict=True)
    ]
    newest = {path: WRITTEN_MS + 10_000 + number for number, paths in enumerate(streams) for path in paths}
    assert rows == sorted(newest.items())


def test_what_cannot_be_read_is_not_known(tmp_path: Path) -> None:
    keep(tmp_path, seen("a"))
    keep(tmp_path, seen("b"), attempt=2)
    keep(tmp_path, seen("c"), attempt=3)
    folder = tmp_path / "sightings"
    (folder / "scan-1.000000.parquet").write_bytes(b"PAR1 damaged")
    other = sightings_table([seen("b")]).replace_schema_metadata({"blockferry.sightings": "2"})
    parquet.write_table(other, folder / "scan-2.000000.parquet")
    assert known(tmp_path) == {"c": ADA}
    assert known(tmp_path / "gone") == {}
    assert next(iter(read(["ftp://nobody/knows", str(tmp_path / "gone"), str(tmp_path)]))).paths == ["c"]


def test_what_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "sightings").write_text("no folder")
    keep(tmp_path, seen("a"))
    assert known(tmp_path) == {}


def test_the_schema_names_its_version() -> None:
    assert SCHEMA.metadata == {b"blockferry.sightings": b"1"}, "another meaning of the columns needs another version"
