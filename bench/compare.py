"""Runs blockferry and its peers side by side: one HDFS, one S3 server, interleaved rounds, everything as processes.

    python -m bench.compare [--workloads large,small] [--peers all] [--target seaweed|versitygw|null|far] [--tls]
                            [--rounds 3] [--scale 1.0] [--out FILE.json]

Prints a table per workload and writes every round to the JSON file. What is compared: CPU seconds of all processes that
a peer starts (from its first to the end of its last: start-up counts), wall seconds as ratios, memory. The servers' CPU
stands apart. `above start` is without what a copy of one tiny file costs (workload `start` of the same run). A peer
that cannot run, or brought something else than the source holds, is shown with the reason.

Before the rounds of `unchanged`, `changed` and `verify` blockferry fills the bucket, for all peers. At full scale these
take hours with all peers: DistCp and `fs -get` need 15 ms a file where nothing has changed. blockferry keeps its state
folder meanwhile, as it does with its users: what the filling has seen, the rounds know.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from bench.figures import Observation, Result, Row, as_json, cpu_s, spread, table
from bench.peers import OURS, PEERS
from bench.peers.contract import Contender, Manner, PeerFailed
from bench.stage import TARGETS, Stage, difference, open_stage
from bench.workloads import START, WORKLOADS, Deed, Workload


@dataclass(slots=True)
class Rounds:
    """The rounds of one workload."""

    stage: Stage
    workload: Workload
    bucket: str  # of the deeds that need an earlier copy
    start_cpu_s: Mapping[str, float]
    seen: dict[str, list[Observation]] = field(default_factory=dict)
    reasons: dict[str, list[str]] = field(default_factory=dict)

    @property
    def manner(self) -> Manner:
        """How peers are to copy."""
        deed = self.workload.deed
        return Manner(self.workload.transfers, deed in (Deed.NOTHING, Deed.CHANGES), deed is Deed.VERIFY)

    def run(self, peers: Sequence[Contender], count: int, absent: Mapping[str, str]) -> Result:
        """Runs all peers `count` times, in turn. absent: why a peer could not be prepared."""
        tree = self.stage.tree(self.workload)
        if self.workload.deed is not Deed.COPY:
            self._settle()
        ready = [peer for peer in peers if self._ready(peer, absent)]
        for number in range(1, count + 1):
            for peer in ready:
                self._one(peer, number)
        rows = tuple(
            Row(peer.name, tuple(self.seen.get(peer.name, ())), tuple(self.reasons.get(peer.name, ())))
            for peer in peers
        )
        size, scale = sum(spec.size for spec in tree), self.stage.scale
        title = self.workload.title + (f" (scaled by {scale:g})" if scale != 1 else "")
        return Result(self.workload.name, title, self.workload.unit, len(tree), size, rows, self.start_cpu_s)

    def _settle(self) -> None:
        """Lets blockferry bring the bucket up to date, uncounted."""
        if self.bucket not in (item["Name"] for item in self.stage.server.client().list_buckets()["Buckets"]):
            self.stage.server.make_bucket(self.bucket)
        with tempfile.TemporaryDirectory() as folder:
            sink = self.stage.sink(self.bucket)
            PEERS[OURS].copy(self.stage.source(self.workload), sink, Path(folder), Manner(self.workload.transfers))

    def _ready(self, peer: Contender, absent: Mapping[str, str]) -> bool:
        reason = absent.get(peer.name) or peer.cannot(self.manner)
        if reason:
            self.reasons.setdefault(peer.name, []).append(reason)
        return not reason

    def _one(self, peer: Contender, number: int) -> None:
        fresh = self.workload.deed is Deed.COPY
        bucket = self.bucket if not fresh else f"{self.workload.name}-{list(PEERS).index(peer.name)}-{number}"
        try:
            if fresh:
                self.stage.server.make_bucket(bucket)
            one = self._observed(peer, bucket)
            self.seen.setdefault(peer.name, []).append(one)
            note(f"{self.workload.name} round {number} {peer.name}: {one.run.wall_s:.1f} s, {one.run.cpu_s:.1f} CPU s")
        except PeerFailed as error:
            self.reasons.setdefault(peer.name, []).append(f"round {number}: {error}")
            note(f"{self.workload.name} round {number} {peer.name}: {error}")
        finally:
            if fresh:
                self.stage.drop(bucket)

    def _observed(self, peer: Contender, bucket: str) -> Observation:
        """Runs a peer once.

        Raises:
            PeerFailed: it failed, or the destination is not what the source is.
        """
        stage, workload = self.stage, self.workload
        changes = stage.change(workload) if workload.deed is Deed.CHANGES else ()
        earlier = stage.objects(bucket) if workload.deed is Deed.NOTHING else {}
        with tempfile.TemporaryDirectory() as folder:
            before = stage.counts()
            run = peer.copy(stage.source(workload), stage.sink(bucket), Path(folder), self.manner)
            used = difference(before, stage.counts())
        if fault := stage.fault(workload, bucket, changes):
            raise PeerFailed(fault)
        if earlier and (written := earlier.items() ^ stage.objects(bucket).items()):
            raise PeerFailed(f"{len({key for key, _ in written})} objects were written though nothing had changed")
        return Observation(run, used.cpu_s, used.hdfs, used.sink, used.operations)


def note(text: str) -> None:
    """Shows progress, apart from the tables."""
    print(text, file=sys.stderr, flush=True)


def prepared(peers: Sequence[Contender]) -> Mapping[str, str]:
    """Fetches and builds the peers; returns by name why one is absent."""
    absent = {}
    for peer in peers:
        try:
            peer.prepare()
        except Exception as error:  # whatever it is, the others can run
            absent[peer.name] = f"could not be prepared: {error}"
            note(f"{peer.name} {absent[peer.name]}")
    return absent


def chosen(text: str, known: Mapping[str, object], what: str) -> tuple[str, ...]:
    """PURE: returns the names of a comma-separated list in the order in which they are known; `all` is all.

    Raises:
        argparse.ArgumentTypeError: one is unknown.
    """
    asked = set(known) if text == "all" else set(text.split(","))
    if unknown := asked - set(known):
        raise argparse.ArgumentTypeError(f"no {what} {', '.join(sorted(unknown))}: choose of {', '.join(known)}")
    return tuple(name for name in known if name in asked)


def arguments_of(words: Sequence[str] | None) -> argparse.Namespace:
    """Returns the parsed command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workloads", type=lambda text: chosen(text, WORKLOADS, "workload"), default="all")
    parser.add_argument("--peers", type=lambda text: chosen(text, PEERS, "peer"), default="all")
    parser.add_argument("--target", choices=tuple(TARGETS), default="seaweed")
    parser.add_argument("--tls", action="store_true", help="the target speaks https")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0, help="of sizes and counts")
    parser.add_argument("--out", type=Path, help="where the JSON is written")
    return parser.parse_args(words)


