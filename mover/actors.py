"""The Ray actors of the mover: the only file of this room that imports ray.

An actor is a process with the threads of `pool.THREADS`. It is started again when it dies (`max_restarts=-1`), and no
call is repeated by Ray itself (`max_task_retries=0`): `Pool` gives it to another actor and counts it. No data of a
file passes through Ray: an actor reads from the source and writes to the sink.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import cast

import ray
from ray.actor import ActorHandle
from ray.exceptions import RayActorError, RayTaskError

from blockferry.errors import BlockferryError
from mover.calls import Answer, Call, Errand, Lane
from mover.pool import THREADS
from mover.process import MoverProcess
from service import bell, telemetry
from stores.parcel import packed, unpacked

OBJECT_STORE_BYTES = 78_643_200  # Ray's least
SETTINGS = ("OTEL_", "BLOCKFERRY_")  # what an actor takes over from the service's environment


class MoverActor:
    """One process of the pool. A method per lane, because Ray ties a method to its threads. An order is the parcel of a
    call and its errand, what is returned that of an `Answer`."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        os.environ.update(settings)
        telemetry.setup("mover-actor", leaf=True)
        self._process = MoverProcess.over_any_store()

    @ray.method(concurrency_group=Lane.PARTS.value)
    def run_part(self, order: bytes, carrier: Mapping[str, str]) -> bytes:
        """Runs a call of the lane PARTS."""
        return self._run(order, carrier)

    @ray.method(concurrency_group=Lane.SMALL.value)
    def run_small(self, order: bytes, carrier: Mapping[str, str]) -> bytes:
        """Runs a call of the lane SMALL."""
        return self._run(order, carrier)

    @ray.method(concurrency_group=Lane.CONTROL.value)
    def run_control(self, order: bytes, carrier: Mapping[str, str]) -> bytes:
        """Runs a call of the lane CONTROL."""
        return self._run(order, carrier)

    # In the default group, which has one thread of its own: a stop waits for no call.
    def stop(self, run: str) -> None:
        """Makes the calls of a run end soon."""
        self._process.stop(run)

    def pid(self) -> int:
        """Returns the process id."""
        return os.getpid()

    def _run(self, order: bytes, carrier: Mapping[str, str]) -> bytes:
        call, errand = cast(tuple[Call, Errand], unpacked(order))
        return packed(self._process.run(call, errand, carrier))


class RayHand:
    """A hand that is an actor."""

    def __init__(self, actor: ActorHandle[MoverActor]) -> None:
        self._actor = actor
        self._methods = {
            Lane.PARTS: actor.run_part,
            Lane.SMALL: actor.run_small,
            Lane.CONTROL: actor.run_control,
        }

    async def run(self, call: Call, errand: Errand, carrier: Mapping[str, str]) -> Answer:
        """Returns the actor's answer. Raises WORKER_LOST when it died over the call or could not be reached."""
        try:
            answer = await self._methods[call.lane].remote(packed((call, errand)), dict(carrier))
        except RayTaskError as error:
            raise _cause(error) from None
        except RayActorError as error:
            text = f"A process of the mover was lost while it ran {type(call).__name__}: {error}"
            raise BlockferryError("WORKER_LOST", text, retryable=True, call=type(call).__name__) from error
        return cast(Answer, unpacked(answer))

    async def stop(self, run: str) -> None:
        """Tells the actor. One that is gone has nothing to stop."""
        try:
            await self._actor.stop.remote(run)
        except RayActorError:
            return

    async def pid(self) -> int:
        """Returns the actor's process id."""
        pid: int = await self._actor.pid.remote()
        return pid


def _cause(error: RayTaskError) -> Exception:
    cause = error.cause
    return cause if isinstance(cause, BlockferryError) else error


def start_hands(count: int) -> tuple[RayHand, ...]:
    """Starts so many actors, in the cluster that `RAY_ADDRESS` names or else in one of this process alone, and returns
    when all are ready. Ends with `stop_ray`."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    bell.ring_for_ray()
    if address := os.environ.get("RAY_ADDRESS"):
        ray.init(address=address, namespace="blockferry", log_to_driver=False, configure_logging=False)
    else:
        _start_local(count)
    settings = {name: value for name, value in os.environ.items() if name.startswith(SETTINGS)}
    actors = [_new_actor(settings) for _ in range(count)]
    ray.get([actor.pid.remote() for actor in actors])
    return tuple(RayHand(actor) for actor in actors)


def _new_actor(settings: Mapping[str, str]) -> ActorHandle[MoverActor]:
    groups = {lane.value: count for lane, count in THREADS.items()}
    # Ray's type hints do not know the argument concurrency_groups.
    decorate = ray.remote(  # type: ignore[call-overload]
        num_cpus=1, max_restarts=-1, max_task_retries=0, scheduling_strategy="SPREAD", concurrency_groups=groups
    )
    actor: ActorHandle[MoverActor] = decorate(MoverActor).remote(settings)
    return actor


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


def stop_ray() -> None:
    """Ends the actors, and the cluster where it is ours."""
    ray.shutdown()
