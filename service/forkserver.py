"""`python -m service.forkserver DESCRIPTOR MODULE...`: imports modules once, and forks a process for each that is asked
for; tells when one ends (`service.fork_messages`, on the socket of that number). Decides nothing.

It imports in the order of its command line, at first only up to the module that is asked for: who needs little is
forked while the rest is still to come.

The rules that make a fork safe:

- It has one thread when it forks. The libraries that would start one on import are told not to (`_NO_THREADS`). Where
  there is another thread all the same, the forked process begins anew by exec, as if there were no fork server.
- Modules are imported here, and nothing of them is called: no channel, no event loop, no tracer, no handler of a log.
- A process has the environment that the fork server was started with, because modules read some of it on import: who
  wants another environment needs another fork server.
- It forks from its main thread: the kernel ends a child with the *thread* that forked it (`linux.die_with_parent`).

It ends when the other end of the socket is closed, and its processes with it.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import os
import select
import signal
import socket
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn

from service import linux
from service.fork_messages import Exited, Lines, Signal, Start, Started, encode

# OpenBLAS (numpy) keeps a pool, jemalloc (in pyarrow, which does not even use it) a thread that returns memory.
_NO_THREADS = {"OPENBLAS_NUM_THREADS": "1", "JE_ARROW_MALLOC_CONF": "background_thread:false"}


def main() -> None:
    """Serves until the socket is closed; in a forked process: runs that to its end."""
    control = socket.socket(fileno=int(sys.argv[1]))
    control.set_inheritable(False)
    environment = dict(os.environ)
    os.environ.update(_NO_THREADS)
    gc.disable()  # nothing of what is imported is garbage
    start = ForkServer(control, environment, sys.argv[2:]).serve()
    if start is not None:
        run(start, environment)


class ForkServer:
    """Forks on request. One for a process, on its main thread."""

    def __init__(self, control: socket.socket, environment: Mapping[str, str], modules: Sequence[str]) -> None:
        self._control = control
        self._environment = environment
        self._modules = deque(modules)
        self._lines = Lines()
        self._pids: dict[str, int] = {}
        self._bell, self._ringer = socket.socketpair()
        self._ringer.setblocking(False)
        signal.set_wakeup_fd(self._ringer.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def serve(self) -> Start | None:
        """Serves. Returns None when the socket was closed, and in each forked process what it is to run."""
        with contextlib.suppress(ConnectionError):
            while True:
                ready, _, _ = select.select((self._control, self._bell), (), ())
                if self._bell in ready:
                    self._bell.recv(1024)
                    self._tell_ends()
                if self._control in ready:
                    data = self._control.recv(1 << 16)
                    if not data:
                        return None
                    for message in self._lines.feed(data):
                        if isinstance(message, Start) and self._fork(message):
                            return message
                        if isinstance(message, Signal) and message.name in self._pids:
                            os.kill(self._pids[message.name], message.number)
        return None

    def _tell_ends(self) -> None:
        for name, pid in tuple(self._pids.items()):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                del self._pids[name]
                self._control.sendall(encode(Exited(name, os.waitstatus_to_exitcode(status))))

    def _import(self, wanted: str) -> None:
        while wanted not in sys.modules:
            importlib.import_module(self._modules.popleft() if self._modules else wanted)
        gc.freeze()  # no collection writes to the pages that are shared

    def _fork(self, start: Start) -> bool:
        self._import(start.module)
        us, alone = os.getpid(), linux.thread_count() == 1
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        pid = os.fork()
        if pid == 0:
            self._leave(us)
            open_log(start.log)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        if pid == 0 and not alone:
            command = (sys.executable, "-m", start.module, *start.arguments)
            os.execve(command[0], command, self._environment)  # noqa: S606 - our own module
        if pid:
            self._pids[start.name] = pid
            self._control.sendall(encode(Started(start.name, pid)))
        return pid == 0

    def _leave(self, parent: int) -> None:
        linux.die_with_parent()
        if os.getppid() != parent:
            os._exit(1)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for end in (self._control, self._bell, self._ringer):
            end.close()


def open_log(log: str) -> None:
    """Appends what this process writes from now on to a file."""
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)


def run(start: Start, environment: Mapping[str, str]) -> NoReturn:
    """Runs a module in this forked process as `python -m` would, and ends the process."""
    os.environ.clear()
    os.environ.update(environment)
    module = sys.modules[start.module]
    sys.argv = [str(module.__file__), *start.arguments]
    linux.show_as(start.name, ("python", "-m", start.name, *start.arguments))
    gc.enable()
    end(call(module.main))


def call(main: Callable[[], str | int | None]) -> int:
    """Returns the exit code that `sys.exit(main())` would give, and writes what it would write."""
    try:
        sys.exit(main())
    except SystemExit as ended:
        if ended.code is None or isinstance(ended.code, int):
            return ended.code or 0
        sys.stderr.write(f"{ended.code}\n")
    except BaseException as error:
        sys.excepthook(type(error), error, error.__traceback__)
    return 1


def end(code: int) -> NoReturn:
    """Ends this process as the interpreter does, but leaves the memory to the kernel, which saves 0.15 CPU s."""
    threading._shutdown()  # type: ignore[attr-defined]  # what multiprocessing calls in what it has forked
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
