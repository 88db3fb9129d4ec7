"""What a run used: the pure parts, and both ways of counting over real processes."""

import sys
from pathlib import Path

import pytest

from bench.peers import gauge
from bench.peers.contract import Command, PeerFailed
from bench.peers.gauge import ProcessTree, Seen, measured, members, parsed_stat, resident, usage_s

# The child leaves its session, spins, and outlives its parent: nobody waits for it.
_SPIN = "import time; blob = b'x' * (50 << 20)\nwhile time.process_time() < 0.6: pass"
_ORPHAN = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {_SPIN!r}], start_new_session=True)"


def test_a_name_with_blanks_and_parentheses_is_passed_over() -> None:
    line = "7 (a) b (c) S 3 7 5 0 -1 0 0 0 0 0 11 22 1 2 20 0 1 0 999 1 2"
    assert parsed_stat(line) == Seen(7, "S", 3, 5, 999, 33)


def test_usage_is_in_seconds() -> None:
    assert usage_s("usage_usec 1500000\nuser_usec 1\n") == 1.5


def test_a_zombie_has_no_memory() -> None:
    assert resident("Name:\tx\nVmHWM:\t 10 kB\nVmRSS:\t 5 kB\n") == {"VmHWM": 10240, "VmRSS": 5120}
    assert resident("Name:\tx\n") == {"VmHWM": 0, "VmRSS": 0}


def test_members_are_new_children_what_they_start_and_what_is_adopted_in_their_session() -> None:
    ours, earlier = Seen(1, "S", 0, 1, 0, 0), Seen(2, "S", 1, 2, 0, 0)
    child, grandchild, adopted = Seen(3, "S", 1, 3, 0, 0), Seen(4, "S", 3, 4, 0, 0), Seen(5, "S", 0, 4, 0, 0)
    known, stranger = Seen(6, "S", 0, 6, 0, 0), Seen(7, "S", 0, 7, 0, 0)
    table = (ours, earlier, child, grandchild, adopted, known, stranger)
    assert members(table, 1, frozenset({2}), frozenset({6})) == (child, grandchild, adopted, known)


@pytest.mark.parametrize("way", ["best", "proc"])
def test_processes_that_nobody_waits_for_are_counted(way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if way == "proc":
        monkeypatch.setattr(gauge, "new_group", ProcessTree)
    run = measured((Command((sys.executable, "-c", _ORPHAN), {}),), tmp_path)
    assert run.cpu_s >= 0.4
    assert run.peak_bytes >= 50 << 20


def test_a_failure_shows_the_end_of_the_log(tmp_path: Path) -> None:
    with pytest.raises(PeerFailed, match="ended with 3:\nno luck"):
        measured((Command(("/bin/sh", "-c", "echo no luck; exit 3"), {}),), tmp_path)


def test_what_ends_too_late_is_ended(tmp_path: Path) -> None:
    with pytest.raises(PeerFailed, match="did not end within"):
        measured((Command(("/bin/sleep", "60"), {}),), tmp_path, deadline_s=0.2)
