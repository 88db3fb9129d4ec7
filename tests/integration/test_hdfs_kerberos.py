"""Real clusters with Kerberos: every protection, every way to log in, and a clear word for each that fails."""

from __future__ import annotations

import getpass
import os
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from blockferry.errors import BlockferryError, Whose
from stores.hdfs.security.kerberos import Kerberos, KerberosLogin, Session, _Tickets
from stores.hdfs.security.login import TOKEN_FILE_VARIABLE
from stores.hdfs.security.tokens import parse_file
from stores.hdfs.source import HdfsSource
from stores.hdfs.wire.hdfs_pb2 import LocatedBlocksProto
from stores.location import HdfsLocation, Protection
from tests.support.content import content
from tests.support.hdfs import HdfsCluster
from tests.support.kdc import Kdc
from tests.support.kerberized import location, read, read_all
from tests.support.ports import free_port
from tests.support.processes import wait_for
from tests.support.tree import FileSpec

SIZES = {"empty": 0, "one": 1, "chunk": 512, "two-blocks": 1_500_000}
WANTED = {name: content(seed, size) for seed, (name, size) in enumerate(SIZES.items())}


def make(cluster: HdfsCluster, folder: str) -> None:
    cluster.make(
        FileSpec(f"{folder}/{name}", size, seed=seed, owner="alice", mode=0o400)
        for seed, (name, size) in enumerate(SIZES.items())
    )


@pytest.fixture
def files(kerberos_hdfs: HdfsCluster, folder_name: str) -> str:
    make(kerberos_hdfs, folder_name)
    return folder_name


@pytest.fixture(autouse=True)
def no_login_of_this_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whoever runs the tests may have tickets."""
    monkeypatch.setenv("KRB5CCNAME", f"FILE:{tmp_path / 'no-tickets'}")
    monkeypatch.delenv(TOKEN_FILE_VARIABLE, raising=False)


def refusal(where: HdfsLocation) -> BlockferryError:
    """The error of listing a location."""
    with closing(HdfsSource(where)) as source, pytest.raises(BlockferryError) as caught:
        list(source.list_tree())
    return caught.value


def layers(source: HdfsSource) -> set[str]:
    """How the source's idle connections to DataNodes are protected."""
    peers = (peer for waiting in source._datanodes._idle._idle.values() for peer in waiting)
    return {type(peer._layer).__name__ for peer in peers}


# ---- protections ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rpc", "transfer", "layer"),
    [
        (None, None, "NoneType"),
        (Protection.AUTHENTICATION, Protection.INTEGRITY, "SaslRecords"),
        (Protection.INTEGRITY, Protection.PRIVACY, "AesStream"),
        (Protection.PRIVACY, Protection.AUTHENTICATION, "NoneType"),
    ],
)
def test_every_protection_lists_reads_and_gets_stored_sums(
    kerberos_hdfs: HdfsCluster, kdc: Kdc, files: str, rpc: Protection | None, transfer: Protection | None, layer: str
) -> None:
    where = location(kerberos_hdfs, kdc.realm, files, rpc_protection=rpc, transfer_protection=transfer)
    with closing(HdfsSource(where)) as source:
        assert read_all(source) == WANTED
        assert layers(source) == {layer}


def test_site_files_choose_as_they_do_for_hadoops_own_client(kerberos_hdfs: HdfsCluster, kdc: Kdc, files: str) -> None:
    wanted = {"hadoop.rpc.protection": "privacy", "dfs.data.transfer.protection": "integrity"}
    folder = kerberos_hdfs.client_folder("blockferry-privacy", wanted)
    with closing(HdfsSource(location(kerberos_hdfs, kdc.realm, files, conf_dir=str(folder)))) as source:
        assert read_all(source) == WANTED
        assert layers(source) == {"SaslRecords"}


@pytest.mark.parametrize("transfer", [Protection.INTEGRITY, Protection.PRIVACY])
def test_a_cluster_without_aes_protects_by_digest_md5(
    other_kerberos_hdfs: HdfsCluster, other_kdc: Kdc, folder_name: str, transfer: Protection
) -> None:
    make(other_kerberos_hdfs, folder_name)
    where = location(other_kerberos_hdfs, other_kdc.realm, folder_name, transfer_protection=transfer)
    with closing(HdfsSource(where)) as source:
        assert read_all(source) == WANTED
        assert layers(source) == {"SaslRecords"}


