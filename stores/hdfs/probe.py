"""Tries an HDFS location step by step, and says of each step what was wrong and what to do. Changes nothing there."""

from __future__ import annotations

import socket
from collections.abc import Callable

from blockferry.errors import BlockferryError
from stores.base import Check
from stores.hdfs import entries
from stores.hdfs.addresses import Address, AddressOf, by_ip, shown
from stores.hdfs.namenode import NameNodeClient
from stores.hdfs.wire.hdfs_pb2 import DatanodeInfoProto
from stores.hdfs.wire.listing_pb2 import ListedAnswerProto

_CONNECT_TIMEOUT_S = 5.0
_SHOWN_LIVE = "Check the DataNodes' processes and the NameNode's page of DataNodes."


def check_location(root: str, namenode: NameNodeClient, address_of: AddressOf = by_ip) -> tuple[Check, ...]:
    """Returns the steps that were tried; the first of NameNode, root and list that fails ends the way."""
    checks = [_resolution(host) for host, _ in namenode.addresses]
    root = root or "/"
    steps: tuple[tuple[str, Callable[[], str]], ...] = (
        ("namenode", lambda: _namenode(namenode)),
        ("root", lambda: _root(namenode, root)),
        ("list", lambda: _list(namenode, root)),
    )
    for step, attempt in steps:
        checks.append(_tried(step, attempt))
        if not checks[-1].passed:
            return tuple(checks)
    return (*checks, *_datanodes(namenode, address_of))


def _tried(step: str, attempt: Callable[[], str]) -> Check:
    try:
        return Check(step, True, attempt())
    except BlockferryError as error:
        return Check(step, False, error.message, error.reason)


def _resolution(host: str) -> Check:
    try:
        found = sorted({str(info[4][0]) for info in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)})
    except OSError as error:
        message = f"The name {host} cannot be resolved ({error.strerror}). Check the name, or the DNS of this machine."
        return Check("resolve", False, message, "HOST_UNKNOWN")
    return Check("resolve", True, f"{host} is {', '.join(found)}.")


def _namenode(namenode: NameNodeClient) -> str:
    defaults = namenode.get_server_defaults()
    return f"The NameNode answers; its block size is {defaults.blockSize} bytes, replication {defaults.replication}."


def _root(namenode: NameNodeClient, root: str) -> str:
    entry = namenode.get_file_info(root)
    if entry is None:
        raise BlockferryError("NOT_FOUND", f"{root} does not exist. Check the path, or make the folder.", path=root)
    kind = "a folder" if entries.is_folder(entry) else "a file"
    mode = entries.permissions_of(entry)
    return f"{root} is {kind} of {entry.owner}, group {entry.group}, permissions {mode:04o}."


def _list(namenode: NameNodeClient, root: str) -> str:
    listing = ListedAnswerProto.FromString(namenode.listing_frame(root, b"")).dirList
    count = len(listing.partialListing) + listing.remainingEntries
    return f"{root} can be listed: {count} entries."


def _datanodes(namenode: NameNodeClient, address_of: AddressOf) -> tuple[Check, ...]:
    try:
        found = namenode.get_live_datanodes()
    except BlockferryError as error:
        if error.reason == "ACCESS_DENIED":  # clusters may keep the report for their superusers
            return (Check("datanodes", True, "Not tried: the NameNode does not tell this user its DataNodes."),)
        return (Check("datanodes", False, error.message, error.reason),)
    if not found:
        return (Check("datanodes", False, f"No DataNode is alive. {_SHOWN_LIVE}", "DATANODE_UNAVAILABLE"),)
    return tuple(_datanode(info, address_of(info.id)) for info in found)


def _datanode(info: DatanodeInfoProto, address: Address) -> Check:
    step = f"datanode {shown((info.id.hostName, address[1]))}"
    try:
        socket.create_connection(address, _CONNECT_TIMEOUT_S).close()
    except OSError as error:
        message = (
            f"The DataNode {info.id.hostName} cannot be reached at {shown(address)} ({error}). Blocks are read from "
            "every DataNode directly: open that port from here to it."
        )
        return Check(step, False, message, "DATANODE_UNAVAILABLE")
    return Check(step, True, f"{shown(address)} accepts connections.")
