"""What a large installation would do: a discrete-event model of one execution, fed with measured costs.

    python -m bench.model [--files 100000000] [--workers 1,2,4,...,128] [--moving-shards N] [--namenode-cores 8] ...

PURE but for `main`. Shards leave the scanner one after the other; each is cut into batches; a batch passes the mover's
process, the NameNode and one of the actors; when all batches of a shard are moved, the shard is verified in the same
way. At most so many shards are moved and verified at once. Every part is a queue with servers (a process of ours: one,
as Python runs one thread at a time). What is printed: files per second, the time for all files, how busy each part is,
and which one is the limit. A rate is simulated over `SIMULATED_SHARDS` shards and carried on: the rest is more of the
same.

Not in the model: waits (a store far away needs more threads, not more processors), retries, stragglers, and everything
that one machine's processes take from each other.
"""

from __future__ import annotations

import argparse
import heapq
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import count

SHARD_FILES = 2_000  # scanner/cut.py
BATCH_FILES = 64  # mover/batches.py
SIMULATED_SHARDS = 400


@dataclass(frozen=True, slots=True)
class Costs:
    """CPU milliseconds per file of each part: `python -m bench.first_run --target null`, 4 KiB files (2026-11-21).

    `namenode` and `datanode` are what these servers use for one file's move and proof.
    """

    scanner: float = 0.04
    scheduler: float = 0.02
    mover: float = 0.07
    actor: float = 0.77
    verifier: float = 0.12
    prover: float = 0.10
    namenode: float = 0.06
    datanode: float = 0.37


@dataclass(frozen=True, slots=True)
class Plant:
    """How much there is of each part.

    Attributes:
        actors, provers: processes of the mover and of the verifier.
        moving, verifying: shards at once (`--moving-shards`, `--verifying-shards` of the scheduler).
        namenode_cores, datanode_cores: processors of the source, of all DataNodes together.
        store_puts_per_s: what the store takes; 0: no limit.
    """

    actors: int
    provers: int
    moving: int
    verifying: int
    namenode_cores: int = 8
    datanode_cores: int = 64
    store_puts_per_s: float = 0.0


@dataclass(slots=True)
class Station:
    """A queue, first come first served, with `servers` that work at the same time. Times in seconds."""

    name: str
    servers: int
    busy_s: float = 0.0
    _working: int = 0
    _waiting: deque[tuple[float, Callable[[], None]]] = field(default_factory=deque)

    def ask(self, clock: Clock, work_s: float, then: Callable[[], None]) -> None:
        """Has `work_s` done, and calls `then` when it is."""
        if self._working == self.servers:
            self._waiting.append((work_s, then))
            return
        self._working += 1
        self.busy_s += work_s
        clock.after(work_s, lambda: self._done(clock, then))

    def _done(self, clock: Clock, then: Callable[[], None]) -> None:
        self._working -= 1
        if self._waiting:
            self.ask(clock, *self._waiting.popleft())
        then()


