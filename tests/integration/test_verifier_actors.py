"""Real Ray actors of the verifier: they prove, they are lost and come back, and they stop when nobody waits."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from ray.exceptions import RayActorError

from blockferry.errors import BlockferryError
from ledger.records import Action, EntryFailure, PlanEntry, Proof, Receipt, Why
from stores.base import Kind, Stat
from stores.checksum import Algorithm, Checksum
from stores.location import HdfsLocation, S3Location
from tests.support.ports import free_port
from tests.support.served import served
from verifier.actors import RayProvers
from verifier.batch import ProofBatch
from verifier.expect import Question

DEADLINE_S = 120.0


def one_sided(count: int) -> tuple[Question, ...]:
    """Questions whose answer is in the plan: no store is asked."""
    failure = EntryFailure("FILE_EXTRA", "extra")
    return tuple(
        Question(PlanEntry(f"f{number}", Action.EXTRA, Why.ONE_SIDED, None, None, failure)) for number in range(count)
    )


def transferred(count: int) -> tuple[Question, ...]:
    checksum = Checksum(Algorithm.CRC32C, 1)
    return tuple(
        Question(
            PlanEntry(f"f{number}", Action.COPY, Why.NEW, Stat(f"f{number}", Kind.FILE, 1, 1)),
            Receipt(f"f{number}", Action.COPY, 1, checksum=checksum),
        )
        for number in range(count)
    )


def batch(batch_id: str, questions: tuple[Question, ...], store_port: int = 0) -> ProofBatch:
    """A batch whose bucket has the batch's name, at stores where nobody listens, but for the object store's port if one
    is given."""
    port = free_port()
    source = HdfsLocation((f"127.0.0.1:{port}",), "/data", "tester")
    destination = S3Location(batch_id, endpoint=f"http://127.0.0.1:{store_port or port}", region="us-east-1")
    return ProofBatch(batch_id, source, destination, True, questions)


class BusyStore(ThreadingHTTPServer):
    """Tells everybody to ask again in an hour."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Later)
        self._told = threading.Condition()
        self._buckets: set[str] = set()

    def note(self, bucket: str) -> None:
        with self._told:
            self._buckets.add(bucket)
            self._told.notify_all()

    def wait_for(self, *buckets: str) -> None:
        """Returns when somebody who wants something of each bucket was told."""
        with self._told:
            assert self._told.wait_for(lambda: self._buckets.issuperset(buckets), DEADLINE_S)


class _Later(BaseHTTPRequestHandler):
    def _answer(self) -> None:
        assert isinstance(self.server, BusyStore)
        self.send_response(503)
        self.send_header("Retry-After", "3600")
        self.end_headers()
        self.server.note(self.path.strip("/").split("/")[0].split("?")[0])

    do_GET = do_HEAD = _answer

    def log_message(self, format: str, *args: object) -> None:
        """Keeps quiet."""


@asynccontextmanager
async def provers(count: int) -> AsyncIterator[RayProvers]:
    pool = RayProvers(count)
    await pool.start()
    try:
        yield pool
    finally:
        await pool.close()


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys that no store knows, for clients that want some before they call."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")


def test_actors_prove_survive_and_stop() -> None:
    """One test for one start of Ray, which takes seconds."""

    async def run() -> None:
        async with provers(2) as pool:
            await _batches_come_back_in_order(pool)
            await _killed_actors_come_back(pool)
            await _unreachable_store_fails_the_batch(pool)
            await _cancelled_batch_frees_its_actor(pool)

    asyncio.run(asyncio.wait_for(run(), DEADLINE_S))


async def _batches_come_back_in_order(pool: RayProvers) -> None:
    proved = await asyncio.gather(*(pool.prove(batch(f"o{n}", one_sided(5 + n)), {}) for n in range(6)))
    for number, answer in enumerate(proved):
        verdicts = [proof.verdict for proof in answer.proofs]
        assert [verdict.path for verdict in verdicts] == [f"f{n}" for n in range(5 + number)]
        assert {verdict.proof for verdict in verdicts} == {Proof.NONE}


async def _killed_actors_come_back(pool: RayProvers) -> None:
    before = await pool.pids()
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    proved = await asyncio.gather(*(pool.prove(batch(f"k{n}", one_sided(3)), {}) for n in range(4)))
    assert all(len(answer.proofs) == 3 for answer in proved)
    assert set(await _pids_of_living(pool)).isdisjoint(before)


async def _pids_of_living(pool: RayProvers) -> tuple[int, ...]:
    """Waits until all actors are back. The test's deadline bounds it."""
    while True:
        try:
            return await pool.pids()
        except RayActorError:
            await asyncio.sleep(0.1)


async def _unreachable_store_fails_the_batch(pool: RayProvers) -> None:
    with pytest.raises(BlockferryError) as caught:
        await pool.prove(batch("u", transferred(20)), {})
    assert caught.value.retryable
    assert caught.value.coordinates


async def _cancelled_batch_frees_its_actor(pool: RayProvers) -> None:
    with served(BusyStore()) as store:
        batches = [batch(f"bucket-{n}", transferred(200), store.server_port) for n in range(2)]
        running = [asyncio.create_task(pool.prove(one, {})) for one in batches]
        await asyncio.to_thread(store.wait_for, "bucket-0", "bucket-1")
        for task in running:
            task.cancel()
        await asyncio.wait(running)
        # within the test's deadline, long before the store wants to be asked again
        await asyncio.gather(*(pool.prove(batch(f"d{n}", one_sided(1)), {}) for n in range(2)))
