"""Spans of several processes land in one file as JSON lines, and one trace goes through all of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import sys
from opentelemetry import trace
from service import telemetry
telemetry.setup(sys.argv[1])
carrier = {"traceparent": sys.argv[2]} if len(sys.argv) > 2 else {}
with telemetry.attached(carrier), trace.get_tracer("t").start_as_current_span("work of " + sys.argv[1]):
    print(telemetry.carrier()["traceparent"])
telemetry.shutdown()
"""


def run(trace_file: Path, *arguments: str) -> str:
    environment = {**os.environ, "BLOCKFERRY_TRACE_FILE": str(trace_file)}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_one_trace_goes_through_two_processes(tmp_path: Path) -> None:
    trace_file = tmp_path / "spans.jsonl"
    parent = run(trace_file, "scheduler")
    run(trace_file, "mover", parent)
    first, second = (json.loads(line) for line in trace_file.read_text().splitlines())
    assert first["context"]["trace_id"] == second["context"]["trace_id"]
    assert second["parent_id"] == first["context"]["span_id"]
    assert second["resource"]["attributes"]["service.name"] == "blockferry-mover"
