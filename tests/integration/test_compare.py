"""The comparison itself, over tiny trees: every row is there, every object arrived. No time is asserted."""

import json
from pathlib import Path

import pytest

from bench import compare


def test_blockferry_and_a_peer_are_measured_side_by_side(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.json"
    compare.main(("--workloads", "small", "--peers", "blockferry,rclone", "--rounds", "1", "--scale", "0.002",
                  "--out", str(out)))  # fmt: skip
    printed = capsys.readouterr().out
    assert "| blockferry | " in printed and "| rclone | " in printed
    (result,) = json.loads(out.read_text())["results"]
    assert result["file_count"] == 20
    assert [(row["peer"], row["reasons"], len(row["rounds"])) for row in result["peers"]] == [
        ("blockferry", [], 1),  # a run is a round only when all keys, sizes and sampled bytes are right
        ("rclone", [], 1),
    ]
    for row in result["peers"]:
        (one,) = row["rounds"]
        assert one["run"]["cpu_s"] > 0 and one["run"]["peak_bytes"] > 0
        assert one["hdfs"]["block reads"] > 0
