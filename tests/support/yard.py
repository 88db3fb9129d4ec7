"""A mover without Ray: stores in memory under a script of faults, threads as hands, a ledger in a folder."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ledger.ledger import Ledger
from ledger.records import Action, PlanEntry, Receipt, Why
from mover.opened import OpenStores
from mover.pool import Pool, ThreadHand
from mover.process import MoverProcess
from mover.shard import ShardMove, ShardOrder, ShardResult, abort_uploads
from service.backoff import Backoff
from service.jobs import Job, TransferOptions
from stores.base import Attributes, SinkFeatures
from stores.checksum import Algorithm
from stores.faulty import Fault, FaultySink, FaultySource, Script
from stores.location import MemoryLocation
from stores.memory import MemoryStore

BLOCK = 1000
PART = 2000
SHARD = "000001"
SMALL_LIMITS = SinkFeatures(
    min_part_bytes=BLOCK,
    max_part_bytes=1 << 30,
    max_part_count=10_000,
    max_single_put_bytes=1 << 30,
    max_key_bytes=1024,
)
ATTRIBUTES = Attributes("alice", "users", 0o640, 1_700_000_000_000, 1_700_000_000_001)


def content(size: int, seed: int = 0) -> bytes:
    """Returns bytes that differ from place to place."""
    return bytes((number * 31 + number // 256 + seed) % 251 for number in range(size))


@dataclass(slots=True)
class Yard:
    """A source, a sink and a ledger. Blocks of 1,000 bytes; parts of 2,000."""

    folder: Path
    source: MemoryStore
    sink: MemoryStore
    part_size_bytes: int = PART
    script: Script = field(default_factory=Script)
    claims_trusted: bool = True

    def add(self, path: str, size: int, algorithm: Algorithm | None = Algorithm.CRC32C) -> None:
        """Puts a file (or a folder) into the source."""
        self.source.add(path, content(size, len(path)), ATTRIBUTES, algorithm)

    def faults(self, *faults: Fault) -> None:
        """From now on stores are struck by these."""
        self.script = Script(*faults, sleep=lambda _: None)

    @property
    def ledger(self) -> Ledger:
        """Returns the ledger."""
        return Ledger(str(self.folder))

    def plan(self, action: Action = Action.COPY) -> None:
        """Plans all that is in the source."""
        entries = (PlanEntry(stat.path, action, Why.NEW, stat) for stat in self.source.list_tree())
        self.ledger.write_plan(SHARD, entries)

    def order(self, attempt: int = 1) -> ShardOrder:
        """Returns the order to move the shard."""
        source, sink = MemoryLocation("source"), MemoryLocation("sink")
        job = Job("e", str(self.folder), source, sink, TransferOptions(part_size_bytes=self.part_size_bytes))
        return ShardOrder(uuid.uuid4().hex, job, SHARD, attempt, self.claims_trusted)

    def process(self) -> MoverProcess:
        """Returns a process over the stores, that tries each request three times."""
        stores = OpenStores(
            lambda _: FaultySource(self.source, self.script), lambda _: FaultySink(self.sink, self.script)
        )
        return MoverProcess(stores, Backoff(base_s=0.0, attempts=3))

    def move(self, attempt: int = 1) -> ShardResult:
        """Plans what is in the source, in the first attempt, and moves it."""
        if attempt == 1:
            self.plan()
        with self.pool() as pool:
            return asyncio.run(ShardMove(self.order(attempt), self.ledger, pool).run())

    def abort(self) -> int:
        """Aborts what is noted."""
        with self.pool() as pool:
            return asyncio.run(abort_uploads(self.order(0), self.ledger, pool))

    @contextmanager
    def pool(self) -> Iterator[Pool]:
        """Gives two hands of this process, and ends their threads."""
        hands = (ThreadHand(self.process()), ThreadHand(self.process()))
        yield Pool(hands, Backoff(base_s=0.0, attempts=2))
        for hand in hands:
            hand.close()

    def receipt(self, path: str, attempt: int = 1) -> Receipt:
        """Returns one receipt."""
        return next(one for one in self.ledger.read_receipts(f"{SHARD}.{attempt}") if one.path == path)

    def read(self, path: str) -> bytes:
        """Returns an object's content."""
        return b"".join(self.sink.read(path))
