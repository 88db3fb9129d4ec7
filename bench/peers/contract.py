"""What a peer is: a program that copies a folder of HDFS to S3, run from outside as processes of its own.

Starts nothing. Every peer is one file beside this one.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


class PeerFailed(Exception):
    """A peer ended with another code than 0, or too late; the text has the end of its log."""


@dataclass(frozen=True, slots=True)
class HdfsSide:
    """The folder that is copied. conf: folder with the clients' core-site.xml and hdfs-site.xml."""

    namenode: str
    root: str
    conf: Path
    user: str

    @property
    def uri(self) -> str:
        """hdfs://HOST:PORT/root."""
        return f"hdfs://{self.namenode}{self.root}"


@dataclass(frozen=True, slots=True)
class S3Side:
    """The bucket and prefix that is written. ca_file: the authority to trust; None over http."""

    endpoint: str
    bucket: str
    prefix: str
    access_key: str
    secret_key: str
    region: str
    ca_file: Path | None = None

    @property
    def uri(self) -> str:
        """s3://bucket/prefix, without a slash at the end."""
        return f"s3://{self.bucket}/{self.prefix}"

    def environment(self) -> dict[str, str]:
        """Returns our environment with the keys, the region and the authority in the names that most programs read."""
        ours = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        keys = {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_REGION": self.region,
        }
        trust = {"AWS_CA_BUNDLE": str(self.ca_file), "SSL_CERT_FILE": str(self.ca_file)} if self.ca_file else {}
        return {**ours, **keys, **trust}


@dataclass(frozen=True, slots=True)
class Manner:
    """How a copy is made.

    Attributes:
        transfers: files at the same time, where a peer can be told.
        again: the destination holds an earlier copy; only what changed is to be moved.
        verify_all: nothing is to be moved, everything is to be verified on both sides.
    """

    transfers: int = 4
    again: bool = False
    verify_all: bool = False


@dataclass(frozen=True, slots=True)
class PeerRun:
    """What one run used: all processes that it started together.

    Attributes:
        wall_s: from the start of the first process to the end of the last.
        cpu_s: user and system.
        peak_bytes: peak resident memory of the largest process (VmHWM, as last seen at 10 Hz).
        all_peak_bytes: largest sum of the resident memory of all processes at one moment; shared pages count once each.
        method: how CPU was counted, see `bench.peers.gauge`.
    """

    wall_s: float
    cpu_s: float
    peak_bytes: int
    all_peak_bytes: int
    method: str
    exit_code: int = 0


@dataclass(frozen=True, slots=True)
class Command:
    """One process of a run. environment is the whole one, not an addition to ours."""

    arguments: tuple[str, ...]
    environment: Mapping[str, str]


class Contender(Protocol):
    """A peer."""

    name: str

    def prepare(self) -> None:
        """Fetches and builds what is needed below .cache/; quick when it is there."""

    def cannot(self, manner: Manner) -> str:
        """Returns why the peer has nothing to run for this; empty when it has."""

    def copy(self, source: HdfsSide, sink: S3Side, folder: Path, manner: Manner) -> PeerRun:
        """Copies everything below source.root to below sink.prefix and returns what was used.

        folder: empty, for logs and for what the run leaves behind; the caller removes it.

        Raises:
            PeerFailed: with the end of the log.
        """