def test_encrypted_transfer_has_a_key_of_its_own_and_a_lost_one_is_asked_for_again(
    encrypted_hdfs: HdfsCluster, kdc: Kdc, folder_name: str
) -> None:
    make(encrypted_hdfs, folder_name)
    with closing(HdfsSource(location(encrypted_hdfs, kdc.realm, folder_name))) as source:
        assert read_all(source) == WANTED
        assert layers(source) == {"AesStream"}
    with closing(HdfsSource(location(encrypted_hdfs, kdc.realm, folder_name))) as source:
        login = source._datanodes._protect.__self__  # type: ignore[union-attr]
        login._data_key().keyId += 1000  # as after the NameNode has rolled its keys
        assert read_all(source) == WANTED


def test_a_cluster_that_offers_less_is_refused(
    other_kerberos_hdfs: HdfsCluster, other_kdc: Kdc, folder_name: str
) -> None:
    make(other_kerberos_hdfs, folder_name)
    where = location(other_kerberos_hdfs, other_kdc.realm, folder_name)
    error = refusal(replace(where, rpc_protection=Protection.PRIVACY))
    assert (error.reason, error.whose, error.retryable) == ("PROTECTION_REFUSED", Whose.CALLER, False)
    assert "offers integrity, and the location accepts privacy only" in error.message

    weak = other_kerberos_hdfs.client_folder("blockferry-weak", {"dfs.data.transfer.protection": "authentication"})
    with closing(HdfsSource(replace(where, conf_dir=str(weak)))) as source, pytest.raises(BlockferryError) as caught:
        read_all(source)
    assert caught.value.reason == "PROTECTION_REFUSED"
    assert caught.value.coordinates["path"]
    assert "DataNode" in caught.value.message


