"""Tries an HDFS location step by step, and says of each step what was wrong and what to do. Changes nothing there.

This module tries names, logins, NameNodes and the root folder; `probe_data` tries what brings content: KMS, DataNodes,
a read and its checksums.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

from blockferry.errors import BlockferryError, Whose
from stores.base import Check
from stores.hdfs import entries
from stores.hdfs.addresses import shown
from stores.hdfs.namenode import NameNodeClient, ServiceState
from stores.hdfs.probe_data import DataProbe, failed
from stores.hdfs.rpc.inability import is_about_call
from stores.hdfs.security.kerberos import Session
from stores.hdfs.security.login import ClusterLogin
from stores.hdfs.wire.listing_pb2 import ListedAnswerProto

# Kerberos takes clocks that differ by less (krb5.conf's clockskew).
_SKEW_S = 300.0
_ACTIVE = ServiceState.ACTIVE
_STATES = {
    ServiceState.STANDBY: "is a standby, which can take over.",
    ServiceState.OBSERVER: "is an observer, which only answers who reads.",
    ServiceState.INITIALIZING: "is starting.",
}


@dataclass(frozen=True, slots=True)
class Probed:
    """The parts of a location that are tried. `root` is absolute, or empty for the whole namespace."""

    root: str
    namenode: NameNodeClient
    login: ClusterLogin
    data: DataProbe


def check_location(probed: Probed) -> tuple[Check, ...]:
    """Returns the steps that were tried. When the login, the active NameNode, root or list fail, they end the way."""
    hosts = dict.fromkeys(host for host, _ in probed.namenode.addresses)
    checks = [_resolution(host) for host in hosts]
    for attempt in (_kdc, _namenodes, _root, _list):
        found = attempt(probed)
        checks += found
        if found and not found[-1].passed:
            return tuple(checks)
    return (*checks, *probed.data.checks())


def _tried(step: str, attempt: Callable[[], str]) -> Check:
    try:
        return Check(step, True, attempt())
    except BlockferryError as error:
        return failed(step, error)


def _resolution(host: str) -> Check:
    try:
        found = sorted({str(info[4][0]) for info in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)})
    except OSError as error:
        message = f"The name {host} cannot be resolved ({error.strerror}). Check the name, or the DNS of this machine."
        return Check("resolve", False, message, "HOST_UNKNOWN")
    return Check("resolve", True, f"{host} is {', '.join(found)}.")


# ---- who we are ------------------------------------------------------------------------------------------------------


def _kdc(probed: Probed) -> tuple[Check, ...]:
    """Nothing is tried where a name alone is enough, as far as the location and its site files say."""
    if not probed.login.uses_sasl:
        return ()
    if probed.login.has_tokens:
        return (Check("kdc", True, "Not tried: the worker has delegation tokens, which need no KDC."),)
    check = _tried("kdc", lambda: _logged_in(probed.login.kerberos.session()))
    if not check.passed and probed.login.security.fallback_to_simple:
        return (Check("kdc", True, f"Nobody is logged in, which the site files allow. {check.message}"),)
    return (check,)


def _logged_in(session: Session) -> str:
    end = datetime.fromtimestamp(session.end_s, UTC)
    text = f"{session.principal} is logged in, until {end:%Y-%m-%d %H:%M} UTC."
    return text if abs(session.kdc_ahead_s) < _SKEW_S / 2 else f"{text} {_clocks(session)}"


def _clocks(session: Session) -> str:
    way = "ahead of" if session.kdc_ahead_s > 0 else "behind"
    return (
        f"The KDC's clock is {abs(session.kdc_ahead_s):.0f} s {way} this machine's. Let NTP set the clocks of KDC, "
        "worker and cluster: they must differ by less than 5 minutes."
    )


def _explained(error: BlockferryError, login: ClusterLogin) -> BlockferryError:
    """Returns CLOCK_SKEWED where a NameNode refuses our login without a reason, and the KDC's clock is one."""
    if error.reason != "AUTHENTICATION_REFUSED" or login.has_tokens:
        return error
    session = login.kerberos.session()
    if abs(session.kdc_ahead_s) < _SKEW_S:
        return error
    return BlockferryError("CLOCK_SKEWED", f"{error.message} {_clocks(session)}", whose=Whose.CALLER)


# ---- NameNodes -------------------------------------------------------------------------------------------------------


def _namenodes(probed: Probed) -> tuple[Check, ...]:
    """Tries each, and says at last which of several is active."""
    clients = probed.namenode.each()
    with ThreadPoolExecutor(len(clients)) as threads:
        found = tuple(threads.map(lambda client: _namenode(client, probed.login, len(clients) > 1), clients))
    checks = tuple(check for check, _ in found)
    if len(clients) == 1:
        return checks
    active = [client.addresses[0] for client, (_, state) in zip(clients, found, strict=True) if state is _ACTIVE]
    if active:
        return (*checks, Check("active", True, f"{' and '.join(map(shown, active))} can do what we ask."))
    cure = "No NameNode is active. Make one active (hdfs haadmin -transitionToActive), or start its fail-over."
    return (*checks, Check("active", False, cure, "NAMENODE_STANDBY"))


def _namenode(
    client: NameNodeClient, login: ClusterLogin, is_one_of_several: bool
) -> tuple[Check, ServiceState | None]:
    (address,) = client.addresses
    step = f"namenode {shown(address)}" if is_one_of_several else "namenode"
    try:
        state = _state(client)
        if state is _ACTIVE:
            return Check(step, True, _active(client)), state
    except BlockferryError as error:
        return failed(step, _explained(error, login)), None
    message = f"The NameNode {shown(address)} {_STATES[state]}"
    if is_one_of_several:
        return Check(step, True, message), state
    cure = " Give the location all NameNodes of the cluster, or its nameservice and site files."
    return Check(step, False, message + cure, "NAMENODE_STANDBY"), state


def _state(client: NameNodeClient) -> ServiceState:
    """Asks a NameNode what it does; one without high availability, or too old to tell, something that only an active
    one answers."""
    try:
        return client.get_service_state()
    except BlockferryError as error:
        if not is_about_call(error):
            raise
    try:
        client.get_server_defaults()
    except BlockferryError as error:
        if error.reason != "NAMENODE_STANDBY":
            raise
        return ServiceState.STANDBY
    return _ACTIVE


def _active(client: NameNodeClient) -> str:
    defaults = client.get_server_defaults()
    (address,) = client.addresses
    return (
        f"The NameNode {shown(address)} is active; block size {defaults.blockSize} bytes, replication "
        f"{defaults.replication}."
    )


# ---- the folder ------------------------------------------------------------------------------------------------------


def _root(probed: Probed) -> tuple[Check, ...]:
    return (_tried("root", lambda: _describe(probed.namenode, probed.root or "/")),)


def _describe(namenode: NameNodeClient, root: str) -> str:
    entry = namenode.get_file_info(root)
    if entry is None:
        raise BlockferryError("NOT_FOUND", f"{root} does not exist. Check the path, or make the folder.", path=root)
    kind = "a folder" if entries.is_folder(entry) else "a file"
    mode = entries.permissions_of(entry)
    return f"{root} is {kind} of {entry.owner}, group {entry.group}, permissions {mode:04o}."


def _list(probed: Probed) -> tuple[Check, ...]:
    return (_tried("list", lambda: _count(probed.namenode, probed.root or "/")),)


def _count(namenode: NameNodeClient, root: str) -> str:
    listing = ListedAnswerProto.FromString(namenode.listing_frame(root, b"")).dirList
    count = len(listing.partialListing) + listing.remainingEntries
    return f"{root} can be listed: {count} entries."
