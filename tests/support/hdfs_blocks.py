"""Where the blocks of a file lie, as fsck reports it: for tests of the DataNode client that must not rest on our own
NameNode client."""

import re
from http.client import HTTPConnection
from urllib.parse import urlencode

from stores.hdfs.wire.hdfs_pb2 import (
    DatanodeIDProto,
    DatanodeInfoProto,
    ExtendedBlockProto,
    LocatedBlockProto,
    TokenProto,
)
from tests.support.hdfs import HdfsCluster
from tests.support.hdfs_plan import HOST

# 0. BP-1-127.0.0.1-2:blk_1073741825_1001 len=511 Live_repl=2  [DatanodeInfoWithStorage[127.0.0.1:9866,DS-1,DISK], ...]
_BLOCK = re.compile(r"^\d+\. (BP-\S+):blk_(-?\d+)_(\d+) len=(\d+) .*?\[(.*)\]$", re.MULTILINE)
_REPLICA = re.compile(r"Info\w*\[([^:\[]+):(\d+),")


def located_blocks(cluster: HdfsCluster, path: str) -> tuple[LocatedBlockProto, ...]:
    """Returns a file's blocks in order, each with its replicas; without block tokens (simple authentication)."""
    wanted = {"ugi": cluster.plan.superuser, "files": 1, "blocks": 1, "locations": 1, "openforwrite": 1, "path": path}
    connection = HTTPConnection(HOST, cluster.plan.namenode.http, timeout=30)
    try:
        connection.request("GET", f"/fsck?{urlencode(wanted)}")
        report = connection.getresponse().read().decode()
    finally:
        connection.close()
    blocks: list[LocatedBlockProto] = []
    for pool, block_id, stamp, size, replicas in _BLOCK.findall(report):
        offset = sum(block.b.numBytes for block in blocks)
        block = ExtendedBlockProto(poolId=pool, blockId=int(block_id), generationStamp=int(stamp), numBytes=int(size))
        blocks.append(_located(block, offset, _REPLICA.findall(replicas)))
    return tuple(blocks)


def _located(block: ExtendedBlockProto, offset: int, replicas: list[tuple[str, str]]) -> LocatedBlockProto:
    nodes = [
        DatanodeIDProto(ipAddr=host, hostName=host, datanodeUuid="", xferPort=int(port), infoPort=0, ipcPort=0)
        for host, port in replicas
    ]
    return LocatedBlockProto(
        b=block,
        offset=offset,
        locs=[DatanodeInfoProto(id=node) for node in nodes],
        corrupt=False,
        blockToken=TokenProto(identifier=b"", password=b"", kind="", service=""),
    )


def address_of(block: LocatedBlockProto, replica: int = 0) -> tuple[str, int]:
    """Returns the data transfer address of one replica."""
    return block.locs[replica].id.ipAddr, block.locs[replica].id.xferPort
