"""Listed entries as stats."""

import pytest

from stores.base import Attributes, Condition, Kind, Stat, source_row
from stores.hdfs.entries import listed_of, stats_of, stretch_of
from stores.hdfs.wire.hdfs_pb2 import LocatedBlocksProto
from stores.hdfs.wire.listing_pb2 import ListedEntryProto
from tests.unit.stores.hdfs.listed import listed_entry

EMPTY = LocatedBlocksProto(fileLength=0, underConstruction=False, isLastBlockComplete=True).SerializeToString()
OPEN = LocatedBlocksProto(fileLength=0, underConstruction=True, isLastBlockComplete=False).SerializeToString()


def entry(name: str = "f", file_type: int = 2, mode: int = 0o644, flags: int = 0) -> ListedEntryProto:
    return listed_entry(name, file_type, mode, flags)


def only(listed: ListedEntryProto) -> Stat:
    (stat,) = stats_of([listed], "a/")
    return stat


def test_a_folder_ends_with_a_slash_and_has_no_size() -> None:
    listed = entry("d", 1, 0o1777)
    listed.length = 99
    assert only(listed) == Stat("a/d/", Kind.FOLDER, 0, 11, Attributes("alice", "staff", 0o1777, 11, 22))


def test_a_file_has_version_and_layout_when_located() -> None:
    listed = entry("é 😀")
    bare = only(listed)
    assert (bare.path, bare.kind, bare.version, bare.layout) == ("a/é 😀", Kind.FILE, "", b"")
    listed.locations = EMPTY
    located = only(listed)
    assert (len(located.version), located.condition) == (16, Condition.PLAIN)
    assert LocatedBlocksProto.FromString(located.layout) == LocatedBlocksProto.FromString(EMPTY)


def test_a_symbolic_link_is_told_apart() -> None:
    assert only(entry("l", 3)).kind is Kind.SYMLINK


@pytest.mark.parametrize(
    ("mode", "flags", "layout", "condition"),
    [
        (0o644, 0, OPEN, Condition.OPEN),
        (0o644, 2, EMPTY, Condition.ENCRYPTED),
        (0o644 | 1 << 13, 0, EMPTY, Condition.ENCRYPTED),  # Hadoop 2 has no flags
        (0o644, 4, EMPTY, Condition.ERASURE_CODED),
        (0o644, 1 | 8, EMPTY, Condition.PLAIN),  # an ACL, a snapshot
        (0o644, 2, OPEN, Condition.OPEN_ENCRYPTED),  # both count: ciphertext must never be read
        (0o644, 4, OPEN, Condition.OPEN),
    ],
)
def test_what_is_special_is_seen(mode: int, flags: int, layout: bytes, condition: Condition) -> None:
    listed = entry(mode=mode, flags=flags)
    listed.locations = layout
    stat = only(listed)
    assert stat.condition is condition
    assert stat.attributes is not None
    assert stat.attributes.permissions == 0o644


def test_encryption_and_coding_are_seen_without_flags() -> None:
    encrypted, coded = entry(), entry()
    encrypted.fileEncryptionInfo, coded.ecPolicy = b"\x08\x02", b"\x20\x01"
    assert [only(encrypted).condition, only(coded).condition] == [Condition.ENCRYPTED, Condition.ERASURE_CODED]


def test_a_folder_in_a_zone_is_an_ordinary_folder() -> None:
    assert only(entry("d", 1, flags=2 | 4)).condition is Condition.PLAIN


def test_a_name_that_is_not_utf8_is_refused() -> None:
    listed = entry()
    listed.path = b"\xff\xfe"
    with pytest.raises(UnicodeDecodeError):
        only(listed)


@pytest.mark.parametrize(
    ("mode", "flags", "kept"),
    [
        (0o644, 0, True),
        (0o444, 0, True),
        (0o640, 0, False),
        (0o604, 0, False),
        (0o644, 1, False),
        (0o644 | 1 << 12, 0, False),
    ],
)
def test_the_blocks_of_a_file_that_may_be_forbidden_are_not_kept(mode: int, flags: int, kept: bool) -> None:
    listed = entry(mode=mode, flags=flags)
    listed.locations = EMPTY
    assert bool(only(listed).layout) is kept
    assert only(listed).version


@pytest.mark.parametrize("file_type", [1, 2, 3])
@pytest.mark.parametrize("locations", [b"", EMPTY, OPEN])
def test_an_entry_that_is_not_looked_into_becomes_the_same_stat(file_type: int, locations: bytes) -> None:
    listed = entry("é", file_type, 0o1640)
    listed.locations = locations
    (late,) = listed_of([listed], "a/")
    stat = only(listed)
    assert (late.path, late.kind, late.row()) == (stat.path, stat.kind, source_row(stat))
    stretch = stretch_of([late])
    assert (stretch.paths, stretch.rows, stretch.stat_at(0)) == ([stat.path], [source_row(stat)], stat)
