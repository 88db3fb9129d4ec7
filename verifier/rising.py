"""Proves in this process until that has taken as long as starting actors takes, then by actors. Knows no Ray.

An actor costs a CPU second before its first proof, this process's share of Ray half a one; 1,000 files that lie side by
side are proved here in a tenth of one. So the first work is done here, and who waits longer than `patience_s` in all
gets actors: at most twice what the better of both ways would have cost, without knowing what will come.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping

from verifier.batch import ProofBatch, ProvedBatch
from verifier.pool import Provers

LOG = logging.getLogger("blockferry.verifier")
PATIENCE_S = 3.0


class RisingProvers:
    """Two pools as one. For one asyncio loop."""

    def __init__(
        self, here: Provers, make_actors: Callable[[], Provers], actor_count: int, patience_s: float = PATIENCE_S
    ) -> None:
        """Starts nothing yet.

        Args:
            here: proves in this process.
            make_actors: makes the pool of actors; called by a thread, as it imports Ray.
            actor_count: of that pool.
            patience_s: seconds of proofs in this process, added up over batches, before actors are started; 0: with
                the first start.
        """
        self.parallel_count = max(here.parallel_count, actor_count)
        self._here = here
        self._make_actors = make_actors
        self._patience_s = patience_s
        self._left_s = patience_s
        self._rise: asyncio.Task[Provers] | None = None

    async def start(self) -> None:
        """Makes this process ready, and the actors too where there is no patience. Raises what their start raises."""
        await self._here.start()
        if self._patience_s <= 0:
            self._rise = asyncio.create_task(self._risen())
            await self._rise

    async def prove(self, batch: ProofBatch, carrier: Mapping[str, str]) -> ProvedBatch:
        """See `Provers.prove`."""
        if (actors := self._actors()) is not None:
            return await actors.prove(batch, carrier)
        clock = asyncio.get_running_loop().time
        begin_s = clock()
        try:
            return await self._here.prove(batch, carrier)
        finally:
            self._left_s -= clock() - begin_s
            if self._left_s <= 0 and self._rise is None:
                self._rise = asyncio.create_task(self._risen())

    async def close(self) -> None:
        """Ends both pools."""
        await self._here.close()
        if self._rise is not None:
            await asyncio.wait((self._rise,))
            if (actors := self._actors()) is not None:
                await actors.close()

    async def _risen(self) -> Provers:
        actors = await asyncio.to_thread(self._make_actors)
        await actors.start()
        return actors

    def _actors(self) -> Provers | None:
        """Returns the pool of actors once it is ready. After a start that failed, the patience begins anew."""
        if self._rise is None or not self._rise.done():
            return None
        if self._rise.cancelled() or (error := self._rise.exception()) is None:
            return None if self._rise.cancelled() else self._rise.result()
        LOG.warning('action="actors_not_started" error="%s"', error)
        self._rise, self._left_s = None, max(self._patience_s, PATIENCE_S)
        return None
