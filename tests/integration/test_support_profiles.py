"""The kinds of HDFS in the test bed: Hadoop's own tools prove that each is what its profile says."""

import subprocess
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import pytest

from stores.hdfs.source import HdfsSource
from stores.location import HdfsLocation
from tests.support.content import content
from tests.support.hdfs import HdfsCluster
from tests.support.hdfs_profile import Kerberos, Profile
from tests.support.kdc import Kdc
from tests.support.tree import FileSpec

_SIZE = 1_500_000
_SECRET = 0o400
_SASL = "org.apache.hadoop.hdfs.protocol.datatransfer.sasl"
_FOREIGN = "GSS initiate failed|does not match expected pattern|Cannot find KDC|Cannot locate KDC"
_HA = "org.apache.hadoop.hdfs.server.namenode.ha"


@pytest.fixture
def alices_file(kerberos_hdfs: HdfsCluster, folder_name: str) -> str:
    path = f"{folder_name}/f"
    kerberos_hdfs.make([FileSpec(path, size=_SIZE, seed=1, owner="alice", mode=_SECRET)])
    return path


def _length(cluster: HdfsCluster, path: str, target: Path, conf: Path | None = None) -> int:
    cluster.shell("-get", path, str(target), user="alice", conf=conf)
    return target.stat().st_size


def test_kerberos_lets_in_whom_the_keytab_names_and_nobody_without(
    kerberos_hdfs: HdfsCluster, alices_file: str, tmp_path: Path
) -> None:
    assert _length(kerberos_hdfs, alices_file, tmp_path / "f") == _SIZE
    assert len(kerberos_hdfs.block_names(alices_file)) == 2
    with pytest.raises(RuntimeError, match="Permission denied: user=bob"):
        kerberos_hdfs.shell("-cat", alices_file, user="bob")
    with pytest.raises(RuntimeError, match="Client cannot authenticate via"):
        kerberos_hdfs.shell("-cat", alices_file, user="")


@pytest.mark.parametrize(("rpc", "transfer"), [("integrity", "privacy"), ("privacy", "integrity")])
def test_a_kerberos_cluster_gives_the_protection_that_a_client_asks_for(
    kerberos_hdfs: HdfsCluster, alices_file: str, tmp_path: Path, rpc: str, transfer: str
) -> None:
    wanted = {"hadoop.rpc.protection": rpc, "dfs.data.transfer.protection": transfer}
    conf = kerberos_hdfs.client_folder(f"{rpc}-{transfer}", wanted)
    assert _length(kerberos_hdfs, alices_file, tmp_path / "f", conf) == _SIZE


def test_a_cluster_refuses_another_protection_and_a_ticket_of_another_realm(
    other_kerberos_hdfs: HdfsCluster, kerberos_hdfs: HdfsCluster
) -> None:
    privacy = other_kerberos_hdfs.client_folder("privacy", {"hadoop.rpc.protection": "privacy"})
    with pytest.raises(RuntimeError, match="No common protection layer between client and server"):
        other_kerberos_hdfs.shell("-ls", "/", user="alice", conf=privacy)
    foreign = ("-Dfs.defaultFS=" + other_kerberos_hdfs.uri, "-ls", "/")
    with pytest.raises(RuntimeError, match=_FOREIGN):
        kerberos_hdfs.shell(*foreign, user="alice")
    other_kerberos_hdfs.shell("-ls", "/", user="alice")  # her own realm's lets her in, with what other tests made there


def _talkative(cluster: HdfsCluster, settings: Mapping[str, str]) -> Path:
    """Returns site files with which a client prints how it logs in at DataNodes."""
    conf = cluster.client_folder("talkative", settings)
    logging = (conf / "log4j.properties").read_text().replace("System.err", "System.out")
    (conf / "log4j.properties").write_text(f"{logging}\nlog4j.logger.{_SASL}=DEBUG\n")
    return conf


