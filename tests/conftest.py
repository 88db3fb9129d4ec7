"""Fixtures shared by all tests. A server is started by the first test that asks for it, and ended with the session."""

import uuid
from collections.abc import Iterator

import pytest

from tests.support.hadoop_jars import OTHER_VERSIONS, VERSION
from tests.support.hdfs import HdfsCluster
from tests.support.hdfs_profile import Kerberos, Profile
from tests.support.kdc import Kdc
from tests.support.postgres import PostgresServer
from tests.support.s3 import RcloneServer, SeaweedServer, VersitygwServer
from tests.support.tree import folder


@pytest.fixture(scope="session")
def hdfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HdfsCluster]:
    """One NameNode and two DataNodes, blocks of 1 MiB, replication 2. A test that stops a daemon starts its own."""
    with HdfsCluster.start(tmp_path_factory.mktemp("hdfs")) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def kdc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kdc]:
    """The realm ALPHA.TEST of kerberos_hdfs and encrypted_hdfs."""
    with Kdc.start(tmp_path_factory.mktemp("kdc") / "alpha", "ALPHA.TEST") as started:
        yield started


@pytest.fixture(scope="session")
def other_kdc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kdc]:
    """A second realm, BETA.TEST, that knows nothing of the first."""
    with Kdc.start(tmp_path_factory.mktemp("kdc") / "beta", "BETA.TEST") as started:
        yield started


@pytest.fixture(scope="session")
def kerberos_hdfs(kdc: Kdc, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HdfsCluster]:
    """One NameNode and three DataNodes in ALPHA.TEST that offer every protection of RPC and transfer, and AES/CTR.

    What is made below /xor is XOR-2-1-1024k.
    """
    profile = Profile(kerberos=Kerberos(kdc.realm))
    with HdfsCluster.start(tmp_path_factory.mktemp("kerberos-hdfs"), datanode_count=3, profile=profile) as cluster:
        cluster.make([folder("/xor", erasure_policy="XOR-2-1-1024k")])
        yield cluster


@pytest.fixture(scope="session")
def encrypted_hdfs(kdc: Kdc, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HdfsCluster]:
    """One NameNode and one DataNode in ALPHA.TEST that demand dfs.encrypt.data.transfer, and privacy of RPC."""
    profile = Profile(kerberos=Kerberos(kdc.realm, rpc=("privacy",), encrypt=True))
    place = tmp_path_factory.mktemp("encrypted-hdfs")
    with HdfsCluster.start(place, datanode_count=1, replication=1, profile=profile) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def other_kerberos_hdfs(other_kdc: Kdc, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HdfsCluster]:
    """One NameNode and one DataNode in BETA.TEST: integrity of RPC, integrity or privacy of transfer, without AES."""
    kerberos = Kerberos(other_kdc.realm, rpc=("integrity",), transfer=("integrity", "privacy"), aes=False)
    place = tmp_path_factory.mktemp("other-kerberos-hdfs")
    with HdfsCluster.start(place, datanode_count=1, replication=1, profile=Profile(kerberos=kerberos)) as cluster:
        yield cluster


_ZONES = tuple(folder(f"/zone{bits}", mode=0o777, encryption_key=f"key{bits}") for bits in (128, 256))


@pytest.fixture(scope="session")
def kms_hdfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HdfsCluster]:
    """Three DataNodes, two KMS without Kerberos, encryption zones /zone128 and /zone256; bob may decrypt nothing.

    Files below /zone256/xor are XOR-2-1-1024k as well; all others have one replica.
    """
    place = tmp_path_factory.mktemp("kms-hdfs")
    with HdfsCluster.start(place, datanode_count=3, replication=1, profile=Profile(kms=2)) as cluster:
        cluster.make([*_ZONES, folder("/zone256/xor", erasure_policy="XOR-2-1-1024k")])
        yield cluster


