"""The command line refuses wrong use with exit code 2 before anything begins, and shows what an execution did."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from blockferry.cli.main import app
from blockferry.cli.progress import Lines, follow
from blockferry.cli.show import print_summary
from blockferry.v1.execution_pb2 import Counters, Execution
from blockferry.v1.failure_pb2 import Failure

RUNNER = CliRunner()


@pytest.mark.parametrize(
    "arguments",
    [
        ["copy"],
        ["copy", "hdfs://nn/a"],
        ["copy", "nowhere", "s3://b"],
        ["copy", "hdfs://nn/a", "s3://b", "--verify", "SOMETIMES"],
        ["copy", "hdfs://nn/a", "s3://b", "--part-size", "five"],
        ["copy", "hdfs://nn/a", "s3://b", "--no-such-option"],
        ["copy", "hdfs://nn/a", "s3://b", "--dest-hdfs-user", "ada"],
        ["serve", "nothing"],
        ["frobnicate"],
    ],
)
def test_wrong_use_ends_with_2(arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BLOCKFERRY_STATE", str(tmp_path / "state"))
    assert RUNNER.invoke(app, arguments).exit_code == 2
    assert not (tmp_path / "state").exists()


def test_no_scheduler_at_the_address_is_said_with_the_cure() -> None:
    found = RUNNER.invoke(app, ["task", "list", "--address", "127.0.0.1:1"])
    assert found.exit_code == 1
    assert "blockferry up" in found.stderr


ENDED = Execution(
    name="tasks/t/executions/e",
    state=Execution.STATE_ERROR,
    error_code="FILES_FAILED",
    error_detail="1 of 3 entries failed.",
    counters=Counters(source_listed_count=3, estimated_count=3, transferred_count=2, transfer_failed_count=1),
    failures=[
        Failure(
            reason="ACCESS_DENIED", phase="TRANSFER", message="No.", failure_count=1, sample_paths=["[bold]odd[/bold]"]
        )
    ],
)


def test_the_summary_names_the_failed_paths_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    print_summary(ENDED)
    printed = capsys.readouterr().out
    assert "FILES_FAILED: 1 of 3 entries failed." in printed
    assert "[bold]odd[/bold]" in printed
    assert "ACCESS_DENIED (transfer, 1): No." in printed


def test_lines_come_with_each_state_and_then_every_ten_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    now = 0.0
    lines = Lines(clock=lambda: now)
    preparing = Execution(state=Execution.STATE_PREPARING)
    lines.show(preparing)
    lines.show(preparing)
    now = 11.0
    lines.show(preparing)
    lines.show(ENDED)
    assert [line.split(":")[0] for line in capsys.readouterr().err.splitlines()] == ["PREPARING", "PREPARING", "ERROR"]


def test_following_returns_the_last_state() -> None:
    assert follow(iter((Execution(state=Execution.STATE_QUEUED), ENDED)), quiet=True) == ENDED
