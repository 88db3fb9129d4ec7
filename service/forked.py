"""A house's end of its fork server (`service.forkserver`), and of each process that was forked there.

Used by one thread. Never waits for the fork server without a limit: when it is gone, or does not take what it is told,
it is ended with all that it has forked, and each of them is reported as killed.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from service.child import Child, ChildPlan, last_lines
from service.fork_messages import Exited, Lines, Message, Signal, Start, Started, encode

_PATIENCE_S = 1.0  # how long the fork server may leave its socket full
_ENDING_S = 5.0  # how long it may run on when it has closed it: its exit code tells more than that of a kill


class ForkServer:
    """The fork server as a child of the house."""

    def __init__(self, log: Path, environment: Mapping[str, str], modules: tuple[str, ...]) -> None:
        self._child = Child(ChildPlan("forkserver", "service.forkserver", modules, ""), log, environment)
        self._control: socket.socket | None = None
        self._lines = Lines()
        self._forked: dict[str, Forked] = {}

    def start(self) -> None:
        """Starts it. What is to be forked may be said at once."""
        self._control, theirs = socket.socketpair()
        self._lines = Lines()
        with theirs:
            self._child.start(str(theirs.fileno()), inherited=(theirs.fileno(),))

    @property
    def log(self) -> Path:
        """Its own log."""
        return self._child.log

    @property
    def pid(self) -> int:
        """Process id, 0 before the start."""
        return self._child.pid

    def exit_code(self) -> int | None:
        """Returns how it ended, None while it runs. When it has ended, all that it had forked has too."""
        self.hear()
        code = self._child.exit_code()
        if code is not None:
            self._lose()
        return code

    def is_ready(self) -> bool:
        """Returns whether it runs: it takes orders from the beginning."""
        return self.exit_code() is None

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal to the fork server alone, if it still runs."""
        self._child.signal(number)

    def wait(self, timeout_s: float) -> bool:
        """Waits for its end. Returns False when it still runs after `timeout_s`."""
        return self._child.wait(timeout_s)

    def last_lines(self, count: int = 12) -> str:
        """Returns the end of its log."""
        return self._child.last_lines(count)

    def fork(self, forked: Forked) -> None:
        """Orders a process. Its id comes later."""
        self._forked[forked.plan.name] = forked
        plan = forked.plan
        self.say(Start(plan.name, plan.module, plan.arguments, str(forked.log.absolute())))

    def say(self, message: Message) -> None:
        """Sends an order."""
        try:
            if self._control is None:
                raise BrokenPipeError
            self._control.settimeout(_PATIENCE_S)
            self._control.sendall(encode(message))
        except OSError:
            self._lose()

    def hear(self, timeout_s: float = 0.0) -> None:
        """Takes what the fork server has told; waits for it up to `timeout_s` when that is nothing."""
        while self._control is not None:
            self._control.settimeout(timeout_s)
            try:
                data = self._control.recv(1 << 16)
            except (BlockingIOError, TimeoutError):
                return
            except OSError:
                data = b""
            if not data:
                self._lose()
            for message in self._lines.feed(data):
                if isinstance(message, Started | Exited):
                    self._forked[message.name].take(message)
            timeout_s = 0.0

    def _lose(self) -> None:
        if self._control is not None:
            self._control.close()
            self._control = None
        if not self._child.wait(_ENDING_S):
            self._child.signal(signal.SIGKILL)
            self._child.wait(_ENDING_S)
        for forked in self._forked.values():
            forked.kill()


@dataclass(slots=True)
class Forked:
    """A process that the fork server has forked. Dies with the fork server."""

    plan: ChildPlan
    log: Path
    server: ForkServer
    pid: int = 0
    _code: int | None = None
    _ordered: bool = False  # and has not ended
    _runs: bool = False

    def start(self) -> None:
        """Orders it. Until it runs, `pid` is that of its predecessor, 0 when there was none."""
        self._code, self._ordered, self._runs = None, True, False
        self.server.fork(self)

    def take(self, message: Started | Exited) -> None:
        """Notes what the fork server tells."""
        if isinstance(message, Started):
            self.pid, self._runs = message.pid, True
        else:
            self._code, self._ordered, self._runs = message.code, False, False

    def kill(self) -> None:
        """Ends it without the fork server, and notes that."""
        if self._runs:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
        if self._ordered:
            self.take(Exited(self.plan.name, -signal.SIGKILL))

    def exit_code(self) -> int | None:
        """Returns how it ended, None while it runs, as the fork server has told by its last `hear`."""
        return self._code

    def is_ready(self) -> bool:
        """Returns whether it can be called now. Takes a second at most."""
        return self._runs and self.plan.answers()

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal, if it still runs."""
        if self._ordered:
            self.server.say(Signal(self.plan.name, number))

    def wait(self, timeout_s: float) -> bool:
        """Waits for its end. Returns False when it still runs after `timeout_s`."""
        until = time.monotonic() + timeout_s
        while self._ordered and (left := until - time.monotonic()) > 0:
            self.server.hear(left)
        return not self._ordered

    def last_lines(self, count: int = 12) -> str:
        """Returns the end of its log."""
        return last_lines(self.log, count)
