"""What a test tree in HDFS consists of, and its description for hadoop/MakeTree.java. Starts nothing."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from urllib.parse import quote


class Kind(StrEnum):
    """What stands at a path."""

    FILE = "file"
    FOLDER = "folder"


@dataclass(frozen=True, slots=True)
class FileSpec:
    """One file or folder to be made; parents appear by themselves. 0 and "" mean: the cluster's own default.

    The content is content(seed, size + append_bytes); the last append_bytes are written by a second writer, into a new
    block if append_new_block (which makes blocks of unequal length). from_local takes a local file's bytes instead.
    mode is the permission in octal (0o640), sticky bit included; mtime_ms is milliseconds since 1970.
    """

    path: str
    size: int = 0
    seed: int = 0
    block_size: int = 0
    replication: int = 0
    bytes_per_checksum: int = 512
    checksum_type: str = "CRC32C"
    append_bytes: int = 0
    append_new_block: bool = False
    owner: str = ""
    group: str = ""
    mode: int = 0
    mtime_ms: int = 0
    kind: Kind = Kind.FILE
    from_local: Path | None = None
    erasure_policy: str = ""
    encryption_key: str = ""


def folder(
    path: str,
    *,
    owner: str = "",
    group: str = "",
    mode: int = 0,
    mtime_ms: int = 0,
    erasure_policy: str = "",
    encryption_key: str = "",
) -> FileSpec:
    """Returns the description of a folder (empty, unless files are made in it).

    erasure_policy such as RS-3-2-1024k makes its files striped; encryption_key makes it an encryption zone.
    """
    return FileSpec(
        path,
        owner=owner,
        group=group,
        mode=mode,
        mtime_ms=mtime_ms,
        kind=Kind.FOLDER,
        erasure_policy=erasure_policy,
        encryption_key=encryption_key,
    )


def _line(spec: FileSpec) -> str:
    if not spec.path.startswith("/"):
        raise ValueError(f"{spec.path!r} is no absolute path: begin it with a slash")
    local = "" if spec.from_local is None else str(spec.from_local.absolute())
    fields = (
        spec.kind, spec.path, spec.size, spec.seed, spec.block_size, spec.replication, spec.bytes_per_checksum,
        spec.checksum_type, spec.append_bytes, int(spec.append_new_block), spec.owner, spec.group, spec.mode,
        spec.mtime_ms, local, spec.erasure_policy, spec.encryption_key,
    )  # fmt: skip
    return "\t".join(quote(str(field), safe="/") for field in fields)


def description(specs: Iterable[FileSpec]) -> str:
    """Returns one line per file: tab-separated fields, each percent-escaped UTF-8, in MakeTree's order."""
    return "".join(f"{_line(spec)}\n" for spec in specs)
