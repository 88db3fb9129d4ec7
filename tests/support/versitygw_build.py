"""Builds the strict S3 gateway versitygw with Go into .cache/go/bin, once. Starts no server."""

import os
import shutil
import subprocess
from pathlib import Path

from tests.support.hadoop_jars import CACHE, only_one

MODULE = "github.com/versity/versitygw/cmd/versitygw"
VERSION = "v1.8.0"
MISSING = "versitygw needs Go to be built: install Go 1.25 or newer"
_BUILD_S = 1800


def versitygw_program() -> Path | None:
    """Returns the program, building it if need be (about 2 minutes); None: there is neither a program nor Go."""
    built = CACHE / "go" / VERSION / "versitygw"
    with only_one(CACHE / "go" / "lock"):
        if built.exists():
            return built
        if shutil.which("go") is None:
            return None
        # one package at a time: parallel compilers need several GiB; no C compiler is wanted
        environment = {**os.environ, "GOBIN": str(built.parent), "CGO_ENABLED": "0", "GOFLAGS": "-p=1"}
        done = subprocess.run(
            ["go", "install", f"{MODULE}@{VERSION}"], env=environment, capture_output=True, text=True, timeout=_BUILD_S
        )
    if done.returncode:
        raise RuntimeError(f"building versitygw failed ({done.returncode}): {done.stderr[-4000:]}")
    return built
