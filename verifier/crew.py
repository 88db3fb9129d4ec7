"""Proves batches in this process, by threads that wait for stores. Keeps the stores of recent jobs open. Knows no Ray.

Memory: `READERS` * 5 MiB where content is read, else some kilobytes per entry.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from blockferry.errors import BlockferryError
from ledger.records import EntryFailure, Proof, Verdict
from service import telemetry
from service.backoff import Backoff
from service.concurrency import AdaptiveThreads
from stores.base import Sink, Source
from stores.location import Location
from verifier.batch import ProofBatch, ProvedBatch
from verifier.expect import Question
from verifier.prove import EntryProof, ProofBench, cancelled, prove
from verifier.sweep import groups, sweep

LOG = logging.getLogger("blockferry.verifier")
T = TypeVar("T")
R = TypeVar("R")
OpenSource = Callable[[Location], Source]
OpenSink = Callable[[Location], Sink]
THREADS = 32  # per process, at most: a proof is mostly waiting for the answers of two stores
READERS = 8  # of them, those that may read content at the same time
_REMEMBERED = 256  # ids of batches that were cancelled: the word may come before its batch
_Ends = tuple[Location, Location]


@dataclass(slots=True)
class _OpenStores:
    source: Source
    sink: Sink
    user_count: int = 0


class StoreShelf:
    """The stores of the last jobs, open. Keeps `kept_count` pairs that nobody uses; closes what was unused longest."""

    def __init__(self, open_source: OpenSource, open_sink: OpenSink, kept_count: int = 4) -> None:
        self._open_source = open_source
        self._open_sink = open_sink
        self._kept_count = kept_count
        self._lock = threading.Lock()
        self._pairs: dict[_Ends, _OpenStores] = {}

    @contextmanager
    def lend(self, source: Location, destination: Location) -> Iterator[tuple[Source, Sink]]:
        """Lends the stores of both ends. Raises what opening them raises."""
        ends = (source, destination)
        with self._lock:
            pair = self._pairs.pop(ends, None) or self._open(source, destination)
            self._pairs[ends] = pair  # at the end: used last
            pair.user_count += 1
        try:
            yield pair.source, pair.sink
        finally:
            with self._lock:
                pair.user_count -= 1
                self._close_unused(self._kept_count)

    def _open(self, source: Location, destination: Location) -> _OpenStores:
        opened = self._open_source(source)
        try:
            return _OpenStores(opened, self._open_sink(destination))
        except BaseException:
            opened.close()
            raise

    def close(self) -> None:
        """Closes what nobody uses."""
        with self._lock:
            self._close_unused(0)

    def _close_unused(self, keep_count: int) -> None:
        unused = [ends for ends, pair in self._pairs.items() if pair.user_count == 0]
        for ends in unused[: max(0, len(unused) - keep_count)]:
            pair = self._pairs.pop(ends)
            pair.source.close()
            pair.sink.close()


class Crew:
    """Threads that prove the entries of batches. Several batches may be proved at once."""

    def __init__(self, shelf: StoreShelf, thread_count: int, backoff: Backoff | None = None) -> None:
        self._shelf = shelf
        self._backoff = backoff or Backoff()
        self._threads = AdaptiveThreads(thread_count, "prove")
        self._readers = threading.Semaphore(READERS)
        self._lock = threading.Lock()
        self._stops: dict[str, threading.Event] = {}
        self._cancelled: deque[str] = deque(maxlen=_REMEMBERED)

    def prove(self, batch: ProofBatch, carrier: Mapping[str, str]) -> ProvedBatch:
        """Returns a proof per question. Blocks.

        Args:
            batch: is not known under its id to a batch that runs.
            carrier: the caller's span, see `service.telemetry`.

        Raises:
            BlockferryError: an error of the whole batch, see `verifier.prove.prove`.
        """
        stop = threading.Event()
        with self._lock:
            self._stops[batch.batch_id] = stop
            if batch.batch_id in self._cancelled:
                stop.set()
        try:
            with self._shelf.lend(batch.source, batch.destination) as (source, sink):
                bench = ProofBench(source, sink, batch.claims_trusted, self._backoff, stop, self._readers)
                with telemetry.attached(carrier):
                    return self._prove(bench, batch)
        finally:
            with self._lock:
                del self._stops[batch.batch_id]

    def cancel(self, batch_id: str) -> None:
        """Stops a batch soon; its `prove` raises. Also one that has not begun; no error when it has ended."""
        with self._lock:
            stop = self._stops.get(batch_id)
            self._cancelled.append(batch_id)
        if stop is not None:
            stop.set()

    def close(self) -> None:
        """Stops everything, waits for the threads and closes the stores."""
        with self._lock:
            stops = tuple(self._stops.values())
        for stop in stops:
            stop.set()
        self._threads.close(wait=True)
        self._shelf.close()

    def _prove(self, bench: ProofBench, batch: ProofBatch) -> ProvedBatch:
        proofs: dict[str, EntryProof] = {}
        if batch.claims_trusted:
            for swept in self._all(bench, partial(_sweep, bench), groups(batch.questions)):
                proofs |= swept
        left = [question for question in batch.questions if question.entry.path not in proofs]
        asked = self._all(bench, partial(_prove_one, bench), left)
        proofs |= {question.entry.path: proof for question, proof in zip(left, asked, strict=True)}
        return ProvedBatch(tuple(proofs[question.entry.path] for question in batch.questions))

    def _all(self, bench: ProofBench, work: Callable[[T], R], items: Iterable[T]) -> list[R]:
        """Returns what `work` returns for the items. The first error stops the others in the middle."""

        def done(item: T) -> R:
            try:
                return work(item)
            except BaseException:
                bench.stop.set()
                raise

        found = self._threads.each(done, items)
        if bench.stop.is_set():
            raise cancelled()
        return found


def _sweep(bench: ProofBench, group: tuple[Question, ...]) -> dict[str, EntryProof]:
    """Returns what two listings prove of a group. After a fault of ours they prove nothing."""
    try:
        return sweep(bench, group)
    except BlockferryError:
        raise
    except Exception:
        LOG.exception('action="sweep_failed"')
        return {}


def _prove_one(bench: ProofBench, question: Question) -> EntryProof:
    """Returns the proof of one entry. A fault of ours fails the entry and not its neighbours."""
    try:
        return prove(bench, question)
    except BlockferryError:
        raise
    except Exception as error:
        LOG.exception('action="proof_failed"')
        path = question.entry.path
        message = f"{path!r} could not be proved by a fault of ours ({type(error).__name__}: {error})."
        failure = EntryFailure("INTERNAL", message, (("path", path),))
        return EntryProof(Verdict(path, Proof.NONE, question.size_bytes, failure=failure))
