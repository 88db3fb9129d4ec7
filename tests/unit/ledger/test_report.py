"""A report names every entry, gives back odd names, and says where it could not be written."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from blockferry.errors import BlockferryError
from ledger.ledger import Ledger
from ledger.outcomes import FailedPhase, Result, outcomes
from ledger.records import Action, EntryFailure, PlanEntry, Proof, Receipt, Verdict, Why
from ledger.report import ShardNames, write_report
from stores.base import Attributes, Kind, Stat
from stores.checksum import Algorithm, Checksum

CRC = Checksum(Algorithm.CRC32C, 0x01020304)
ODD = ('a "quoted", name', "line\nbreak", "carriage\rreturn", "=1+1", " spaced ", "ü \U0001f4a9", "a\tb;c", "'", ",")


def planned(path: str, action: Action = Action.COPY, why: Why = Why.NEW) -> PlanEntry:
    attributes = Attributes("hdfs", "users", 0o640, 5, 6)
    return PlanEntry(path, action, why, Stat(path, Kind.FILE, 7, 5, attributes, "v"))


def fail(reason: str) -> EntryFailure:
    return EntryFailure(reason, f"{reason} happened, do something", (("path", "p"), ("host", "h")))


def rows(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """Two shards: a transfer in which all can happen, and a check."""
    ledger = Ledger(str(tmp_path / "ledger"))
    refused = PlanEntry("refused", Action.REFUSE, Why.REFUSED, planned("refused").source, None, fail("INVALID_KEY"))
    skipped = planned("same", Action.SKIP, Why.SAME)
    ledger.write_plan("000001", [planned("bad"), planned("good"), refused, skipped, planned("unproved")])
    ledger.write_receipts(
        "000001.2",
        [
            Receipt("bad", Action.COPY, failure=fail("ACCESS_DENIED"), attempts=6),
            Receipt("good", Action.COPY, 7, "etag", "ver", CRC, True, "v", 2, 3),
            Receipt("unproved", Action.COPY, 7, "etag", "", CRC, False, "v", 1, 1),
        ],
    )
    other = Checksum(Algorithm.CRC32C, 5)
    ledger.write_verdicts(
        "000001.1",
        [
            Verdict("good", Proof.STORED_CHECKSUM, 7, CRC, CRC, True),
            Verdict("unproved", Proof.READ_BACK, 7, CRC, other, False, fail("CHECKSUM_FAILURE")),
        ],
    )
    missing = PlanEntry("gone", Action.MISSING, Why.ONE_SIDED, planned("gone").source, None, fail("FILE_MISSING"))
    extra = PlanEntry("extra", Action.EXTRA, Why.ONE_SIDED, None, Stat("extra", Kind.FILE, 9, 1), fail("FILE_EXTRA"))
    ledger.write_plan("c000001", [extra, missing])
    ledger.write_verdicts("c000001.1", [Verdict("gone", Proof.NONE, 7, failure=fail("FILE_MISSING"))])
    return ledger


SHARDS = (ShardNames("000001", "000001.2", "000001.1"), ShardNames("c000001", "", "c000001.1"))


@pytest.fixture
def report(ledger: Ledger) -> Path:
    return Path(write_report(ledger, {"execution": "tasks/t/executions/e"}, SHARDS))


def test_every_failed_entry_is_listed_with_phase_and_reason(report: Path) -> None:
    failed = {row["path"]: (row["phase"], row["reason"]) for row in rows(report, "failed.csv")}
    assert failed == {
        "bad": ("TRANSFER", "ACCESS_DENIED"),
        "refused": ("PREPARE", "INVALID_KEY"),
        "unproved": ("VERIFY", "CHECKSUM_FAILURE"),
        "gone": ("VERIFY", "FILE_MISSING"),
        "extra": ("VERIFY", "FILE_EXTRA"),
    }


def test_failed_lines_say_the_same_as_failed_csv(report: Path) -> None:
    lines = [json.loads(line) for line in (report / "failed.jsonl").read_text().splitlines()]
    from_csv = rows(report, "failed.csv")
    assert [line["path"] for line in lines] == [row["path"] for row in from_csv]
    assert [line["coordinates"] for line in lines] == [json.loads(row["coordinates"]) for row in from_csv]


def test_transferred_carries_what_the_store_said(report: Path) -> None:
    good, unproved = rows(report, "transferred.csv")
    assert good == {
        "path": "good",
        "action": "COPY",
        "why": "NEW",
        "size_bytes": "7",
        "etag": "etag",
        "version_id": "ver",
        "checksum_algorithm": "CRC32C",
        "checksum": "AQIDBA==",
        "part_count": "2",
        "attempts": "3",
        "source_proven": "true",
    }
    assert unproved["source_proven"] == "false"


def test_verified_carries_expected_and_found(report: Path) -> None:
    verified = {row["path"]: row for row in rows(report, "verified.csv")}
    assert verified["good"]["result"] == "VERIFIED"
    assert verified["good"]["proof"] == "STORED_CHECKSUM"
    assert verified["good"]["expected"] == verified["good"]["found"] == "AQIDBA=="
    assert verified["unproved"]["result"] == "FAILED"
    assert verified["unproved"]["found"] == "AAAABQ=="


def test_skipped_entries_have_a_list_of_their_own(report: Path) -> None:
    assert rows(report, "skipped.csv") == [{"path": "same", "action": "SKIP", "why": "SAME", "size_bytes": "7"}]


def test_summary_counts_results_and_reasons(report: Path) -> None:
    summary = json.loads((report / "summary.json").read_text())
    assert summary["execution"] == "tasks/t/executions/e"
    assert summary["report"]["entries"] == {
        "PLANNED": 0,
        "SKIPPED": 1,
        "TRANSFERRED": 0,
        "VERIFIED": 1,
        "FAILED": 5,
    }
    counted = {(row["phase"], row["reason"]): row["failure_count"] for row in summary["report"]["failures"]}
    assert counted[("VERIFY", "FILE_EXTRA")] == 1
    assert set(summary["report"]["files"]) == {path.name for path in report.iterdir()}


def test_parquet_holds_every_entry(report: Path) -> None:
    table = parquet.read_table(report / "entries.parquet")
    by_path = {row["path"]: row for row in table.to_pylist()}
    assert len(by_path) == 7
    assert by_path["good"]["result"] == "VERIFIED"
    assert by_path["good"]["permissions"] == 0o640
    assert by_path["extra"]["size_bytes"] == 9
    assert by_path["bad"]["attempts"] == 6
    assert by_path["refused"]["reason"] == "INVALID_KEY"


def test_dry_run_lists_what_would_be_done(ledger: Ledger) -> None:
    report = Path(write_report(ledger, {}, [ShardNames("000001")]))
    assert [row["path"] for row in rows(report, "planned.csv")] == ["bad", "good", "unproved"]
    assert rows(report, "transferred.csv") == []
    assert [row["path"] for row in rows(report, "failed.csv")] == ["refused"]


def test_report_without_shards_has_empty_lists(tmp_path: Path) -> None:
    report = Path(write_report(Ledger(str(tmp_path)), {}, []))
    assert rows(report, "failed.csv") == []
    assert parquet.read_table(report / "entries.parquet").num_rows == 0
    assert not (report / "skipped.csv").exists()


def test_second_report_takes_the_place_of_the_first(ledger: Ledger) -> None:
    write_report(ledger, {}, SHARDS)
    report = Path(write_report(ledger, {}, []))
    assert rows(report, "failed.csv") == []
    assert not (report / "skipped.csv").exists()
    assert [path.name for path in report.iterdir() if path.name.startswith(".")] == []


def test_report_is_written_to_another_place_too(ledger: Ledger, tmp_path: Path) -> None:
    other = tmp_path / "other" / "place"
    assert write_report(ledger, {}, SHARDS, str(other)) == str(other)
    own = tmp_path / "ledger" / "report"
    assert {path.name: path.read_bytes() for path in other.iterdir()} == {
        path.name: path.read_bytes() for path in own.iterdir()
    }


def test_place_that_cannot_be_written_is_named(ledger: Ledger, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(BlockferryError) as caught:
        write_report(ledger, {}, SHARDS, f"{tmp_path}/file/report")
    assert caught.value.reason == "REPORT_FAILED"
    assert caught.value.coordinates["path"] == f"{tmp_path}/file/report"


def test_place_that_is_no_uri_is_named(ledger: Ledger) -> None:
    with pytest.raises(BlockferryError) as caught:
        write_report(ledger, {}, SHARDS, "relative/place")
    assert caught.value.reason == "REPORT_FAILED"


def test_missing_shard_fails_the_report_with_the_ledgers_error(ledger: Ledger) -> None:
    with pytest.raises(BlockferryError) as caught:
        write_report(ledger, {}, [ShardNames("000009")])
    assert caught.value.reason == "LEDGER_MISSING"


def test_report_that_breaks_off_leaves_the_older_one(ledger: Ledger) -> None:
    report = Path(write_report(ledger, {}, SHARDS))
    before = {path.name: path.read_bytes() for path in report.iterdir()}

    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_report(ledger, {}, SHARDS, on_shard=stop)
    assert {path.name: path.read_bytes() for path in report.iterdir()} == before


@pytest.mark.parametrize("name", ODD)
def test_odd_name_comes_back_from_csv(tmp_path: Path, name: str) -> None:
    ledger = Ledger(str(tmp_path))
    ledger.write_plan("000001", [planned(name)])
    report = Path(write_report(ledger, {}, [ShardNames("000001")]))
    assert [row["path"] for row in rows(report, "planned.csv")] == [name]


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), unique=True, max_size=20))
def test_any_name_comes_back_from_csv_and_lines(tmp_path: Path, names: list[str]) -> None:
    ledger = Ledger(str(tmp_path))
    ledger.write_plan("000001", [planned(name, Action.REFUSE) for name in names])
    refused = [
        PlanEntry(name, Action.REFUSE, Why.REFUSED, None, None, EntryFailure(name, name, ((name, name),)))
        for name in names
    ]
    ledger.write_plan("000002", refused)
    report = Path(write_report(ledger, {}, [ShardNames("000001"), ShardNames("000002")]))
    assert [row["path"] for row in rows(report, "failed.csv")] == names
    lines = (report / "failed.jsonl").read_bytes().split(b"\n")[:-1]
    assert [json.loads(line)["path"] for line in lines] == names


def test_outcome_of_a_failed_verdict_is_of_the_phase_verify() -> None:
    (outcome,) = outcomes([planned("a")], [Receipt("a", Action.COPY)], [Verdict("a", Proof.NONE, failure=fail("X"))])
    assert (outcome.result, outcome.phase) == (Result.FAILED, FailedPhase.VERIFY)


def test_outcome_of_an_entry_that_was_only_moved_is_transferred() -> None:
    (outcome,) = outcomes([planned("a")], [Receipt("a", Action.COPY)])
    assert outcome.result is Result.TRANSFERRED


def test_outcomes_keep_the_order_of_the_plan() -> None:
    entries = [planned(path) for path in ("b", "a", "c")]
    got = list(outcomes(entries, [Receipt("c", Action.COPY), Receipt("b", Action.COPY)]))
    assert [outcome.entry.path for outcome in got] == ["b", "a", "c"]
