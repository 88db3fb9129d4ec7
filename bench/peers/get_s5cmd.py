"""`hadoop fs -get` into a local folder, then s5cmd from there: two steps, both count."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from bench.peers.contract import Command, HdfsSide, Manner, PeerFailed, PeerRun, S3Side
from bench.peers.gauge import measured
from tests.support.hadoop_jars import CACHE, jars, java, only_one

_VERSION = "v2.3.0"
_PACKAGE = "github.com/peak/s5cmd/v2"
_MODULE = Path(__file__).with_name("s5cmd")  # its go.mod and go.sum pin the version and all that it needs
_PROGRAM = CACHE / "peers" / "s5cmd" / _VERSION / "s5cmd"
_BUILD_S = 1800


class GetS5cmdPeer:
    """One JVM, then one Go process. What was fetched stays in the run's folder, which the caller removes."""

    name = "fs-get+s5cmd"

    def prepare(self) -> None:
        """Fetches Hadoop's jars and builds s5cmd with Go.

        Raises:
            PeerFailed: there is no Go.
        """
        jars()
        with only_one(CACHE / "go" / "lock"):
            if _PROGRAM.exists():
                return
            if shutil.which("go") is None:
                raise PeerFailed("s5cmd needs Go to be built: install Go 1.22 or newer")
            build = ("go", "build", "-p", "1", "-mod=readonly", "-o", str(_PROGRAM), _PACKAGE)
            environment = {**os.environ, "CGO_ENABLED": "0"}
            done = subprocess.run(build, cwd=_MODULE, env=environment, capture_output=True, text=True, timeout=_BUILD_S)
        if done.returncode:
            raise PeerFailed(f"building s5cmd failed ({done.returncode}): {done.stderr[-4000:]}")

    def cannot(self, manner: Manner) -> str:
        """Returns why it has no verification alone."""
        return "neither step compares checksums" if manner.verify_all else ""

    def copy(self, source: HdfsSide, sink: S3Side, folder: Path, manner: Manner) -> PeerRun:
        """Fetches everything each time, as -get does; the second step sends only what changed if it was done before."""
        environment, threads = sink.environment(), str(manner.transfers)
        keep_times = ("-p",) if manner.again else ()
        hadoop = (java(), "-Djava.net.preferIPv4Stack=true", "-cp", f"{source.conf}:{jars()}/*")
        shell = (*hadoop, "org.apache.hadoop.fs.FsShell")
        get = (*shell, "-get", *keep_times, "-t", threads, source.uri, str(folder / "fetched"))
        user = {"HADOOP_USER_NAME": source.user, "LC_ALL": "C.UTF-8"}
        program = (str(_PROGRAM), "--endpoint-url", sink.endpoint, "--numworkers", threads, "--log", "error")
        verb = "sync" if manner.again else "cp"
        put = (*program, verb, f"{folder / 'fetched'}/", f"{sink.uri}/")
        return measured((Command(get, {**environment, **user}), Command(put, environment)), folder)