def test_a_block_token_that_is_refused_is_asked_for_again(
    kerberos_hdfs: HdfsCluster, kdc: Kdc, files: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(HdfsSource(location(kerberos_hdfs, kdc.realm, files))) as source:
        ask = source._namenode.get_block_locations
        answers: list[bytes] = []

        def first_of_another_time(path: str, size_bytes: int) -> bytes | None:
            layout = LocatedBlocksProto.FromString(ask(path, size_bytes) or b"")
            for block in layout.blocks if not answers else ():
                block.blockToken.password = b"of another time"
            answers.append(layout.SerializeToString())
            return answers[-1]

        monkeypatch.setattr(source._namenode, "get_block_locations", first_of_another_time)
        stat = source.stat("two-blocks")
        assert stat is not None
        assert read(source, replace(stat, layout=b"")) == WANTED["two-blocks"]
        assert len(answers) == 2


# ---- who logs in, and how ------------------------------------------------------------------------------------------


def test_a_ticket_cache_is_enough_and_the_server_is_asked_simply_first(
    kerberos_hdfs: HdfsCluster, kdc: Kdc, files: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = HdfsLocation((kerberos_hdfs.namenode,), files, krb5_conf=str(kdc.realm.krb5_conf))
    error = refusal(where)
    assert error.reason == "AUTHENTICATION_REQUIRED"
    assert "kinit" in error.message
    monkeypatch.setenv("KRB5CCNAME", f"FILE:{kdc.kinit('alice', tmp_path / 'cache')}")
    with closing(HdfsSource(where)) as source:
        assert read_all(source) == WANTED


def test_a_delegation_token_stands_for_the_login(
    kerberos_hdfs: HdfsCluster, kdc: Kdc, files: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is made by Hadoop's own tool, in its present format and in that of Hadoop 2."""
    files_of_tokens = [tmp_path / "protobuf", tmp_path / "java"]
    for file in files_of_tokens:
        options = (kerberos_hdfs.uri, "-format", file.name, str(file))
        kerberos_hdfs.java("org.apache.hadoop.security.token.DtUtilShell", "get", *options, user="alice")
    for file in files_of_tokens:
        monkeypatch.setenv(TOKEN_FILE_VARIABLE, str(file))
        where = HdfsLocation((kerberos_hdfs.namenode,), files, rpc_protection=Protection.PRIVACY)
        with closing(HdfsSource(where)) as source:
            assert read_all(source) == WANTED
            with pytest.raises(BlockferryError, match="Delegation Token can be issued only with kerberos"):
                source._namenode.get_delegation_token("alice")


def test_a_token_is_got_renewed_and_cancelled(
    kerberos_hdfs: HdfsCluster, kdc: Kdc, files: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "tokens"
    kerberos_hdfs.java(
        "org.apache.hadoop.security.token.DtUtilShell", "get", kerberos_hdfs.uri, str(file), user="alice"
    )
    (token,) = parse_file(file.read_bytes())
    with closing(HdfsSource(location(kerberos_hdfs, kdc.realm, files))) as source:
        namenode = source._namenode
        own = namenode.get_delegation_token("alice")
        assert own is not None
        assert namenode.renew_delegation_token(own) > 0
        namenode.cancel_delegation_token(token)
    monkeypatch.setenv(TOKEN_FILE_VARIABLE, str(file))
    error = refusal(HdfsLocation((kerberos_hdfs.namenode,), files))
    assert error.reason == "DELEGATION_TOKEN_REFUSED"
    assert token.password.hex() not in f"{error!r} {error} {error.coordinates}"


def test_a_proxy_user_has_the_rights_of_whom_it_stands_for(kerberos_hdfs: HdfsCluster, kdc: Kdc, files: str) -> None:
    where = location(kerberos_hdfs, kdc.realm, files, "ferry")
    with closing(HdfsSource(replace(where, user="alice"))) as source:
        assert read_all(source) == WANTED
    with closing(HdfsSource(where)) as source, pytest.raises(BlockferryError) as caught:
        read_all(source)
    assert caught.value.reason == "ACCESS_DENIED"
    error = refusal(replace(where, user="bob"))
    assert error.reason == "IMPERSONATION_REFUSED"
    assert "User: ferry@ALPHA.TEST is not allowed to impersonate bob" in error.message
    assert "hadoop.proxyuser." in error.message


def test_two_realms_in_one_process_do_not_disturb_each_other(
    kerberos_hdfs: HdfsCluster,
    kdc: Kdc,
    other_kerberos_hdfs: HdfsCluster,
    other_kdc: Kdc,
    files: str,
) -> None:
    make(other_kerberos_hdfs, files)
    places = (location(kerberos_hdfs, kdc.realm, files), location(other_kerberos_hdfs, other_kdc.realm, files))
    before = dict(os.environ)

    def work(number: int) -> bool:
        with closing(HdfsSource(places[number % 2])) as source:  # each logs in anew
            return read_all(source) == WANTED

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(24)))
    assert dict(os.environ) == before


LIFE_S = 600  # long, for near its end libgssapi asks DNS by itself; the login's clock is put ahead instead


@dataclass(slots=True)
class Clock:
    """This machine's clock, put ahead: the login's alone, the KDC's and the libraries' stay."""

    ahead_s: float = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead_s


def login_by_cache(kdc: Kdc, folder: Path, krb5_conf: Path, clock: Clock) -> Kerberos:
    cache = kdc.kinit("alice", folder / "cache", "-l", f"{LIFE_S}s", "-r", "1d")
    return Kerberos(KerberosLogin(krb5_conf=str(krb5_conf), cache=f"FILE:{cache}"), clock)


def wait_for_a_later_ticket(session: Session) -> None:
    """Returns when the KDC's clock, which counts whole seconds and lags by a tick, gives a ticket another end."""
    wait_for("the next second", lambda: time.time() >= session.end_s - LIFE_S + 1.1)


@pytest.mark.parametrize("by", ["keytab", "cache"])
def test_tickets_are_fetched_again_before_they_end(kdc: Kdc, tmp_path: Path, by: str) -> None:
    realm, clock = kdc.realm, Clock()
    if by == "keytab":
        kdc.add_principals(["brief"], f"-maxlife {LIFE_S}s")
        keytab = KerberosLogin(realm.principal("brief"), str(realm.keytab("brief")), str(realm.krb5_conf))
        login = Kerberos(keytab, clock)
    else:
        login = login_by_cache(kdc, tmp_path, realm.krb5_conf, clock)  # which nobody fills again
    first = login.session()
    wait_for_a_later_ticket(first)
    clock.ahead_s = LIFE_S * 0.7
    assert login.session() == first
    clock.ahead_s = LIFE_S * 0.85
    assert login.session().end_s > first.end_s
    login.context(realm.principal("nn")).close()


def test_a_kdc_that_is_down_when_tickets_are_renewed_is_asked_again_before_they_end(kdc: Kdc, tmp_path: Path) -> None:
    clock, krb5_conf = Clock(), tmp_path / "krb5.conf"
    up = kdc.realm.krb5_conf.read_text()
    krb5_conf.write_text(up)
    login = login_by_cache(kdc, tmp_path, krb5_conf, clock)
    first = login.session()
    login.context(kdc.realm.principal("nn")).close()
    wait_for_a_later_ticket(first)
    krb5_conf.write_text(up.replace(f":{kdc.realm.port}", f":{free_port()}"))
    clock.ahead_s = LIFE_S * 0.9
    login.context(kdc.realm.principal("nn")).close()  # what was fetched already is still good
    assert login.session() == first
    krb5_conf.write_text(up)
    clock.ahead_s = LIFE_S * 0.95
    assert login.session().end_s > first.end_s


def test_nobody_waits_for_one_who_renews(kdc: Kdc, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    login = login_by_cache(kdc, tmp_path, kdc.realm.krb5_conf, clock)
    first = login.session()
    wait_for_a_later_ticket(first)
    log_in, asked, going_on = login._log_in, threading.Event(), threading.Event()

    def slowly(before: _Tickets | None = None) -> _Tickets:
        asked.set()
        assert going_on.wait(20)
        return log_in(before)

    monkeypatch.setattr(login, "_log_in", slowly)
    clock.ahead_s = LIFE_S * 0.9
    with ThreadPoolExecutor(1) as pool:
        renewing = pool.submit(login.session)
        assert asked.wait(20)
        assert login.session() == first
        going_on.set()
        assert renewing.result().end_s > first.end_s


# ---- what goes wrong -----------------------------------------------------------------------------------------------


def test_a_login_that_fails_says_why_and_what_to_do(
    kerberos_hdfs: HdfsCluster, kdc: Kdc, files: str, tmp_path: Path
) -> None:
    where = location(kerberos_hdfs, kdc.realm, files)
    nobody = tmp_path / "nobody.keytab"
    kdc.add_principals(["nobody"])
    kdc.realm.keytab("nobody").rename(nobody)
    kdc.kadmin(f"delprinc -force {kdc.realm.principal('nobody')}")
    down = tmp_path / "down.conf"
    down.write_text(re.sub(r"kdc = .*", f"kdc = 127.0.0.1:{free_port()}", kdc.realm.krb5_conf.read_text()))
    elsewhere = tmp_path / "elsewhere.conf"
    elsewhere.write_text("[libdefaults]\n default_realm = ELSEWHERE.TEST\n dns_lookup_kdc = false\n")
    broken = tmp_path / "broken.conf"
    broken.write_text("[libdefaults\n")
    site = kerberos_hdfs.client_folder(
        "blockferry-principal", {"dfs.namenode.kerberos.principal": "xx/_HOST@ALPHA.TEST"}
    )
    service = kerberos_hdfs.client_folder(
        "blockferry-http", {"dfs.namenode.kerberos.principal": "HTTP/_HOST@ALPHA.TEST"}
    )
    for changes, reason, told in (
        ({"keytab": str(kdc.wrong_keytab("alice"))}, "KEYTAB_REFUSED", "ktadd"),
        ({"keytab": str(kdc.realm.keytab("bob"))}, "KEYTAB_REFUSED", "klist -kt"),
        ({"keytab": "/no/keytab"}, "KEYTAB_MISSING", "/no/keytab"),
        ({"keytab": str(nobody), "principal": "nobody@ALPHA.TEST"}, "PRINCIPAL_UNKNOWN", "nobody@ALPHA.TEST"),
        ({"krb5_conf": str(down)}, "KDC_UNAVAILABLE", "ALPHA.TEST"),
        ({"krb5_conf": str(elsewhere)}, "KDC_UNKNOWN", "[realms]"),
        ({"krb5_conf": str(broken)}, "KRB5_CONF_INVALID", "broken.conf"),
        ({"krb5_conf": "/no/krb5.conf"}, "KRB5_CONF_INVALID", "/no/krb5.conf"),
        ({"conf_dir": str(site)}, "SERVICE_UNKNOWN", "xx/localhost@ALPHA.TEST"),
        ({"conf_dir": str(service)}, "AUTHENTICATION_REFUSED", "dfs.namenode.kerberos.principal"),
    ):
        error = refusal(replace(where, **changes))  # type: ignore[arg-type]
        assert (error.reason, told in error.message) == (reason, True), error
        assert error.retryable == (reason == "KDC_UNAVAILABLE")


def test_clocks_that_differ_are_named(kerberos_hdfs: HdfsCluster, kdc: Kdc, files: str) -> None:
    """The client follows the KDC's clock, so it is the NameNode that refuses; without that the KDC does."""
    with kdc.skewed("+11m") as realm:
        error = refusal(location(kerberos_hdfs, realm, files))
        assert error.reason == "CLOCK_SKEWED"
        assert "ahead of this machine's" in error.message
        strict = realm.folder / "strict.conf"
        strict.write_text(realm.krb5_conf.read_text().replace("[realms]", " kdc_timesync = 0\n[realms]"))
        assert refusal(location(kerberos_hdfs, realm, files, krb5_conf=str(strict))).reason == "CLOCK_SKEWED"


def test_a_keytab_without_a_principal_is_refused_at_once() -> None:
    with pytest.raises(BlockferryError, match="no principal") as caught:
        HdfsSource(HdfsLocation(("nn:8020",), "/", keytab="/a"))
    assert caught.value.reason == "INVALID_LOGIN"


def test_a_ticket_cache_that_has_expired_says_so(
    kerberos_hdfs: HdfsCluster, kdc: Kdc, files: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = kdc.kinit("alice", tmp_path / "cache", "-l", "1s")
    monkeypatch.setenv("KRB5CCNAME", f"FILE:{cache}")
    login = KerberosLogin(krb5_conf=str(kdc.realm.krb5_conf))

    def has_expired() -> bool:
        try:
            return not Kerberos(login).principal
        except BlockferryError as error:
            return error.reason == "TICKET_EXPIRED" and str(cache) in error.message

    wait_for("the ticket to expire", has_expired, deadline_s=30)
    folder = kerberos_hdfs.conf_folder
    where = HdfsLocation((kerberos_hdfs.namenode,), files, krb5_conf=login.krb5_conf, conf_dir=str(folder))
    assert refusal(where).reason == "TICKET_EXPIRED"


def test_a_server_without_security_is_refused_where_a_principal_is_named(
    hdfs: HdfsCluster, kdc: Kdc, folder_name: str
) -> None:
    hdfs.make([FileSpec(f"{folder_name}/f", 10, seed=1)])
    where = location(hdfs, kdc.realm, folder_name, user=getpass.getuser())
    error = refusal(where)
    assert error.reason == "NAMENODE_INSECURE"
    assert "ipc.client.fallback-to-simple-auth-allowed" in error.message
    wanted = {"hadoop.security.authentication": "kerberos", "ipc.client.fallback-to-simple-auth-allowed": "true"}
    folder = hdfs.client_folder("blockferry-fallback", wanted)
    with closing(HdfsSource(replace(where, conf_dir=str(folder)))) as source:
        assert read_all(source) == {"f": content(1, 10)}
    strict = replace(where, conf_dir=str(folder), transfer_protection=Protection.PRIVACY)
    with closing(HdfsSource(strict)) as source, pytest.raises(BlockferryError) as caught:
        read_all(source)
    assert caught.value.reason == "PROTECTION_REFUSED"
