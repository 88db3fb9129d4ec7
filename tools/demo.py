"""`make demo`: a real HDFS and a real S3 server on this machine, one copy between them, its report and its trace.

Everything lies in .cache/demo and is made anew each time. The servers end with this program.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from tests.support.hadoop_jars import CACHE
from tests.support.hdfs import HdfsCluster
from tests.support.s3 import SeaweedServer
from tests.support.tree import FileSpec, folder
from tools.span_tree import largest_trace, read_spans, tree_lines

_DEMO = CACHE / "demo"
_MIB = 1 << 20
_BUCKET = "demo"
_TRACE_LINES = 60


def _say(text: str) -> None:
    print(f"\n=== {text}", flush=True)


def _tree() -> tuple[FileSpec, ...]:
    """One large file of five blocks, some of a few blocks, many small ones, empty ones, names that need care."""
    root = "/warehouse"
    large = FileSpec(f"{root}/large/300 MiB in blocks of 64 MiB", size=300 * _MIB, block_size=64 * _MIB, seed=1)
    middle = (FileSpec(f"{root}/middle/{i}.parquet", size=(2 + i) * _MIB + i, seed=10 + i) for i in range(4))
    small = (FileSpec(f"{root}/small/part-{i:05}", size=100 + 37 * i, seed=100 + i) for i in range(200))
    names = ("a b", "50%20off", "a+b;c#d?e&f", "quote'\"", "\N{SHIP} ferry", ".hidden")
    odd = (
        FileSpec(f"{root}/names/{name}", size=1000, seed=i, owner="alice", mode=0o640) for i, name in enumerate(names)
    )
    empty = (FileSpec(f"{root}/empty file"), folder(f"{root}/empty folder", owner="bob", mode=0o750))
    return (large, *middle, *small, *odd, *empty)


def _copy(cluster: HdfsCluster, server: SeaweedServer, run: str) -> int:
    """Runs `blockferry copy` as a user would and returns its exit code. Keys come by the environment."""
    command = [
        str(Path(sys.executable).with_name("blockferry")),
        "copy",
        f"{cluster.uri}/warehouse",
        f"s3://{_BUCKET}/warehouse",
        *("--s3-endpoint", server.endpoint),
        *("--report", str(_DEMO / run / "report")),
        *("--state", str(_DEMO / "state")),
        *("--trace-file", str(_DEMO / run / "trace.jsonl")),
    ]
    (_DEMO / run).mkdir()
    print("$ " + " ".join(command), flush=True)
    begin = time.monotonic()
    code = subprocess.run(command, env={**os.environ, **server.environment}).returncode
    print(f"exit code {code} after {time.monotonic() - begin:.1f} s", flush=True)
    return code


def _summary(run: str) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = json.loads((_DEMO / run / "report" / "summary.json").read_text())
    return found


def _show_report(run: str) -> None:
    report = _DEMO / run / "report"
    for path in sorted(report.rglob("*")):
        print(f"{path.stat().st_size:>10}  {path.relative_to(CACHE.parent)}")
    print(json.dumps(_summary(run), indent=2))


def _show_trace(run: str) -> None:
    spans = read_spans((_DEMO / run / "trace.jsonl").read_text().splitlines())
    lines = tuple(tree_lines(spans, largest_trace(spans)))
    print("\n".join(lines[:_TRACE_LINES]))
    if len(lines) > _TRACE_LINES:
        print(f"... and {len(lines) - _TRACE_LINES} more: python tools/span_tree.py .cache/demo/{run}/trace.jsonl")


def main() -> int:
    """Returns the exit code: 0 when both copies ended well."""
    shutil.rmtree(_DEMO, ignore_errors=True)
    _DEMO.mkdir(parents=True)
    _say("starting HDFS (a NameNode, two DataNodes) and SeaweedFS on 127.0.0.1")
    with HdfsCluster.start(_DEMO / "hdfs") as cluster, SeaweedServer.start(_DEMO / "s3") as server:
        server.make_bucket(_BUCKET)
        cluster.make(_tree())
        print(cluster.shell("-count", "-h", "-v", "/warehouse"), end="")
        _say("the first copy")
        if code := _copy(cluster, server, "first"):
            _say("FAILED; logs are in .cache/demo")
            return code
        _say("its report")
        _show_report("first")
        _say("its trace")
        _show_trace("first")
        _say("the same copy again: nothing to do")
        code = _copy(cluster, server, "second") or int(_summary("second")["counters"]["estimated_count"] != "0")
    _say("FAILED; logs are in .cache/demo" if code else "done; reports, traces and logs are in .cache/demo")
    return code


if __name__ == "__main__":
    raise SystemExit(main())
