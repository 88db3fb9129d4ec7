"""What Linux says of processes, and does for them, that Python has no name for."""

from __future__ import annotations

import ctypes
import os
import signal
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15
_LIBC = ctypes.CDLL(None, use_errno=True)


def die_with_parent() -> None:
    """Has the kernel send us SIGTERM when the thread that forked us ends, and makes us a process group of our own:
    Ctrl-C at a terminal reaches the supervisor alone, which ends its children in order. Stays over an exec."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    os.setpgid(0, 0)


def thread_count() -> int:
    """Returns how many threads this process has, those of C libraries included."""
    return len(list(Path("/proc/self/task").iterdir()))


def wanted_s(thread: int) -> float | None:
    """Returns how many seconds a thread of this process (by its native id) has run or was ready to run. None where the
    kernel does not count that (`/proc/PID/task/TID/schedstat`, proc(5)), and for a thread that has ended."""
    try:
        descriptor = os.open(f"/proc/self/task/{thread}/schedstat", os.O_RDONLY)
        try:
            ran_ns, ready_ns, _ = map(int, os.read(descriptor, 100).split())
        finally:
            os.close(descriptor)
    except OSError:
        return None
    return (ran_ns + ready_ns) / 1e9 if ran_ns else None


def idle_s() -> float:
    """Returns for how many seconds processors of this machine had nothing to do, all of them added up, since it was
    started (`/proc/uptime`, proc(5))."""
    return float(Path("/proc/uptime").read_text().split()[1])


def show_as(name: str, command_line: tuple[str, ...]) -> None:
    """Changes what `ps` shows of this process: its name, and its command line as far as there was room for the old."""
    _LIBC.prctl(_PR_SET_NAME, os.fsencode(name)[:15])
    # Fields 48 and 49 of proc(5): where the kernel reads the command line. The name before may hold spaces.
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    begin, end = int(fields[45]), int(fields[46])
    if end > begin:
        text = b"\0".join(os.fsencode(argument) for argument in command_line)
        ctypes.memmove(begin, text[: end - begin - 1].ljust(end - begin, b"\0"), end - begin)
