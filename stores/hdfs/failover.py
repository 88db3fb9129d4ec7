"""One block, several replicas: which one is asked next, and what it means when all have failed.

The order is the NameNode's, with DataNodes that were dead a moment ago at the end. When every replica has failed, the
NameNode is asked once where they are now (tokens expire, replicas move), and all but the corrupt ones are tried again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from blockferry.errors import BlockferryError, Whose
from stores.base import Stat
from stores.hdfs.blocks import FileBlock
from stores.hdfs.wire.hdfs_pb2 import DatanodeIDProto, LocatedBlockProto

T = TypeVar("T")
Address = tuple[str, int]

# After this time a DataNode that could not be reached is asked first again.
DEAD_FOR_S = 30.0

# What one replica's failure is called. Everything else is about the file, and ends the search.
_OF_A_REPLICA = frozenset(
    {
        "CHECKSUM_MISMATCH",
        "DATANODE_SLOW",
        "DATANODE_UNAVAILABLE",
        "REPLICA_MISSING",
        "REPLICA_UNREADABLE",
        "SOURCE_UNVERIFIED",
        "TOKEN_REFUSED",
    }
)


class DeadDatanodes:
    """DataNodes that could not be reached within the last `DEAD_FOR_S`. Thread safe."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._until: dict[Address, float] = {}

    def mark(self, address: Address) -> None:
        """Notes that a DataNode could not be reached just now."""
        with self._lock:
            self._until[address] = self._clock() + DEAD_FOR_S

    def last(self, addresses: tuple[Address, ...]) -> tuple[Address, ...]:
        """Returns the addresses with the dead ones at the end, otherwise in their order."""
        with self._lock:
            if not self._until:
                return addresses
            now = self._clock()
            self._until = {address: until for address, until in self._until.items() if until > now}
            return tuple(sorted(addresses, key=self._until.__contains__))


@dataclass(slots=True)
class Search:
    """The search for a replica that serves a slice of a block.

    Attributes:
        offset: of the slice in the file, for errors.
        failures: the last one of each DataNode that has failed.
    """

    file: Stat
    block: FileBlock
    offset: int
    failures: dict[Address, BlockferryError] = field(default_factory=dict)

    def hosts(self, *reasons: str) -> tuple[Address, ...]:
        """Returns the DataNodes that failed, for one of these reasons if there are any."""
        return tuple(address for address, error in self.failures.items() if not reasons or error.reason in reasons)

    def candidates(self, dead: DeadDatanodes) -> Iterator[Address]:
        """Yields the DataNodes to ask, without those whose replica is known to be corrupt."""
        for address in dead.last(addresses_of(self.block.located)):
            if address not in self.hosts("CHECKSUM_MISMATCH"):
                yield address

    def note(self, address: Address, error: BlockferryError) -> None:
        """Keeps a replica's failure; raises any other error again."""
        if error.reason not in _OF_A_REPLICA:
            error.coordinates.setdefault("path", self.file.path)
            raise error
        self.failures[address] = error

    def failed(self) -> BlockferryError:
        """Returns the error of a search without success."""
        corrupt = self.hosts("CHECKSUM_MISMATCH")
        is_corrupt = bool(corrupt) and len(corrupt) == len(self.failures)
        where = f"block {self.block.block_id} of {self.file.path} at {self.offset}"
        said = "; ".join(f"{host}:{port}: {error.message}" for (host, port), error in self.failures.items())
        if is_corrupt:
            reason, message = "SOURCE_CORRUPT", f"Every replica of {where} differs from its checksums: {said}"
            cure = "Restore the file, or leave it out."
        elif self.failures:
            reason, message = "SOURCE_UNAVAILABLE", f"No replica of {where} can be read: {said}"
            cure = "Check the DataNodes and that their data transfer ports can be reached from here."
        else:
            reason, message = "SOURCE_UNAVAILABLE", f"The NameNode knows no live replica of {where}."
            cure = "Start the DataNodes that hold it, or restore the file."
        error = BlockferryError(
            reason,
            f"{message.rstrip('.')}. {cure}",
            retryable=not is_corrupt,
            whose=Whose.SOURCE,
            path=self.file.path,
            block_id=self.block.block_id,
            offset=self.offset,
            host=",".join(f"{host}:{port}" for host, port in self.failures),
        )
        error.__cause__ = next(reversed(self.failures.values()), None)
        return error


def over_replicas(
    search: Search,
    dead: DeadDatanodes,
    renew: Callable[[Stat, FileBlock], FileBlock],
    operate: Callable[[Address, LocatedBlockProto], T],
) -> T:
    """Returns what `operate` gives for the first replica where it does not fail.

    Raises:
        BlockferryError: SOURCE_UNVERIFIED as soon as all were tried and one has no checksums; SOURCE_CORRUPT,
            SOURCE_UNAVAILABLE (retryable), and what `renew` raises.
    """
    for is_renewed in (False, True):
        if is_renewed:
            search.block = renew(search.file, search.block)
        for address in search.candidates(dead):
            try:
                return operate(address, search.block.located)
            except BlockferryError as error:
                search.note(address, error)
                if error.reason == "DATANODE_UNAVAILABLE":
                    dead.mark(address)
        if unverified := search.hosts("SOURCE_UNVERIFIED"):
            raise search.failures[unverified[0]]
    raise search.failed()


def addresses_of(located: LocatedBlockProto) -> tuple[Address, ...]:
    """Returns the data transfer addresses of a block's replicas, in the NameNode's order."""
    return tuple(transfer_address(info.id) for info in located.locs)


def transfer_address(datanode: DatanodeIDProto) -> Address:
    """Returns where a DataNode serves blocks."""
    return datanode.ipAddr, datanode.xferPort


def only_replicas(located: LocatedBlockProto, addresses: tuple[Address, ...]) -> LocatedBlockProto:
    """Returns the block with these replicas only, in the form in which corrupt ones are reported."""
    chosen = [index for index, address in enumerate(addresses_of(located)) if address in addresses]
    return LocatedBlockProto(
        b=located.b,
        offset=located.offset,
        locs=[located.locs[index] for index in chosen],
        corrupt=True,
        blockToken=located.blockToken,
        storageTypes=[located.storageTypes[index] for index in chosen if index < len(located.storageTypes)],
        storageIDs=[located.storageIDs[index] for index in chosen if index < len(located.storageIDs)],
    )
