"""ViewFS: where a path of a mount table leads, out of site files (Java: fs.viewfs.InodeTree, Constants). PURE.

Links with one target, `linkFallback` and `linkMergeSlash` are followed. A folder above mounts is several places at
once and is refused with their names: a location is one folder of one cluster.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from blockferry.errors import BlockferryError, Whose
from stores.hdfs.config.site import SiteConfig

_PREFIX = "fs.viewfs.mounttable."
_LINK, _FALLBACK, _SLASH = "link", "linkFallback", "linkMergeSlash"
# linkMerge and linkNfly have several targets, linkRegex as many as there are paths.
_REFUSED = ("linkMerge", "linkNfly", "linkRegex")


@dataclass(frozen=True, slots=True)
class Target:
    """Where a path leads. `authority` is a nameservice, `host:port`, or empty for that of fs.defaultFS."""

    authority: str
    path: str


@dataclass(frozen=True, slots=True)
class _Mount:
    path: str  # without a slash at its end: the root is empty
    uri: str
    key: str


def table_names(site: SiteConfig) -> tuple[str, ...]:
    """Returns the names of the mount tables in the site files."""
    tails = (key.removeprefix(_PREFIX).split(".link")[0] for key in site if key.startswith(_PREFIX) and ".link" in key)
    return tuple(sorted(set(tails)))


def target_of(site: SiteConfig, table: str, path: str) -> Target:
    """Returns where a path (absolute, without a slash at its end) of a mount table leads.

    Raises:
        BlockferryError: MOUNT_UNSUPPORTED, MOUNT_ABOVE_SEVERAL, NOT_FOUND.
    """
    path = path.rstrip("/")
    mounts = _mounts(site, table)
    below = sorted(mount.path for mount in mounts if mount.path.startswith(f"{path}/"))
    if below:  # also where the path itself is a mount: a listing of its target would not show those inside
        raise _above_several(table, path, below)
    for mount in sorted(mounts, key=lambda mount: len(mount.path), reverse=True):
        if path == mount.path or path.startswith(f"{mount.path}/"):
            return _joined(mount, path)
    if fallback := site.get(f"{_PREFIX}{table}.{_FALLBACK}"):
        return _joined(_Mount("", fallback, f"{_PREFIX}{table}.{_FALLBACK}"), path)
    raise _outside(table, path, sorted(mount.path for mount in mounts))


def _mounts(site: SiteConfig, table: str) -> tuple[_Mount, ...]:
    """Returns the links of a table; the one of the whole tree if that is what it has."""
    mounts = []
    for key in site:
        kind, _, path = key.removeprefix(f"{_PREFIX}{table}.").partition(".")
        if not key.startswith(f"{_PREFIX}{table}."):
            continue
        if kind in _REFUSED:
            why = f"{kind} is not supported: it has no single target for a path"
            raise _unsupported(site.place(key), key, why)
        if kind == _SLASH:
            return (_Mount("", site.get(key), key),)
        if kind == _LINK and path.startswith("/"):
            mounts.append(_Mount(path.rstrip("/"), site.get(key), key))
    return tuple(mounts)


def _joined(mount: _Mount, path: str) -> Target:
    parts = urlsplit(mount.uri)
    if parts.scheme != "hdfs":
        why = f"it leads to {mount.uri}: give the folder there as a location of its own"
        raise _unsupported("", mount.key, why)
    return Target(parts.netloc, unquote(parts.path).rstrip("/") + path[len(mount.path) :])


def _above_several(table: str, path: str, below: list[str]) -> BlockferryError:
    names = ", ".join(below)
    return BlockferryError(
        "MOUNT_ABOVE_SEVERAL",
        f"{path or '/'} of the mount table {table} lies above mounts of several places, and a location is one folder "
        f"of one cluster: give each of {names} as a location of its own.",
        whose=Whose.CALLER,
        path=path or "/",
        mount_table=table,
        mounts=names,
    )


def _outside(table: str, path: str, mounts: list[str]) -> BlockferryError:
    names = ", ".join(mounts)
    return BlockferryError(
        "NOT_FOUND",
        f"{path or '/'} lies below no mount of the mount table {table}, which has {names or 'none'}. Check the path.",
        whose=Whose.CALLER,
        path=path or "/",
        mount_table=table,
        mounts=names,
    )


def _unsupported(place: str, key: str, why: str) -> BlockferryError:
    return BlockferryError(
        "MOUNT_UNSUPPORTED",
        f"The mount {key} cannot be read: {why}.",
        whose=Whose.CALLER,
        property=key,
        file=place,
    )
