"""hdfs-native (Rust, for Python) with boto3: what one writes in an hour. The program is hdfs_native_copy.py."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from bench.peers.contract import Command, HdfsSide, Manner, PeerRun, S3Side
from bench.peers.gauge import measured
from tests.support.hadoop_jars import CACHE, only_one

_VENV = CACHE / "peers" / "hdfs_native"
_VERSIONS = Path(__file__).with_name("hdfs_native.txt")
_PROGRAM = Path(__file__).with_name("hdfs_native_copy.py")
_INSTALL_S = 600


class NativePeer:
    """One Python process with a pool of threads."""

    name = "hdfs-native+boto3"

    def prepare(self) -> None:
        """Makes a venv of its own: a Rust extension may not come into ours."""
        stamp = _VENV / "stamp"
        with only_one(_VENV.with_suffix(".lock")):
            if stamp.exists() and stamp.read_text() == _VERSIONS.read_text():
                return
            shutil.rmtree(_VENV, ignore_errors=True)
            python = str(_VENV / "bin" / "python")
            install = (python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps")
            for command in ((sys.executable, "-m", "venv", str(_VENV)), (*install, "-r", str(_VERSIONS))):
                subprocess.run(command, check=True, timeout=_INSTALL_S, stdin=subprocess.DEVNULL)
            stamp.write_text(_VERSIONS.read_text())

    def cannot(self, manner: Manner) -> str:
        """Returns why it has no verification alone."""
        return "hdfs-native has no call for a file's checksum" if manner.verify_all else ""

    def copy(self, source: HdfsSide, sink: S3Side, folder: Path, manner: Manner) -> PeerRun:
        """Copies with as many threads as there are to be transfers."""
        place = (f"hdfs://{source.namenode}", source.root, sink.endpoint, sink.bucket, sink.prefix)
        again = ("again",) if manner.again else ()
        program = (str(_VENV / "bin" / "python"), str(_PROGRAM), *place, str(manner.transfers), *again)
        environment = {**sink.environment(), "HADOOP_USER_NAME": source.user}
        return measured((Command(program, environment),), folder)
