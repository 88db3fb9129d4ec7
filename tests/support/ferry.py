"""Runs the command `blockferry` as its users do: as a process of its own, against real servers."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.support.hdfs import HdfsCluster
from tests.support.processes import bound_to_us
from tests.support.s3 import S3Server

RUN_S = 240.0
PROGRAM = (sys.executable, "-m", "blockferry.cli.main")


@dataclass(frozen=True, slots=True)
class Ferried:
    """How a run ended. `execution` is the JSON that the command printed; empty when it printed none."""

    exit_code: int
    execution: Mapping[str, object]
    errors: str
    report: Path

    def count(self, name: str) -> int:
        """Returns one of the execution's counters."""
        counters = self.execution["counters"]
        assert isinstance(counters, dict)
        return int(counters[name])

    @property
    def state(self) -> str:
        """The execution's state without its prefix."""
        return str(self.execution["state"]).removeprefix("STATE_")

    @property
    def error_code(self) -> str:
        """Why the execution ended badly."""
        return str(self.execution.get("error_code", ""))

    @property
    def failed(self) -> Mapping[str, str]:
        """Reason by path, of every failed entry, from the report."""
        return {row["path"]: row["reason"] for row in self.rows("failed")}

    def rows(self, name: str) -> tuple[Mapping[str, str], ...]:
        """Returns the rows of one of the report's lists."""
        with (self.report / f"{name}.csv").open(newline="", encoding="utf-8") as file:
            return tuple(csv.DictReader(file))


@dataclass(frozen=True, slots=True)
class Ferry:
    """The command with its keys, its state folder and its report folder."""

    folder: Path
    server: S3Server
    secret_key: str = ""

    def copy(self, source: str, destination: str, *options: str) -> Ferried:
        """Runs `blockferry copy` to its end."""
        process = self.begin(source, destination, *options)
        output, errors = process.communicate(timeout=RUN_S)
        return self.ended(process.returncode, output, errors)

    def begin(self, source: str, destination: str, *options: str) -> subprocess.Popen[bytes]:
        """Starts `blockferry copy`; the caller ends it or waits for it."""
        arguments = (
            *("copy", source, destination, "--s3-endpoint", self.server.endpoint, "--actors", "2"),
            *("--state", str(self.folder / "state"), "--report", str(self.report), "--output", "json", *options),
        )
        return subprocess.Popen(
            bound_to_us((*PROGRAM, *arguments)),
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def ended(self, exit_code: int, output: bytes, errors: bytes) -> Ferried:
        """Returns what a run printed."""
        execution = json.loads(output) if output.strip() else {}
        return Ferried(exit_code, execution, errors.decode(errors="replace"), self.report)

    def environment(self) -> dict[str, str]:
        """Returns the environment with the server's keys."""
        return {
            **os.environ,
            "AWS_ACCESS_KEY_ID": self.server.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key or self.server.secret_key,
        }

    @property
    def report(self) -> Path:
        """Where the report is written."""
        return self.folder / "report"

    @property
    def logs(self) -> Path:
        """Where the services log."""
        return self.folder / "state" / "logs"


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ends a run that a test has begun."""
    if process.poll() is None:
        process.send_signal(signal.SIGKILL)
    process.communicate()


def objects(server: S3Server, bucket: str, prefix: str = "") -> Mapping[str, bytes]:
    """Returns every object below a prefix with its content, keys relative to the prefix."""
    client = server.client()
    found = {}
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for item in page.get("Contents", ()):
            key = item["Key"]
            found[key.removeprefix(prefix)] = client.get_object(Bucket=bucket, Key=key)["Body"].read()
    return found


def composite_crc32c(cluster: HdfsCluster, path: str) -> str:
    """Returns what Hadoop itself says of a file: eight hexadecimal digits of its COMPOSITE-CRC32C."""
    printed = cluster.java(
        "org.apache.hadoop.fs.FsShell", "-D", "dfs.checksum.combine.mode=COMPOSITE_CRC", "-checksum", path
    )
    return printed.split("COMPOSITE-CRC32C")[1].split()[0][-8:]
