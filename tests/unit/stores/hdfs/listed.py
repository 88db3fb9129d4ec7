"""Entries as a NameNode lists them, for unit tests."""

from stores.hdfs.wire.hdfs_pb2 import FsPermissionProto
from stores.hdfs.wire.listing_pb2 import ListedEntryProto


def listed_entry(name: str, file_type: int, mode: int = 0o644, flags: int = 0) -> ListedEntryProto:
    """Returns an entry of size 0; `file_type` is 1 for a folder, 2 a file, 3 a symbolic link."""
    return ListedEntryProto(
        fileType=file_type,
        path=name.encode(),
        length=0,
        permission=FsPermissionProto(perm=mode).SerializeToString(),
        owner="alice",
        group="staff",
        modification_time=11,
        access_time=22,
        fileId=16386,
        flags=flags,
    )


def listed_file(name: str) -> ListedEntryProto:
    """Returns a file."""
    return listed_entry(name, 2)
