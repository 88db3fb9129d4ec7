"""Which NameNodes a location means, by the nameservices and mount tables of its site files. PURE."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from blockferry.errors import BlockferryError, Whose
from stores.hdfs.config import mounts
from stores.hdfs.config.site import SiteConfig
from stores.location import HdfsLocation

_RPC_ADDRESS = "dfs.namenode.rpc-address"


@dataclass(frozen=True, slots=True)
class Found:
    """NameNodes as `host:port`, their nameservice (empty: they have none), and the folder there."""

    namenodes: tuple[str, ...]
    nameservice: str
    root: str


def find(location: HdfsLocation, site: SiteConfig) -> Found:
    """Returns the NameNodes of a location, and its folder there, through a mount table if need be.

    Raises:
        BlockferryError: SITE_FILE_INVALID, NAMESERVICE_UNKNOWN, and those of `mounts.target_of`.
    """
    root = location.root.rstrip("/")
    name = location.nameservice
    if location.namenodes:
        # `hdfs://name/` alone does not tell whether the name is logical; who took it for a host has added its port.
        name = name or (location.namenodes[0].removesuffix(":8020") if len(location.namenodes) == 1 else "")
        if not (_is_nameservice(site, name) or _is_mount_table(site, name)):
            return Found(location.namenodes, "", root)
    elif not name:
        name = _default_authority(site)
    elif not (_is_nameservice(site, name) or _is_mount_table(site, name)):
        raise _unknown(location, site)
    if _is_mount_table(site, name):
        target = mounts.target_of(site, name, root)
        name, root = target.authority or _default_authority(site), target.path
    is_logical = _is_nameservice(site, name)
    return Found(_namenodes(site, name) if is_logical else (name,), name if is_logical else "", root)


def _is_nameservice(site: SiteConfig, name: str) -> bool:
    return bool(name) and (
        name in (*site.strings("dfs.nameservices"), *site.strings("dfs.internal.nameservices"))
        or f"dfs.ha.namenodes.{name}" in site
        or f"{_RPC_ADDRESS}.{name}" in site
    )


def _is_mount_table(site: SiteConfig, name: str) -> bool:
    """A mount table may have the name of a nameservice, where clients are told to see hdfs:// through mounts too."""
    if name not in mounts.table_names(site):
        return False
    return not _is_nameservice(site, name) or site.get("fs.hdfs.impl").endswith("ViewFileSystemOverloadScheme")


def _namenodes(site: SiteConfig, nameservice: str) -> tuple[str, ...]:
    """Returns the RPC addresses of a nameservice (Java: DFSUtilClient.getHaNnRpcAddresses); never those for DataNodes
    (servicerpc-address)."""
    ids = site.strings(f"dfs.ha.namenodes.{nameservice}")
    keys = tuple(f"{_RPC_ADDRESS}.{nameservice}.{each}" for each in ids) or (f"{_RPC_ADDRESS}.{nameservice}",)
    addresses = []
    for key in keys:
        if not (address := site.get(key)):
            why = f"the nameservice {nameservice} has no {key}, so one of its NameNodes has no address"
            raise _incomplete(site, f"dfs.ha.namenodes.{nameservice}" if ids else "dfs.nameservices", why)
        addresses.append(address)
    return tuple(addresses)


def nameservice_with(site: SiteConfig, namenodes: tuple[str, ...]) -> str:
    """Returns the nameservice to which all these NameNodes belong; empty if there is none."""
    for name in site.strings("dfs.nameservices"):
        keys = [f"{_RPC_ADDRESS}.{name}.{each}" for each in site.strings(f"dfs.ha.namenodes.{name}")]
        if set(namenodes) <= {site.get(key) for key in (*keys, f"{_RPC_ADDRESS}.{name}")}:
            return name
    return ""


def _default_authority(site: SiteConfig) -> str:
    """Returns the nameservice, mount table or `host:port` of fs.defaultFS."""
    said = urlsplit(site.get("fs.defaultFS"))
    if said.scheme == "viewfs":
        return said.netloc or "default"
    if said.scheme != "hdfs" or not said.netloc:
        why = f"{said.geturl() or 'nothing'} names no NameNode; give the location a nameservice or host:port"
        raise site.invalid("fs.defaultFS", why)
    return said.netloc


def _incomplete(site: SiteConfig, key: str, why: str) -> BlockferryError:
    error = site.invalid(key, why)
    error.reason = "NAMESERVICE_UNKNOWN"
    return error


def _unknown(location: HdfsLocation, site: SiteConfig) -> BlockferryError:
    known = ", ".join((*site.strings("dfs.nameservices"), *mounts.table_names(site))) or "none"
    return BlockferryError(
        "NAMESERVICE_UNKNOWN",
        f"The site files in {location.conf_dir} know no nameservice or mount table {location.nameservice}; they know "
        f"{known}. Check the name, or give the folder of the right cluster; for a host give its port too (host:8020).",
        whose=Whose.CALLER,
        nameservice=location.nameservice,
        file=location.conf_dir,
    )
