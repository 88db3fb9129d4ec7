"""`blockferry copy` out of a cluster with Kerberos, RPC and transfer encrypted: nothing is lost, nothing is told."""

from __future__ import annotations

import base64
from dataclasses import replace
from pathlib import Path

from tests.support.content import content
from tests.support.ferry import Ferry, objects
from tests.support.hdfs import HdfsCluster
from tests.support.kdc import Kdc
from tests.support.s3 import SeaweedServer
from tests.support.tree import FileSpec

MIB = 1 << 20
SPECS = (
    FileSpec("empty", owner="alice", mode=0o400),
    *(FileSpec(f"size-{size}", size, size, owner="alice", mode=0o400) for size in (1, 511, 513, 65_537, MIB + 1)),
    FileSpec("crc32", 70_001, 2, checksum_type="CRC32", owner="alice", mode=0o400),
    FileSpec("large", 11 * MIB + 12_345, 1, owner="alice", mode=0o400),
)
WANTED = {spec.path: content(spec.seed, spec.size) for spec in SPECS}


def options(kdc: Kdc, name: str) -> tuple[str, ...]:
    realm = kdc.realm
    login = ("--hdfs-principal", realm.principal(name), "--hdfs-keytab", str(realm.keytab(name)))
    return (*login, "--krb5-conf", str(realm.krb5_conf))


def test_a_tree_is_moved_in_privacy_and_nothing_secret_is_written_down(
    kerberos_hdfs: HdfsCluster, kdc: Kdc, seaweed: SeaweedServer, folder_name: str, bucket_name: str, tmp_path: Path
) -> None:
    kerberos_hdfs.make(replace(spec, path=f"{folder_name}/{spec.path}") for spec in SPECS)
    seaweed.make_bucket(bucket_name)
    ferry = Ferry(tmp_path, seaweed)
    private = ("--hdfs-rpc-protection", "privacy", "--hdfs-transfer-protection", "privacy")
    source = f"{kerberos_hdfs.uri}{folder_name}"

    done = ferry.copy(source, f"s3://{bucket_name}", *options(kdc, "alice"), *private, "--part-size", "5MiB")
    assert (done.exit_code, done.state, done.failed) == (0, "SUCCESS", {}), done.errors
    assert objects(seaweed, bucket_name) == WANTED
    assert done.count("verified_count") == len(SPECS)
    proofs = {row["path"]: row["proof"] for row in done.rows("verified")}
    assert proofs["large"] == proofs["crc32"] == "STORED_CHECKSUM"

    keys = _keytab_keys(kdc.realm.keytab("alice"))
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(written) > 5
    for path in written:
        found = path.read_bytes()
        for key in keys:
            assert not any(form in found for form in (key, base64.b64encode(key), key.hex().encode())), path


def test_a_login_that_is_refused_ends_the_run_and_a_proxy_user_runs_for_another(
    kerberos_hdfs: HdfsCluster, kdc: Kdc, seaweed: SeaweedServer, folder_name: str, bucket_name: str, tmp_path: Path
) -> None:
    kerberos_hdfs.make([FileSpec(f"{folder_name}/f", 10, owner="alice", mode=0o400)])
    seaweed.make_bucket(bucket_name)
    ferry = Ferry(tmp_path, seaweed)
    source = f"{kerberos_hdfs.uri}{folder_name}"
    wrong = ("--hdfs-keytab", str(kdc.wrong_keytab("alice")))
    refused = ferry.copy(source, f"s3://{bucket_name}", *options(kdc, "alice"), *wrong)
    assert refused.exit_code != 0
    assert "KEYTAB_REFUSED" in refused.errors + refused.error_code + str(refused.execution)
    assert "ktadd" in refused.errors + str(refused.execution)  # the cure
    done = ferry.copy(source, f"s3://{bucket_name}", *options(kdc, "ferry"), "--hdfs-user", "alice")
    assert (done.exit_code, done.state) == (0, "SUCCESS"), done.errors


def _keytab_keys(keytab: Path) -> list[bytes]:
    """Returns the keys in a keytab (its format: docs of MIT krb5, keytab_file_format)."""
    data, at, keys = keytab.read_bytes(), 2, []
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big", signed=True)
        entry = data[at + 4 : at + 4 + size]
        part_count, place = int.from_bytes(entry[:2], "big"), 2
        for _ in range(part_count + 1):  # the realm, then the parts of the name
            place += 2 + int.from_bytes(entry[place : place + 2], "big")
        place += 4 + 4 + 1 + 2  # type, time, version, encryption type
        length = int.from_bytes(entry[place : place + 2], "big")
        keys.append(entry[place + 2 : place + 2 + length])
        at += 4 + size
    assert keys
    assert all(len(key) in (16, 32) for key in keys)
    return keys
