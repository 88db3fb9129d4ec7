"""A house with patience: nothing more for little work, forked processes and actors for much, and nothing lost when they
take over."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from blockferry.v1.execution_pb2 import Execution
from service.house import House, HouseOptions
from tests.support.copying import copied
from tests.support.hdfs import HdfsCluster
from tests.support.processes import alive, wait_for
from tests.support.s3 import SeaweedServer
from tests.support.tree import FileSpec

COUNT = 300


@pytest.fixture(autouse=True)
def keys(seaweed: SeaweedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", seaweed.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", seaweed.secret_key)


def actors() -> set[str]:
    """Returns the kinds of Ray actors that this process has begotten."""
    titles = []
    for process in psutil.Process().children(recursive=True):
        try:
            titles.append(" ".join(process.cmdline()))
        except psutil.Error:
            continue
    return {
        title.removeprefix("ray::").split()[0] for title in titles if title.startswith("ray::") and "Actor" in title
    }


def test_little_work_starts_no_ray(
    hdfs: HdfsCluster, seaweed: SeaweedServer, folder_name: str, bucket_name: str, tmp_path: Path
) -> None:
    hdfs.make((FileSpec(f"{folder_name}/small", 99), FileSpec(f"{folder_name}/parts", 12 << 20)))
    with House(HouseOptions(tmp_path / "state", actor_count=1, patience_s=600.0)) as house:
        ended = copied(house, hdfs, seaweed, folder_name, bucket_name)
        assert (ended.state, ended.counters.verified_count) == (Execution.STATE_SUCCESS, 2), ended
        assert house.pid("ray") == 0
        assert actors() == set()


def test_much_work_goes_over_to_forked_processes_and_actors_in_the_middle(
    hdfs: HdfsCluster, seaweed: SeaweedServer, folder_name: str, bucket_name: str, tmp_path: Path
) -> None:
    hdfs.make(FileSpec(f"{folder_name}/{number:03}", number) for number in range(COUNT))
    # Four processes for the mover, and two actors for the verifier: a single one is never worth its start.
    with House(HouseOptions(tmp_path / "state", actor_count=4, patience_s=0.001, spare=0.0)) as house:
        ended = copied(house, hdfs, seaweed, folder_name, bucket_name)
        assert (ended.state, ended.counters.verified_count) == (Execution.STATE_SUCCESS, COUNT), ended
        wait_for("processes", lambda: all(house.pid(f"hand-{number}") for number in range(1, 5)), deadline_s=60.0)
        wait_for("actors", lambda: actors() == {"ProverActor"}, deadline_s=60.0)
        again = copied(house, hdfs, seaweed, folder_name, f"{bucket_name}-again")
        assert (again.state, again.counters.verified_count) == (Execution.STATE_SUCCESS, COUNT), again
        assert house.restart_count == 0
        hands = [psutil.Process(house.pid(f"hand-{number}")) for number in range(1, 5)]
    assert actors() == set()
    assert not any(alive(hand) for hand in hands)
