"""Runs commands and counts what all their processes use, whatever becomes of these.

A tree of processes is more than what is waited for: services are killed, daemons are adopted by others. So each run
gets a cgroup (version 2) of its own: the kernel counts its CPU exactly, of every process that ever was in it. Where
none can be made, /proc is read ten times a second: of each process the last value seen is kept, so that up to a tenth
of a second of each is missed.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import subprocess
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from itertools import count
from pathlib import Path
from typing import Protocol

from bench.peers.contract import Command, PeerFailed, PeerRun
from tests.support.processes import bound_to_us, tail, wait_for

SAMPLE_S = 0.1
RUN_S = 3600.0
LEFT_S = 10.0  # how long processes that are left over may take to end by themselves; their CPU counts
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_NUMBERS = count(1)
_ENDED = "ZX"
_PR_SET_CHILD_SUBREAPER = 36


class Group(Protocol):
    """A set of processes that grows by what its members start."""

    method: str

    def wrapped(self, arguments: Sequence[str]) -> tuple[str, ...]:
        """Returns the command that runs `arguments` inside the group."""

    def pids(self) -> tuple[int, ...]:
        """Returns the processes that run now."""

    def cpu_s(self) -> float:
        """Returns what all its processes have used so far, those that have ended too."""

    def close(self) -> None:
        """Ends the group; its processes have ended."""


@dataclass(slots=True)
class ControlGroup:
    """A cgroup of version 2 below our own."""

    folder: Path
    method: str = "cgroup"

    def wrapped(self, arguments: Sequence[str]) -> tuple[str, ...]:
        """Returns the command that enters the cgroup and becomes `arguments`."""
        return ("/bin/sh", "-c", 'echo $$ > "$0" && exec "$@"', str(self.folder / "cgroup.procs"), *arguments)

    def pids(self) -> tuple[int, ...]:
        """Returns the processes that run now."""
        return tuple(int(line) for line in (self.folder / "cgroup.procs").read_text().split())

    def cpu_s(self) -> float:
        """Returns the kernel's count."""
        return usage_s((self.folder / "cpu.stat").read_text())

    def close(self) -> None:
        """Removes the cgroup when the last thread is gone: a process whose first thread has ended is not listed."""
        wait_for("a run's last thread to end", self._is_removed, deadline_s=LEFT_S)

    def _is_removed(self) -> bool:
        self.folder.rmdir()
        return True


def usage_s(cpu_stat: str) -> float:
    """PURE: returns usage_usec of a cgroup's cpu.stat, in seconds."""
    return next(int(line.split()[1]) for line in cpu_stat.splitlines() if line.startswith("usage_usec")) / 1e6


@dataclass(frozen=True, slots=True)
class Seen:
    """A process as /proc/PID/stat shows it. The start makes it unique: ids are used again."""

    pid: int
    state: str
    parent: int
    session: int
    start_ticks: int
    cpu_ticks: int


def parsed_stat(text: str) -> Seen:
    """PURE: returns a line of /proc/PID/stat (proc(5)); the program's name may hold blanks and parentheses."""
    head, _, rest = text.rpartition(")")
    fields = rest.split()  # from field 3, the state
    parent, session, start, user, system = (int(fields[at]) for at in (1, 3, 19, 11, 12))
    return Seen(int(head.split()[0]), fields[0], parent, session, start, user + system)


@dataclass(slots=True)
class ProcessTree:
    """Our children since `earlier`, their children, and all in a session that one of them began.

    While it lasts, processes whose parents have ended are adopted by us and not by init (prctl(2)).
    """

    method: str = "/proc at 10 Hz"
    earlier: frozenset[int] = field(default_factory=lambda: frozenset(_children_of(os.getpid(), _all_processes())))
    ticks: dict[tuple[int, int], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _adopt_orphans(True)

    def wrapped(self, arguments: Sequence[str]) -> tuple[str, ...]:
        """Returns the command as it is: what we start is ours."""
        return tuple(arguments)

    def pids(self) -> tuple[int, ...]:
        """Returns the processes that run now, and notes what they have used."""
        table = _all_processes()
        known = {(one.pid, one.start_ticks) for one in table} & self.ticks.keys()
        found = members(table, os.getpid(), self.earlier, frozenset(pid for pid, _ in known))
        for one in found:
            self.ticks[one.pid, one.start_ticks] = one.cpu_ticks
        return tuple(one.pid for one in found if one.state not in _ENDED)

    def cpu_s(self) -> float:
        """Returns the sum of the last values seen."""
        return sum(self.ticks.values()) / _TICKS_PER_S

    def close(self) -> None:
        """Adopts no more."""
        _adopt_orphans(False)


def _adopt_orphans(on: bool) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, int(on), 0, 0, 0)


def members(table: Iterable[Seen], ours: int, earlier: frozenset[int], known: frozenset[int]) -> tuple[Seen, ...]:
    """PURE: returns the processes of a run: `known` ones, children of `ours` that are not `earlier`, and whatever these
    have started or has their session."""
    table = tuple(table)
    own_session = next((one.session for one in table if one.pid == ours), 0)
    found = {one.pid for one in table if one.pid in known or (one.parent == ours and one.pid not in earlier)}
    while True:
        sessions = {one.session for one in table if one.pid in found} - {own_session}
        more = {one.pid for one in table if one.parent in found or one.session in sessions} - found
        if not more:
            return tuple(one for one in table if one.pid in found)
        found |= more


