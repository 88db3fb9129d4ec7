"""What a location and its site files say together."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blockferry.errors import BlockferryError
from stores.hdfs.config.cluster import Authentication, Cluster, HedgedReads, Security, TimeLimits, cluster_of, resolve
from stores.hdfs.rpc.patience import Patience
from stores.location import HdfsLocation, Protection
from tests.unit.stores.hdfs.sites import HA, site, write

AUTHENTICATION, INTEGRITY, PRIVACY = Protection
NS1 = HdfsLocation((), "/data", nameservice="ns1", conf_dir="/conf")


def of(said: dict[str, str], location: HdfsLocation = NS1) -> Cluster:
    return cluster_of(location, site({**HA, **said}))


def refusal(said: dict[str, str], location: HdfsLocation = NS1) -> BlockferryError:
    with pytest.raises(BlockferryError) as error:
        cluster_of(location, site(said))
    return error.value


def test_without_site_files_everything_is_as_it_always_was() -> None:
    cluster = resolve(HdfsLocation(("nn1:8020", "nn2"), "/data/", kms_uri="kms://http@k:1/kms"))
    assert cluster == Cluster("nn1:8020,nn2", ("nn1:8020", "nn2"), "/data", kms_uri="kms://http@k:1/kms")
    assert cluster.security == Security(None, False, "", "", tuple(Protection), tuple(Protection), None, ())
    assert cluster.limits == TimeLimits(60, 20, 60, Patience())


def test_a_nameservice_needs_site_files() -> None:
    with pytest.raises(BlockferryError) as error:
        resolve(HdfsLocation((), "/", nameservice="ns1"))
    assert error.value.reason == "NAMESERVICE_UNKNOWN"
    with pytest.raises(BlockferryError) as error:
        resolve(HdfsLocation((), "/"))
    assert error.value.reason == "INVALID_NAMENODE"


def test_site_files_are_read_from_the_folder(tmp_path: Path) -> None:
    folder = write(tmp_path, {"hadoop.security.authentication": "kerberos"}, HA)
    cluster = resolve(HdfsLocation((), "/", nameservice="ns1", conf_dir=folder))
    assert cluster.namenodes == ("master1.example:8020", "master2.example:8020")
    assert cluster.security.authentication is Authentication.KERBEROS


def test_a_nameservice_has_the_rpc_addresses_of_its_namenodes_and_its_own_name() -> None:
    cluster = of({})
    assert cluster.namenodes == ("master1.example:8020", "master2.example:8020")  # never servicerpc
    assert (cluster.identity, cluster.nameservice, cluster.root) == ("ns1", "ns1", "/data")
    other = of({}, HdfsLocation((), "/", nameservice="ns2", conf_dir="/conf"))
    assert (other.identity, other.namenodes, other.root) == ("ns2", ("other.example:9000",), "")


@pytest.mark.parametrize(
    ("namenodes", "identity", "found"),
    [
        (("ns1",), "ns1", ("master1.example:8020", "master2.example:8020")),
        (("ns1:8020",), "ns1", ("master1.example:8020", "master2.example:8020")),
        (("ns1:9000",), "ns1:9000", ("ns1:9000",)),
        (("master2.example:8020",), "ns1", ("master2.example:8020",)),
        (("other.example:9000",), "ns2", ("other.example:9000",)),
        (("elsewhere:8020",), "elsewhere:8020", ("elsewhere:8020",)),
        (
            ("elsewhere:1", "other.example:9000"),
            "elsewhere:1,other.example:9000",
            ("elsewhere:1", "other.example:9000"),
        ),
    ],
)
def test_the_identity_is_logical_where_it_can_be(
    namenodes: tuple[str, ...], identity: str, found: tuple[str, ...]
) -> None:
    cluster = of({}, HdfsLocation(namenodes, "/", conf_dir="/conf"))
    assert (cluster.identity, cluster.namenodes) == (identity, found)


def test_a_location_without_any_name_is_that_of_the_default_file_system() -> None:
    location = HdfsLocation((), "/x", conf_dir="/conf")
    assert of({"fs.defaultFS": "hdfs://ns1"}, location).identity == "ns1"
    assert of({"fs.defaultFS": "hdfs://nn:8020/"}, location).namenodes == ("nn:8020",)
    table = {"fs.viewfs.mounttable.default.link./x": "hdfs://ns2/there", "fs.defaultFS": "viewfs:///"}
    assert of(table, location).namenodes == ("other.example:9000",)
    for said in ("", "file:///", "s3a://bucket"):
        error = refusal({**HA, "fs.defaultFS": said}, location)
        assert error.reason == "SITE_FILE_INVALID"
        assert "fs.defaultFS" in error.message


def test_an_unknown_nameservice_is_refused_with_those_that_are_known() -> None:
    error = refusal(HA, HdfsLocation((), "/", nameservice="ns3", conf_dir="/conf"))
    assert error.reason == "NAMESERVICE_UNKNOWN"
    assert "/conf" in error.message
    assert "ns1, ns2" in error.message


def test_a_namenode_without_address_is_refused_with_the_key() -> None:
    said = {key: value for key, value in HA.items() if not key.endswith("rpc-address.ns1.nn2")}
    error = refusal(said)
    assert error.reason == "NAMESERVICE_UNKNOWN"
    assert "dfs.namenode.rpc-address.ns1.nn2" in error.message
    assert "hdfs-site.xml:2" in error.message


def test_a_mount_table_leads_to_a_nameservice_and_another_folder() -> None:
    table = {"fs.viewfs.mounttable.all.link./data": "hdfs://ns1/warehouse"}
    cluster = of(table, HdfsLocation((), "/data/x", nameservice="all", conf_dir="/conf"))
    assert (cluster.identity, cluster.root) == ("ns1", "/warehouse/x")
    assert cluster.namenodes == ("master1.example:8020", "master2.example:8020")


def test_a_mount_of_the_default_file_system() -> None:
    table = {"fs.viewfs.mounttable.all.link./data": "hdfs:///warehouse", "fs.defaultFS": "hdfs://ns2"}
    cluster = of(table, HdfsLocation((), "/data", nameservice="all", conf_dir="/conf"))
    assert (cluster.identity, cluster.root) == ("ns2", "/warehouse")


def test_a_mount_table_named_like_a_nameservice_counts_only_where_hdfs_is_seen_through_mounts() -> None:
    table = {"fs.viewfs.mounttable.ns1.link./data": "hdfs://ns2/there"}
    assert of(table).identity == "ns1"
    overload = {**table, "fs.hdfs.impl": "org.apache.hadoop.fs.viewfs.ViewFileSystemOverloadScheme"}
    assert (of(overload).identity, of(overload).root) == ("ns2", "/there")
    back = {**overload, "fs.viewfs.mounttable.ns1.link./data": "hdfs://ns1/there"}
    assert (of(back).identity, of(back).root) == ("ns1", "/there")


def test_security_is_what_the_site_files_say() -> None:
    security = of(
        {
            "hadoop.security.authentication": "KERBEROS",
            "dfs.namenode.kerberos.principal": "nn/_HOST@${realm}",
            "realm": "EXAMPLE",
            "dfs.namenode.kerberos.principal.pattern": "*",
            "hadoop.rpc.protection": "privacy, integrity",
            "dfs.data.transfer.protection": "integrity",
            "dfs.encrypt.data.transfer": "true",
            "dfs.encrypt.data.transfer.cipher.suites": "AES/CTR/NoPadding",
            "ipc.client.fallback-to-simple-auth-allowed": "true",
        }
    ).security
    assert security == Security(
        Authentication.KERBEROS,
        True,
        "nn/_HOST@EXAMPLE",
        "*",
        (PRIVACY, INTEGRITY),
        (INTEGRITY,),
        True,
        ("AES/CTR/NoPadding",),
    )
    assert of({}).security == Security(Authentication.SIMPLE, False, "", "", (AUTHENTICATION,), (), False, ())


@given(st.sampled_from(Protection), st.lists(st.sampled_from(Protection), min_size=1, unique=True))
def test_a_location_accepts_nothing_weaker_than_it_wants(least: Protection, said: list[Protection]) -> None:
    location = HdfsLocation((), "/", nameservice="ns1", rpc_protection=least, transfer_protection=least)
    words = {"hadoop.rpc.protection": ",".join(said), "dfs.data.transfer.protection": ",".join(said)}
    security = of(words, location).security
    order = list(Protection)
    for accepted in (security.rpc_protections, security.transfer_protections):
        assert accepted
        assert all(order.index(each) >= order.index(least) for each in accepted)
        kept = tuple(each for each in said if order.index(each) >= order.index(least))
        assert accepted == kept or not kept


def test_a_location_wants_protection_also_without_site_files() -> None:
    cluster = resolve(HdfsLocation(("nn:1",), "/", rpc_protection=PRIVACY, transfer_protection=INTEGRITY))
    assert cluster.security.rpc_protections == (PRIVACY,)
    assert cluster.security.transfer_protections == (INTEGRITY, PRIVACY)


@pytest.mark.parametrize(
    "key", ["hadoop.security.authentication", "hadoop.rpc.protection", "dfs.data.transfer.protection"]
)
def test_words_that_nobody_knows_are_refused_with_their_place(key: str) -> None:
    error = refusal({key: "strong", **HA})
    assert error.reason == "SITE_FILE_INVALID"
    assert f"hdfs-site.xml:1: the value of {key}" in error.message


def test_limits_and_habits_are_what_the_site_files_say() -> None:
    cluster = of(
        {
            "ipc.client.rpc-timeout.ms": "120000",
            "ipc.client.connect.timeout": "7s",
            "dfs.socket.timeout": "3000",
            "dfs.client.failover.sleep.base.millis": "100",
            "dfs.client.failover.sleep.max.millis": "2000",
            "dfs.client.use.datanode.hostname": "true",
            "dfs.client.hedged.read.threadpool.size": "4",
            "dfs.client.hedged.read.threshold.millis": "250",
            "dfs.encryption.key.provider.uri": "kms://https@k1;k2:9600/kms",
            "dfs.client.failover.proxy.provider.ns1": "org.apache.hadoop.hdfs.server.namenode.ha."
            "ObserverReadProxyProvider",
        }
    )
    assert cluster.limits == TimeLimits(120, 7, 3, Patience(base_s=0.1, ceiling_s=2))
    assert cluster.use_datanode_hostname
    assert cluster.hedged_reads == HedgedReads(4, 0.25)
    assert cluster.kms_uri == "kms://https@k1;k2:9600/kms"
    assert cluster.reads_observers
    assert of({"ipc.client.rpc-timeout.ms": "0"}).limits == TimeLimits()  # Hadoop waits for ever then; we do not
    assert not of({}).reads_observers
    own = HdfsLocation((), "/", nameservice="ns1", kms_uri="kms://http@own:1/kms")
    assert of({"hadoop.security.key.provider.path": "kms://x"}, own).kms_uri == "kms://http@own:1/kms"


@given(st.integers(1, 200), st.floats(0, 1))
def test_pauses_grow_to_their_ceiling_and_never_vanish(circle_count: int, random_unit: float) -> None:
    patience = Patience()
    pause_s = patience.pause_s(circle_count, random_unit)
    assert patience.base_s / 2 <= pause_s <= patience.ceiling_s
    assert pause_s <= patience.pause_s(circle_count + 1, 1.0)
