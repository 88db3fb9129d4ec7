"""Trees that need care: odd names, every size at an edge, every kind of stored checksum."""

from __future__ import annotations

from collections.abc import Mapping

from tests.support.content import content
from tests.support.tree import FileSpec, Kind

BLOCK = 1 << 20
ODD_NAMES = (
    "with space",
    "%20",
    "a+b",
    "semi;colon",
    "hash#mark",
    "question?mark",
    "amper&sand",
    "single'quote",
    'double"quote',
    "emoji-\N{SHIP}-\N{PARTY POPPER}",
    "accent-\N{LATIN SMALL LETTER E WITH ACUTE}",
    "brackets[1]{2}",
    "star*",
    "percent%zz",
    "equals=sign",
    "comma,comma",
    "at@sign",
    "tilde~",
    "dollar$",
    "pipe|pipe",
    "less<greater>",
    ".hidden",
    "_underscore",
    "a" * 200,
)
SIZES = (0, 1, 511, 512, 513, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 12_345, 7 * BLOCK)


def odd_names(root: str) -> tuple[FileSpec, ...]:
    """Files with names that need care, and folders whose order differs between HDFS and S3."""
    names = [FileSpec(f"{root}/odd/{name}", size=100 + index, seed=index) for index, name in enumerate(ODD_NAMES)]
    deep = "/".join(f"level{level:02}" for level in range(30))
    order = ["order/a-b", "order/a.txt", "order/a/b", "order/a0", "order/a!"]
    more = [FileSpec(f"{root}/{path}", size=33, seed=99) for path in (*order, f"deep/{deep}/leaf", ".top/x")]
    empty = [FileSpec(f"{root}/empty", kind=Kind.FOLDER), FileSpec(f"{root}/odd/empty folder", kind=Kind.FOLDER)]
    return (*names, *more, *empty)


def sizes(root: str) -> tuple[FileSpec, ...]:
    """Files of every size at an edge of a chunk, a packet or a block."""
    return tuple(FileSpec(f"{root}/sizes/{size}", size=size, seed=size) for size in SIZES)


def checksums(root: str) -> tuple[FileSpec, ...]:
    """Files with other stored checksums and chunk sizes, and appended ones."""
    size = 2 * BLOCK + 777
    return (
        FileSpec(f"{root}/sums/crc32", size=size, seed=1, checksum_type="CRC32"),
        FileSpec(f"{root}/sums/crc32-large", size=7 * BLOCK, seed=2, checksum_type="CRC32"),
        FileSpec(f"{root}/sums/null", size=size, seed=3, checksum_type="NULL"),
        FileSpec(f"{root}/sums/null-large", size=7 * BLOCK, seed=4, checksum_type="NULL"),
        FileSpec(f"{root}/sums/chunk-64", size=size, seed=5, bytes_per_checksum=64),
        FileSpec(f"{root}/sums/chunk-1M", size=size, seed=6, bytes_per_checksum=BLOCK),
        FileSpec(f"{root}/sums/appended", size=BLOCK + 700, seed=7, append_bytes=900),
        FileSpec(f"{root}/sums/appended-new-block", size=700, seed=8, append_bytes=6 * BLOCK, append_new_block=True),
    )


def expected(specs: tuple[FileSpec, ...], root: str) -> Mapping[str, bytes]:
    """Returns every object that a copy of `root` must give: files by content, folders by keys that end with a slash."""
    found: dict[str, bytes] = {}
    for spec in specs:
        path = spec.path.removeprefix(f"{root}/")
        if spec.kind is Kind.FILE:
            found[path] = content(spec.seed, spec.size + spec.append_bytes)
        else:
            found[path + "/"] = b""
        parents = path.split("/")[:-1]
        found |= {"/".join(parents[: depth + 1]) + "/": b"" for depth in range(len(parents))}
    return found