@pytest.fixture(scope="session")
def kms_kerberos_hdfs(kdc: Kdc, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HdfsCluster]:
    """The same in ALPHA.TEST: the KMS ask for Kerberos, as kerberos_hdfs all protections are offered."""
    place = tmp_path_factory.mktemp("kms-kerberos-hdfs")
    profile = Profile(kerberos=Kerberos(kdc.realm), kms=2)
    with HdfsCluster.start(place, datanode_count=1, replication=1, profile=profile) as cluster:
        cluster.make(_ZONES)
        yield cluster


@pytest.fixture(scope="session")
def ha_hdfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HdfsCluster]:
    """Nameservice ns1 of three NameNodes, the first active, the last an observer; two DataNodes, a router; no Kerberos.

    A test that fails over or kills calls restore() at its end, in a `finally`.
    """
    with HdfsCluster.start(tmp_path_factory.mktemp("ha-hdfs"), profile=Profile(namenodes=3, router=True)) as cluster:
        cluster.make_observer("namenode3")
        yield cluster


@pytest.fixture(scope="session", params=(VERSION, *OTHER_VERSIONS))
def version_hdfs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HdfsCluster]:
    """A plain cluster of each version of Hadoop, one after the other; the test runs with each."""
    if request.param == VERSION:
        yield request.getfixturevalue("hdfs")
        return
    place, profile = tmp_path_factory.mktemp("version-hdfs"), Profile(version=request.param)
    with HdfsCluster.start(place, datanode_count=1, replication=1, profile=profile) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def erasure_hdfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HdfsCluster]:
    """One NameNode and five DataNodes; what is made below /rs is RS-3-2-1024k, below /xor XOR-2-1-1024k."""
    policies = {"/rs": "RS-3-2-1024k", "/xor": "XOR-2-1-1024k"}
    with HdfsCluster.start(tmp_path_factory.mktemp("erasure-hdfs"), datanode_count=5) as cluster:
        cluster.make(folder(path, erasure_policy=policy) for path, policy in policies.items())
        yield cluster


@pytest.fixture(scope="session")
def seaweed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedServer]:
    """SeaweedFS over http: verifies claims."""
    with SeaweedServer.start(tmp_path_factory.mktemp("seaweed")) as server:
        yield server


@pytest.fixture(scope="session")
def seaweed_tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedServer]:
    """SeaweedFS over https with a certificate of our own authority."""
    with SeaweedServer.start(tmp_path_factory.mktemp("seaweed-tls"), tls=True) as server:
        yield server


@pytest.fixture(scope="session")
def versitygw(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VersitygwServer]:
    """versitygw over http: the strictest; skips the test where Go is missing."""
    missing = VersitygwServer.missing()
    if missing:
        pytest.skip(missing)
    with VersitygwServer.start(tmp_path_factory.mktemp("versitygw")) as server:
        yield server


@pytest.fixture(scope="session")
def rclone_s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RcloneServer]:
    """rclone serve s3: accepts false claims."""
    with RcloneServer.start(tmp_path_factory.mktemp("rclone")) as server:
        yield server


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server; most tests want postgres_url."""
    with PostgresServer.start() as server:
        yield server


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> str:
    """The SQLAlchemy URL of an empty database of this test's own."""
    return postgres.make_database(f"test_{uuid.uuid4().hex[:16]}")


@pytest.fixture
def bucket_name(request: pytest.FixtureRequest) -> Iterator[str]:
    """A bucket name of this test's own; make it with server.make_bucket(bucket_name).

    Buckets whose names begin with it are removed from SeaweedFS after the test: all of them together fill a disk.
    """
    names = {"seaweed", "seaweed_tls"}.intersection(request.fixturenames)
    servers = [request.getfixturevalue(name) for name in names]
    name = f"test-{uuid.uuid4().hex[:16]}"
    yield name
    for server in servers:
        server.remove_buckets(name)


@pytest.fixture
def folder_name() -> str:
    """An HDFS folder of this test's own, such as /test-1f...; nothing is made."""
    return f"/test-{uuid.uuid4().hex[:16]}"
