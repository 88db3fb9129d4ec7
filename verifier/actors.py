"""The Ray actors of the verifier: the only file of this room that imports ray.

An actor is a process with a `Crew`. It is started again whenever it dies (`max_restarts=-1`); the batch that it had is
given again, here and not by Ray, so that the tries are bounded. Proofs only read, so a batch may be proved twice. No
content of a file passes through Ray.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
from collections.abc import Mapping
from typing import cast

import ray
from opentelemetry import trace
from ray.actor import ActorClass, ActorHandle
from ray.exceptions import RayError, RayTaskError

from blockferry.errors import BlockferryError
from service import bell, telemetry
from service.backoff import Backoff
from stores.opening import open_sink, open_source
from stores.parcel import packed, unpacked
from verifier.batch import ProofBatch, ProvedBatch
from verifier.crew import THREADS, Crew, StoreShelf

LOG = logging.getLogger("blockferry.verifier")
OBJECT_STORE_BYTES = 78_643_200  # Ray's least
LOST_ACTOR = Backoff(base_s=1.0, ceiling_s=10.0, attempts=6)  # an actor is back within a few seconds
_SETTINGS = ("OTEL_", "BLOCKFERRY_")  # what an actor takes over from the service's environment
_TRACER = trace.get_tracer("blockferry.verifier")


class ProverActor:
    """One process of the pool. It has one batch at a time."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        os.environ.update(settings)
        telemetry.setup("verifier-actor", leaf=True)
        self._crew = Crew(StoreShelf(open_source, open_sink), THREADS)

    @ray.method(concurrency_group="proof")
    def prove(self, batch: bytes, carrier: Mapping[str, str]) -> bytes:
        """Returns the proofs of a batch, or what failed all of it: as a value, because Ray rebuilds what is raised as
        an error of its own. Both are parcels: of a `ProofBatch`; of a `ProvedBatch` or a `BlockferryError`."""
        try:
            with telemetry.attached(carrier), _TRACER.start_as_current_span("verify batch"):
                return packed(self._crew.prove(cast(ProofBatch, unpacked(batch)), telemetry.carrier()))
        except BlockferryError as error:
            return packed(error)
        finally:
            telemetry.flush()  # a process that is killed takes with it what it has not sent

    # In the default group, which has a thread of its own: it waits for no batch.
    @ray.method
    def cancel(self, batch_id: str) -> None:
        """Stops a batch soon."""
        self._crew.cancel(batch_id)

    @ray.method
    def pid(self) -> int:
        """Returns the process id."""
        return os.getpid()


# No CPU is reserved: beside the mover's actors in one cluster a proof would wait for ever for a free one.
_ACTOR_OPTIONS = {
    "num_cpus": 0,
    "max_restarts": -1,
    "max_task_retries": 0,
    "scheduling_strategy": "SPREAD",
    "concurrency_groups": {"proof": 1},
}


class RayProvers:
    """Provers that are actors, in the cluster that `RAY_ADDRESS` names, or else in one of this process alone."""

    def __init__(self, actor_count: int) -> None:
        self.parallel_count = actor_count
        self._free: asyncio.Queue[ActorHandle[ProverActor]] = asyncio.Queue()
        self._actors: tuple[ActorHandle[ProverActor], ...] = ()

    async def start(self) -> None:
        """Starts the actors and returns when all are ready. Raises POOL_FAILED."""
        try:
            self._actors = await asyncio.to_thread(_start, self.parallel_count)
        except (RayError, OSError, RuntimeError, ConnectionError) as error:
            raise BlockferryError(
                "POOL_FAILED",
                f"The verifier's processes cannot be started ({error}): check RAY_ADDRESS, the memory and the disk.",
                retryable=True,
            ) from error
        for actor in self._actors:
            self._free.put_nowait(actor)

    async def prove(self, batch: ProofBatch, carrier: Mapping[str, str]) -> ProvedBatch:
        """Returns the proofs of a batch. Raises WORKER_LOST when actor after actor died over it, or Ray itself."""
        for attempt in range(1, LOST_ACTOR.attempts + 1):
            try:
                return await self._prove(batch, carrier)
            except RayError as error:
                LOG.warning('action="actor_lost" attempt=%d error="%s"', attempt, str(error).replace("\n", " "))
                if attempt == LOST_ACTOR.attempts:
                    raise _worker_lost(batch, attempt) from error
            await asyncio.sleep(LOST_ACTOR.delay_s(attempt, random.random()))  # noqa: S311 - jitter, no secret
        raise AssertionError("the last attempt returns or raises")

    async def pids(self) -> tuple[int, ...]:
        """Returns the process ids of the actors."""
        return tuple([await actor.pid.remote() for actor in self._actors])

    async def close(self) -> None:
        """Ends the actors, and the cluster where it is ours."""
        await asyncio.to_thread(ray.shutdown)

    async def _prove(self, batch: ProofBatch, carrier: Mapping[str, str]) -> ProvedBatch:
        actor = await self._free.get()
        try:
            answer = unpacked(await actor.prove.remote(packed(batch), dict(carrier)))
        except RayTaskError as error:  # a fault of ours: Ray hides it in an error of its own
            raise error.cause from error
        except asyncio.CancelledError:
            actor.cancel.remote(batch.batch_id)
            raise
        finally:
            self._free.put_nowait(actor)
        if isinstance(answer, BlockferryError):
            raise answer
        return cast(ProvedBatch, answer)


def _worker_lost(batch: ProofBatch, attempts: int) -> BlockferryError:
    return BlockferryError(
        "WORKER_LOST",
        f"{attempts} processes of the verifier were lost over the same {len(batch.questions)} entries: look for the "
        "reason in the system's log (memory?), see that Ray runs, and call again.",
        retryable=True,
        first_path=batch.questions[0].entry.path,
    )


def _start(count: int) -> tuple[ActorHandle[ProverActor], ...]:
    ray.shutdown()  # what is left of a start that failed
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    bell.ring_for_ray()
    if address := os.environ.get("RAY_ADDRESS"):
        ray.init(address=address, namespace="blockferry", log_to_driver=False, configure_logging=False)
    else:
        _start_local(count)
    settings = {name: value for name, value in os.environ.items() if name.startswith(_SETTINGS)}
    # Ray's types know the options of functions only.
    actor_class = cast("ActorClass[ProverActor]", ray.remote(**_ACTOR_OPTIONS)(ProverActor))  # type: ignore[call-overload]
    actors = tuple(cast("ActorHandle[ProverActor]", actor_class.remote(settings)) for _ in range(count))
    ray.get([actor.pid.remote() for actor in actors], timeout=120)
    return actors


def _start_local(count: int) -> None:
    # Ray takes a loopback address for itself only when it is told so, by a switch that is named after other systems.
    os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    ray.init(
        address="local",
        _node_ip_address="127.0.0.1",
        num_cpus=count,
        object_store_memory=OBJECT_STORE_BYTES,
        include_dashboard=False,
        log_to_driver=False,
        configure_logging=False,
        namespace="blockferry",
    )
