"""Prints docs/states.md from the tables of scheduler/machine.py, or (--check) tells that it is not fresh.

The page is never edited by hand: what it shows is what runs.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # run as a script: the services may not be installed

from scheduler.machine import FINAL, RULES, TRANSITIONS, State  # noqa: E402

PAGE = ROOT / "docs" / "states.md"
HEAD = """# States of an execution

Printed by `tools/state_diagram.py` from the tables of `scheduler/machine.py`; do not edit.

Phases overlap: the state names the earliest phase that is not complete. Words in CamelCase are events; the others are
moves that follow from counts, with the command that they begin after a slash. An execution that is broken (`Broken`)
keeps its state while its open calls are drained and its report is written, then ends with ERROR.
"""


def arrows() -> dict[tuple[State, State], list[str]]:
    """Returns what leads from one state to another one, in the order of the tables."""
    labels: dict[tuple[State, State], list[str]] = {}
    for state, row in TRANSITIONS.items():
        for event, after in row.items():
            if after is not state:
                labels.setdefault((state, after), []).append(event.__name__)
    for rule in RULES:
        if rule.after is not rule.state:
            command = f" / {type(rule.command).__name__}" if rule.command else ""
            labels.setdefault((rule.state, rule.after), []).append(rule.when + command)
    return labels


def page() -> str:
    """Returns the whole page."""
    lines = [HEAD, "```mermaid", "stateDiagram-v2", f"    [*] --> {State.QUEUED}"]
    lines += [f"    {before} --> {after}: {'<br/>'.join(names)}" for (before, after), names in arrows().items()]
    lines += [f"    {state} --> [*]" for state in State if state in FINAL]
    lines += [
        "```",
        "",
        "What can happen in a state without leaving it at once:",
        "",
        "| state | events |",
        "|---|---|",
    ]
    for state, row in TRANSITIONS.items():
        stays = ", ".join(event.__name__ for event, after in row.items() if after is state)
        lines.append(f"| {state} | {stays or 'none'} |")
    lines += [
        "",
        "What follows from counts without leaving the state:",
        "",
        "| state | when | command |",
        "|---|---|---|",
    ]
    lines += [
        f"| {rule.state} | {rule.when} | {type(rule.command).__name__ if rule.command else 'none'} |"
        for rule in RULES
        if rule.after is rule.state
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Writes the page, or with `--check` compares and exits with 1 when it is not fresh."""
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(page())
    elif not PAGE.exists() or PAGE.read_text() != page():
        raise SystemExit(f"{PAGE.relative_to(ROOT)} is not fresh: run tools/state_diagram.py")


if __name__ == "__main__":
    main()
