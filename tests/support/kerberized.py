"""Locations in clusters with Kerberos, for tests and benchmarks."""

from __future__ import annotations

from dataclasses import replace

from stores.base import Kind, Source, Stat
from stores.location import HdfsLocation
from tests.support.hdfs import HdfsCluster
from tests.support.kdc import Realm


def location(cluster: HdfsCluster, realm: Realm, root: str, name: str = "alice", **changes: object) -> HdfsLocation:
    """Returns the location of a folder, with the login of a user by keytab and the realm's krb5.conf."""
    plain = HdfsLocation(
        (cluster.namenode,),
        root,
        principal=realm.principal(name),
        keytab=str(realm.keytab(name)),
        krb5_conf=str(realm.krb5_conf),
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def read_all(source: Source) -> dict[str, bytes]:
    """Returns the content of every file by its path; each is proved by its checksums, also by those stored."""
    return {stat.path: read(source, stat) for stat in source.list_tree() if stat.kind is Kind.FILE}


def read(source: Source, stat: Stat) -> bytes:
    """Returns the content of one file, proved by its checksums."""
    buffer = bytearray(stat.size_bytes)
    found = source.read_into(stat, 0, memoryview(buffer), None)
    assert found.proven
    assert source.stored_checksum(stat, 0, stat.size_bytes, found.checksum.algorithm) == found.checksum
    return bytes(buffer)
