"""From a location to its store. Each kind's client library is imported only where it is used: a worker that reads HDFS
loads no S3 client for that.
"""

from __future__ import annotations

from typing import Protocol

from blockferry.errors import BlockferryError, Whose
from stores.base import Multipart, Prober, Sink, Source
from stores.location import HdfsLocation, Location, MemoryLocation, S3Location


class OpenSource(Source, Prober, Protocol):
    """What `open_source` returns."""


class OpenSink(Sink, Multipart, Prober, Protocol):
    """What `open_sink` returns."""

    def delete(self, path: str) -> None:
        """Removes an object. No error when there is none."""
        ...


def open_source(location: Location) -> OpenSource:
    """Returns the store to read from. Asks nobody yet; the caller closes it.

    Raises:
        BlockferryError: INVALID_LOCATION when a store of this kind cannot be a source; what its constructor raises.
    """
    match location:
        case HdfsLocation():
            from stores.hdfs.source import HdfsSource

            return HdfsSource(location)
        case MemoryLocation():
            from stores.memory import MemoryStore

            return MemoryStore(location.name)
        case S3Location():
            raise _impossible(location, "a source", "HDFS")


def open_sink(location: Location) -> OpenSink:
    """Returns the store to write to; like `open_source`."""
    match location:
        case S3Location():
            from stores.s3 import S3Store

            return S3Store(location)
        case MemoryLocation():
            from stores.memory import MemoryStore

            return MemoryStore(location.name)
        case HdfsLocation():
            raise _impossible(location, "a destination", "S3")


def _impossible(location: Location, what: str, instead: str) -> BlockferryError:
    return BlockferryError(
        "INVALID_LOCATION",
        f"{location.uri} cannot be {what} yet: give a location in {instead}.",
        whose=Whose.CALLER,
        location=location.uri,
    )
