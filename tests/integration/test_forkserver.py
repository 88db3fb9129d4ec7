"""The fork server, with a small module in place of the services."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil
import pytest

from service.child import Child, ChildPlan
from service.forked import Forked, ForkServer
from tests.support.processes import wait_for

WAIT_S = 60.0
PROBE = """
import atexit, ctypes, json, os, random, signal, sys, tempfile, threading, time, uuid
if os.environ.get("PROBE_THREAD"):
    threading.Thread(target=time.sleep, args=(600,), daemon=True).start()

def facts():
    getenv = ctypes.CDLL(None).getenv
    getenv.restype = ctypes.c_char_p
    return {
        "argv": sys.argv,
        "environment": dict(os.environ),
        "environment of C": [str(getenv(name)) for name in (b"PROBE", b"OPENBLAS_NUM_THREADS")],
        "descriptors": [name for name in os.listdir("/proc/self/fd") if os.path.exists("/proc/self/fd/" + name)],
        "input": sys.stdin.read(),
        "folder": os.getcwd(),
        "handlers": [str(signal.getsignal(number)) for number in signal.valid_signals() - {signal.SIGINT}],
        "blocked": list(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
        "own group": os.getpgrp() == os.getpid(),
        "wakeup": signal.set_wakeup_fd(-1),
        "threads": [threading.current_thread().name, threading.active_count()],
    }

def main():
    match sys.argv[1]:
        case "facts": print(json.dumps(facts()))
        case "chance": print(json.dumps([random.random(), str(uuid.uuid4()), tempfile.mktemp()]))
        case "exit": sys.exit(int(sys.argv[2]))
        case "raise": raise ValueError("no luck")
        case "kill": os.kill(os.getpid(), signal.SIGKILL)
        case "late": atexit.register(lambda: print("at last")); print("before")
        case "stay": time.sleep(600)

if __name__ == "__main__":
    main()
"""


@pytest.fixture
def environment(tmp_path: Path) -> Mapping[str, str]:
    (tmp_path / "probe.py").write_text(PROBE)
    ours = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return {**ours, "PYTHONPATH": f"{tmp_path}:{Path.cwd()}", "PROBE": "1"}


@pytest.fixture
def server(tmp_path: Path, environment: Mapping[str, str]) -> Iterator[ForkServer]:
    made = ForkServer(tmp_path / "forkserver.log", environment, ("probe",))
    made.start()
    yield made
    made.signal(signal.SIGKILL)
    made.exit_code()


def begun(server: ForkServer, name: str, *arguments: str) -> Forked:
    """Orders a process of the module."""
    forked = Forked(ChildPlan(name, "probe", arguments, ""), server.log.with_name(f"{name}.log"), server)
    forked.start()
    return forked


def ended(server: ForkServer, name: str, *arguments: str) -> Forked:
    """Runs the module to its end."""
    forked = begun(server, name, *arguments)
    assert forked.wait(WAIT_S), server.last_lines()
    return forked


def running(server: ForkServer, name: str) -> Forked:
    """Starts a process that stays, and waits for its id."""
    forked = begun(server, name, "stay")

    def told() -> bool:
        server.hear()
        return forked.pid != 0

    wait_for("its process id", told)
    return forked


def test_a_forked_process_is_like_a_fresh_one(
    server: ForkServer, environment: Mapping[str, str], tmp_path: Path
) -> None:
    fresh = Child(ChildPlan("fresh", "probe", ("facts",), ""), tmp_path / "fresh.log", environment)
    fresh.start()
    assert fresh.wait(WAIT_S)
    expected = json.loads(fresh.log.read_text())
    found = json.loads(ended(server, "forked", "facts").log.read_text())
    assert found == expected
    assert set(found["descriptors"]) == {"0", "1", "2"}


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("exit", "0"), 0, ""),
        (("exit", "7"), 7, ""),
        (("kill",), -signal.SIGKILL, ""),
        (("raise",), 1, "ValueError: no luck"),
        (("late",), 0, "before\nat last"),
    ],
)
def test_its_end_is_told(server: ForkServer, arguments: tuple[str, ...], code: int, said: str) -> None:
    forked = ended(server, "one", *arguments)
    assert (forked.exit_code(), forked.last_lines().endswith(said)) == (code, True), forked.last_lines()
    assert server.exit_code() is None


def test_each_writes_its_own_log_and_has_its_own_chance(server: ForkServer) -> None:
    one, other = (json.loads(ended(server, name, "chance").log.read_text()) for name in ("one", "other"))
    assert all(mine != yours for mine, yours in zip(one, other, strict=True))


def test_ps_tells_which_is_which(server: ForkServer) -> None:
    forked = running(server, "sleeper")
    title = "python -m sleeper stay"
    wait_for("its title", lambda: " ".join(psutil.Process(forked.pid).cmdline()).strip() == title)
    assert psutil.Process(forked.pid).name() == "sleeper"
    forked.signal(signal.SIGTERM)
    assert forked.wait(WAIT_S)
    assert forked.exit_code() == -signal.SIGTERM


def test_a_signal_that_follows_at_once_is_not_lost(server: ForkServer) -> None:
    forked = begun(server, "one", "stay")
    forked.signal(signal.SIGTERM)
    assert forked.wait(WAIT_S)
    assert forked.exit_code() == -signal.SIGTERM


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_all_end_with_the_fork_server_and_start_with_the_next(server: ForkServer, number: signal.Signals) -> None:
    forked = running(server, "one")
    process = psutil.Process(forked.pid)
    server.signal(number)
    wait_for("the end to be seen", lambda: server.exit_code() is not None)
    assert (server.exit_code(), forked.exit_code()) == (-number, -signal.SIGKILL)
    wait_for("its end", lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE)
    server.start()
    assert ended(server, "one", "exit", "7").exit_code() == 7


def test_where_there_is_another_thread_a_process_begins_anew(tmp_path: Path, environment: Mapping[str, str]) -> None:
    server = ForkServer(tmp_path / "forkserver.log", {**environment, "PROBE_THREAD": "1"}, ("probe",))
    server.start()
    found = json.loads(ended(server, "one", "facts").log.read_text())
    assert found["threads"] == ["MainThread", 2]
    assert (found["own group"], set(found["descriptors"])) == (True, {"0", "1", "2"})
    assert "OPENBLAS_NUM_THREADS" not in found["environment"]
    server.signal(signal.SIGTERM)


def test_a_module_that_cannot_be_imported_is_told(tmp_path: Path, environment: Mapping[str, str]) -> None:
    server = ForkServer(tmp_path / "forkserver.log", environment, ("no_such_module",))
    server.start()
    forked = begun(server, "one")
    assert forked.wait(WAIT_S)
    assert (server.exit_code(), forked.exit_code()) == (1, -signal.SIGKILL)
    assert "No module named 'no_such_module'" in server.last_lines()


def test_a_fork_server_that_takes_nothing_is_ended(server: ForkServer) -> None:
    assert ended(server, "one", "exit", "0").exit_code() == 0
    server.signal(signal.SIGSTOP)
    for number in range(20):
        begun(server, f"deaf{number}", "x" * 100_000)
    assert server.exit_code() == -signal.SIGKILL
