"""kill -9 in the middle of a run: the execution goes on by itself, and the end state is the same and complete."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from blockferry import Client
from blockferry.states import is_final
from blockferry.v1.execution_pb2 import Execution
from blockferry.v1.task_pb2 import Options
from service.house import House, HouseOptions
from tests.support.copying import copy_task
from tests.support.ferry import Ferry, objects
from tests.support.hdfs import HdfsCluster
from tests.support.processes import alive, wait_for
from tests.support.s3 import SeaweedServer
from tests.support.tree import FileSpec
from tests.support.trees import expected

MIB = 1 << 20
ROOT = "/chaos"
# Parts of 8 MiB, so that large files are uploads with many parts; small ones go in batches.
LARGE = tuple(
    FileSpec(f"{ROOT}/large/{number}", size=96 * MIB + number, seed=number, block_size=8 * MIB) for number in range(5)
)
SMALL = tuple(FileSpec(f"{ROOT}/small/{number:04}", size=4000 + number, seed=number) for number in range(400))
TREE = (*LARGE, *SMALL)


@dataclass(frozen=True, slots=True)
class Scene:
    """What a killer may strike."""

    cluster: HdfsCluster
    house: House


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HdfsCluster]:
    """A cluster of its own: its DataNodes are killed. Three, so that two replicas survive one."""
    with HdfsCluster.start(tmp_path_factory.mktemp("chaos-hdfs"), datanode_count=3) as made:
        made.make(TREE)
        yield made


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch, seaweed: SeaweedServer) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", seaweed.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", seaweed.secret_key)


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def kill_service(name: str) -> Callable[[Scene], None]:
    return lambda scene: kill(scene.house.pid(name))


def kill_actor(scene: Scene) -> None:
    raylets = psutil.Process(scene.house.pid("ray")).children(recursive=True)
    actors = [process for process in raylets if "MoverActor" in process.name() or "MoverActor" in _title(process)]
    assert actors, [_title(process) for process in raylets]
    kill(actors[0].pid)


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def kill_datanode(scene: Scene) -> None:
    scene.cluster.kill("datanode1")


def kill_service_twice(name: str) -> Callable[[Scene], None]:
    def strike(scene: Scene) -> None:
        first = scene.house.pid(name)
        kill(first)
        wait_for("the next one", lambda: scene.house.pid(name) != first)
        kill(scene.house.pid(name))

    return strike


KILLERS = {
    "scheduler": kill_service("scheduler"),
    "scheduler twice": kill_service_twice("scheduler"),
    "scanner": kill_service("scanner"),
    "mover": kill_service("mover"),
    "verifier": kill_service("verifier"),
    "fork server": kill_service("forkserver"),
    "ray": kill_service("ray"),
    "actor": kill_actor,
    "datanode": kill_datanode,
}


@pytest.mark.parametrize("victim", list(KILLERS))
def test_an_execution_survives_the_loss_of(
    victim: str, cluster: HdfsCluster, seaweed: SeaweedServer, bucket_name: str, tmp_path: Path
) -> None:
    seaweed.make_bucket(bucket_name)
    with House(HouseOptions(tmp_path / "state", actor_count=2)) as house, Client(house.address) as client:
        name = begin(client, cluster, seaweed, bucket_name)
        ended = follow(client, name, lambda: KILLERS[victim](Scene(cluster, house)))
    if victim == "datanode":
        cluster.start_daemon("datanode1")
        cluster.wait_ready()
    assert_whole(ended, seaweed, bucket_name)


@pytest.mark.parametrize("victim", ["hand-1", "mover", "forkserver"])
def test_an_execution_whose_data_goes_through_forked_processes_survives_the_loss_of(
    victim: str, cluster: HdfsCluster, seaweed: SeaweedServer, bucket_name: str, tmp_path: Path
) -> None:
    seaweed.make_bucket(bucket_name)
    options = HouseOptions(tmp_path / "state", actor_count=2, patience_s=0.001, spare=0.0)
    with House(options) as house, Client(house.address) as client:
        name = begin(client, cluster, seaweed, bucket_name)

        def strike() -> None:
            wait_for("the forked processes", lambda: bool(house.pid("hand-1")))
            kill(house.pid(victim))

        ended = follow(client, name, strike)
        assert house.restart_count > 0
    assert_whole(ended, seaweed, bucket_name)


def test_a_copy_that_was_killed_goes_on_when_it_is_started_again(
    cluster: HdfsCluster, seaweed: SeaweedServer, bucket_name: str, tmp_path: Path
) -> None:
    seaweed.make_bucket(bucket_name)
    ferry = Ferry(tmp_path, seaweed)
    first = ferry.begin(f"{cluster.uri}{ROOT}", f"s3://{bucket_name}")
    children = psutil.Process(first.pid)
    wait_for("the first object", lambda: bool(keys_in(seaweed, bucket_name)), deadline_s=120)
    family = children.children(recursive=True)
    first.kill()
    first.communicate()
    wait_for("the house to end with its parent", lambda: not any(alive(child) for child in family), deadline_s=60)
    done = ferry.copy(f"{cluster.uri}{ROOT}", f"s3://{bucket_name}")
    assert (done.exit_code, done.failed) == (0, {}), (done.errors, done.execution)
    assert objects(seaweed, bucket_name) == expected(TREE, ROOT)
    assert done.count("transferred_count") == done.count("estimated_count") == len(expected(TREE, ROOT))


def test_a_cancelled_run_leaves_no_upload_behind(
    cluster: HdfsCluster, seaweed: SeaweedServer, bucket_name: str, tmp_path: Path
) -> None:
    seaweed.make_bucket(bucket_name)

    def strike() -> None:
        wait_for("an upload", lambda: bool(uploads(seaweed, bucket_name)))
        client.cancel_execution(name)

    with House(HouseOptions(tmp_path / "state", actor_count=2)) as house, Client(house.address) as client:
        name = begin(client, cluster, seaweed, bucket_name)
        ended = follow(client, name, strike)
    assert Execution.State.Name(ended.state) == "STATE_CANCELLED", ended
    assert uploads(seaweed, bucket_name) == []
    whole = expected(TREE, ROOT)
    assert all(whole[key] == body for key, body in objects(seaweed, bucket_name).items())


def test_sigterm_of_the_house_drains_and_the_next_one_goes_on(
    cluster: HdfsCluster, seaweed: SeaweedServer, bucket_name: str, tmp_path: Path
) -> None:
    seaweed.make_bucket(bucket_name)
    options = HouseOptions(tmp_path / "state", actor_count=2)
    with House(options) as house, Client(house.address) as client:
        name = begin(client, cluster, seaweed, bucket_name)
        for execution in client.watch_execution(name):
            if execution.counters.transferred_bytes > 32 * MIB:
                break
    with House(options) as house, Client(house.address) as client:
        *_, ended = client.watch_execution(name)
    assert Execution.State.Name(ended.state) == "STATE_SUCCESS", ended
    assert objects(seaweed, bucket_name) == expected(TREE, ROOT)


def begin(client: Client, cluster: HdfsCluster, seaweed: SeaweedServer, bucket: str) -> str:
    """Starts a run of the tree; returns the execution's name."""
    options = Options(verify=Options.VERIFY_ONLY_FILES_TRANSFERRED, part_size_bytes=8 * MIB)  # parts, not single puts
    return client.run_task(copy_task(client, cluster, seaweed, ROOT, bucket, options)).name


