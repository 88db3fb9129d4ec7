"""Batches of questions, and what comes back: the values that go to a prover and return. Pickled by Ray."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from stores.location import Location
from verifier.expect import Question
from verifier.prove import EntryProof

BATCH_ENTRIES = 1000  # a page of a listing answers as many
BATCH_BYTES = 512 << 20  # counts only where content may have to be read


@dataclass(frozen=True, slots=True)
class ProofBatch:
    """Questions of one job. `batch_id` is unique: by it the batch is cancelled."""

    batch_id: str
    source: Location
    destination: Location
    claims_trusted: bool
    questions: tuple[Question, ...]


@dataclass(frozen=True, slots=True)
class ProvedBatch:
    """One proof per question, in the order of the questions."""

    proofs: tuple[EntryProof, ...]


def cut(questions: Iterable[Question], claims_trusted: bool) -> Iterator[tuple[Question, ...]]:
    """Yields the questions in batches of at most 1,000; where objects must be read back, of about 512 MiB, so that a
    batch that is lost costs little."""
    batch: list[Question] = []
    size_bytes = 0
    for question in questions:
        batch.append(question)
        size_bytes += question.size_bytes
        if len(batch) == BATCH_ENTRIES or (size_bytes >= BATCH_BYTES and not claims_trusted):
            yield tuple(batch)
            batch, size_bytes = [], 0
    if batch:
        yield tuple(batch)
