"""Who proves batches, as the orchestration sees it; and the pool of threads in this process. Knows no Ray."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from verifier.batch import ProofBatch, ProvedBatch
from verifier.crew import Crew


class Provers(Protocol):
    """A pool of provers. Its methods belong to one asyncio loop.

    Attributes:
        parallel_count: how many batches are proved at once; more would wait.
    """

    parallel_count: int

    async def start(self) -> None:
        """Makes the provers ready. Called once, before all others."""
        ...

    async def prove(self, batch: ProofBatch, carrier: Mapping[str, str]) -> ProvedBatch:
        """Returns the proofs of a batch; when it is cancelled, the work stops soon.

        Raises:
            BlockferryError: an error of the whole batch.
        """
        ...

    async def close(self) -> None:
        """Ends the provers."""
        ...


class ThreadProvers:
    """Provers in this process."""

    def __init__(self, crew: Crew, parallel_count: int = 2) -> None:
        self.parallel_count = parallel_count
        self._crew = crew
        self._callers = ThreadPoolExecutor(parallel_count, thread_name_prefix="batch")

    async def start(self) -> None:
        """Has nothing to do."""

    async def prove(self, batch: ProofBatch, carrier: Mapping[str, str]) -> ProvedBatch:
        """Returns the proofs of a batch."""
        work = asyncio.get_running_loop().run_in_executor(self._callers, self._crew.prove, batch, carrier)
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            self._crew.cancel(batch.batch_id)
            work.cancel()  # if it still waits for a thread
            work.add_done_callback(_retrieve)
            raise

    async def close(self) -> None:
        """Stops all batches and waits for their threads."""
        await asyncio.to_thread(self._crew.close)
        self._callers.shutdown()


def _retrieve(work: asyncio.Future[ProvedBatch]) -> None:
    # Nobody waits for it any more; asyncio would log its error as forgotten.
    if not work.cancelled():
        work.exception()
