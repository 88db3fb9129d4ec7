"""The servers of the test bed themselves: each starts, does what the other tests rely on, and is back after a kill."""

import base64
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import psutil
import psycopg2
import pytest
from botocore.exceptions import ClientError, SSLError

from tests.support.content import content
from tests.support.hdfs import HdfsCluster
from tests.support.postgres import PostgresServer
from tests.support.processes import wait_for
from tests.support.s3 import RcloneServer, S3Server, SeaweedServer, VersitygwServer
from tests.support.tree import FileSpec, folder

_ROOT = Path(__file__).resolve().parents[2]
_MIB = 1 << 20
_FALSE_CLAIM = base64.b64encode(b"\x00\x00\x00\x01").decode()


def _read(cluster: HdfsCluster, path: str, target: Path) -> bytes:
    cluster.shell("-get", path.replace("\\", "\\\\"), str(target))
    return target.read_bytes()


def test_java_and_python_make_the_same_content(hdfs: HdfsCluster, folder_name: str, tmp_path: Path) -> None:
    path = f"{folder_name}/three blocks"
    hdfs.make([FileSpec(path, size=2 * _MIB + 70_000, seed=-3, append_bytes=12_345)])
    assert _read(hdfs, path, tmp_path / "copy") == content(-3, 2 * _MIB + 82_345)


def test_content_differs_between_seeds_and_between_blocks() -> None:
    assert content(1, 100) != content(2, 100)
    assert content(1, 3 * _MIB)[:_MIB] != content(1, 3 * _MIB)[_MIB : 2 * _MIB]
    assert content(1, 0) == b""
    assert content(1, 70_000)[:100] == content(1, 100)


def test_names_arrive_as_they_were_given(hdfs: HdfsCluster, folder_name: str) -> None:
    names = {"a b", "%20", "a+b", "a;b", "a#b?c&d", "quote'\"", "\N{SHIP}é", "tab\t", "back\\slash", "n\nl"}
    hdfs.make(FileSpec(f"{folder_name}/{name}", size=3) for name in names)
    listing = hdfs.shell("-ls", "-C", folder_name)
    assert {line.removesuffix("\n") for line in listing.split(f"{folder_name}/")[1:]} == names


def test_attributes_and_folders_are_set(hdfs: HdfsCluster, folder_name: str) -> None:
    hdfs.make(
        [
            folder(f"{folder_name}/d", owner="bob", mode=0o1750, mtime_ms=86_400_000),
            FileSpec(
                f"{folder_name}/d/f", size=5, owner="alice", group="staff", mode=0o640, replication=1, mtime_ms=7_000
            ),
        ]
    )
    found = hdfs.shell("-stat", "%F %u %g %a %r %b %Y %o", f"{folder_name}/d", f"{folder_name}/d/f")
    assert found.splitlines() == [
        "directory bob supergroup 1750 0 0 86400000 0",
        f"regular file alice staff 640 1 5 7000 {_MIB}",
    ]


def test_permissions_count_for_other_users_and_not_for_us(hdfs: HdfsCluster, folder_name: str) -> None:
    hdfs.make([FileSpec(f"{folder_name}/secret", size=5, owner="bob", mode=0o400)])
    with pytest.raises(RuntimeError, match="Permission denied: user=alice"):
        hdfs.shell("-cat", f"{folder_name}/secret", user="alice")
    hdfs.shell("-cat", f"{folder_name}/secret", user="bob")
    hdfs.shell("-cat", f"{folder_name}/secret")


def test_block_sizes_and_checksum_kinds_are_the_asked_ones(hdfs: HdfsCluster, folder_name: str) -> None:
    hdfs.make(
        [
            FileSpec(
                f"{folder_name}/crc32", size=5_000, block_size=2_048, bytes_per_checksum=1_024, checksum_type="CRC32"
            ),
            FileSpec(f"{folder_name}/uneven", size=1_000, append_bytes=1_000, append_new_block=True),
            FileSpec(f"{folder_name}/null", size=1_000, checksum_type="NULL"),
        ]
    )
    assert "1024CRC32 " in hdfs.shell("-checksum", f"{folder_name}/crc32").replace("\t", " ")
    assert len(hdfs.block_names(f"{folder_name}/crc32")) == 3
    assert [path.stat().st_size for path in hdfs.replicas(f"{folder_name}/uneven", 1).values()] == [1_000, 1_000]
    null_block = next(iter(hdfs.replicas(f"{folder_name}/null").values()))
    assert [meta.stat().st_size for meta in null_block.parent.glob(f"{null_block.name}_*.meta")] == [7]


def test_a_held_file_shows_its_bytes_and_closes_later(hdfs: HdfsCluster, folder_name: str, tmp_path: Path) -> None:
    path = f"{folder_name}/é held"
    held = hdfs.hold_open(path, 100_000, seed=4)
    assert "Under Construction Block" in hdfs.fsck(path)
    assert _read(hdfs, path, tmp_path / "copy") == content(4, 100_000)
    held.close()
    assert "Under Construction Block" not in hdfs.fsck(path)


def test_block_names_of_a_missing_file_are_an_error(hdfs: HdfsCluster) -> None:
    with pytest.raises(FileNotFoundError):
        hdfs.block_names("/absent")


def test_five_thousand_small_files_are_made_by_one_call(hdfs: HdfsCluster, folder_name: str) -> None:
    hdfs.make(FileSpec(f"{folder_name}/{i % 50}/{i}", size=100, seed=i, replication=1) for i in range(5_000))
    assert hdfs.shell("-count", folder_name).split()[:2] == ["51", "5000"]