def main(words: Sequence[str] | None = None) -> None:
    """Runs what is asked for; tables are printed, and the file written, after each workload."""
    asked = arguments_of(words)
    peers = [PEERS[name] for name in asked.peers]
    absent = prepared([*peers, PEERS[OURS]])
    head = {
        **{"target": asked.target, "tls": asked.tls, "rounds": asked.rounds, "scale": asked.scale},
        **{"cpu_count": os.cpu_count(), "memory_bytes": psutil.virtual_memory().total},
    }
    results: list[dict[str, object]] = []
    start_cpu_s: dict[str, float] = {}
    with open_stage(asked.target, asked.tls, asked.scale) as stage:
        for name in asked.workloads:
            workload = WORKLOADS[name]
            bucket = f"earlier{workload.root.replace('/', '-')}"
            result = Rounds(stage, workload, bucket, dict(start_cpu_s)).run(peers, asked.rounds, absent)
            if name == START:
                start_cpu_s = {
                    row.peer: spread([cpu_s(one) for one in row.seen]).median for row in result.rows if row.seen
                }
            print(table(result, OURS), flush=True)
            results.append(as_json(result, OURS))
            if asked.out:
                asked.out.parent.mkdir(parents=True, exist_ok=True)
                asked.out.write_text(json.dumps({**head, "results": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
