"""blockferry itself, as its users run it: `blockferry copy`, with its services and Ray."""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.peers.contract import Command, HdfsSide, Manner, PeerRun, S3Side
from bench.peers.gauge import measured


class FerryPeer:
    """One process that starts the house, copies, verifies what it wrote, and ends. Its state folder stays from run to
    run between the same ends, as it does with its users."""

    name = "blockferry"

    def __init__(self) -> None:
        self._states: dict[tuple[str, str, str], TemporaryDirectory[str]] = {}

    def prepare(self) -> None:
        """Is installed."""

    def cannot(self, manner: Manner) -> str:
        """Returns nothing: all is possible."""
        return ""

    def copy(self, source: HdfsSide, sink: S3Side, folder: Path, manner: Manner) -> PeerRun:
        """Copies with its defaults: an actor a processor, and every file that was written is verified."""
        proof = "POINT_IN_TIME_CONSISTENT" if manner.verify_all else "ONLY_FILES_TRANSFERRED"
        program = str(Path(sys.executable).with_name("blockferry"))
        trust = ("--ca-bundle", str(sink.ca_file)) if sink.ca_file else ()
        arguments = (
            *(program, "copy", source.uri, sink.uri, "--verify", proof, "--output", "json"),
            *("--s3-endpoint", sink.endpoint, "--s3-region", sink.region, *trust),
            *("--hdfs-user", source.user, "--state", self._state(source, sink), "--report", str(folder / "report")),
        )
        return measured((Command(arguments, sink.environment()),), folder)

    def _state(self, source: HdfsSide, sink: S3Side) -> str:
        """Returns the folder, which is removed when the comparison ends."""
        ends = (source.uri, sink.endpoint, sink.uri)
        if ends not in self._states:
            self._states[ends] = TemporaryDirectory(prefix="blockferry-state-")
        return self._states[ends].name
