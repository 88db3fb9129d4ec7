"""Where DataNodes serve blocks: by the IP address that the NameNode tells, or by their host name. PURE.

Resolves no name: that is done when a connection is opened.
"""

from __future__ import annotations

from collections.abc import Callable

from stores.hdfs.wire.hdfs_pb2 import DatanodeIDProto, LocatedBlockProto

Address = tuple[str, int]
AddressOf = Callable[[DatanodeIDProto], Address]


def by_ip(datanode: DatanodeIDProto) -> Address:
    """Returns the IP address that the DataNode has registered with, and its port."""
    return datanode.ipAddr, datanode.xferPort


def by_host_name(datanode: DatanodeIDProto) -> Address:
    """Returns the host name that the DataNode has registered with (dfs.client.use.datanode.hostname): for clients that
    reach another of its interfaces than the NameNode does."""
    return datanode.hostName or datanode.ipAddr, datanode.xferPort


def addresses_of(located: LocatedBlockProto, address_of: AddressOf = by_ip) -> tuple[Address, ...]:
    """Returns the addresses of a block's replicas, in the NameNode's order."""
    return tuple([address_of(info.id) for info in located.locs])  # a list first: for each read, and twice as quick


def shown(address: Address) -> str:
    """Returns an address as one writes it: `host:port`, and `[::1]:9866` with an IPv6 address."""
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
