"""The steps of a location's test against real clusters: what passes, and what each kind of trouble is called."""

import signal
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from stores.base import Check
from stores.hdfs.source import HdfsSource
from stores.location import HdfsLocation, Protection
from tests.support.hdfs import HdfsCluster
from tests.support.hdfs_profile import Profile
from tests.support.hdfs_settings import xml
from tests.support.hdfs_tls import client_settings, make_stores
from tests.support.kdc import Kdc, Realm
from tests.support.ports import free_ports
from tests.support.tree import FileSpec, folder

MIB = 1 << 20


def tried(location: HdfsLocation, timeout_s: float | None = 30) -> tuple[Check, ...]:
    with closing(HdfsSource(location, timeout_s=timeout_s)) as source:
        return source.checks(write=False)


def failures(checks: tuple[Check, ...]) -> Mapping[str, str]:
    assert all(check.passed or (check.reason and check.message) for check in checks)
    return {check.step: check.reason for check in checks if not check.passed}


def kinds(checks: tuple[Check, ...]) -> list[str]:
    """Returns the steps without addresses, each kind once."""
    return list(dict.fromkeys(check.step.partition(" ")[0] for check in checks))


def said(checks: tuple[Check, ...], step: str) -> str:
    return next(check.message for check in checks if check.step == step)


def secured(cluster: HdfsCluster, realm: Realm, root: str, user: str = "alice") -> HdfsLocation:
    return HdfsLocation(
        (cluster.namenode,),
        root,
        principal=realm.principal(user),
        keytab=str(realm.keytab(user)),
        krb5_conf=str(realm.krb5_conf),
        conf_dir=str(cluster.conf_folder),
    )


def in_service(cluster: HdfsCluster, root: str) -> HdfsLocation:
    return HdfsLocation((), root, nameservice="ns1", conf_dir=str(cluster.conf_folder))


# ---- without Kerberos ------------------------------------------------------------------------------------------------


def test_all_steps_of_a_plain_location_pass(hdfs: HdfsCluster, folder_name: str) -> None:
    hdfs.make([FileSpec(f"{folder_name}/f", size=100)])
    checks = tried(HdfsLocation((hdfs.namenode,), folder_name))
    assert not failures(checks)
    assert kinds(checks) == ["resolve", "namenode", "root", "list", "datanode", "read", "checksums"]
    assert len([check for check in checks if check.step.startswith("datanode ")]) == len(hdfs.datanodes)
    assert "CRC32C of 512 bytes" in said(checks, "checksums")


def test_datanodes_are_tried_also_for_who_may_not_ask_for_their_list(hdfs: HdfsCluster, folder_name: str) -> None:
    hdfs.make([FileSpec(f"{folder_name}/f", size=100)])
    checks = tried(HdfsLocation((hdfs.namenode,), folder_name, user="bob"))
    assert not failures(checks)
    assert "datanode" in kinds(checks)


def test_a_file_without_checksums_and_a_folder_without_files_are_told(hdfs: HdfsCluster, folder_name: str) -> None:
    hdfs.make([FileSpec(f"{folder_name}/null/f", size=100, checksum_type="NULL"), FileSpec(f"{folder_name}/e/empty")])
    null = tried(HdfsLocation((hdfs.namenode,), f"{folder_name}/null"))
    assert not failures(null)
    assert "nothing proves" in said(null, "checksums")
    empty = tried(HdfsLocation((hdfs.namenode,), f"{folder_name}/e"))
    assert not failures(empty)
    assert said(empty, "read").startswith("Not tried")


def test_a_file_that_may_not_be_read_is_told(hdfs: HdfsCluster, folder_name: str) -> None:
    hdfs.make([FileSpec(f"{folder_name}/f", size=100, owner="alice", mode=0o600)])
    checks = tried(HdfsLocation((hdfs.namenode,), folder_name, user="bob"))
    assert failures(checks) == {"read": "ACCESS_DENIED"}


def test_a_striped_file_is_a_sample_too(erasure_hdfs: HdfsCluster, folder_name: str) -> None:
    erasure_hdfs.make([FileSpec(f"/rs{folder_name}/f", size=100)])
    checks = tried(HdfsLocation((erasure_hdfs.namenode,), f"/rs{folder_name}"))
    assert not failures(checks)
    assert "moves no data" in said(checks, "checksums")


