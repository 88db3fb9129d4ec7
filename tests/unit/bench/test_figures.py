"""Medians, ratios, tables of the comparison."""

import json

import pytest

from bench.figures import Observation, Result, Row, as_json, cpu_s, ratio, spread, table, wall_s
from bench.peers.contract import PeerRun
from bench.workloads import GIB, Unit

MIB = 1 << 20


def seen(wall: float, cpu: float, peak: int = 100 * MIB) -> Observation:
    return Observation(
        PeerRun(wall, cpu, peak, 2 * peak, "cgroup"), {"DataNode": 1.0}, {"bytes read": 7}, {}, {"PutObject": 3}
    )


OURS = Row("us", (seen(2.0, 4.0), seen(4.0, 8.0), seen(3.0, 5.0)))
THEM = Row("them", (seen(6.0, 10.0, 300 * MIB), seen(9.0, 20.0)), ("round 3: it fell over",))
ABSENT = Row("absent", (), ("has no such mode",))
RESULT = Result("large", "much", Unit.GIB, 16, 2 * GIB, (OURS, THEM, ABSENT))


def test_the_median_is_not_the_mean() -> None:
    assert (spread([1.0, 2.0, 30.0]).median, spread([1.0, 2.0, 30.0]).text(1)) == (2.0, "2.0 (1.0-30.0)")


def test_ratios_are_of_medians() -> None:
    assert ratio(THEM, OURS, wall_s) == 7.5 / 3.0
    assert ratio(THEM, OURS, cpu_s) == 15.0 / 5.0
    assert ratio(OURS, OURS, wall_s) == 1.0


def test_there_is_no_ratio_where_one_never_ran() -> None:
    assert ratio(ABSENT, OURS, wall_s) is None
    assert ratio(THEM, ABSENT, wall_s) is None
    assert ratio(THEM, None, wall_s) is None


def test_every_peer_has_a_line_also_one_that_did_not_run() -> None:
    text = table(RESULT, "us")
    assert "| us | 3.0 (2.0-4.0) | 1.00 | 683 MiB/s | 2.50 (2.00-4.00) | 1.00 | - | 100 | 200 |" in text
    assert "| them | 7.5 (6.0-9.0) | 2.50 | 273 MiB/s | 7.50 (5.00-10.00) | 3.00 | - | 300 | 600 |" in text
    assert "| absent | did not run: see below |" in text
    assert "- absent: has no such mode" in text
    assert "- them: round 3: it fell over" in text


def test_servers_stand_apart() -> None:
    assert "| servers meanwhile | DataNode CPU s per GiB | bytes read |" in table(RESULT, "us")
    assert "| them | 0.50 | 7 |" in table(RESULT, "us")


def test_files_are_counted_in_milliseconds() -> None:
    result = Result("small", "many", Unit.FILE, 10_000, GIB, (OURS,))
    assert result.amount() == 10.0
    assert "| us | 3.0 (2.0-4.0) | 1.00 | 3333 files/s | 0.50 (0.40-0.80) |" in table(result, "us")


def test_a_table_without_any_run_is_a_table() -> None:
    assert "| absent | did not run" in table(Result("large", "much", Unit.GIB, 1, GIB, (ABSENT,)), "us")


def test_json_has_every_round_the_medians_and_the_reasons() -> None:
    document = json.loads(json.dumps(as_json(RESULT, "us")))
    us, them, absent = document["peers"]
    assert [one["run"]["wall_s"] for one in us["rounds"]] == [2.0, 4.0, 3.0]
    assert them["medians"]["wall_ratio"] == 2.5
    assert them["medians"]["cpu_per_unit"] == pytest.approx(7.5)
    assert (absent["medians"], absent["reasons"]) == (None, ["has no such mode"])


def test_the_operations_of_the_target_are_in_the_json_only() -> None:
    assert "PutObject" not in table(RESULT, "us")
    assert '"PutObject": 3' in json.dumps(as_json(RESULT, "us"))


def test_a_long_log_is_shown_by_its_end() -> None:
    row = Row("them", (), ("round 1: ended with 1:\n" + "x\n" * 900 + "no disk",))
    (line,) = (line for line in table(Result("a", "b", Unit.FILE, 1, 1, (row,)), "us").splitlines() if "ended" in line)
    assert line.startswith("- them: round 1: ended with 1: / x") and line.endswith("no disk") and len(line) < 600


def test_what_a_start_costs_is_taken_off_where_it_was_measured() -> None:
    result = Result("large", "much", Unit.GIB, 16, 2 * GIB, (OURS, THEM), {"us": 3.0})
    assert (result.above_start(OURS), result.above_start(THEM)) == (1.0, None)
    assert "| 2.50 (2.00-4.00) | 1.00 | 1.00 | 100 |" in table(result, "us")