def follow(client: Client, name: str, strike: Callable[[], None]) -> Execution:
    """Follows an execution to its end; strikes once, when some of it is moved and much is left."""
    struck, last = False, Execution()
    for last in client.watch_execution(name):
        moved = last.counters.transferred_bytes
        if not struck and 24 * MIB < moved < 400 * MIB:
            struck = True
            strike()
    assert struck, "the run ended before it could be struck"
    assert is_final(last)
    return last


def assert_whole(ended: Execution, server: SeaweedServer, bucket: str) -> None:
    """All of the tree is there and proved, and nothing else."""
    assert Execution.State.Name(ended.state) == "STATE_SUCCESS", ended
    assert ended.counters.transferred_count == ended.counters.verified_count == ended.counters.estimated_count
    assert objects(server, bucket) == expected(TREE, ROOT)
    assert uploads(server, bucket) == [], "an upload was left behind"


def keys_in(server: SeaweedServer, bucket: str) -> list[str]:
    """Returns the first keys of a bucket."""
    return [item["Key"] for item in server.client().list_objects_v2(Bucket=bucket).get("Contents", ())]


def uploads(server: SeaweedServer, bucket: str) -> list[str]:
    """Returns the keys of the uploads that are not completed."""
    return [item["Key"] for item in server.client().list_multipart_uploads(Bucket=bucket).get("Uploads", ())]


def test_the_tree_is_what_the_tests_believe(cluster: HdfsCluster) -> None:
    assert cluster.shell("-count", ROOT).split()[1] == str(len(TREE))
