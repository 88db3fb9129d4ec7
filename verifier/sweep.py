"""Proves files that lie side by side by two listings, instead of two questions for each: 1,000 files by four requests.

What is known without a question: the store computed the checksum of what it accepted (it refuses false claims, which
was probed), and answered the ETag that names this content. Where a listing still shows that ETag and size, that content
is there. Where a listing of the source still shows what the plan saw, nothing has changed there. Whatever a listing
does not show just so is left to `verifier.prove`, which asks for it by itself and says what is wrong.

No listing shows attributes. They went with the same put; the first file of each folder is asked for in full, and where
it is not proved, its neighbours are asked for in full as well.

Memory: the stats of one group and one page of 1,000 entries.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from opentelemetry import trace

from blockferry.errors import BlockferryError
from ledger.records import Action, Proof, Receipt, Verdict
from service import telemetry
from stores.base import Kind, Lister, Stat
from verifier.expect import Question, source_change, vouched
from verifier.prove import EntryProof, ProofBench, cancelled, prove

# A page of each store costs as much as the questions for so many files (10 ms and 10 ms; 0.4 ms).
LEAST_COUNT = 50
_TRACER = trace.get_tracer("blockferry.verifier")


def groups(questions: Iterable[Question]) -> tuple[tuple[Question, ...], ...]:
    """Returns the questions that a listing may answer, by folder, where there are enough of them."""
    by_folder: dict[str, list[Question]] = {}
    for question in questions:
        if _shows_in_a_listing(question):
            by_folder.setdefault(_folder(question.entry.path), []).append(question)
    return tuple(tuple(group) for group in by_folder.values() if len(group) >= LEAST_COUNT)


def sweep(bench: ProofBench, group: tuple[Question, ...]) -> dict[str, EntryProof]:
    """Returns the proofs, by path, of those files of a group that are as they must be, and of the first one.

    Only where `bench.claims_trusted`.

    Raises:
        BlockferryError: as `prove`.
    """
    first, *rest = group
    sample = prove(bench, first)
    proofs = {first.entry.path: sample}
    if sample.verdict.failure is not None or sample.verdict.proof is not Proof.STORED_CHECKSUM:
        return proofs
    try:
        written = _listed(bench, bench.sink, first.entry.path, rest)
        sources = _listed(bench, bench.source, first.entry.path, rest)
    except BlockferryError:
        if bench.stop.is_set():
            raise
        return proofs  # asked for one by one, each is told what is wrong with it
    for question in rest:
        path = question.entry.path
        if proof := _proof(question, written.get(path), sources.get(path)):
            proofs[path] = proof
    return proofs


def _shows_in_a_listing(question: Question) -> bool:
    planned, receipt = question.entry.source, question.receipt
    if planned is None or receipt is None or question.entry.action is not Action.COPY:
        return False
    is_closed_file = planned.kind is Kind.FILE and not planned.condition.is_open
    return is_closed_file and receipt.action is Action.COPY and bool(receipt.etag) and receipt.checksum is not None


def _folder(path: str) -> str:
    return path[: path.rfind("/") + 1]


def _listed(bench: ProofBench, store: Lister, after: str, questions: list[Question]) -> dict[str, Stat]:
    """Returns what a store's listing of their folder shows of the questions' paths. Where it shows mostly other files,
    it is given up: a page is worth its price only with many of ours in it."""
    wanted = {question.entry.path for question in questions}
    last = questions[-1].entry.path
    found: dict[str, Stat] = {}
    pages = store.list_folder(_folder(after), after)
    for _ in range(2 + len(questions) // (5 * LEAST_COUNT)):
        if bench.stop.is_set():
            raise cancelled()
        page = next(pages, ())
        found.update((stat.path, stat) for stat in page if stat.path in wanted)
        if not page or len(found) == len(wanted) or page[-1].path > last:
            break
    return found


def _proof(question: Question, written: Stat | None, now: Stat | None) -> EntryProof | None:
    """Returns the proof of a file that both listings show as it must be, else None."""
    planned, receipt = question.entry.source, question.receipt
    if planned is None or receipt is None or written is None:
        return None
    if (written.kind, written.size_bytes, written.version) != (Kind.FILE, planned.size_bytes, receipt.etag):
        return None
    if source_change(planned, now) is not None:
        return None
    path, size_bytes, checksum, proof = planned.path, planned.size_bytes, receipt.checksum, Proof.STORED_CHECKSUM
    with telemetry.span(_TRACER, "verify object", {"path": path, "proof": proof, "size_bytes": size_bytes}):
        verdict = Verdict(path, proof, size_bytes, checksum, checksum, vouched(planned, receipt.source_proven))
        return EntryProof(verdict, seen=_seen(planned, receipt, written))


def _seen(planned: Stat, receipt: Receipt, written: Stat) -> Stat | None:
    """Returns a listed object with the attributes that went with its put; None where the listing shows that it was
    written again since, if only in another second."""
    if not receipt.written_ms or written.mtime_ms // 1000 != receipt.written_ms // 1000:
        return None
    return replace(written, attributes=planned.attributes)
