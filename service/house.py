"""The whole house on one machine: Ray and the four services as processes, started again when one dies.

Ray's head is a child of its own. The services are forked by a fork server, which is a child too
(docs/decisions/2026-11-21-services-by-fork.md).

Knows how the services are started and nothing of what they do.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import math
import os
import random
import secrets
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from blockferry.errors import BlockferryError, Whose
from service import bell, telemetry
from service.child import Child, ChildPlan
from service.forked import Forked, ForkServer

LOG = logging.getLogger("blockferry.house")
READY_S = 120.0  # how long a start may take on a busy machine
LOOK_S = 0.2  # how often children are looked at
STOP_S = 25.0  # a little more than a service's own drain
HANDS_COST_S = 1.0  # what the mover's processes cost until they are warm: sessions, connections, buffers
SPARE = 0.5  # idle processors that make more processes worth while
HAND = "hand-"  # and a number: a process of the mover
MOST_DEATHS = 10  # of one child within a minute: then something is wrong that a restart does not cure
STORES = ("stores.hdfs.source", "stores.s3")  # what all workers import with their first call: a quarter of a second
# Below the range from which the kernel takes ports of outgoing connections, so that none is taken meanwhile.
PORTS = range(20_000, 32_000)


@dataclass(frozen=True, slots=True)
class HouseOptions:
    """How the house is run.

    Attributes:
        state: folder of the database, the ledgers and the logs.
        listen: `HOST:PORT` of the public API; port 0 takes a free one.
        database_url: SQLAlchemy URL; empty: SQLite in the state folder.
        actor_count: Ray actors of the mover; 0: one per processor. The verifier has half as many: proving a file costs
            half of moving it (docs/benchmarks.md), and each actor costs about a CPU second at the start.
        trace_file: where spans are appended as JSON lines; empty: nowhere.
        patience_s: what it costs to start Ray and actors. 0: they are there from the start. Else the mover begins in
            its own process and goes on in processes of this machine, which are forked when there is enough to do; the
            verifier works in its own process until actors would have won their start back (`break_even_s`).
        spare: how many processors are to be idle before the mover's processes are forked; 0: of no matter.
    """

    state: Path
    listen: str = "127.0.0.1:0"
    database_url: str = ""
    actor_count: int = 0
    trace_file: str = ""
    patience_s: float = 0.0
    spare: float = SPARE


class House:
    """Starts, watches and ends the services. Use as a context manager.

    All children are started by one thread, which lives as long as they: the kernel ends a child whose parent thread
    is gone.
    """

    def __init__(self, options: HouseOptions) -> None:
        self._options = options
        self._children: dict[str, Child | ForkServer | Forked] = {}
        self._deaths: dict[str, list[float]] = {}
        self._stopping = threading.Event()
        self._ready = threading.Event()
        self._failure: BlockferryError | None = None
        self._on_call: dict[str, tuple[str, ...]] = {}  # by the bell that they have not heard yet
        self._sockets: tempfile.TemporaryDirectory[str] | None = None
        self._thread = threading.Thread(target=self._run, name="house", daemon=True)
        self._lock: TextIO | None = None
        self.address = _with_port(options.listen)
        self.restart_count = 0

    def __enter__(self) -> House:
        try:
            self.start()
        except BaseException:  # Ctrl-C while it starts: nothing is left behind
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Starts everything and waits until the public API can be called.

        Raises:
            BlockferryError: STATE_IN_USE, STATE_UNWRITABLE, SERVICE_FAILED with the end of the log.
        """
        self._lock = _lock(self._options.state)
        self._thread.start()
        self._ready.wait(READY_S)
        if self._failure is None and not self._ready.is_set():
            self._failure = BlockferryError(
                "SERVICE_FAILED", f"The services were not ready after {READY_S:.0f} s: see {self.logs}.", logs=self.logs
            )
        if self._failure is not None:
            raise self._failure

    @property
    def logs(self) -> Path:
        """Folder of the children's logs."""
        return self._options.state / "logs"

    def _log(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    @property
    def _hand_names(self) -> tuple[str, ...]:
        return tuple(name for name in self._children if name.startswith(HAND))

    def _bell(self, variable: str) -> Path:
        return self._options.state.absolute() / f"{variable.lower()}.rung"

    @property
    def failure(self) -> BlockferryError | None:
        """Why the house gave up; None while it runs."""
        return self._failure

    def pid(self, name: str) -> int:
        """Returns the present process id of `ray`, `forkserver`, `scheduler`, `scanner`, `mover` or `verifier`."""
        return self._children[name].pid

    def wait(self, timeout_s: float | None = None) -> None:
        """Waits until the house ends by itself (see `failure`) or `stop` is called."""
        self._stopping.wait(timeout_s)

    def ask_to_stop(self) -> None:
        """Ends `wait`; `stop` does the rest. Safe in a signal handler."""
        self._stopping.set()

    def stop(self) -> None:
        """Drains and ends everything. May be called twice."""
        self._stopping.set()
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join(2 * STOP_S)
        if self._sockets is not None:
            self._sockets.cleanup()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _run(self) -> None:
        try:
            self._start_all()
            while not self._stopping.wait(LOOK_S):
                self._look()
        except BlockferryError as error:
            self._failure = error
        finally:
            self._ready.set()
            self._stopping.set()
            self._end_all()

    def _start_all(self) -> None:
        self.logs.mkdir(parents=True, exist_ok=True)
        environment = self._environment()
        ray, *forked = self._plans(environment["RAY_ADDRESS"])
        services = [plan for plan in forked if not plan.name.startswith(HAND)]
        scheduler, *workers = (plan.module for plan in services)
        server = ForkServer(self._log("forkserver"), environment, (scheduler, *STORES, *workers))
        self._children = {
            "ray": Child(ray, self._log("ray"), environment),
            "forkserver": server,  # looked at before what it has forked
            **{plan.name: Forked(plan, self._log(plan.name), server) for plan in forked},
        }
        if self._options.patience_s:
            self._on_call = {bell.RAY: ("ray",), bell.HANDS: self._hand_names}
        on_call = {name for names in self._on_call.values() for name in names}
        for name, child in self._children.items():
            if name not in on_call:
                child.start()
        waiting = {plan.name for plan in services}
        until = time.monotonic() + READY_S
        while waiting and time.monotonic() < until and not self._stopping.is_set():
            waiting -= {name for name in waiting if self._children[name].is_ready()}
            self._look()
            self._stopping.wait(0.02)
        if not waiting:
            self._ready.set()

    def _environment(self) -> dict[str, str]:
        environment = dict(os.environ)
        environment.setdefault("RAY_AUTH_MODE", "token")
        environment.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
        environment["RAY_ADDRESS"] = f"127.0.0.1:{_free_port()}"
        if self._options.patience_s:
            for variable in (bell.RAY, bell.HANDS):
                self._bell(variable).unlink(missing_ok=True)
                environment[variable] = str(self._bell(variable))
        environment["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # see ray_head: keeps Ray on the loopback interface
        environment["RAY_USAGE_STATS_ENABLED"] = "0"
        if self._options.trace_file:
            environment[telemetry.TRACE_FILE] = str(Path(self._options.trace_file).absolute())
        return environment

    def _plans(self, ray_address: str) -> tuple[ChildPlan, ...]:
        state, actors = self._options.state.absolute(), self._options.actor_count or os.cpu_count() or 1
        scanner, mover, verifier = (f"127.0.0.1:{_free_port()}" for _ in range(3))
        ray_port = ray_address.rpartition(":")[2]
        provers = max(1, actors // 2)
        scheduler = (
            *("--database-url", self._options.database_url or f"sqlite:///{state / 'blockferry.db'}"),
            *("--ledger", str(state / "ledger")),
            *("--scanner", scanner, "--mover", mover, "--verifier", verifier),
        )
        ray = ("--port", ray_port, "--cpu-count", str(actors + provers))
        hands = self._hand_plans(actors) if self._options.patience_s else ()
        addresses = ("--hands", ",".join(hand.address for hand in hands)) if hands else ()
        cost_s = self._options.patience_s
        alone_s = break_even_s(min(cost_s, HANDS_COST_S), actors)
        mover_patience = ("--patience", f"{alone_s:g}", "--spare", f"{self._options.spare:g}")
        verifier_patience = ("--patience", f"{break_even_s(cost_s, provers):g}")
        return (
            ChildPlan("ray", "service.ray_head", ray, ray_address, speaks_health=False),
            _service("scheduler", self.address, *scheduler),
            _service("scanner", scanner),
            _service("mover", mover, "--actors", str(actors), *mover_patience, *addresses),
            _service("verifier", verifier, "--actors", str(provers), *verifier_patience),
            *hands,
        )

    def _hand_plans(self, count: int) -> tuple[ChildPlan, ...]:
        # Not in the state folder, whose path may be longer than a socket's may be.
        self._sockets = tempfile.TemporaryDirectory(prefix="blockferry-")
        addresses = [f"unix:{self._sockets.name}/{number}" for number in range(1, count + 1)]
        return tuple(
            ChildPlan(f"{HAND}{number}", "mover.hand", ("--listen", address), address)
            for number, address in enumerate(addresses, 1)
        )

    def _look(self) -> None:
        self._answer_bells()
        for name, child in self._children.items():
            if (code := child.exit_code()) is not None:
                self._revive(name, code)

    def _answer_bells(self) -> None:
        for variable, names in self._on_call.items():
            if names and self._bell(variable).exists():
                self._on_call[variable] = ()
                for name in names:
                    self._children[name].start()

    def _revive(self, name: str, code: int) -> None:
        child, now = self._children[name], time.monotonic()
        deaths = [death for death in self._deaths.get(name, []) if now - death < 60] + [now]
        self._deaths[name] = deaths
        if (len(deaths) > MOST_DEATHS and not name.startswith(HAND)) or (not self._ready.is_set() and len(deaths) > 2):
            text = f"The {name} ended {len(deaths)} times within a minute (exit code {code}). Its log ends with:\n"
            raise BlockferryError("SERVICE_FAILED", text + child.last_lines(), service=name, log=child.log)
        LOG.warning('action="child_died" name=%s exit_code=%d', name, code)
        self.restart_count += 1
        child.start()
        if name == "ray":  # their actors are gone with it
            for driver in ("mover", "verifier"):
                self._children[driver].signal(signal.SIGKILL)

    def _end_all(self) -> None:
        # Callers before those they call; Ray last, so that actors can end what they hold.
        workers = ("scanner", "mover", "verifier")
        for stage in (("scheduler",), workers, self._hand_names, ("ray", "forkserver")):
            for name in stage:
                if name in self._children:
                    self._children[name].signal(signal.SIGTERM)
            for name in stage:
                if name in self._children:
                    self._reap(name)

    def _reap(self, name: str) -> None:
        child = self._children[name]
        if not child.wait(STOP_S):
            LOG.warning('action="child_killed" name=%s', name)
            child.signal(signal.SIGKILL)
            child.wait(STOP_S)


def _service(name: str, address: str, *arguments: str) -> ChildPlan:
    return ChildPlan(name, f"{name}.__main__", ("--listen", address, *arguments), address)


def break_even_s(cost_s: float, actors: int) -> float:
    """PURE: returns after how many seconds in one process the work would have ended as soon by actors, whose start
    costs `cost_s`: where `t = cost_s + t / actors`. One actor wins nothing back: infinite, unless its start is free."""
    if actors > 1:
        return cost_s * actors / (actors - 1)
    return math.inf if cost_s else 0.0


def _lock(state: Path) -> TextIO:
    try:
        state.mkdir(parents=True, exist_ok=True)
        lock = (state / "lock").open("a+")
    except OSError as error:
        text = f"The state folder {state} cannot be written ({error.strerror}): choose another with --state."
        raise BlockferryError("STATE_UNWRITABLE", text, whose=Whose.CALLER, state=state) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        text = f"Another blockferry runs with the state folder {state}: wait for its end, or choose another (--state)."
        raise BlockferryError("STATE_IN_USE", text, whose=Whose.CALLER, state=state) from error
    return lock


def _with_port(listen: str) -> str:
    host, _, port = listen.rpartition(":")
    return listen if port != "0" else f"{host}:{_free_port()}"


def _free_port() -> int:
    for port in _candidates():
        with contextlib.closing(socket.socket()) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise BlockferryError("NO_FREE_PORT", "No free port between 20000 and 32000: end what listens there.")


def _candidates() -> Iterator[int]:
    return (random.choice(PORTS) for _ in range(1_000))  # noqa: S311 - no secret
