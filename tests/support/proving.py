"""A source and a sink in memory, and entries that were moved between them: what the verifier's unit tests prove."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace

from ledger.records import Action, PlanEntry, Receipt, Why
from service.backoff import Backoff
from stores.base import Attributes, Kind, Stat
from stores.checksum import Algorithm, empty
from stores.faulty import FaultySink, FaultySource, Script
from stores.hashing import checksum_of
from stores.memory import MemoryStore
from verifier.expect import Question
from verifier.prove import EntryProof, ProofBench, prove

ATTRIBUTES = Attributes("hdfs", "users", 0o644, 1_000, 2_000)
NO_WAIT = Backoff(base_s=0.0, attempts=3)


@dataclass(frozen=True, slots=True)
class TwoStores:
    """A source and a sink, each to be harmed."""

    source: MemoryStore
    sink: MemoryStore

    def moved(
        self,
        path: str,
        body: bytes,
        algorithm: Algorithm | None = Algorithm.CRC32C,
        attributes: Attributes = ATTRIBUTES,
    ) -> Question:
        """Returns the question about a file that is at both ends. `algorithm` None: the source keeps no sums."""
        stat = self.source.add(path, body, attributes, algorithm)
        claim = checksum_of(algorithm or Algorithm.CRC32C, body)
        stored = self.sink.put(path, body, claim, attributes)
        receipt = Receipt(
            path, Action.COPY, len(body), stored.etag, "", claim, algorithm is not None, stat.version, 1, 1, None,
            stored.written_ms,
        )  # fmt: skip
        return Question(PlanEntry(path, Action.COPY, Why.NEW, stat), receipt)

    def moved_folder(self, path: str) -> Question:
        """Returns the question about a folder that is at both ends."""
        stat = self.source.add(path, b"", ATTRIBUTES)
        assert stat.kind is Kind.FOLDER
        self.sink.put(path, b"", empty(Algorithm.CRC32C), ATTRIBUTES)
        return Question(PlanEntry(path, Action.COPY, Why.NEW, stat), Receipt(path, Action.COPY))

    def overwrite(self, path: str, body: bytes, attributes: Attributes = ATTRIBUTES) -> Stat:
        """Overwrites an object at the sink by a put with a true claim."""
        self.sink.put(path, body, checksum_of(Algorithm.CRC32C, body), attributes)
        found = self.sink.stat(path)
        assert found is not None
        return found

    def bench(
        self, *, claims_trusted: bool = True, script: Script | None = None, stop: threading.Event | None = None
    ) -> ProofBench:
        """Returns a bench whose stores are under a script."""
        source = FaultySource(self.source, script or Script())
        sink = FaultySink(self.sink, script or Script())
        return ProofBench(source, sink, claims_trusted, NO_WAIT, stop or threading.Event())

    def prove(self, question: Question, *, claims_trusted: bool = True, script: Script | None = None) -> EntryProof:
        """Returns the proof of one entry."""
        return prove(self.bench(claims_trusted=claims_trusted, script=script), question)


def check_of(question: Question) -> Question:
    """Returns the same entry as a check asks for it."""
    return Question(replace(question.entry, action=Action.CHECK, why=Why.VERIFY_ASKED))
