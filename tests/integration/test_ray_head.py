"""The local Ray cluster of a house: what runs, where it listens, that it serves actors, and that it ends."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil
import pytest

from service.ray_head import OBJECT_STORE_BYTES, make_folder
from tests.support.ports import free_port
from tests.support.processes import Child, alive, wait_for

ROOT = Path(__file__).resolve().parents[2]
USE = """
import os, ray
ray.init(address=os.environ["RAY_ADDRESS"], namespace="blockferry", log_to_driver=False)
@ray.remote(num_cpus=1)
class Adder:
    def add(self, one, two):
        return one + two
print(ray.get(Adder.remote().add.remote(40, 2)))
"""


@pytest.fixture
def environment() -> Iterator[Mapping[str, str]]:
    with tempfile.TemporaryDirectory(prefix="bf", dir="/tmp") as folder:  # short: see `make_folder`
        yield _environment(folder)


def _environment(folder: str) -> Mapping[str, str]:
    return {
        "RAY_ADDRESS": f"127.0.0.1:{free_port()}",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": "0123456789abcdef" * 4,
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "PYTHONPATH": str(ROOT),
        "TMPDIR": folder,
    }


@pytest.fixture
def head(environment: Mapping[str, str], tmp_path: Path) -> Iterator[Child]:
    port = environment["RAY_ADDRESS"].rpartition(":")[2]
    arguments = (sys.executable, "-m", "service.ray_head", "--port", port, "--cpu-count", "2")
    child = Child.start("ray", arguments, tmp_path / "ray.log", environment=environment)
    child.wait_ready(lambda: any(process.name() == "raylet" for process in family(child)))
    yield child
    child.stop()


def family(head: Child) -> list[psutil.Process]:
    return psutil.Process(head.pid).children(recursive=True)


def used(environment: Mapping[str, str]) -> str:
    """Returns what a driver prints that connects, starts an actor and calls it."""
    done = subprocess.run(
        (sys.executable, "-c", USE), env={**os.environ, **environment}, capture_output=True, text=True, timeout=120,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_actors_run_and_nothing_else_is_started(head: Child, environment: Mapping[str, str]) -> None:
    assert used(environment) == "42"
    titles = " ".join(" ".join(process.cmdline()) for process in family(head))
    assert "gcs_server" in titles
    for absent in ("dashboard/dashboard.py", "monitor.py", "log_monitor.py", "ray_client"):
        assert absent not in titles
    assert str(OBJECT_STORE_BYTES) in titles


def test_it_listens_on_loopback_only(head: Child, environment: Mapping[str, str]) -> None:
    used(environment)
    connections = [one for process in family(head) for one in process.net_connections("inet")]
    listening = {one.laddr.ip.removeprefix("::ffff:") for one in connections if one.status == psutil.CONN_LISTEN}
    assert listening == {"127.0.0.1"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_stays_behind(head: Child, environment: Mapping[str, str], number: signal.Signals) -> None:
    used(environment)
    processes = family(head)
    head.signal(number)
    head.process.wait(30)
    wait_for("the cluster's end", lambda: not any(alive(process) for process in processes), deadline_s=20)
    wait_for("its folder to be gone", lambda: not list(Path(environment["TMPDIR"]).glob("bf-ray-*")), deadline_s=20)


@pytest.mark.parametrize("name", ["t", "a-rather-long-name-of-a-folder"])
def test_paths_of_sockets_stay_short(name: str) -> None:
    with tempfile.TemporaryDirectory(prefix="bf", dir="/tmp") as short:
        parent = Path(short, name)
        parent.mkdir()
        folder = Path(make_folder(str(parent)))
        assert folder.parent == (parent if name == "t" else Path(short).parent)
        assert len(f"{folder}/session_2026-11-21_16-57-34_294230_4194304/sockets/plasma_store") <= 107
        folder.rmdir()


def test_a_driver_without_the_token_is_turned_away(head: Child, environment: Mapping[str, str]) -> None:
    done = subprocess.run(
        (sys.executable, "-c", USE), env={**os.environ, **environment, "RAY_AUTH_TOKEN": "f" * 64},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert "42" not in done.stdout