def test_daemons_come_back_after_kill_and_nothing_is_lost(tmp_path: Path) -> None:
    with HdfsCluster.start(tmp_path / "cluster", datanode_count=2) as cluster:
        cluster.make([FileSpec("/f", size=100, seed=1)])
        before = cluster.pid("datanode1")
        for name in cluster.daemons:
            cluster.kill(name)
        for name in cluster.daemons:
            cluster.start_daemon(name)
        cluster.wait_ready()
        assert cluster.live_datanodes() == ("datanode1", "datanode2")
        assert cluster.pid("datanode1") != before
        assert _read(cluster, "/f", tmp_path / "copy") == content(1, 100)
        assert "OFF" in cluster.admin("-safemode", "get")
        pids = [cluster.pid(name) for name in cluster.daemons]
    assert not any(psutil.pid_exists(pid) for pid in pids)


def test_a_daemon_that_cannot_start_shows_the_end_of_its_log(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"datanode\d ended by itself(.|\n)*NumberFormatException"):
        HdfsCluster.start(tmp_path, settings={"dfs.datanode.handler.count": "many"})


def test_hdfs_listens_on_this_machine_only(hdfs: HdfsCluster) -> None:
    listening = [
        connection.laddr.ip
        for name in hdfs.daemons
        for connection in psutil.Process(hdfs.pid(name)).net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert listening
    assert set(listening) <= {"127.0.0.1", "::ffff:127.0.0.1"}


@pytest.fixture(params=[SeaweedServer, VersitygwServer, RcloneServer])
def own_server(request: pytest.FixtureRequest, tmp_path: Path) -> type[S3Server]:
    if request.param is VersitygwServer and VersitygwServer.missing():
        pytest.skip(VersitygwServer.missing())
    return request.param


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
def test_objects_survive_a_kill_of_the_server(own_server: type[S3Server], tls: bool, tmp_path: Path) -> None:
    with own_server.start(tmp_path / "server", tls=tls) as server:
        server.make_bucket("bucket")
        server.client().put_object(Bucket="bucket", Key="a b/😀", Body=b"x" * 1000)
        server.kill()
        server.start_process()
        assert server.client().get_object(Bucket="bucket", Key="a b/😀")["Body"].read() == b"x" * 1000


def test_tls_is_refused_by_a_client_that_does_not_know_the_authority(seaweed_tls: SeaweedServer) -> None:
    stranger = SeaweedServer(seaweed_tls.launch, seaweed_tls.endpoint, ca_file=None)
    with pytest.raises(SSLError):
        stranger.client().list_buckets()


def test_wrong_keys_are_refused(seaweed: SeaweedServer) -> None:
    stranger = SeaweedServer(seaweed.launch, seaweed.endpoint, ca_file=None, secret_key="wrong")
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        stranger.client().list_buckets()


@pytest.mark.parametrize(("name", "honest"), [("seaweed", True), ("versitygw", True), ("rclone_s3", False)])
def test_a_false_claim_is_refused_by_honest_servers_only(
    name: str, honest: bool, request: pytest.FixtureRequest, bucket_name: str
) -> None:
    server: S3Server = request.getfixturevalue(name)
    server.make_bucket(bucket_name)
    with pytest.raises(ClientError, match="BadDigest") if honest else nullcontext():
        server.client().put_object(Bucket=bucket_name, Key="k", Body=b"data", ChecksumCRC32C=_FALSE_CLAIM)


def test_a_missing_bucket_is_not_made_by_itself(seaweed: SeaweedServer, bucket_name: str) -> None:
    with pytest.raises(ClientError, match="NoSuchBucket"):
        seaweed.client().put_object(Bucket=bucket_name, Key="k", Body=b"")


@pytest.mark.parametrize(("name", "kept"), [("seaweed", {}), ("versitygw", {"owner": "bob"})])
def test_metadata_of_a_key_that_ends_with_a_slash_is_dropped_by_seaweedfs(
    name: str, kept: dict[str, str], request: pytest.FixtureRequest, bucket_name: str
) -> None:
    server: S3Server = request.getfixturevalue(name)
    server.make_bucket(bucket_name)
    server.client().put_object(Bucket=bucket_name, Key="folder/", Body=b"", Metadata={"owner": "bob"})
    assert server.client().head_object(Bucket=bucket_name, Key="folder/")["Metadata"] == kept


def test_postgres_gives_each_test_an_empty_database(postgres: PostgresServer, postgres_url: str) -> None:
    plain = postgres_url.replace("postgresql+psycopg2", "postgresql")
    connection = psycopg2.connect(plain)
    with connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE t (x int)")
        cursor.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
        assert cursor.fetchone() == (1,)
    connection.close()


def test_postgres_is_back_after_a_kill() -> None:
    with PostgresServer.start() as server:
        url = server.make_database("kept").replace("postgresql+psycopg2", "postgresql")
        server.kill()
        with pytest.raises(psycopg2.OperationalError):
            psycopg2.connect(url)
        server.start_process()
        psycopg2.connect(url).close()


def test_children_die_with_the_process_that_started_them(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from tests.support.processes import Child\n"
        "print(Child.start('sleeper', ('sleep', '600'), Path(sys.argv[1])).pid, flush=True)\n"
        "time.sleep(600)"
    )
    starter = subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "log")], stdout=subprocess.PIPE, cwd=_ROOT)
    assert starter.stdout is not None
    pid = int(starter.stdout.readline())
    wait_for("setpriv to become the sleeper", lambda: psutil.Process(pid).name() == "sleep", deadline_s=10)
    starter.kill()
    starter.communicate()
    wait_for("the sleeper to be gone", lambda: not psutil.pid_exists(pid), deadline_s=10)