class Clock:
    """The time of a simulation, and what happens when."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()

    def after(self, delay_s: float, action: Callable[[], None]) -> None:
        """Lets `action` happen later. What happens at the same time keeps its order."""
        heapq.heappush(self._events, (self.now_s + delay_s, next(self._numbers), action))

    def run(self) -> None:
        """Runs until nothing is left to happen."""
        while self._events:
            self.now_s, _, action = heapq.heappop(self._events)
            action()


@dataclass(frozen=True, slots=True)
class Outcome:
    """Files per second, and the share of the time in which the servers of each part worked, most first."""

    files_per_s: float
    busy: Mapping[str, float]

    @property
    def limit(self) -> str:
        """Returns the part that was busiest."""
        return next(iter(self.busy))


class _Phase:
    """Moving, or verifying: takes shards, at most `places` at once, and passes their batches through stations."""

    def __init__(
        self, clock: Clock, places: int, steps: tuple[tuple[Station, float], ...], then: Callable[[], None]
    ) -> None:
        self._clock = clock
        self._free = places
        self._steps = steps
        self._then = then
        self._waiting = 0

    def take(self) -> None:
        """Takes a shard."""
        self._waiting += 1
        self._begin()

    def _begin(self) -> None:
        if not self._free or not self._waiting:
            return
        self._free, self._waiting = self._free - 1, self._waiting - 1
        sizes = [min(BATCH_FILES, SHARD_FILES - at) for at in range(0, SHARD_FILES, BATCH_FILES)]
        left = count(len(sizes) - 1, -1)

        def batch_done() -> None:
            if next(left) == 0:
                self._free += 1
                self._then()
                self._begin()

        for size in sizes:
            self._pass(size, 0, batch_done)

    def _pass(self, size: int, step: int, done: Callable[[], None]) -> None:
        if step == len(self._steps):
            done()
            return
        station, cost_ms = self._steps[step]
        station.ask(self._clock, size * cost_ms / 1000, lambda: self._pass(size, step + 1, done))


def simulated(plant: Plant, costs: Costs, shards: int = SIMULATED_SHARDS) -> Outcome:
    """Returns what a plant does with so many shards of `SHARD_FILES` small files each."""
    clock = Clock()
    scanner, scheduler = Station("scanner", 1), Station("scheduler", 1)
    mover, verifier = Station("mover", 1), Station("verifier", 1)
    actors, provers = Station("mover's actors", plant.actors), Station("verifier's actors", plant.provers)
    namenode, datanodes = Station("NameNode", plant.namenode_cores), Station("DataNodes", plant.datanode_cores)
    store = Station("store", 1)
    put_ms = 1000 / plant.store_puts_per_s if plant.store_puts_per_s else 0.0
    proof = ((verifier, costs.verifier), (namenode, costs.namenode / 2), (provers, costs.prover))
    move = (
        *((mover, costs.mover), (namenode, costs.namenode / 2), (datanodes, costs.datanode)),
        *((actors, costs.actor), (store, put_ms)),
    )
    verifying = _Phase(clock, plant.verifying, proof, lambda: None)
    moving = _Phase(clock, plant.moving, move, verifying.take)

    def planned() -> None:
        scheduler.ask(clock, SHARD_FILES * costs.scheduler / 1000, moving.take)

    for _ in range(shards):
        scanner.ask(clock, SHARD_FILES * costs.scanner / 1000, planned)
    clock.run()
    stations = (scanner, scheduler, mover, actors, verifier, provers, namenode, datanodes, store)
    busy = {station.name: station.busy_s / station.servers / clock.now_s for station in stations}
    return Outcome(shards * SHARD_FILES / clock.now_s, dict(sorted(busy.items(), key=lambda pair: -pair[1])))


def table(outcomes: Iterable[tuple[Plant, Outcome]], files: int) -> str:
    """Returns the outcomes as Markdown."""
    lines = [
        f"| actors | provers | shards at once | files/s | hours for {files:,} | limit | busy: the first three |",
        "|---|---|---|---|---|---|---|",
    ]
    for plant, outcome in outcomes:
        first = ", ".join(f"{name} {share:.0%}" for name, share in list(outcome.busy.items())[:3])
        hours = files / outcome.files_per_s / 3600
        lines.append(
            f"| {plant.actors} | {plant.provers} | {plant.moving} | {outcome.files_per_s:,.0f} | {hours:,.1f} | "
            f"{outcome.limit} | {first} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Prints a table: one line per number of actors, with two shards at once and with as many as keep all busy."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=100_000_000)
    parser.add_argument("--workers", default="1,2,4,8,16,32,64,100", help="numbers of the mover's actors")
    parser.add_argument("--moving-shards", type=int, default=0, help="0: two, and then as many as keep all actors busy")
    parser.add_argument("--namenode-cores", type=int, default=8)
    parser.add_argument("--datanode-cores", type=int, default=64)
    parser.add_argument("--store-puts-per-s", type=float, default=0.0, help="0: no limit")
    asked = parser.parse_args()
    outcomes = []
    for actors in (int(word) for word in asked.workers.split(",")):
        many = max(2, -(-actors * 3 * BATCH_FILES // SHARD_FILES) + 1)  # three batches for each actor
        for shards in dict.fromkeys((asked.moving_shards,) if asked.moving_shards else (2, many)):
            plant = Plant(actors, max(1, actors // 2), shards, shards, asked.namenode_cores, asked.datanode_cores)
            plant = replace(plant, store_puts_per_s=asked.store_puts_per_s)
            outcomes.append((plant, simulated(plant, Costs())))
    print(table(outcomes, asked.files))


if __name__ == "__main__":
    main()
