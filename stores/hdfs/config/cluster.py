"""What a location and its site files say together: which cluster, and how to talk to it. PURE but for `resolve`, which
reads the site files. Asks no server and resolves no host name: a cluster's identity is its logical name.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from blockferry.errors import BlockferryError, Whose
from stores.hdfs.config.nameservices import find, nameservice_with
from stores.hdfs.config.site import SiteConfig
from stores.hdfs.config.site_folder import read_site
from stores.hdfs.rpc.patience import Patience
from stores.location import HdfsLocation, Protection


class Authentication(StrEnum):
    """Values of hadoop.security.authentication that clients know."""

    SIMPLE = "simple"
    KERBEROS = "kerberos"


@dataclass(frozen=True, slots=True)
class Security:
    """How to log in, and what is done to the bytes on the wire.

    Attributes:
        authentication: what the site files say. None: no site files, so whatever the NameNode asks for.
        fallback_to_simple: where the site files say kerberos, a server without it is accepted all the same
            (ipc.client.fallback-to-simple-auth-allowed).
        namenode_principal: e.g. `nn/_HOST@REALM` (dfs.namenode.kerberos.principal); `_HOST` stands for the NameNode's
            host. Empty: not said.
        namenode_principal_pattern: what a NameNode's principal may be instead, with `*` and `?`
            (dfs.namenode.kerberos.principal.pattern).
        rpc_protections: those that may be agreed on with a NameNode, in order of preference.
        transfer_protections: the same for DataNodes. Empty: the site files have none, so blocks come without SASL
            unless `encrypts_transfer`.
        encrypts_transfer: dfs.encrypt.data.transfer. None: no site files; the NameNode's defaults tell.
        transfer_ciphers: dfs.encrypt.data.transfer.cipher.suites, e.g. `AES/CTR/NoPadding`.
    """

    authentication: Authentication | None = None
    fallback_to_simple: bool = False
    namenode_principal: str = ""
    namenode_principal_pattern: str = ""
    rpc_protections: tuple[Protection, ...] = tuple(Protection)
    transfer_protections: tuple[Protection, ...] = tuple(Protection)
    encrypts_transfer: bool | None = None
    transfer_ciphers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """Seconds. `call_s` is for each answer of a NameNode, `datanode_s` for each time that a DataNode sends nothing."""

    call_s: float = 60.0
    connect_s: float = 20.0
    datanode_s: float = 60.0
    patience: Patience = field(default_factory=Patience)


@dataclass(frozen=True, slots=True)
class HedgedReads:
    """dfs.client.hedged.read.threadpool.size (0: not asked for) and .threshold.millis."""

    thread_count: int = 0
    threshold_s: float = 0.5


@dataclass(frozen=True, slots=True)
class Cluster:
    """One namespace, and how to talk to it.

    Attributes:
        identity: the logical nameservice; without one the NameNodes as they were given.
        namenodes: `host:port` of the RPC of each NameNode (or router).
        root: the location's folder in this namespace, without a slash at its end.
        nameservice: empty where there is none.
        kms_uri: `kms://https@host;host:port/kms`; empty: what the NameNode says.
        use_datanode_hostname: blocks are read from DataNodes by host name (dfs.client.use.datanode.hostname).
        reads_observers: the site files tell clients to read from observers (ObserverReadProxyProvider).
        site: the site files themselves; None without a folder.
    """

    identity: str
    namenodes: tuple[str, ...]
    root: str = ""
    nameservice: str = ""
    security: Security = field(default_factory=Security)
    limits: TimeLimits = field(default_factory=TimeLimits)
    kms_uri: str = ""
    use_datanode_hostname: bool = False
    hedged_reads: HedgedReads = field(default_factory=HedgedReads)
    reads_observers: bool = False
    site: SiteConfig | None = field(default=None, repr=False, compare=False)


def resolve(location: HdfsLocation) -> Cluster:
    """Returns what a location means. Reads its site files, if it has any, and asks nobody.

    Raises:
        BlockferryError: SITE_FILE_MISSING, SITE_FILE_INVALID, NAMESERVICE_UNKNOWN, INVALID_NAMENODE, and those of
            `mounts.target_of`.
    """
    return cluster_of(location, read_site(location.conf_dir) if location.conf_dir else None)


def cluster_of(location: HdfsLocation, site: SiteConfig | None) -> Cluster:
    """Returns what a location and site files mean; see `resolve`."""
    if site is None:
        return _without_site(location)
    found = find(location, site)
    return Cluster(
        found.nameservice or nameservice_with(site, found.namenodes) or ",".join(found.namenodes),
        found.namenodes,
        found.root,
        found.nameservice,
        _security(location, site),
        _limits(site),
        location.kms_uri or site.get("hadoop.security.key.provider.path"),
        site.flag("dfs.client.use.datanode.hostname", False),
        HedgedReads(
            site.count("dfs.client.hedged.read.threadpool.size", 0),
            site.seconds("dfs.client.hedged.read.threshold.millis", HedgedReads().threshold_s),
        ),
        "ObserverRead" in site.get(f"dfs.client.failover.proxy.provider.{found.nameservice}"),
        site,
    )


def _without_site(location: HdfsLocation) -> Cluster:
    if location.nameservice and not location.namenodes:
        raise BlockferryError(
            "NAMESERVICE_UNKNOWN",
            f"{location.nameservice} is a logical name: give the folder with the cluster's core-site.xml and "
            "hdfs-site.xml, which say its NameNodes, or give the NameNodes themselves (host:port).",
            whose=Whose.CALLER,
            nameservice=location.nameservice,
        )
    if not location.namenodes:
        text = "An HDFS location needs at least one NameNode (host:port)."
        raise BlockferryError("INVALID_NAMENODE", text, whose=Whose.CALLER)
    security = Security(
        rpc_protections=_at_least(location.rpc_protection, tuple(Protection)),
        transfer_protections=_at_least(location.transfer_protection, tuple(Protection)),
    )
    identity = location.nameservice or ",".join(location.namenodes)
    return Cluster(
        identity,
        location.namenodes,
        location.root.rstrip("/"),
        location.nameservice,
        security,
        kms_uri=location.kms_uri,
    )


def _security(location: HdfsLocation, site: SiteConfig) -> Security:
    try:
        authentication = Authentication(site.get("hadoop.security.authentication", Authentication.SIMPLE).lower())
    except ValueError as error:
        raise site.invalid("hadoop.security.authentication", "only simple and kerberos are supported") from error
    return Security(
        authentication,
        site.flag("ipc.client.fallback-to-simple-auth-allowed", False),
        site.get("dfs.namenode.kerberos.principal"),
        site.get("dfs.namenode.kerberos.principal.pattern"),
        _at_least(location.rpc_protection, _protections(site, "hadoop.rpc.protection") or (Protection.AUTHENTICATION,)),
        _at_least(location.transfer_protection, _protections(site, "dfs.data.transfer.protection")),
        site.flag("dfs.encrypt.data.transfer", False),
        site.strings("dfs.encrypt.data.transfer.cipher.suites"),
    )


def _protections(site: SiteConfig, key: str) -> tuple[Protection, ...]:
    try:
        return tuple(Protection(word.lower()) for word in site.strings(key))
    except ValueError as error:
        raise site.invalid(key, f"{site.get(key)!r}: give {', '.join(Protection)}") from error


def _at_least(least: Protection | None, said: tuple[Protection, ...]) -> tuple[Protection, ...]:
    """Returns what was said without what is weaker than the location wants; the location's word counts if nothing is
    left."""
    if least is None:
        return said
    order = tuple(Protection)
    enough = order[order.index(least) :]
    return tuple(each for each in said if each in enough) or enough


def _limits(site: SiteConfig) -> TimeLimits:
    """A limit of 0 means none in Hadoop; here every wait has an end."""
    usual = TimeLimits()
    patience = Patience(
        base_s=site.seconds("dfs.client.failover.sleep.base.millis", 0) or usual.patience.base_s,
        ceiling_s=site.seconds("dfs.client.failover.sleep.max.millis", 0) or usual.patience.ceiling_s,
    )
    return TimeLimits(
        site.seconds("ipc.client.rpc-timeout.ms", 0) or usual.call_s,
        site.seconds("ipc.client.connect.timeout", 0) or usual.connect_s,
        site.seconds("dfs.client.socket-timeout", 0) or usual.datanode_s,
        patience,
    )
