"""A house without Ray: its services are forked, come back when they die, and leave nothing behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from blockferry.errors import BlockferryError
from blockferry.v1.execution_pb2 import Execution
from service.child import accepts
from service.house import House, HouseOptions
from tests.support.copying import copied
from tests.support.hdfs import HdfsCluster
from tests.support.processes import alive, bound_to_us, wait_for
from tests.support.s3 import SeaweedServer
from tests.support.tree import FileSpec

SERVICES = ("scheduler", "scanner", "mover", "verifier")
PATIENCE_S = 600.0
STANDING = """
import json, sys
from pathlib import Path
from service.house import House, HouseOptions
with House(HouseOptions(Path(sys.argv[1]), actor_count=1, patience_s=600.0)) as house:
    names = ("forkserver", "scheduler", "scanner", "mover", "verifier")
    print(json.dumps([house.pid(name) for name in names]), flush=True)
    house.wait()
"""


@pytest.fixture
def house(tmp_path: Path, seaweed: SeaweedServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", seaweed.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", seaweed.secret_key)
    with House(HouseOptions(tmp_path / "state", actor_count=1, patience_s=PATIENCE_S)) as standing:
        yield standing


def pids(house: House) -> dict[str, int]:
    """Returns the present process ids."""
    return {name: house.pid(name) for name in ("forkserver", *SERVICES)}


def children(house: House) -> set[int]:
    """Returns the processes of the fork server that run now."""
    return {process.pid for process in psutil.Process(house.pid("forkserver")).children() if alive(process)}


def all_serve(house: House) -> bool:
    """Returns whether every service listens in the process that the house knows."""
    return all(
        any(connection.status == psutil.CONN_LISTEN for connection in psutil.Process(house.pid(name)).net_connections())
        for name in SERVICES
    )


def test_services_are_forked_by_one_process_with_one_thread(house: House) -> None:
    server = psutil.Process(house.pid("forkserver"))
    assert server.num_threads() == 1
    assert children(house) == {house.pid(name) for name in SERVICES}
    assert {psutil.Process(house.pid(name)).name() for name in SERVICES} == set(SERVICES)
    assert house.pid("ray") == 0
    for name in SERVICES:
        assert f"blockferry.{name} listening on" in (house.logs / f"{name}.log").read_text()
    assert sum("listening" in log.read_text() for log in house.logs.iterdir()) == len(SERVICES)
    assert (house.logs / "forkserver.log").read_text() == ""


def test_each_service_comes_back(
    house: House,
    hdfs: HdfsCluster,
    seaweed: SeaweedServer,
    folder_name: str,
    bucket_name: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for count, name in enumerate(SERVICES, 1):
        before = pids(house)
        os.kill(before[name], signal.SIGKILL)
        old = before[name]
        wait_for(f"another {name}", lambda name=name, old=old: house.pid(name) != old)  # type: ignore[misc]
        wait_for("all to serve", lambda: all_serve(house))
        after = pids(house)
        assert {other for other in after if after[other] != before[other]} == {name}
        assert house.restart_count == count
        assert f'action="child_died" name={name} exit_code=-9' in caplog.text
    hdfs.make((FileSpec(f"{folder_name}/one", 4096),))
    ended = copied(house, hdfs, seaweed, folder_name, bucket_name)
    assert (ended.state, ended.counters.verified_count) == (Execution.STATE_SUCCESS, 1), ended


def test_all_come_back_with_the_fork_server(
    house: House, hdfs: HdfsCluster, seaweed: SeaweedServer, folder_name: str, bucket_name: str
) -> None:
    before = pids(house)
    old = [psutil.Process(pid) for pid in before.values()]
    os.kill(before["forkserver"], signal.SIGKILL)
    wait_for("others", lambda: not set(pids(house).values()) & set(before.values()))
    wait_for("the old ones to end", lambda: not any(alive(process) for process in old))
    wait_for("all to serve", lambda: all_serve(house))
    assert children(house) == {house.pid(name) for name in SERVICES}
    hdfs.make((FileSpec(f"{folder_name}/one", 4096),))
    ended = copied(house, hdfs, seaweed, folder_name, bucket_name)
    assert (ended.state, ended.counters.verified_count) == (Execution.STATE_SUCCESS, 1), ended
    assert house.restart_count == 1 + len(SERVICES)


def test_nothing_is_left_of_a_house_that_was_killed(tmp_path: Path) -> None:
    house = subprocess.Popen(
        bound_to_us((sys.executable, "-c", STANDING, str(tmp_path / "state"))),
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert house.stdout is not None
    family = [psutil.Process(pid) for pid in json.loads(house.stdout.readline())]
    assert all(alive(process) for process in family)
    house.kill()
    house.communicate()
    wait_for("the house to end with its parent", lambda: not any(alive(process) for process in family))


def test_nothing_is_left_of_a_house_that_was_ended(tmp_path: Path) -> None:
    with House(HouseOptions(tmp_path / "state", actor_count=1, patience_s=PATIENCE_S)) as house:
        family = [psutil.Process(pid) for pid in pids(house).values()]
    assert not any(alive(process) for process in family)
    assert not accepts(house.address)
    assert house.restart_count == 0


def test_a_service_that_cannot_run_is_told_with_the_end_of_its_log(tmp_path: Path) -> None:
    options = HouseOptions(tmp_path / "state", database_url="nonsense", actor_count=1, patience_s=PATIENCE_S)
    with pytest.raises(BlockferryError, match=r"exit code 1.*\n.*DATABASE_URL_INVALID") as caught, House(options):
        pass
    assert caught.value.reason == "SERVICE_FAILED"
