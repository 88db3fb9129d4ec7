"""`blockferry copy` out of encryption zones: plaintext at the destination, byte for byte, and no key in any log."""

from __future__ import annotations

import base64
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from stores.hdfs.source import HdfsSource
from stores.hdfs.zones.kms import KmsClient, KmsLogin
from stores.hdfs.zones.kms_wire import EncryptedKey, parse_uri
from stores.location import HdfsLocation
from tests.support.content import content
from tests.support.ferry import Ferry, objects
from tests.support.hdfs import HdfsCluster
from tests.support.kdc import Kdc
from tests.support.s3 import SeaweedServer
from tests.support.tree import FileSpec, folder

MIB = 1 << 20
# 5 MiB is S3's smallest part: three parts, of which two begin at an odd number of key stream blocks after odd blocks.
LARGE = FileSpec("large", 11 * MIB + 12_345, 1, block_size=1536 * 1024)
SPECS = (
    FileSpec("empty"),
    *(FileSpec(f"size-{size}", size, size) for size in (1, 15, 16, 17, 511, 513, 65_537, MIB + 1)),
    FileSpec("crc32", 70_001, 2, checksum_type="CRC32"),
    FileSpec("appended", 700_001, 3, append_bytes=300_007),
    LARGE,
)
PARTS = ("--part-size", "5MiB")


def specs_below(root: str, specs: tuple[FileSpec, ...] = SPECS) -> list[FileSpec]:
    return [replace(spec, path=f"{root}/{spec.path}") for spec in specs]


def wanted(prefix: str = "", specs: tuple[FileSpec, ...] = SPECS) -> dict[str, bytes]:
    """Returns the objects that a copy must leave."""
    return {f"{prefix}{spec.path}": content(spec.seed, spec.size + spec.append_bytes) for spec in specs}


def data_keys(cluster: HdfsCluster, root: str) -> list[bytes]:
    """Returns the decrypted keys of all files below a folder."""
    with closing(HdfsSource(HdfsLocation((cluster.namenode,), root, "alice"))) as store:
        infos = [store._layouts.layout(stat).encryption for stat in store.list_tree() if stat.size_bytes]
        with closing(KmsClient(parse_uri(cluster.kms_uri), KmsLogin("alice"))) as kms:
            return [
                kms.decrypt(EncryptedKey(info.keyName, info.ezKeyVersionName, info.iv, info.key))
                for info in infos
                if info is not None
            ]


def forms(key: bytes) -> tuple[bytes, ...]:
    """Returns how a key might show in a file."""
    plain, url = base64.b64encode(key).rstrip(b"="), base64.urlsafe_b64encode(key).rstrip(b"=")
    return key, plain, url, key.hex().encode(), repr(key)[2:-1].encode()


def test_zones_are_copied_as_their_plaintext_by_those_who_may_read_them(
    kms_hdfs: HdfsCluster, seaweed: SeaweedServer, folder_name: str, bucket_name: str, tmp_path: Path
) -> None:
    """Two zones and a plain file: first by bob, for whom the KMS opens no key, then by alice."""
    kms_hdfs.make([folder(folder_name, mode=0o777), FileSpec(f"{folder_name}/plain", 1000, 1)])
    for name in ("key128", "key256"):
        kms_hdfs.make_encryption_zone(f"{folder_name}/{name}", name)
        kms_hdfs.make(specs_below(f"{folder_name}/{name}"))
    seaweed.make_bucket(bucket_name)
    source, destination = f"{kms_hdfs.uri}{folder_name}", f"s3://{bucket_name}"
    everything = {"plain": content(1, 1000), **wanted("key128/"), **wanted("key256/")}

    bob = Ferry(tmp_path / "bob", seaweed).copy(source, destination, "--hdfs-user", "bob", *PARTS)
    assert (bob.exit_code, bob.error_code) == (1, "FILES_FAILED"), bob.errors
    assert bob.failed == {path: "ACCESS_DENIED" for path, data in everything.items() if data and path != "plain"}
    assert files(seaweed, bucket_name) == {path: data for path, data in everything.items() if path not in bob.failed}
    assert not seaweed.client().list_multipart_uploads(Bucket=bucket_name).get("Uploads")
    message = next(row["message"] for row in bob.rows("failed") if row["path"] == "key256/size-17")
    assert "key256" in message
    assert "bob" in message

    ferry = Ferry(tmp_path / "alice", seaweed)
    done = ferry.copy(source, destination, "--hdfs-user", "alice", *PARTS)
    assert (done.exit_code, done.state, done.failed) == (0, "SUCCESS", {}), done.errors
    assert files(seaweed, bucket_name) == everything
    transferred = {row["path"]: row for row in done.rows("transferred")}
    assert set(transferred) == set(bob.failed)
    assert int(transferred["key128/large"]["part_count"]) == 3
    verified = {row["path"]: row for row in done.rows("verified")}
    assert {row["proof"] for row in verified.values()} == {"STORED_CHECKSUM"}
    assert {row["source_proven"] for row in transferred.values()} == {"true"}, "the ciphertext was compared"
    assert {row["source_proven"] for row in verified.values()} == {"false"}, "nothing tells the plaintext's sum"

    whole = ferry.copy(source, destination, "--hdfs-user", "alice", "--verify", "POINT_IN_TIME_CONSISTENT", *PARTS)
    assert (whole.exit_code, whole.count("estimated_count")) == (0, 0), whole.errors
    proofs = {row["path"]: row["proof"] for row in whole.rows("verified")}
    assert {path for path, proof in proofs.items() if proof == "READ_BACK"} == set(bob.failed), "read with the keys"
    assert_nothing_shows(data_keys(kms_hdfs, folder_name), tmp_path)


def files(server: SeaweedServer, bucket: str) -> dict[str, bytes]:
    """Returns a bucket's objects but for folders."""
    return {key: data for key, data in objects(server, bucket).items() if not key.endswith("/")}


def assert_nothing_shows(keys: list[bytes], place: Path) -> None:
    """Looks for keys in logs, ledgers, reports and the scheduler's database."""
    secrets = [form for key in keys for form in forms(key)]
    kept = [file for file in place.rglob("*") if file.is_file()]
    assert len(keys) > 10 < len(kept)
    for file in kept:
        data = file.read_bytes()
        assert not any(secret in data for secret in secrets), file


def test_a_zone_of_a_cluster_with_kerberos(
    kms_kerberos_hdfs: HdfsCluster, kdc: Kdc, seaweed: SeaweedServer, folder_name: str, bucket_name: str, tmp_path: Path
) -> None:
    root = f"/zone256{folder_name}"
    kms_kerberos_hdfs.make(specs_below(root))
    seaweed.make_bucket(bucket_name)
    realm = kdc.realm
    login = ("--hdfs-principal", realm.principal("alice"), "--hdfs-keytab", str(realm.keytab("alice")))
    files = ("--krb5-conf", str(realm.krb5_conf), "--hdfs-conf", str(kms_kerberos_hdfs.conf_folder))
    source = f"{kms_kerberos_hdfs.uri}{root}"
    done = Ferry(tmp_path, seaweed).copy(source, f"s3://{bucket_name}", *login, *files, *PARTS)
    assert (done.exit_code, done.state, done.failed) == (0, "SUCCESS", {}), done.errors
    assert objects(seaweed, bucket_name) == wanted()