def _all_processes() -> tuple[Seen, ...]:
    found = []
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with suppress(OSError):
                found.append(parsed_stat(Path(entry.path, "stat").read_text()))
    return tuple(found)


def _children_of(parent: int, table: Iterable[Seen]) -> tuple[int, ...]:
    return tuple(one.pid for one in table if one.parent == parent)


@cache
def _cgroups() -> Path | None:
    """Returns the folder in which cgroups of version 2 can be made, if there is one."""
    own = next(
        (line[3:] for line in Path("/proc/self/cgroup").read_text().splitlines() if line.startswith("0::")), None
    )
    mounts = (line.split() for line in Path("/proc/mounts").read_text().splitlines())
    place = next((Path(fields[1]) for fields in mounts if fields[2] == "cgroup2"), None)
    if own is None or place is None:
        return None
    folder = place / own.lstrip("/")
    try:
        probe = _control_group(folder)
        worked = subprocess.run(probe.wrapped(("true",)), stderr=subprocess.DEVNULL).returncode == 0
        probe.cpu_s()
        probe.close()
    except (OSError, StopIteration):
        return None
    return folder if worked else None


def _control_group(folder: Path) -> ControlGroup:
    path = folder / f"blockferry-bench-{os.getpid()}-{next(_NUMBERS)}"
    path.mkdir()
    return ControlGroup(path)


def new_group() -> Group:
    """Returns an empty group."""
    folder = _cgroups()
    return ProcessTree() if folder is None else _control_group(folder)


@dataclass(slots=True)
class Sampler:
    """Looks at a group's processes ten times a second, in a thread of its own."""

    group: Group
    peak_bytes: int = 0
    all_peak_bytes: int = 0
    done: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None

    def __enter__(self) -> Sampler:
        self.thread = threading.Thread(target=self._run, name="sampler", daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.done.set()
        if self.thread is not None:
            self.thread.join()

    def _run(self) -> None:
        while not self.done.wait(SAMPLE_S):
            self._look()

    def _look(self) -> None:
        total = 0
        for pid in self.group.pids():
            with suppress(OSError):
                memory = resident(Path(f"/proc/{pid}/status").read_text())
                self.peak_bytes = max(self.peak_bytes, memory["VmHWM"])
                total += memory["VmRSS"]
        self.all_peak_bytes = max(self.all_peak_bytes, total)


def resident(status: str) -> Mapping[str, int]:
    """PURE: returns VmHWM and VmRSS of a /proc/PID/status in bytes; 0 for a process without memory (a zombie)."""
    found = {"VmHWM": 0, "VmRSS": 0}
    for line in status.splitlines():
        name, _, value = line.partition(":")
        if name in found:
            found[name] = int(value.split()[0]) * 1024
    return found


def measured(commands: Sequence[Command], folder: Path, deadline_s: float = RUN_S) -> PeerRun:
    """Runs commands one after the other in `folder` and returns what they used together.

    Raises:
        PeerFailed: one ended with another code than 0, or not before deadline_s seconds.
    """
    group, log = new_group(), folder / "log.txt"
    before, begin = _waited_for_s(), time.monotonic()
    try:
        with Sampler(group) as sampler:
            try:
                for command in commands:
                    _run(command, group, folder, log, deadline_s - (time.monotonic() - begin))
                wall_s = time.monotonic() - begin
            finally:
                _end_rest(group)
        # what was waited for is counted in any case: processes that live shorter than a sample
        cpu_s = max(group.cpu_s(), _waited_for_s() - before) if group.method != "cgroup" else group.cpu_s()
    finally:
        group.close()
    return PeerRun(wall_s, cpu_s, sampler.peak_bytes, sampler.all_peak_bytes, group.method)


def _waited_for_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _run(command: Command, group: Group, folder: Path, log: Path, deadline_s: float) -> None:
    with log.open("ab") as sink:
        process = subprocess.Popen(
            bound_to_us(group.wrapped(command.arguments)),
            env=command.environment,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            cwd=folder,
            start_new_session=True,
        )
    name = Path(command.arguments[0]).name
    try:
        code = process.wait(deadline_s)
    except subprocess.TimeoutExpired as error:
        process.kill()
        process.wait()
        raise PeerFailed(f"{name} did not end within {deadline_s:.0f} s:\n{tail(log)}") from error
    if code:
        raise PeerFailed(f"{name} ended with {code}:\n{tail(log)}")


def _end_rest(group: Group) -> None:
    """Waits for processes that outlive their parents, and ends them at last: they are children of ours."""
    end = time.monotonic() + LEFT_S
    while (left := group.pids()) and time.monotonic() < end:
        time.sleep(SAMPLE_S)
    for pid in left:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    end = time.monotonic() + LEFT_S
    while group.pids() and time.monotonic() < end:
        time.sleep(SAMPLE_S)
