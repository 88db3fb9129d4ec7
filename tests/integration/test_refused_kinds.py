"""Encrypted files without a KMS are refused by name, never copied as ciphertext.

The zone is a real one: the NameNode and Hadoop's own client share a Java keystore, as Hadoop allows without a KMS.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.ferry import Ferry, objects
from tests.support.hdfs import HdfsCluster
from tests.support.s3 import SeaweedServer
from tests.support.tree import FileSpec, folder

KEY_PROVIDER = "hadoop.security.key.provider.path"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HdfsCluster]:
    """An encryption zone."""
    place = tmp_path_factory.mktemp("refused")
    provider = f"jceks://file{place}/keys.jceks"
    with HdfsCluster.start(place / "hdfs", datanode_count=1, replication=1, settings={KEY_PROVIDER: provider}) as made:
        made.java("org.apache.hadoop.crypto.key.KeyShell", "create", "k1", "-provider", provider)
        made.stop()  # the NameNode reads the keystore at its start
        for daemon in made.daemons:
            made.start_daemon(daemon)
        made.wait_ready()
        made.make([folder("/zone/secret")])
        made.java("org.apache.hadoop.hdfs.tools.CryptoAdmin", "-createZone", "-keyName", "k1", "-path", "/zone/secret")
        made.make(
            (
                FileSpec("/zone/plain", size=5000, seed=1),
                FileSpec("/zone/secret/file", size=5000, seed=2),
            )
        )
        yield made


@pytest.mark.parametrize(
    ("root", "refused", "reason", "kept"),
    [
        ("/zone", "secret/file", "KMS_UNSUPPORTED", {"plain", "secret/", "secret/.Trash/"}),
    ],
)
def test_what_is_not_supported_is_refused_by_name_and_its_neighbours_are_copied(
    cluster: HdfsCluster,
    seaweed: SeaweedServer,
    bucket_name: str,
    tmp_path: Path,
    root: str,
    refused: str,
    reason: str,
    kept: set[str],
) -> None:
    seaweed.make_bucket(bucket_name)
    run = Ferry(tmp_path, seaweed).copy(f"{cluster.uri}{root}", f"s3://{bucket_name}")
    assert (run.exit_code, run.error_code, run.failed) == (1, "FILES_FAILED", {refused: reason}), run.errors
    assert set(objects(seaweed, bucket_name)) == kept
