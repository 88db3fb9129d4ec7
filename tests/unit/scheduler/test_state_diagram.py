"""The page of the states is printed from the tables."""

import subprocess
import sys
from pathlib import Path

from scheduler.machine import TRANSITIONS, State

ROOT = Path(__file__).resolve().parents[3]


def test_page_is_fresh() -> None:
    script = str(ROOT / "tools" / "state_diagram.py")
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr


def test_page_shows_every_state_and_event() -> None:
    text = (ROOT / "docs" / "states.md").read_text()
    assert all(state in text for state in State)
    assert all(event.__name__ in text for row in TRANSITIONS.values() for event in row)
