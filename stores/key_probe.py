"""Whether an object store keeps a backslash in a key. S3 does; SeaweedFS 4.48 writes a slash in its place and says
nothing (measured), so that `a\\b` would lie upon another file's `a/b`.

Asked by one small object, whose name says what it is, only when a path with a backslash is met.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator

from stores.base import Stat

PROBE_PREFIX = ".blockferry-probe-"


def keeps_backslash(
    put: Callable[[str], object], list_tree: Callable[[str], Iterator[Stat]], delete: Callable[[str], object]
) -> bool:
    """Writes `…\\x`, looks under which path it is listed, and removes it.

    Args:
        put: writes an empty object; the path is not checked before.
        list_tree: `Lister.list_tree`.
        delete: removes an object; no error when there is none.
    """
    name = f"{PROBE_PREFIX}{uuid.uuid4().hex}"
    wanted = f"{name}\\x"
    put(wanted)
    try:
        found = next(list_tree(name), None)
        return found is not None and found.path == wanted
    finally:
        for path in (wanted, f"{name}/x"):
            delete(path)