def test_every_namenode_is_told_with_its_state(ha_hdfs: HdfsCluster, folder_name: str) -> None:
    ha_hdfs.make([FileSpec(f"{folder_name}/f", size=100)])
    states = {"namenode": "is active", "namenode2": "is a standby", "namenode3": "is an observer"}
    checks = tried(in_service(ha_hdfs, folder_name))
    assert not failures(checks)
    for name, state in states.items():
        assert state in said(checks, f"namenode {ha_hdfs.namenode_address(name)}")
    assert ha_hdfs.namenode in said(checks, "active")
    alone = tried(HdfsLocation((ha_hdfs.namenode_address("namenode2"),), folder_name))
    assert failures(alone) == {"namenode": "NAMENODE_STANDBY"}
    routed = tried(HdfsLocation((ha_hdfs.router,), folder_name))
    assert not failures(routed)
    try:
        ha_hdfs.ha_admin("-transitionToStandby", "nn1")
        assert failures(tried(in_service(ha_hdfs, folder_name))) == {"active": "NAMENODE_STANDBY"}
    finally:
        ha_hdfs.restore()


def test_a_dead_namenode_and_datanodes_that_do_not_answer_are_told(ha_hdfs: HdfsCluster, folder_name: str) -> None:
    ha_hdfs.make([FileSpec(f"{folder_name}/f", size=100)])
    try:
        ha_hdfs.kill("namenode2")
        ha_hdfs.kill("datanode1")
        ha_hdfs.kill("datanode2", signal.SIGSTOP)  # takes connections and says nothing, as some firewalls let it
        checks = tried(in_service(ha_hdfs, folder_name), timeout_s=3)
        assert failures(checks) == {
            f"namenode {ha_hdfs.namenode_address('namenode2')}": "NAMENODE_UNAVAILABLE",
            **{f"datanode localhost:{ports.transfer}": "DATANODE_UNAVAILABLE" for ports in ha_hdfs.plan.datanodes},
            "read": "SOURCE_UNAVAILABLE",
        }
        assert all("open that port" in check.message for check in checks if check.step.startswith("datanode "))
    finally:
        ha_hdfs.restore()


# ---- Kerberos --------------------------------------------------------------------------------------------------------


def test_all_steps_of_a_kerberos_location_pass(kerberos_hdfs: HdfsCluster, kdc: Kdc, folder_name: str) -> None:
    kerberos_hdfs.make([FileSpec(f"{folder_name}/f", size=MIB + 1, owner="alice", mode=0o600)])
    for transfer in Protection:
        location = replace(secured(kerberos_hdfs, kdc.realm, folder_name), transfer_protection=transfer)
        checks = tried(location)
        assert not failures(checks)
        assert kinds(checks) == ["resolve", "kdc", "namenode", "root", "list", "datanode", "read", "checksums"]
    assert "alice@ALPHA.TEST is logged in, until" in said(checks, "kdc")


def test_datanodes_with_encrypted_transfer_take_the_login(
    encrypted_hdfs: HdfsCluster, kdc: Kdc, folder_name: str
) -> None:
    encrypted_hdfs.make([FileSpec(f"{folder_name}/f", size=100)])
    checks = tried(secured(encrypted_hdfs, kdc.realm, folder_name))
    assert not failures(checks)
    assert "datanode" in kinds(checks)


def test_a_wrong_keytab_and_a_missing_one_end_at_the_kdc(kerberos_hdfs: HdfsCluster, kdc: Kdc) -> None:
    good = secured(kerberos_hdfs, kdc.realm, "/")
    wrong = tried(replace(good, keytab=str(kdc.wrong_keytab("alice"))))
    assert failures(wrong) == {"kdc": "KEYTAB_REFUSED"}
    assert kinds(wrong) == ["resolve", "kdc"]
    assert failures(tried(replace(good, keytab="/nowhere/alice.keytab"))) == {"kdc": "KEYTAB_MISSING"}


def test_a_kdc_that_nobody_runs_is_told(kerberos_hdfs: HdfsCluster, kdc: Kdc) -> None:
    (port,) = free_ports(1)
    krb5_conf = kdc.realm.folder / "nobody.conf"
    krb5_conf.write_text(kdc.realm.krb5_conf.read_text().replace(f":{kdc.realm.port}", f":{port}"))
    location = replace(secured(kerberos_hdfs, kdc.realm, "/"), krb5_conf=str(krb5_conf))
    assert failures(tried(location)) == {"kdc": "KDC_UNAVAILABLE"}


@pytest.mark.parametrize(("offset", "where"), [("+10m", "ahead of"), ("-10m", "behind")])
def test_clocks_that_differ_are_told(kerberos_hdfs: HdfsCluster, kdc: Kdc, offset: str, where: str) -> None:
    with kdc.skewed(offset) as realm:
        checks = tried(secured(kerberos_hdfs, realm, "/"))
    assert failures(checks) == {"namenode": "CLOCK_SKEWED"}
    assert where in said(checks, "kdc")
    assert "NTP" in said(checks, "namenode")


