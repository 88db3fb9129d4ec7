"""Reads a folder with a cluster's client configuration: core-site.xml and hdfs-site.xml. Nothing outside it is read."""

from __future__ import annotations

import getpass
import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from blockferry.errors import BlockferryError, Whose
from stores.hdfs.config.site import Include, Item, Property, SiteConfig, site_error
from stores.hdfs.config.site_xml import parse

# In the order in which Hadoop's clients read them: later ones win.
SITE_FILES = ("core-site.xml", "hdfs-site.xml")
_MAX_DEPTH = 10  # of files that include files


def read_site(folder: str, names: tuple[str, ...] = SITE_FILES) -> SiteConfig:
    """Returns what the site files of a folder say.

    Raises:
        BlockferryError: SITE_FILE_MISSING, SITE_FILE_INVALID; both with the file, the latter also with the line.
    """
    home = Path(folder)
    items = [item for name in names for item in _items(home, home / name)]
    return SiteConfig(items, _variables())


def _items(home: Path, path: Path, depth: int = 0) -> Iterator[Property]:
    for item in parse(_content(path), str(path)):
        yield from _properties(home, item, depth)


def _properties(home: Path, item: Item, depth: int) -> Iterator[Property]:
    if isinstance(item, Property):
        yield item
        return
    path = _included(home, item)
    if depth >= _MAX_DEPTH:
        raise site_error(item.file, item.line, f"files include each other more than {_MAX_DEPTH} deep")
    if item.fallback is not None and not path.is_file():
        for each in item.fallback:
            yield from _properties(home, each, depth)
        return
    yield from _items(home, path, depth + 1)


def _included(home: Path, include: Include) -> Path:
    """Returns the file that an include means. Its place says what it may be: only a file of the same folder."""
    parts = urlsplit(include.href)
    beside = Path(include.file).parent / unquote(parts.path)
    if parts.scheme not in ("", "file") or parts.netloc or not beside.resolve().is_relative_to(home.resolve()):
        why = f"it includes {include.href}, which lies outside the folder {home}, and only files in it are read"
        raise site_error(include.file, include.line, why)
    return beside


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BlockferryError(
            "SITE_FILE_MISSING",
            f"{path} cannot be read ({error.strerror}). Give the folder that holds {' and '.join(SITE_FILES)} of the "
            "cluster's clients, on every machine with workers, readable for the user who runs them.",
            whose=Whose.CALLER,
            file=path,
        ) from error


def _variables() -> dict[str, str]:
    """Returns what `${...}` may stand for: the environment, and those of Java's properties that site files use."""
    java = {"user.name": getpass.getuser(), "user.home": str(Path.home()), "java.io.tmpdir": "/tmp"}  # noqa: S108
    return {**java, **{f"env.{name}": value for name, value in os.environ.items()}}
