"""Proves one entry: asks both stores, and reads content only where a store keeps no proof of it. Knows no Ray.

Memory per entry that is read: 4 MiB for the source, one slice of 1 MiB for the destination.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from opentelemetry import trace

from blockferry.errors import BlockferryError
from ledger.records import Action, EntryFailure, PlanEntry, Proof, Receipt, Verdict
from service import telemetry
from service.backoff import Backoff
from service.retry import call_with_retry
from stores.base import Kind, Sink, Source, Stat
from stores.checksum import Algorithm, Checksum, concatenation, empty
from stores.hashing import Hasher
from stores.parcel import rebuilt_by_fields
from verifier.expect import Expectation, Question, compared_length, of_receipt, of_source, source_change
from verifier.judge import judge, missing, proof_for

T = TypeVar("T")
READ_BYTES = 4 << 20
_ALIVE_PATH = ".blockferry-probe-alive"  # never exists: a store that answers so much can be reached
_TRACER = trace.get_tracer("blockferry.verifier")


@dataclass(frozen=True, slots=True)
class ProofBench:
    """What a proof is made with.

    Attributes:
        claims_trusted: what the sink keeps is a proof.
        stop: set when nobody waits for the proof any more.
        readers: bounds how many read content at the same time.
    """

    source: Source
    sink: Sink
    claims_trusted: bool
    backoff: Backoff
    stop: threading.Event = field(default_factory=threading.Event)
    readers: threading.Semaphore = field(default_factory=threading.Semaphore)


@rebuilt_by_fields
@dataclass(frozen=True, slots=True)
class EntryProof:
    """A verdict and what it cost: bytes read back from the destination, and requests made again.

    `seen`: the object with its attributes, where it is the one that we wrote, or was seen late enough (`is_sighting`).
    """

    verdict: Verdict
    read_back_bytes: int = 0
    retry_count: int = 0
    seen: Stat | None = None


def prove(bench: ProofBench, question: Question) -> EntryProof:
    """Returns the verdict on one entry, within a span. What fails for this entry alone becomes its verdict's failure.

    Raises:
        BlockferryError: what makes every other entry fail too: a store does not answer, after all tries; or
            PROOF_CANCELLED, when `bench.stop` is set.
    """
    inquiry = _Inquiry(bench)
    with telemetry.span(_TRACER, "verify object", {"path": question.entry.path}) as span:
        verdict = inquiry.verdict(question)
        span.set_attributes({"proof": verdict.proof, "size_bytes": verdict.size_bytes})
        if verdict.failure is not None:
            span.set_status(trace.StatusCode.ERROR, f"{verdict.failure.reason}: {verdict.failure.message}")
    return EntryProof(verdict, inquiry.read_back_bytes, inquiry.retry_count, _seen(inquiry.found, question.receipt))


def _seen(found: Stat | None, receipt: Receipt | None) -> Stat | None:
    if found is None or found.attributes is None or not found.version or not found.seen_ms:
        return None
    is_ours = receipt is not None and found.version == receipt.etag
    return found if is_ours or found.settled else None


class _Inquiry:
    """The proof of one entry, with its costs."""

    def __init__(self, bench: ProofBench) -> None:
        self.read_back_bytes = 0
        self.retry_count = 0
        self.found: Stat | None = None
        self._bench = bench
        self._source = bench.source
        self._sink = bench.sink

    def verdict(self, question: Question) -> Verdict:
        entry = question.entry
        try:
            match entry.action:
                case Action.COPY | Action.METADATA:
                    return self._of_transfer(entry, question.receipt)
                case Action.CHECK:
                    return self._of_check(entry)
                case _:
                    return Verdict(entry.path, Proof.NONE, question.size_bytes, failure=entry.failure)
        except BlockferryError as error:
            self._raise_if_of_all(error)
            failure = EntryFailure(
                error.reason, error.message, tuple({"path": entry.path, **error.coordinates}.items())
            )
            return Verdict(entry.path, Proof.NONE, question.size_bytes, failure=failure)

    def _of_transfer(self, entry: PlanEntry, receipt: Receipt | None) -> Verdict:
        planned = _planned(entry)
        if receipt is None:
            return Verdict(entry.path, Proof.NONE, planned.size_bytes, failure=_no_receipt(entry.path))
        self.found = found = self._again(lambda: self._sink.stat(entry.path))
        if found is None:
            return missing(entry.path, planned.size_bytes)
        expected = of_receipt(planned, receipt, entry.found)
        proof = proof_for(expected, found, self._bench.claims_trusted)
        content = self._content(entry.path, expected, found, proof)
        change = source_change(planned, self._again(lambda: self._source.stat(entry.path)))
        return judge(entry.path, expected, found, content, proof, change)

    def _of_check(self, entry: PlanEntry) -> Verdict:
        planned = _planned(entry)
        now = self._again(lambda: self._source.stat(entry.path))
        if now is None or now.kind != planned.kind:
            change = source_change(planned, now)
            return Verdict(entry.path, Proof.NONE, planned.size_bytes, failure=change)
        self.found = found = self._again(lambda: self._sink.stat(entry.path))
        if found is None:
            return missing(entry.path, now.size_bytes)
        now = compared_length(now, found)
        if now.kind is not Kind.FILE or now.kind != found.kind or now.size_bytes != found.size_bytes:
            expected = of_source(now, None, False)
            return judge(entry.path, expected, found, None, proof_for(expected, found, self._bench.claims_trusted))
        return self._of_equal_sizes(entry.path, now, found)

    def _of_equal_sizes(self, path: str, now: Stat, found: Stat) -> Verdict:
        checksum, proven, was_read = self._source_checksum(now, self._check_algorithm(now, found))
        expected = of_source(now, checksum, proven)
        proof = proof_for(expected, found, self._bench.claims_trusted)
        content = self._content(path, expected, found, proof)
        return judge(path, expected, found, content, Proof.READ_BACK if was_read else proof)

    def _check_algorithm(self, now: Stat, found: Stat) -> Algorithm:
        """Returns the algorithm in which both sides can be compared with the least reading."""
        if self._bench.claims_trusted and found.checksum is not None:
            return found.checksum.algorithm
        return self._again(lambda: self._source.claimed_algorithm(now))

    def _source_checksum(self, now: Stat, algorithm: Algorithm) -> tuple[Checksum, bool, bool]:
        """Returns the source's checksum, whether sums that it keeps prove it, and whether data was read for it."""
        if now.size_bytes == 0:
            return empty(algorithm), True, False
        # The nodes cannot tell the sum of a block that is being written.
        if not now.condition.is_open:
            stored = self._again(lambda: self._source.stored_checksum(now, 0, now.size_bytes, algorithm))
            if stored is not None:
                return stored, True, False
        with self._bench.readers:
            checksum, proven = self._read_source(now, algorithm)
        return checksum, proven, True

    def _read_source(self, now: Stat, algorithm: Algorithm) -> tuple[Checksum, bool]:
        buffer = memoryview(bytearray(min(READ_BYTES, now.size_bytes)))
        pieces: list[tuple[Checksum, int]] = []
        all_proven = True
        for extent in self._again(lambda: self._source.extents(now)):
            end = min(extent.offset + extent.size, now.size_bytes)
            for offset in range(extent.offset, end, READ_BYTES):
                view = buffer[: min(READ_BYTES, end - offset)]
                read = self._again(partial(self._source.read_into, now, offset, view, algorithm))
                self.retry_count += read.retry_count
                pieces.append((read.checksum, len(view)))
                all_proven = all_proven and read.proven
        return concatenation(pieces), all_proven

    def _content(self, path: str, expected: Expectation, found: Stat, proof: Proof) -> Checksum | None:
        match proof:
            case Proof.STORED_CHECKSUM:
                return found.checksum
            case Proof.READ_BACK if expected.checksum is not None:
                algorithm = expected.checksum.algorithm
                return self._again(lambda: self._read_back(path, algorithm))
            case _:
                return None

    def _read_back(self, path: str, algorithm: Algorithm) -> Checksum:
        hasher = Hasher(algorithm)
        with self._bench.readers:
            for piece in self._sink.read(path):
                self._raise_if_stopped()
                hasher.update(piece)
                self.read_back_bytes += len(piece)
        return hasher.checksum

    def _again(self, call: Callable[[], T]) -> T:
        self._raise_if_stopped()
        return call_with_retry(call, self._bench.backoff, self._sleep, self._count_retry)

    def _count_retry(self, _error: BlockferryError, _attempt: int) -> None:
        self.retry_count += 1

    def _sleep(self, seconds: float) -> None:
        self._bench.stop.wait(seconds)
        self._raise_if_stopped()

    def _raise_if_stopped(self) -> None:
        if self._bench.stop.is_set():
            raise cancelled()

    def _raise_if_of_all(self, error: BlockferryError) -> None:
        """Raises when the error is not of this entry alone: a store that does not even tell that a path does not exist
        cannot be reached."""
        if error.reason == PROOF_CANCELLED:
            raise error
        if not error.retryable:
            return
        for stat in (self._source.stat, self._sink.stat):
            try:
                self._again(partial(stat, _ALIVE_PATH))
            except BlockferryError as probe:
                if probe.retryable or probe.reason == PROOF_CANCELLED:
                    raise error from probe


PROOF_CANCELLED = "PROOF_CANCELLED"


def cancelled() -> BlockferryError:
    """Returns the error of a proof that nobody waits for any more."""
    return BlockferryError(PROOF_CANCELLED, "The proof was given up because its call was cancelled; call again.")


def _planned(entry: PlanEntry) -> Stat:
    if entry.source is None:
        raise BlockferryError(
            "LEDGER_DAMAGED",
            "an entry of the plan that needs its source has none: start a new execution",
            path=entry.path,
        )
    return entry.source


def _no_receipt(path: str) -> EntryFailure:
    return EntryFailure(
        "RECEIPT_MISSING",
        f"{path!r} was planned and the mover left no receipt for it, so nothing says that it was written. "
        "Run the task again.",
        (("path", path),),
    )
