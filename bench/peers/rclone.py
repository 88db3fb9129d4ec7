"""rclone: its hdfs backend to its s3 backend."""

from __future__ import annotations

import sys
from pathlib import Path

from bench.peers.contract import Command, HdfsSide, Manner, PeerRun, S3Side
from bench.peers.gauge import measured


class RclonePeer:
    """One Go process. It knows no checksum of HDFS and verifies sizes."""

    name = "rclone"

    def prepare(self) -> None:
        """Is installed with the tests' servers."""

    def cannot(self, manner: Manner) -> str:
        """Returns why it has no verification alone."""
        if manner.verify_all:
            return "no checksum in common with HDFS: only `check --download`, which reads all data of both sides"
        return ""

    def copy(self, source: HdfsSide, sink: S3Side, folder: Path, manner: Manner) -> PeerRun:
        """Copies with its defaults but for the number of transfers.

        What changed is told by size and LastModified, as its documentation advises for S3: by default it asks for the
        metadata of each object, a request each.
        """
        again = ("--update", "--use-server-modtime", "--fast-list") if manner.again else ()
        trust = ("--ca-cert", str(sink.ca_file)) if sink.ca_file else ()
        program = str(Path(sys.executable).with_name("rclone"))
        arguments = (
            *(program, "copy", "--config", "", "--transfers", str(manner.transfers), *again, *trust),
            *(f"source:{source.root}", f"sink:{sink.bucket}/{sink.prefix}"),
        )
        remotes = {
            "RCLONE_CONFIG_SOURCE_TYPE": "hdfs",
            "RCLONE_CONFIG_SOURCE_NAMENODE": source.namenode,
            "RCLONE_CONFIG_SOURCE_USERNAME": source.user,
            "RCLONE_CONFIG_SINK_TYPE": "s3",
            "RCLONE_CONFIG_SINK_PROVIDER": "Other",
            "RCLONE_CONFIG_SINK_ENV_AUTH": "true",
            "RCLONE_CONFIG_SINK_ENDPOINT": sink.endpoint,
            "RCLONE_CONFIG_SINK_REGION": sink.region,
            "RCLONE_CONFIG_SINK_NO_CHECK_BUCKET": "true",
        }
        return measured((Command(arguments, {**sink.environment(), **remotes}),), folder)