def test_a_cluster_with_encrypted_transfer_says_so_and_serves_its_clients(
    encrypted_hdfs: HdfsCluster, folder_name: str, tmp_path: Path
) -> None:
    path = f"{folder_name}/f"
    encrypted_hdfs.make([FileSpec(path, size=_SIZE, seed=1, owner="alice", mode=_SECRET)])
    unaware = _talkative(encrypted_hdfs, {"dfs.encrypt.data.transfer": "false"})
    said = encrypted_hdfs.shell("-get", path, str(tmp_path / "f"), user="alice", conf=unaware)
    assert (tmp_path / "f").stat().st_size == _SIZE
    assert "SASL client doing encrypted handshake" in said
    assert "AES/CTR/NoPadding" in said


def test_privacy_is_by_aes_where_the_cluster_knows_it(
    kerberos_hdfs: HdfsCluster, alices_file: str, tmp_path: Path
) -> None:
    conf = _talkative(kerberos_hdfs, {"dfs.data.transfer.protection": "privacy"})
    said = kerberos_hdfs.shell("-get", alices_file, str(tmp_path / "f"), user="alice", conf=conf)
    assert "SASL client doing general handshake" in said
    assert "AES/CTR/NoPadding" in said


def test_a_right_keytab_gives_tickets_and_a_wrong_one_none(kdc: Kdc, tmp_path: Path) -> None:
    environment = kdc.realm.client_environment(kdc.kinit("alice", tmp_path / "cache", "-l", "60s"))
    assert "alice@ALPHA.TEST" in subprocess.run(["klist"], env=environment, capture_output=True, text=True).stdout
    wrong = ["kinit", "-kt", str(kdc.wrong_keytab("alice")), "alice"]
    refused = subprocess.run(wrong, env=environment, capture_output=True, text=True)
    assert "Preauthentication failed" in refused.stderr


@pytest.mark.parametrize(("folder", "policy", "cells"), [("/rs", "RS-3-2-1024k", 5), ("/xor", "XOR-2-1-1024k", 3)])
def test_a_file_below_an_erasure_folder_is_striped(
    erasure_hdfs: HdfsCluster, folder_name: str, tmp_path: Path, folder: str, policy: str, cells: int
) -> None:
    path = f"{folder}{folder_name}/f"
    erasure_hdfs.make([FileSpec(path, size=4_000_000, seed=2)])
    assert erasure_hdfs.erasure("-getPolicy", "-path", path).strip() == policy
    assert f"Live_repl={cells}" in erasure_hdfs.fsck(path)
    erasure_hdfs.shell("-get", path, str(tmp_path / "f"))
    assert (tmp_path / "f").read_bytes() == content(2, 4_000_000)


@pytest.fixture(params=["kms_hdfs", "kms_kerberos_hdfs"])
def zone_hdfs(request: pytest.FixtureRequest) -> HdfsCluster:
    cluster: HdfsCluster = request.getfixturevalue(request.param)
    return cluster


@pytest.mark.parametrize("zone", ["/zone128", "/zone256"])
def test_a_file_of_an_encryption_zone_is_ciphertext_on_disk_and_opens_for_those_who_have_the_key(
    zone_hdfs: HdfsCluster, folder_name: str, tmp_path: Path, zone: str
) -> None:
    path = f"{zone}{folder_name}/f"
    zone_hdfs.make([FileSpec(path, size=100_000, seed=3)])
    zone_hdfs.shell("-get", path, str(tmp_path / "f"), user="alice")
    assert (tmp_path / "f").read_bytes() == content(3, 100_000)
    assert [file.read_bytes() == content(3, 100_000) for file in zone_hdfs.replicas(path).values()] == [False]
    with pytest.raises(RuntimeError, match=r"User:bob not allowed to do 'DECRYPT_EEK'"):
        zone_hdfs.shell("-cat", path, user="bob")


