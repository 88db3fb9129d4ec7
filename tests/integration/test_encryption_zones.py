"""HdfsSource on encryption zones of real clusters with two key servers: plaintext, rights, fail-over, ciphertext."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest

from blockferry.errors import BlockferryError, Whose
from stores.base import Condition, Kind, RangeRead, Stat
from stores.checksum import Algorithm
from stores.hashing import checksum_of
from stores.hdfs.security.aes_ctr import AesCtr
from stores.hdfs.source import HdfsSource
from stores.hdfs.zones.kms import AVOIDED_FOR_S, KmsClient, KmsLogin
from stores.hdfs.zones.kms_wire import EncryptedKey, parse_uri
from stores.location import HdfsLocation
from tests.support.content import content
from tests.support.hdfs import HdfsCluster
from tests.support.kdc import Kdc
from tests.support.tree import FileSpec

MIB = 1 << 20
CRC32C = Algorithm.CRC32C
ZONES = ("/zone128", "/zone256")
KEY_BYTES = {"/zone128": 16, "/zone256": 32}

KINDS = {
    "empty": FileSpec(""),
    **{f"size-{size}": FileSpec("", size, size) for size in (1, 15, 16, 17, 511, 513, MIB - 1, MIB, MIB + 1)},
    "blocks": FileSpec("", 3 * MIB + 12_345, 1),
    "crc32": FileSpec("", 2 * MIB + 77, 2, checksum_type="CRC32"),
    "null": FileSpec("", MIB + 5, 3, checksum_type="NULL"),
    "odd-chunks": FileSpec("", 2 * MIB + 100, 5, block_size=1536 * 512, bytes_per_checksum=1536),
    "appended": FileSpec("", 700_001, 6, append_bytes=900_001),
    "private": FileSpec("", 5_000, 7, owner="alice", mode=0o600),
}


def location(cluster: HdfsCluster, root: str, user: str = "alice", **more: str) -> HdfsLocation:
    return HdfsLocation((cluster.namenode,), root, user, **more)  # type: ignore[arg-type]


def read(store: HdfsSource, file: Stat, offset: int, size: int, algorithm: Algorithm | None) -> tuple[RangeRead, bytes]:
    view = memoryview(bytearray(size))
    return store.read_into(file, offset, view, algorithm), bytes(view)


def files_of(store: HdfsSource) -> dict[str, Stat]:
    return {stat.path: stat for stat in store.list_tree() if stat.kind is Kind.FILE}


@pytest.fixture(scope="module")
def kinds(kms_hdfs: HdfsCluster) -> HdfsCluster:
    """The cluster with one file of each kind in both zones."""
    made = [(zone, name, spec) for zone in ZONES for name, spec in KINDS.items()]
    kms_hdfs.make([replace(spec, path=f"{zone}/kinds/{name}") for zone, name, spec in made])
    return kms_hdfs


@pytest.fixture
def store(kinds: HdfsCluster, request: pytest.FixtureRequest) -> Iterator[HdfsSource]:
    with closing(HdfsSource(location(kinds, f"{getattr(request, 'param', '/zone256')}/kinds"))) as opened:
        yield opened


@pytest.mark.parametrize("store", ZONES, indirect=True)
def test_files_of_every_kind_are_read_as_they_were_written(store: HdfsSource) -> None:
    files = files_of(store)
    assert set(files) == set(KINDS)
    for name, file in files.items():
        spec = KINDS[name]
        expected = content(spec.seed, spec.size + spec.append_bytes)
        found, data = read(store, file, 0, len(expected), None)
        assert data == expected, name
        assert found.checksum == checksum_of(CRC32C, expected)
        assert found.proven is (name != "null"), "the ciphertext was compared with what HDFS keeps of it"
        assert file.condition is Condition.ENCRYPTED
        assert store.claimed_algorithm(file) is CRC32C
        assert store.stored_checksum(file, 0, len(expected), CRC32C) is None, "what HDFS keeps is of the ciphertext"
        assert sum(extent.size for extent in store.extents(file)) == len(expected)


@pytest.mark.parametrize("store", ZONES, indirect=True)
@pytest.mark.parametrize("name", ["blocks", "appended", "crc32"])
def test_ranges_at_any_offset(store: HdfsSource, name: str) -> None:
    file = files_of(store)[name]
    expected = content(KINDS[name].seed, file.size_bytes)
    ends = (1, 17, MIB - 1, MIB, MIB + 3, file.size_bytes - 1, file.size_bytes)
    for begin in (0, 1, 15, 16, 511, 700_001, MIB - 5, MIB, MIB + 1):
        for end in (each for each in ends if begin < each <= file.size_bytes):
            found, data = read(store, file, begin, end - begin, Algorithm.CRC32)
            assert data == expected[begin:end], (begin, end)
            assert found.checksum == checksum_of(Algorithm.CRC32, data)


def test_datanodes_hold_ciphertext_and_the_key_of_the_kms_opens_it(kinds: HdfsCluster, store: HdfsSource) -> None:
    """What is proved of the stored bytes is of other bytes than those that were written."""
    plain = content(KINDS["size-513"].seed, 513)
    (stored,) = {file.read_bytes() for file in kinds.replicas("/zone256/kinds/size-513").values()}
    assert stored != plain
    assert len(stored) == len(plain)
    key = encrypted_key(store, files_of(store)["size-513"])
    opened = bytearray(stored)
    with (
        closing(KmsClient(parse_uri(kinds.kms_uri), KmsLogin("alice"))) as kms,
        AesCtr(kms.decrypt(key), key.iv) as stream,
    ):
        stream.crypt(memoryview(opened))
    assert bytes(opened) == plain


def encrypted_key(store: HdfsSource, file: Stat) -> EncryptedKey:
    info = store._layouts.layout(file).encryption
    assert info is not None
    return EncryptedKey(info.keyName, info.ezKeyVersionName, info.iv, info.key)


def test_keys_have_the_size_of_their_zone(kinds: HdfsCluster) -> None:
    for zone, size in KEY_BYTES.items():
        with closing(HdfsSource(location(kinds, f"{zone}/kinds"))) as store:
            assert len(store._kms.decrypt(encrypted_key(store, files_of(store)["blocks"]))) == size


def test_a_large_file_asks_for_its_key_once(kinds: HdfsCluster, store: HdfsSource) -> None:
    file = files_of(store)["blocks"]
    read(store, file, 0, 100, None)
    store._kms.close()
    kms = store._kms._opened()
    before = kms._turn
    for offset in range(0, 3 * MIB, MIB):
        read(store, file, offset, MIB, CRC32C)
    assert kms._turn == before, "every question takes a turn"


def test_without_the_right_to_the_key_a_file_is_denied(kinds: HdfsCluster) -> None:
    with closing(HdfsSource(location(kinds, "/zone256/kinds", "bob"))) as store:
        files = files_of(store)
        for attempt in (
            lambda: read(store, files["blocks"], 0, 10, CRC32C),
            lambda: store.extents(files["blocks"]),
        ):
            with pytest.raises(BlockferryError) as error:
                attempt()
            assert (error.value.reason, error.value.retryable) == ("ACCESS_DENIED", False)
            assert error.value.whose is Whose.CALLER
            found = {name: error.value.coordinates[name] for name in ("path", "user", "key_name")}
            assert found == {"path": "blocks", "user": "bob", "key_name": "key256"}
            assert "DECRYPT_EEK" in error.value.message
        assert read(store, files["empty"], 0, 0, None)[1] == b"", "nothing to decrypt"
        with pytest.raises(BlockferryError) as error:  # by HDFS itself, before any key is asked for
            read(store, files["private"], 0, 10, CRC32C)
        assert error.value.reason == "ACCESS_DENIED"
        assert "NameNode" in error.value.message


@pytest.mark.parametrize("root", ["/.reserved/raw", "/.reserved/raw/zone256", "/.reserved/raw/", "/.reserved"])
def test_raw_paths_are_refused(kms_hdfs: HdfsCluster, root: str) -> None:
    with pytest.raises(BlockferryError, match="ordinary path") as error:
        HdfsSource(location(kms_hdfs, root))
    assert error.value.reason == "CIPHERTEXT_REFUSED"


def test_an_erasure_coded_file_of_a_zone(kms_hdfs: HdfsCluster, folder_name: str) -> None:
    """Its ciphertext is striped: stripes are put together first, then decrypted."""
    root, size = f"/zone256/xor{folder_name}", 5 * MIB + 333
    kms_hdfs.make([FileSpec(f"{root}/f", size, 1)])
    expected = content(1, size)
    with closing(HdfsSource(location(kms_hdfs, root))) as store:
        file = files_of(store)["f"]
        assert file.condition is Condition.ENCRYPTED
        assert store._layouts.layout(file).erasure_coding is not None
        for begin, end in ((0, size), (1, 18), (MIB - 3, MIB + 9), (2 * MIB + 1, 5 * MIB + 7), (size - 1, size)):
            found, data = read(store, file, begin, end - begin, None)
            assert data == expected[begin:end]
            assert found.checksum == checksum_of(CRC32C, data)
            assert found.proven


def test_a_file_that_is_written_is_read_up_to_its_known_length(kms_hdfs: HdfsCluster, folder_name: str) -> None:
    size = MIB + 5_001
    held = kms_hdfs.hold_open(f"/zone256{folder_name}/open", size, 7)
    try:
        with closing(HdfsSource(location(kms_hdfs, f"/zone256{folder_name}"))) as store:
            file = files_of(store)["open"]
            assert (file.condition, file.size_bytes) == (Condition.OPEN_ENCRYPTED, size)
            assert read(store, file, 0, size, CRC32C)[1] == content(7, size)
    finally:
        held.close()


def test_a_key_server_that_is_down_is_passed_over(kms_hdfs: HdfsCluster, folder_name: str) -> None:
    names = [f"f{number}" for number in range(6)]
    kms_hdfs.make([FileSpec(f"/zone256{folder_name}/{name}", 100, 1) for name in names])
    with closing(HdfsSource(location(kms_hdfs, f"/zone256{folder_name}"))) as store:
        files = files_of(store)
        try:
            kms_hdfs.kill("kms1")
            for name in names[:3]:
                assert read(store, files[name], 0, 100, None)[1] == content(1, 100)
            kms_hdfs.kill("kms2")
            with pytest.raises(BlockferryError) as error:
                read(store, files["f3"], 0, 100, None)
            assert (error.value.reason, error.value.retryable) == ("KMS_UNAVAILABLE", True)
            assert error.value.whose is Whose.SOURCE
            assert error.value.coordinates["host"].count(":") == 2, "both servers are named"
            assert read(store, files["f0"], 0, 100, None)[1] == content(1, 100), "its key is known still"
            kms_hdfs.start_daemon("kms2")
            kms_hdfs.wait_ready()
            assert read(store, files["f3"], 0, 100, None)[1] == content(1, 100)
        finally:
            for name in ("kms1", "kms2"):
                if not kms_hdfs.runs(name):
                    kms_hdfs.start_daemon(name)
            kms_hdfs.wait_ready()


@pytest.mark.parametrize(
    ("kms_uri", "reason"),
    [
        ("kms://http@127.0.0.1:1/kms", "KMS_UNAVAILABLE"),
        ("kms://https@{host}/kms", "KMS_UNAVAILABLE"),  # it speaks no TLS
        ("jceks://file@/keys.jceks", "KMS_UNSUPPORTED"),
        ("kms://nonsense", "KMS_URI_INVALID"),
    ],
)
def test_a_wrong_key_server_is_named(kinds: HdfsCluster, kms_uri: str, reason: str) -> None:
    uri = kms_uri.format(host=parse_and_join(kinds))
    with closing(HdfsSource(location(kinds, "/zone256/kinds", kms_uri=uri))) as store:
        file = files_of(store)["blocks"]
        with pytest.raises(BlockferryError) as error:
            read(store, file, 0, 10, None)
    assert (error.value.reason, error.value.coordinates["path"]) == (reason, "blocks")


def parse_and_join(cluster: HdfsCluster) -> str:
    """Returns the first key server as `host:port`."""
    return "{}:{}".format(*parse_uri(cluster.kms_uri).hosts[0])


def test_a_key_that_the_kms_does_not_have(kinds: HdfsCluster) -> None:
    key = EncryptedKey("lost", "lost@0", bytes(16), bytes(16))
    with closing(KmsClient(parse_uri(kinds.kms_uri), KmsLogin("alice"))) as kms:
        with pytest.raises(BlockferryError) as error:
            kms.decrypt(key)
    assert (error.value.reason, error.value.coordinates["key_version"]) == ("KMS_KEY_UNKNOWN", "lost@0")


def test_the_site_files_tell_the_kms(kinds: HdfsCluster) -> None:
    with closing(HdfsSource(location(kinds, "/zone128/kinds", conf_dir=str(kinds.conf_folder)))) as store:
        assert store.cluster.kms_uri == kinds.kms_uri
        assert read(store, files_of(store)["size-17"], 0, 17, None)[1] == content(17, 17)


# ---- with Kerberos ---------------------------------------------------------------------------------------------------


class CountedTickets:
    """A Kerberos login that counts what it is asked."""

    def __init__(self, store: HdfsSource) -> None:
        self.kerberos = store._login.kerberos
        self.hosts: list[str] = []

    @property
    def principal(self) -> str:
        return self.kerberos.principal

    def negotiate(self, host: str) -> str:
        self.hosts.append(host)
        return self.kerberos.negotiate(host)


def kerberos_location(cluster: HdfsCluster, kdc: Kdc, root: str, user: str, run_as: str = "") -> HdfsLocation:
    realm = kdc.realm
    return HdfsLocation(
        (cluster.namenode,),
        root,
        run_as,
        conf_dir=str(cluster.conf_folder),
        principal=realm.principal(user),
        keytab=str(realm.keytab(user)),
        krb5_conf=str(realm.krb5_conf),
    )


@pytest.fixture(scope="module")
def secured(kms_kerberos_hdfs: HdfsCluster) -> HdfsCluster:
    """The cluster with a file in each zone."""
    kms_kerberos_hdfs.make([FileSpec(f"{zone}/secured/f", 2 * MIB + 333, 9) for zone in ZONES])
    return kms_kerberos_hdfs


@pytest.mark.parametrize(
    ("user", "run_as", "reason"),
    [("alice", "", ""), ("bob", "", "ACCESS_DENIED"), ("ferry", "alice", ""), ("ferry", "bob", "ACCESS_DENIED")],
)
def test_key_servers_with_kerberos_are_asked_by_ticket_once_each_and_by_cookie_then(
    secured: HdfsCluster, kdc: Kdc, user: str, run_as: str, reason: str
) -> None:
    with closing(HdfsSource(kerberos_location(secured, kdc, "/zone256/secured", user))) as store:
        key = encrypted_key(store, files_of(store)["f"])
        tickets = CountedTickets(store)
        with closing(KmsClient(parse_uri(secured.kms_uri), KmsLogin(run_as, tickets))) as kms:
            for _ in range(6):
                if not reason:
                    assert len(kms.decrypt(key)) == 32
                    continue
                with pytest.raises(BlockferryError) as error:
                    kms.decrypt(key)
                assert error.value.reason == reason
                assert (run_as or user) in error.value.coordinates["user"]
        assert sorted(set(tickets.hosts)) == ["127.0.0.2", "localhost"]
        assert reason or len(tickets.hosts) == 2, "later calls go by cookie"


def test_a_key_server_that_was_started_anew_gets_another_ticket(secured: HdfsCluster, kdc: Kdc) -> None:
    """It has forgotten its cookies; while it is down the other one serves."""
    now_s = [100.0]
    with closing(HdfsSource(kerberos_location(secured, kdc, "/zone128/secured", "alice"))) as store:
        key, tickets = encrypted_key(store, files_of(store)["f"]), CountedTickets(store)
    address, login = parse_uri(secured.kms_uri), KmsLogin(kerberos=tickets)
    with closing(KmsClient(address, login, clock=lambda: now_s[0])) as kms:
        expected = {kms.decrypt(key) for _ in range(4)}
        try:
            secured.kill("kms1")
            assert {kms.decrypt(key) for _ in range(3)} == expected
        finally:
            secured.start_daemon("kms1")
            secured.wait_ready()
        assert len(tickets.hosts) == 2
        now_s[0] += AVOIDED_FOR_S
        assert {kms.decrypt(key) for _ in range(4)} == expected
        assert tickets.hosts[2:] == ["localhost"]


def test_without_a_ticket_the_error_says_what_is_missing(secured: HdfsCluster) -> None:
    key = EncryptedKey("key256", "key256@0", bytes(16), bytes(32))
    with closing(KmsClient(parse_uri(secured.kms_uri), KmsLogin("alice"))) as kms:
        with pytest.raises(BlockferryError, match="keytab") as error:
            kms.decrypt(key)
    assert error.value.reason == "KMS_LOGIN_REFUSED"


@pytest.mark.parametrize("zone", ZONES)
def test_kerberos_and_encryption_together(secured: HdfsCluster, kdc: Kdc, zone: str) -> None:
    size = 2 * MIB + 333
    with closing(HdfsSource(kerberos_location(secured, kdc, f"{zone}/secured", "alice"))) as store:
        found, data = read(store, files_of(store)["f"], 0, size, None)
    assert data == content(9, size)
    assert found.proven
