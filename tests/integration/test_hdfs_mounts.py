"""ViewFS mount tables over a real cluster: we find below a mount what Hadoop's own client finds there."""

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import pytest

from blockferry.errors import BlockferryError
from stores.hdfs.source import HdfsSource
from stores.location import HdfsLocation
from tests.support.hdfs import HdfsCluster
from tests.support.tree import FileSpec

FILES = ("data/a", "data/deep/b", "raw/c", "rest/logs/d", "rest/user/bob/e", "home/f")


@pytest.fixture(scope="module")
def conf(hdfs: HdfsCluster) -> Path:
    """Returns a client's folder with two mount tables: `all`, and `slash`, which is one link for everything."""
    hdfs.make(FileSpec(f"/views/{path}", size=3) for path in FILES)
    links = {
        "all.link./data": f"{hdfs.uri}/views/data",
        "all.link./data/deep/raw": f"{hdfs.uri}/views/raw",  # in the middle of another mount
        "all.link./user/alice": "hdfs://named/views/home",
        "all.linkFallback": f"{hdfs.uri}/views/rest",
        "slash.linkMergeSlash": f"{hdfs.uri}/views",
    }
    named = {
        "dfs.nameservices": "named",
        "dfs.ha.namenodes.named": "nn1",
        "dfs.namenode.rpc-address.named.nn1": hdfs.namenode,
        "dfs.client.failover.proxy.provider.named": "org.apache.hadoop.hdfs.server.namenode.ha."
        "ConfiguredFailoverProxyProvider",
    }
    return hdfs.client_folder("views", {**{f"fs.viewfs.mounttable.{key}": uri for key, uri in links.items()}, **named})


def ours(conf: Path, table: str, root: str) -> list[str]:
    with closing(HdfsSource(HdfsLocation((), root, nameservice=table, conf_dir=str(conf)))) as store:
        return [f"{root}/{stat.path}" for stat in store.list_tree() if not stat.path.endswith("/")]


def theirs(hdfs: HdfsCluster, conf: Path, roots: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """Returns the files that Hadoop's client lists below each root, by root."""
    uris = [f"viewfs://{table}{root}" for table, found in roots.items() for root in found]
    lines = hdfs.shell("-ls", "-R", *uris, conf=conf).splitlines()
    files = [line.split()[-1] for line in lines if line.startswith("-")]
    return {uri: [file.split("://", 1)[1].partition("/")[2] for file in files if file.startswith(uri)] for uri in uris}


def test_every_mount_leads_where_hadoop_goes(hdfs: HdfsCluster, conf: Path) -> None:
    roots = {"all": ["/data/deep/raw", "/user/alice", "/user/bob", "/logs"], "slash": ["/data", "/rest/user"]}
    found = {f"viewfs://{table}{root}": ours(conf, table, root) for table, each in roots.items() for root in each}
    expected = theirs(hdfs, conf, roots)
    assert all(expected.values()), expected
    assert found == {uri: [f"/{file}" for file in files] for uri, files in expected.items()}


def test_a_folder_above_mounts_is_refused_with_their_names(conf: Path) -> None:
    with pytest.raises(BlockferryError) as error:
        ours(conf, "all", "/")
    assert error.value.reason == "MOUNT_ABOVE_SEVERAL"
    assert "/data, /data/deep/raw, /user/alice" in error.value.message
