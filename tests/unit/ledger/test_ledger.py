"""The ledger gives back what it was given, replaces whole files, and names what is missing or damaged."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from blockferry.errors import BlockferryError
from ledger import tables
from ledger.ledger import Ledger
from ledger.records import Action, EntryFailure, PlanEntry, Proof, Receipt, UploadIntent, UploadNote, Verdict, Why
from stores.base import Attributes, Condition, Kind, Stat, Upload
from stores.checksum import Algorithm, Checksum

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
INT64 = st.integers(-(2**63), 2**63 - 1)
SIZES = st.integers(0, 2**63 - 1)
CHECKSUMS = st.none() | st.builds(Checksum, st.sampled_from(Algorithm), st.integers(0, 2**32 - 1))
FAILURES = st.none() | st.builds(
    EntryFailure,
    TEXT.filter(bool),
    TEXT,
    st.lists(st.tuples(TEXT, TEXT), max_size=3).map(tuple),
)
ATTRIBUTES = st.builds(Attributes, TEXT, TEXT, st.integers(0, 0o7777), INT64, INT64)
STATS = st.builds(
    Stat,
    TEXT.filter(bool),
    st.sampled_from(Kind),
    SIZES,
    INT64,
    st.none() | ATTRIBUTES,
    TEXT,
    st.binary(max_size=40),
    st.sampled_from(Condition),
    CHECKSUMS,
    st.booleans(),
)
ENTRIES = st.builds(
    PlanEntry,
    TEXT,
    st.sampled_from(Action),
    st.sampled_from(Why),
    st.none() | STATS,
    st.none() | STATS,
    FAILURES,
)
RECEIPTS = st.builds(
    Receipt,
    TEXT,
    st.sampled_from(Action),
    SIZES,
    TEXT,
    TEXT,
    CHECKSUMS,
    st.booleans(),
    TEXT,
    st.integers(0, 10_000),
    st.integers(1, 99),
    FAILURES,
)
VERDICTS = st.builds(
    Verdict, TEXT, st.sampled_from(Proof), SIZES, CHECKSUMS, CHECKSUMS, source_proven=st.booleans(), failure=FAILURES
)
ROOMY = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def entry(path: str) -> PlanEntry:
    attributes = Attributes("hdfs", "supergroup", 0o644, 1_700_000_000_000, 1_700_000_000_001)
    source = Stat(path, Kind.FILE, 4096, 1_700_000_000_000, attributes, "v1", b"\x00\xff" * 20)
    return PlanEntry(path, Action.COPY, Why.NEW, source)


@ROOMY
@given(st.lists(ENTRIES, max_size=6).map(tuple))
def test_plan_comes_back_as_written(tmp_path: Path, entries: tuple[PlanEntry, ...]) -> None:
    ledger = Ledger(str(tmp_path))
    ledger.write_plan("000001", entries)
    assert ledger.read_plan("000001") == entries


@ROOMY
@given(st.lists(RECEIPTS, max_size=6).map(tuple))
def test_receipts_come_back_as_written(tmp_path: Path, receipts: tuple[Receipt, ...]) -> None:
    ledger = Ledger(str(tmp_path))
    ledger.write_receipts("000001.1", receipts)
    assert ledger.read_receipts("000001.1") == receipts


@ROOMY
@given(st.lists(VERDICTS, max_size=6).map(tuple))
def test_verdicts_come_back_as_written(tmp_path: Path, verdicts: tuple[Verdict, ...]) -> None:
    ledger = Ledger(str(tmp_path))
    ledger.write_verdicts("c000001.12", verdicts)
    assert ledger.read_verdicts("c000001.12") == verdicts


def test_receipts_of_an_earlier_version_do_not_say_when(tmp_path: Path) -> None:
    receipt = Receipt("a", Action.COPY, etag="e", written_ms=7)
    table = tables.receipts_table([receipt]).drop_columns(["written_ms"])
    assert tables.receipts(table) == (replace(receipt, written_ms=0),)


def test_absent_and_empty_are_told_apart(tmp_path: Path) -> None:
    blank = Attributes("", "", 0, 0, 0)
    entries = (
        PlanEntry("a", Action.COPY, Why.NEW, Stat("a", Kind.FILE, 0, 0, None)),
        PlanEntry("b", Action.COPY, Why.NEW, Stat("b", Kind.FILE, 0, 0, blank)),
        PlanEntry("c", Action.EXTRA, Why.ONE_SIDED, None, Stat("c", Kind.FILE, 0, 0)),
        PlanEntry("d", Action.REFUSE, Why.REFUSED, None, None, EntryFailure("INVALID_KEY", "", ())),
    )
    ledger = Ledger(str(tmp_path))
    ledger.write_plan("000001", iter(entries))
    assert ledger.read_plan("000001") == entries


def test_enums_come_back_as_enums(tmp_path: Path) -> None:
    ledger = Ledger(str(tmp_path))
    ledger.write_plan("000001", [entry("a")])
    (got,) = ledger.read_plan("000001")
    assert got.action is Action.COPY
    assert got.source is not None
    assert got.source.kind is Kind.FILE


def test_repeated_strings_are_one_object_after_reading(tmp_path: Path) -> None:
    ledger = Ledger(str(tmp_path))
    ledger.write_plan("000001", [entry("a"), entry("b")])
    owners = [got.source.attributes.owner for got in ledger.read_plan("000001") if got.source and got.source.attributes]
    assert owners[0] is owners[1]


def test_second_write_takes_the_place_of_the_first(tmp_path: Path) -> None:
    ledger = Ledger(str(tmp_path))
    ledger.write_plan("000001", [entry("a"), entry("b")])
    ledger.write_plan("000001", [entry("c")])
    assert [got.path for got in ledger.read_plan("000001")] == ["c"]


def test_writes_leave_no_other_files(tmp_path: Path) -> None:
    Ledger(str(tmp_path)).write_plan("000001", [entry("a")])
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.*")] == ["plan/000001.parquet"]


def test_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    def breaks() -> object:
        yield entry("b")
        raise RuntimeError("the listing broke")

    ledger = Ledger(str(tmp_path))
    ledger.write_plan("000001", [entry("a")])
    with pytest.raises(RuntimeError):
        ledger.write_plan("000001", breaks())  # type: ignore[arg-type]
    assert ledger.read_plan("000001") == (entry("a"),)


def test_uri_and_path_are_the_same_ledger(tmp_path: Path) -> None:
    Ledger(f"file://{tmp_path}").write_plan("000001", [entry("a")])
    assert Ledger(f"{tmp_path}/").read_plan("000001") == (entry("a"),)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BlockferryError) as caught:
        Ledger(str(tmp_path)).read_receipts("000001.1")
    assert caught.value.reason == "LEDGER_MISSING"
    assert caught.value.coordinates["path"] == f"{tmp_path}/receipts/000001.1.parquet"


@pytest.mark.parametrize("damage", ["emptied", "cut", "overwritten", "other"])
def test_damaged_file_is_named(tmp_path: Path, damage: str) -> None:
    ledger = Ledger(str(tmp_path))
    ledger.write_plan("000001", [entry(str(number)) for number in range(100)])
    file = tmp_path / "plan" / "000001.parquet"
    content = file.read_bytes()
    match damage:
        case "emptied":
            file.write_bytes(b"")
        case "cut":
            file.write_bytes(content[: len(content) // 2])
        case "overwritten":
            file.write_bytes(content[:4] + bytes(200) + content[204:])
        case "other":
            ledger.write_receipts("000001.1", [Receipt("a", Action.COPY)])
            file.write_bytes((tmp_path / "receipts" / "000001.1.parquet").read_bytes())
    with pytest.raises(BlockferryError) as caught:
        ledger.read_plan("000001")
    assert caught.value.reason == "LEDGER_DAMAGED"
    assert caught.value.coordinates["path"] == str(file)


def test_ledger_that_cannot_be_written_says_where(tmp_path: Path) -> None:
    (tmp_path / "plan").write_text("a file where a folder must be")
    with pytest.raises(BlockferryError) as caught:
        Ledger(str(tmp_path)).write_plan("000001", [entry("a")])
    assert caught.value.reason == "LEDGER_UNWRITABLE"
    assert caught.value.coordinates["path"] == f"{tmp_path}/plan/000001.parquet"


@pytest.mark.parametrize(
    "shard", ["", "1", "../000001", "000001.1", "C000001", "cc000001", "000001\n", "00000x", "000001-"]
)
def test_unsafe_shard_name_is_refused(tmp_path: Path, shard: str) -> None:
    with pytest.raises(BlockferryError) as caught:
        Ledger(str(tmp_path)).read_plan(shard)
    assert caught.value.reason == "LEDGER_NAME_INVALID"


@pytest.mark.parametrize("name", ["000001", "000001.", "000001.x", "000001.1.parquet", "/etc.1"])
def test_unsafe_receipts_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BlockferryError) as caught:
        Ledger(str(tmp_path)).write_verdicts(name, [])
    assert caught.value.reason == "LEDGER_NAME_INVALID"


@pytest.mark.parametrize("uri", ["relative/path", "nosuchscheme://x/y"])
def test_uri_that_cannot_be_opened_is_refused(uri: str) -> None:
    with pytest.raises(BlockferryError) as caught:
        Ledger(uri)
    assert caught.value.reason == "LEDGER_URI_INVALID"


@pytest.mark.parametrize("shard", ["000001", "c000001", "000001-2", "c000001-12", "1000000"])
def test_names_of_the_scanner_are_taken(tmp_path: Path, shard: str) -> None:
    ledger = Ledger(str(tmp_path))
    ledger.write_plan(shard, [entry("a")])
    ledger.write_receipts(f"{shard}.3", [])
    assert ledger.read_plan(shard) == (entry("a"),)
    assert ledger.read_receipts(f"{shard}.3") == ()


def note(path: str, upload_id: str = "u1") -> UploadNote:
    return UploadNote(Upload(path, f"prefix/{path}", upload_id, Algorithm.CRC32C), "v1", 8 << 20)


def test_upload_notes_are_kept_until_dropped(tmp_path: Path) -> None:
    ledger = Ledger(str(tmp_path))
    assert ledger.upload_notes("000001") == ()
    names = ["a", "b/ü \U0001f4a9%20", "x" * 1000]
    for name in names:
        ledger.note_upload("000001", note(name))
    ledger.note_upload("000002", note("other"))
    assert {got.path for got in ledger.upload_notes("000001")} == set(names)
    ledger.drop_upload("000001", "a")
    ledger.drop_upload("000001", "a")
    assert {got.path for got in ledger.upload_notes("000001")} == set(names[1:])


def test_intent_gives_way_to_the_note_of_its_upload(tmp_path: Path) -> None:
    ledger = Ledger(str(tmp_path))
    ledger.note_upload("000001", UploadIntent("a", 1_700_000_000_123))
    assert ledger.upload_notes("000001") == (UploadIntent("a", 1_700_000_000_123),)
    ledger.note_upload("000001", note("a"))
    assert ledger.upload_notes("000001") == (note("a"),)
    ledger.drop_upload("000001", "a")
    assert ledger.upload_notes("000001") == ()


def test_newer_note_of_a_path_takes_the_place_of_the_older(tmp_path: Path) -> None:
    ledger = Ledger(str(tmp_path))
    ledger.note_upload("000001", note("a", "u1"))
    ledger.note_upload("000001", note("a", "u2"))
    assert ledger.upload_notes("000001") == (note("a", "u2"),)


def test_damaged_note_is_named(tmp_path: Path) -> None:
    ledger = Ledger(str(tmp_path))
    ledger.note_upload("000001", note("a"))
    (file,) = (tmp_path / "uploads" / "000001").iterdir()
    file.write_text("{")
    with pytest.raises(BlockferryError) as caught:
        ledger.upload_notes("000001")
    assert caught.value.reason == "LEDGER_DAMAGED"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_file_is_named(tmp_path: Path) -> None:
    ledger = Ledger(str(tmp_path))
    ledger.write_plan("000001", [entry("a")])
    (tmp_path / "plan" / "000001.parquet").chmod(0)
    with pytest.raises(BlockferryError) as caught:
        ledger.read_plan("000001")
    assert caught.value.reason == "LEDGER_UNREADABLE"
