"""Child processes of the tests and waiting for facts. Never ends a process that it did not start itself.

Every child is started through `setpriv --pdeathsig KILL`, which becomes the program itself (same id), so the kernel
ends it when the test process dies, however that happens. The kernel watches the *thread* that started the child:
start servers from a thread that lives as long as they should.
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

DEADLINE_S = 90.0
_POLL_S = 0.05
_STOP_S = 20.0
_TAIL_LINES = 30


def program(name: str, cure: str) -> str:
    """Returns the full path of a program of the PATH; when it is missing the error says what to install (`cure`)."""
    found = shutil.which(name)
    if found is None:
        raise FileNotFoundError(f"the program {name!r} is not on the PATH; cure: {cure}")
    return found


def bound_to_us(arguments: Sequence[str], *, user: str = "") -> tuple[str, ...]:
    """Returns the command that runs `arguments` (as `user`, if named) and dies with the thread that starts it."""
    setpriv = program("setpriv", "install the Debian package util-linux")
    other_user = (f"--reuid={user}", f"--regid={user}", "--init-groups") if user else ()
    return (setpriv, "--pdeathsig", "KILL", *other_user, "--", *arguments)


def tail(log: Path) -> str:
    """Returns the last lines of a log for an error message."""
    if not log.exists():
        return "(no log)"
    return "\n".join(log.read_text(errors="replace").splitlines()[-_TAIL_LINES:])


def wait_for(what: str, fact: Callable[[], bool], *, deadline_s: float = DEADLINE_S) -> None:
    """Returns as soon as `fact()` is true. OSError and ValueError of it count as "not yet" (a server that is not up).

    Raises TimeoutError naming `what` and the last error after deadline_s seconds.
    """
    end = time.monotonic() + deadline_s
    last: Exception | None = None
    while True:
        try:
            if fact():
                return
        except (OSError, ValueError) as error:
            last = error
        if time.monotonic() > end:
            raise TimeoutError(f"waited {deadline_s:.0f} s for {what}" + (f"; last error: {last}" if last else ""))
        time.sleep(_POLL_S)


def alive(process: psutil.Process) -> bool:
    """Returns whether a process still runs (a zombie does not)."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@dataclass(slots=True)
class Child:
    """One running program, with its log file."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    @classmethod
    def start(
        cls,
        name: str,
        arguments: Sequence[str],
        log: Path,
        *,
        environment: Mapping[str, str] | None = None,
        user: str = "",
    ) -> "Child":
        """Starts a program with standard output and error appended to `log`; `environment` adds to ours."""
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as sink:
            process = subprocess.Popen(
                bound_to_us(arguments, user=user),
                env={**os.environ, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                cwd=log.parent,
                start_new_session=True,
            )
        return cls(name, process, log)

    @property
    def pid(self) -> int:
        """The process id."""
        return self.process.pid

    def alive(self) -> bool:
        """Whether the program still runs (a stopped one counts as running)."""
        return self.process.poll() is None

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal; SIGKILL returns only when the process is gone, SIGSTOP when all its threads stand still."""
        if self.alive():
            self.process.send_signal(number)
        if number is signal.SIGKILL:
            self.process.wait(_STOP_S)
        if number is signal.SIGSTOP:
            wait_for(f"{self.name} to stand still", self._stands_still)

    def _stands_still(self) -> bool:
        # Field 3 of proc(5)'s stat, behind a name that may hold spaces. Who has just been sent the signal may run on.
        states = set()
        for stat in Path(f"/proc/{self.pid}/task").glob("*/stat"):
            with suppress(FileNotFoundError, ProcessLookupError):  # a thread that ended meanwhile
                states.add(stat.read_text().rpartition(")")[2].split()[0])
        return states == {"T"}

    def wait_ready(self, fact: Callable[[], bool], *, deadline_s: float = DEADLINE_S) -> None:
        """Waits for `fact`; fails at once, with the end of the log, when the program ends instead."""

        def ready() -> bool:
            if not self.alive():
                raise RuntimeError(f"{self.name} ended with {self.process.returncode}; {self.log}:\n{tail(self.log)}")
            return fact()

        try:
            wait_for(f"{self.name} to be ready", ready, deadline_s=deadline_s)
        except TimeoutError as error:
            raise TimeoutError(f"{error}; {self.log}:\n{tail(self.log)}") from error

    def stop(self, *, grace_s: float = _STOP_S) -> int:
        """Sends SIGTERM, after grace_s seconds SIGKILL, and returns the exit code."""
        if self.alive():
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
        try:
            return self.process.wait(grace_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait(grace_s)