def test_a_cluster_that_wants_kerberos_and_one_that_has_none_are_told(
    kerberos_hdfs: HdfsCluster, hdfs: HdfsCluster, kdc: Kdc, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KRB5CCNAME", "FILE:/nowhere/tickets")
    assert failures(tried(HdfsLocation((kerberos_hdfs.namenode,), "/"))) == {"namenode": "AUTHENTICATION_REQUIRED"}
    location = replace(secured(kerberos_hdfs, kdc.realm, "/"), namenodes=(hdfs.namenode,), conf_dir="")
    assert failures(tried(location)) == {"namenode": "NAMENODE_INSECURE"}
    wanted = {"hadoop.security.authentication": "kerberos", "ipc.client.fallback-to-simple-auth-allowed": "true"}
    allowed = hdfs.client_folder("steps-fallback", wanted)
    assert not failures(tried(HdfsLocation((hdfs.namenode,), "/", conf_dir=str(allowed))))


def test_protection_that_the_cluster_does_not_give_is_told(
    other_kerberos_hdfs: HdfsCluster, other_kdc: Kdc, folder_name: str
) -> None:
    other_kerberos_hdfs.make([FileSpec(f"{folder_name}/f", size=100)])
    good = replace(secured(other_kerberos_hdfs, other_kdc.realm, folder_name), conf_dir="")
    assert not failures(tried(good))
    rpc = tried(replace(good, rpc_protection=Protection.PRIVACY))
    assert failures(rpc) == {"namenode": "PROTECTION_REFUSED"}
    other_kerberos_hdfs.restart_datanode("datanode1", {"dfs.data.transfer.protection": "integrity"})
    try:
        transfer = failures(tried(replace(good, transfer_protection=Protection.PRIVACY)))
    finally:
        other_kerberos_hdfs.restart_datanode("datanode1", {})
    assert set(transfer.values()) == {"PROTECTION_REFUSED"}
    assert {step.partition(" ")[0] for step in transfer} == {"datanode", "read"}


# ---- KMS -------------------------------------------------------------------------------------------------------------


def test_every_kms_is_tried_and_an_encrypted_file_is_opened(
    kms_kerberos_hdfs: HdfsCluster, kdc: Kdc, folder_name: str
) -> None:
    kms_kerberos_hdfs.make([FileSpec(f"/zone256{folder_name}/f", size=100)])
    location = secured(kms_kerberos_hdfs, kdc.realm, f"/zone256{folder_name}")
    checks = tried(location)
    assert not failures(checks)
    assert len([check for check in checks if check.step.startswith("kms ")]) == 2
    assert said(checks, "read").endswith("and decrypted.")
    assert failures(tried(secured(kms_kerberos_hdfs, kdc.realm, location.root, "bob"))) == {"read": "ACCESS_DENIED"}


def test_a_kms_that_does_not_answer_is_told(kms_hdfs: HdfsCluster, folder_name: str) -> None:
    kms_hdfs.make([FileSpec(f"/zone128{folder_name}/f", size=100)])
    (port,) = free_ports(1)
    address = kms_hdfs.kms_uri.rpartition("@")[2].partition("/")[0]
    hosts, _, alive = address.partition(":")
    first = hosts.split(";")[0]
    uri = f"kms://http@{first}:{alive};127.0.0.1:{port}/kms"
    checks = tried(HdfsLocation((kms_hdfs.namenode,), f"/zone128{folder_name}", kms_uri=uri))
    assert failures(checks) == {f"kms 127.0.0.1:{port}": "KMS_UNAVAILABLE"}
    other = tried(HdfsLocation((kms_hdfs.namenode,), "/", kms_uri=f"kms://http@{first}:{alive}/elsewhere"))
    assert failures(other)[f"kms {first}:{alive}"] == "KMS_REFUSED"


def test_a_kms_that_speaks_tls_is_trusted_by_the_truststore_of_the_site_files(tmp_path: Path) -> None:
    stores = make_stores(tmp_path / "tls")
    profile = Profile(kms=1, kms_stores=stores)
    with HdfsCluster.start(tmp_path / "hdfs", datanode_count=1, replication=1, profile=profile) as cluster:
        cluster.make([folder("/zone", mode=0o777, encryption_key="key256"), FileSpec("/zone/f", size=100)])
        assert cluster.kms_uri.startswith("kms://https@")
        for kind in ("JKS", "PKCS12"):
            conf = cluster.client_folder(kind, {})
            (conf / "ssl-client.xml").write_text(xml(client_settings(stores, kind)))
            checks = tried(HdfsLocation((cluster.namenode,), "/zone", conf_dir=str(conf)))
            assert not failures(checks)
            assert said(checks, "read").endswith("and decrypted.")
        untrusting = failures(tried(HdfsLocation((cluster.namenode,), "/zone")))
        assert set(untrusting.values()) == {"KMS_UNTRUSTED"}