def test_each_kms_alone_opens_the_files(zone_hdfs: HdfsCluster, folder_name: str, tmp_path: Path) -> None:
    path = f"/zone128{folder_name}/f"
    zone_hdfs.make([FileSpec(path, size=1_000, seed=4)])
    for gone, other in (("kms1", "kms2"), ("kms2", "kms1")):
        zone_hdfs.kill(gone)
        zone_hdfs.shell("-get", path, str(tmp_path / other), user="alice")
        zone_hdfs.start_daemon(gone)
        zone_hdfs.wait_ready()
    assert (tmp_path / "kms1").read_bytes() == (tmp_path / "kms2").read_bytes() == content(4, 1_000)


def _audited(cluster: HdfsCluster, namenode: str, path: str) -> bool:
    return f"src={path}\t" in (cluster.plan.folder / "logs" / f"{namenode}.log").read_text()


def test_a_nameservice_fails_over_by_hand_and_after_a_kill(ha_hdfs: HdfsCluster, folder_name: str) -> None:
    path = f"{folder_name}/f"
    ha_hdfs.make([FileSpec(path, size=10)])
    try:
        ha_hdfs.fail_over("namenode2")
        assert [ha_hdfs.state(name) for name in ha_hdfs.namenodes] == ["standby", "active", "observer"]
        assert path in ha_hdfs.shell("-ls", folder_name)
        ha_hdfs.kill("namenode2")
        ha_hdfs.fail_over("namenode")
        assert path in ha_hdfs.shell("-ls", folder_name)
    finally:
        ha_hdfs.restore()
    assert [ha_hdfs.state(name) for name in ha_hdfs.namenodes] == ["active", "standby", "observer"]


def test_an_observer_answers_the_clients_that_ask_it(ha_hdfs: HdfsCluster, folder_name: str) -> None:
    ha_hdfs.make([FileSpec(f"{folder_name}/f", size=10)])
    provider = {"dfs.client.failover.proxy.provider.ns1": f"{_HA}.ObserverReadProxyProvider"}
    ha_hdfs.shell("-ls", folder_name, conf=ha_hdfs.client_folder("observing", provider))
    assert _audited(ha_hdfs, "namenode3", folder_name)


def test_a_router_shows_the_nameservice_and_what_is_mounted(ha_hdfs: HdfsCluster, folder_name: str) -> None:
    ha_hdfs.make([FileSpec(f"{folder_name}/f", size=10)])
    ha_hdfs.mount("/mounted", folder_name)
    conf = ha_hdfs.client_folder("router", {"fs.defaultFS": f"hdfs://{ha_hdfs.router}"})
    assert "/mounted/f" in ha_hdfs.shell("-ls", "/mounted", conf=conf)
    assert f"{folder_name}/f" in ha_hdfs.shell("-ls", folder_name, conf=conf)


def test_a_nameservice_in_a_realm_with_journals_starts_and_we_follow_it(kdc: Kdc, tmp_path: Path) -> None:
    profile = Profile(kerberos=Kerberos(kdc.realm), namenodes=2, journals=3)
    with HdfsCluster.start(tmp_path, datanode_count=1, replication=1, profile=profile) as cluster:
        cluster.make([FileSpec("/f", size=10)])
        with closing(HdfsSource(_as_alice(cluster, kdc))) as store:
            assert store.stat("f") is not None
            cluster.kill("namenode")
            cluster.fail_over("namenode2")
            assert "/f" in cluster.shell("-ls", "/", user="alice")
            assert store.stat("f") is not None  # by another login: each NameNode has a principal of its own


def _as_alice(cluster: HdfsCluster, kdc: Kdc) -> HdfsLocation:
    return HdfsLocation(
        (),
        "/",
        nameservice="ns1",
        principal=kdc.realm.principal("alice"),
        keytab=str(kdc.realm.keytab("alice")),
        conf_dir=str(cluster.conf_folder),
        krb5_conf=str(kdc.realm.krb5_conf),
    )


def test_a_cluster_is_of_the_version_that_it_should_be(version_hdfs: HdfsCluster, folder_name: str) -> None:
    version_hdfs.make([FileSpec(f"{folder_name}/f", size=1_000, append_bytes=10)])
    assert version_hdfs.version() == version_hdfs.plan.profile.version
    assert version_hdfs.shell("-stat", "%b", f"{folder_name}/f").strip() == "1010"
