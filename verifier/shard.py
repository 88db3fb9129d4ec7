"""Proves one shard: reads its plan and receipts, has batches proved, and writes the verdicts. Knows neither Ray nor
messages.

Memory: the shard's plan, receipts and verdicts, and `parallel_count` batches on their way.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass

from ledger.failures import FailureGroup, FailureTally
from ledger.ledger import Ledger
from ledger.records import Action, PlanEntry, Receipt, Verdict
from ledger.sightings_files import write_seen
from stores.base import Stat
from stores.location import Location
from verifier.batch import ProofBatch, ProvedBatch, cut
from verifier.expect import Question, questions
from verifier.pool import Provers
from verifier.prove import EntryProof

PROGRESS_S = 1.0  # the stream promises a sign of life every second


@dataclass(frozen=True, slots=True)
class ShardWork:
    """What is to be proved. `receipts` is the name in the ledger; empty for a shard of a check."""

    source: Location
    destination: Location
    shard: str
    attempt: int
    receipts: str
    claims_trusted: bool


@dataclass(frozen=True, slots=True)
class ProofCounts:
    """What was done up to now. Same fields and meanings as `service.v1.VerifyProgress`."""

    verified_count: int = 0
    verified_bytes: int = 0
    failed_count: int = 0
    read_back_bytes: int = 0
    retry_count: int = 0

    def plus(self, other: ProofCounts) -> ProofCounts:
        """Returns the sum."""
        return ProofCounts(*(mine + theirs for mine, theirs in zip(astuple(self), astuple(other), strict=True)))


@dataclass(frozen=True, slots=True)
class ShardProved:
    """The end of a shard: the verdicts are in the ledger under this name."""

    verdicts: str
    counts: ProofCounts
    failures: tuple[FailureGroup, ...]


async def prove_shard(
    work: ShardWork, ledger: Ledger, provers: Provers, carrier: Mapping[str, str], progress_s: float = PROGRESS_S
) -> AsyncGenerator[ProofCounts | ShardProved, None]:
    """Yields counts at least every `progress_s` seconds, then the end. When it is closed or cancelled, the work stops.

    Raises:
        BlockferryError: LEDGER_*, or what makes all entries fail (a store does not answer). Nothing was written then.
    """
    tally = _Tally()
    running = asyncio.create_task(_run(work, ledger, provers, carrier, tally))
    try:
        while not (await asyncio.wait((running,), timeout=progress_s))[0]:
            yield tally.counts
        yield running.result()
    finally:
        if not running.done():
            running.cancel()
            await asyncio.wait((running,))


async def _run(
    work: ShardWork, ledger: Ledger, provers: Provers, carrier: Mapping[str, str], tally: _Tally
) -> ShardProved:
    entries = await asyncio.to_thread(ledger.read_plan, work.shard)
    receipts = await asyncio.to_thread(_receipts, ledger, work.receipts)
    batches = _batches(work, questions(entries, receipts))
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(provers.parallel_count):
                group.create_task(_prove_all(batches, provers, carrier, tally))
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from None  # the first one ended the others
    name = f"{work.shard}.{work.attempt}"
    await asyncio.to_thread(write_seen, ledger.folder, name, tuple(tally.seen(entries)))
    await asyncio.to_thread(ledger.write_verdicts, name, tally.verdicts(entries))
    return ShardProved(name, tally.counts, tally.failures.groups())


def _receipts(ledger: Ledger, name: str) -> dict[str, Receipt]:
    return {receipt.path: receipt for receipt in ledger.read_receipts(name)} if name else {}


def _batches(work: ShardWork, asked: Iterator[Question]) -> Iterator[ProofBatch]:
    for batch in cut(asked, work.claims_trusted):
        yield ProofBatch(uuid.uuid4().hex, work.source, work.destination, work.claims_trusted, batch)


async def _prove_all(
    batches: Iterator[ProofBatch], provers: Provers, carrier: Mapping[str, str], tally: _Tally
) -> None:
    """Proves batches until there are no more. Several tasks share the iterator."""
    for batch in batches:
        tally.add(batch, await provers.prove(batch, carrier))


class _Tally:
    """The verdicts and counts of a shard as the batches come back."""

    def __init__(self) -> None:
        self.counts = ProofCounts()
        self.failures = FailureTally()
        self._verdicts: dict[str, Verdict] = {}
        self._seen: dict[str, Stat] = {}

    def add(self, batch: ProofBatch, proved: ProvedBatch) -> None:
        """Counts a batch. What a check found on one side only was counted when it was planned."""
        counted: list[EntryProof] = []
        for question, proof in zip(batch.questions, proved.proofs, strict=True):
            verdict = proof.verdict
            self._verdicts[verdict.path] = verdict
            if proof.seen is not None:
                self._seen[verdict.path] = proof.seen
            if question.entry.action not in (Action.MISSING, Action.EXTRA):
                counted.append(proof)
                if verdict.failure is not None:
                    self.failures.add(verdict.path, verdict.failure)
        self.counts = self.counts.plus(_counts_of(counted))

    def verdicts(self, entries: tuple[PlanEntry, ...]) -> Iterator[Verdict]:
        """Yields the verdicts in the order of the plan."""
        return (self._verdicts[entry.path] for entry in entries if entry.path in self._verdicts)

    def seen(self, entries: tuple[PlanEntry, ...]) -> Iterator[Stat]:
        """Yields what was seen of the objects, in the order of the plan."""
        return (self._seen[entry.path] for entry in entries if entry.path in self._seen)


def _counts_of(proofs: Sequence[EntryProof]) -> ProofCounts:
    sizes = [proof.verdict.size_bytes for proof in proofs if proof.verdict.failure is None]
    return ProofCounts(
        verified_count=len(sizes),
        verified_bytes=sum(sizes),
        failed_count=len(proofs) - len(sizes),
        read_back_bytes=sum(proof.read_back_bytes for proof in proofs),
        retry_count=sum(proof.retry_count for proof in proofs),
    )
