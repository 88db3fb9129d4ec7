"""Spans of several processes land in one file as JSON lines, and one trace goes through all of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import logging, sys
from opentelemetry import trace
from service import telemetry
telemetry.setup(sys.argv[1], leaf=sys.argv[1] == "leaf")
carrier = {"traceparent": sys.argv[2]} if len(sys.argv) > 2 else {}
tracer = trace.get_tracer("t")
with telemetry.attached(carrier), tracer.start_as_current_span("work of " + sys.argv[1]):
    print(telemetry.carrier()["traceparent"])
    with telemetry.span(tracer, "one file", {"size_bytes": 1}) as span:
        span.set_attribute("proof", "NONE")
        logging.info("recording=%s", span.is_recording())
    logging.warning("by the way")
telemetry.shutdown()
"""


def run(trace_file: Path | None, *arguments: str) -> str:
    return process(trace_file, *arguments).stdout.strip()


def process(trace_file: Path | None, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    environment["BLOCKFERRY_TRACE_FILE"] = str(trace_file or "")
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments], env=environment, capture_output=True, text=True, check=True
    )


def test_one_trace_goes_through_two_processes(tmp_path: Path) -> None:
    trace_file = tmp_path / "spans.jsonl"
    parent = run(trace_file, "scheduler")
    run(trace_file, "mover", parent)
    _, first, _, second = (json.loads(line) for line in trace_file.read_text().splitlines())
    assert first["context"]["trace_id"] == second["context"]["trace_id"]
    assert second["parent_id"] == first["context"]["span_id"]
    assert second["resource"]["attributes"]["service.name"] == "blockferry-mover"


def test_a_leaf_records_when_somebody_listens(tmp_path: Path) -> None:
    trace_file = tmp_path / "spans.jsonl"
    parent = run(trace_file, "mover")
    run(trace_file, "leaf", parent)
    spans = [json.loads(line) for line in trace_file.read_text().splitlines()]
    assert [span["name"] for span in spans] == ["one file", "work of mover", "one file", "work of leaf"]
    assert spans[2]["attributes"] == {"size_bytes": 1, "proof": "NONE"}
    assert spans[2]["parent_id"] == spans[3]["context"]["span_id"]


def test_a_leaf_that_nobody_listens_to_records_nothing_and_keeps_the_trace_id(tmp_path: Path) -> None:
    parent = run(None, "mover")
    leaf = process(None, "leaf", parent)
    trace_id = parent.split("-")[1]
    assert leaf.stdout.split("-")[1] == trace_id
    assert not sampled(leaf.stdout)
    assert f"trace_id={trace_id}" in leaf.stderr
    assert "recording=False" in leaf.stderr
    assert sampled(run(None, "scheduler", parent))  # who hands a trace on keeps it going


def sampled(traceparent: str) -> bool:
    """Returns the flag of W3C Trace Context."""
    return bool(int(traceparent.strip().rpartition("-")[2], 16) & 1)
