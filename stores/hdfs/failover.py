"""One block, several replicas: which one is asked next, and what it means when all have failed.

The order is the NameNode's, with DataNodes that were slow or dead a moment ago at the end. When every replica has
failed, the NameNode is asked once where they are now, and all but the corrupt ones are tried again. When a DataNode
refuses the block's token the NameNode is asked at once: tokens expire after 10 hours, and layouts may be older.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from blockferry.errors import BlockferryError, Whose
from stores.base import Stat
from stores.hdfs.addresses import Address, AddressOf, addresses_of, by_ip, shown
from stores.hdfs.blocks import FileBlock
from stores.hdfs.experience import Experience, Mark
from stores.hdfs.transfer.stopwatch import Limit
from stores.hdfs.wire.hdfs_pb2 import LocatedBlockProto

T = TypeVar("T")

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
MARKS = {"DATANODE_SLOW": Mark.SLOW, "DATANODE_UNAVAILABLE": Mark.DEAD}
# When no replica can be read for these reasons, the content is lost.
LOST = frozenset({"CHECKSUM_MISMATCH", "REPLICA_MISSING"})


@dataclass(frozen=True, slots=True)
class Attempt:
    """One replica to be asked, and how long it may take."""

    address: Address
    located: LocatedBlockProto
    limit: Limit


@dataclass(slots=True)
class Search:
    """The search for a replica that serves a slice of a block.

    Attributes:
        offset: of the slice in the file, for errors.
        size_bytes: of the slice; None: it is asked for stored sums.
        address_of: how DataNodes are addressed.
        failures: the last one of each DataNode that has failed.
        given_up_count: how many were given up because others can be asked.
    """

    file: Stat
    block: FileBlock
    offset: int
    size_bytes: int | None = None
    address_of: AddressOf = by_ip
    failures: dict[Address, BlockferryError] = field(default_factory=dict)
    given_up_count: int = 0

    def hosts(self, *reasons: str) -> tuple[Address, ...]:
        """Returns the DataNodes that failed, for one of these reasons if there are any."""
        return tuple(address for address, error in self.failures.items() if not reasons or error.reason in reasons)

    def attempts(self, experience: Experience, is_renewed: bool) -> Iterator[Attempt]:
        """Yields the DataNodes to ask, without those whose replica is known to be corrupt.

        The last one is waited for as long as can be only when the NameNode was asked: a layout may be old, and one of a
        file that was just written may lack replicas.
        """
        located, addresses = self.block.located, addresses_of(self.block.located, self.address_of)
        if corrupt := self.hosts("CHECKSUM_MISMATCH"):
            addresses = tuple(each for each in addresses if each not in corrupt)
        ranked = experience.ranked(addresses)
        marks = tuple([mark for _, mark in ranked])
        for index, (address, _) in enumerate(ranked):
            limit = experience.limit(self.size_bytes, marks[index + 1 :], self.given_up_count, is_renewed)
            yield Attempt(address, located, limit)

    def note(self, address: Address, error: BlockferryError) -> None:
        """Keeps a replica's failure; raises any other error again."""
        if error.reason not in _OF_A_REPLICA:
            error.coordinates.setdefault("path", self.file.path)
            raise error
        self.failures[address] = error

    def failed(self) -> BlockferryError:
        """Returns the error of a search without success."""
        return self.error(*self._verdict())

    def error(self, reason: str, message: str, retryable: bool) -> BlockferryError:
        """Returns an error with where the search was, whom it asked, and the last failure as its cause."""
        error = BlockferryError(
            reason,
            message,
            retryable=retryable,
            whose=Whose.SOURCE,
            path=self.file.path,
            block_id=self.block.block_id,
            offset=self.offset,
            host=",".join(map(shown, self.failures)),
        )
        error.__cause__ = next(reversed(self.failures.values()), None)
        return error

    def _verdict(self) -> tuple[str, str, bool]:
        """Returns reason, message, and whether it may go away by itself.

        What is missing is SOURCE_CORRUPT, as in HDFS's own words (fsck), and may be tried again all the same: it costs
        little, and DataNodes come back.
        """
        where = f"block {self.block.block_id} of {self.file.path} at {self.offset}"
        reasons = {error.reason for error in self.failures.values()}
        said = "; ".join(f"{shown(address)}: {error.message.rstrip('.')}" for address, error in self.failures.items())
        if not self.failures:
            text = f"The NameNode knows no replica of {where}: all are lost, or their DataNodes are dead. Start them"
            return "SOURCE_CORRUPT", f"{text}, or restore the file (fsck -list-corruptfileblocks names all such).", True
        if reasons == {"CHECKSUM_MISMATCH"}:
            text = f"Every replica of {where} differs from its checksums: {said}"
            return "SOURCE_CORRUPT", f"{text}. Restore the file, or leave it out.", False
        if reasons <= LOST or self.block.located.corrupt:
            text = f"Every replica of {where} is missing or corrupt: {said}"
            return "SOURCE_CORRUPT", f"{text}. Restore the file, or leave it out.", True
        text = f"No replica of {where} can be read: {said}"
        cure = "Check the DataNodes and that their data transfer ports can be reached from here."
        return "SOURCE_UNAVAILABLE", f"{text}. {cure}", True


def over_replicas(
    search: Search,
    experience: Experience,
    renew: Callable[[Stat, FileBlock], FileBlock],
    operate: Callable[[Attempt], T],
) -> T:
    """Returns what `operate` gives for the first replica where it does not fail.

    A token that is refused before the NameNode was asked is no failure of a replica and is not kept as one.

    Raises:
        BlockferryError: SOURCE_UNVERIFIED as soon as all were tried and one has no checksums; SOURCE_CORRUPT,
            SOURCE_UNAVAILABLE (retryable), and what `renew` raises.
    """
    for is_renewed in (False, True):
        if is_renewed:
            search.block = renew(search.file, search.block)
        for attempt in search.attempts(experience, is_renewed):
            begin = experience.clock()
            try:
                result = operate(attempt)
            except BlockferryError as error:
                if error.reason == "TOKEN_REFUSED" and not is_renewed:
                    break
                _note(search, experience, attempt, error, experience.clock() - begin)
            else:
                experience.served(attempt.address, search.size_bytes, experience.clock() - begin)
                return result
        else:
            if unverified := search.hosts("SOURCE_UNVERIFIED"):
                raise search.failures[unverified[0]]
    raise search.failed()


def _note(search: Search, experience: Experience, attempt: Attempt, error: BlockferryError, seconds: float) -> None:
    search.note(attempt.address, error)
    if mark := MARKS.get(error.reason):
        experience.failed(attempt.address, mark, search.size_bytes, seconds)
        search.given_up_count += 1


def only_replicas(
    located: LocatedBlockProto, addresses: tuple[Address, ...], address_of: AddressOf = by_ip
) -> LocatedBlockProto:
    """Returns the block with these replicas only, in the form in which corrupt ones are reported."""
    chosen = [index for index, address in enumerate(addresses_of(located, address_of)) if address in addresses]
    return LocatedBlockProto(
        b=located.b,
        offset=located.offset,
        locs=[located.locs[index] for index in chosen],
        corrupt=True,
        blockToken=located.blockToken,
        storageTypes=[located.storageTypes[index] for index in chosen if index < len(located.storageTypes)],
        storageIDs=[located.storageIDs[index] for index in chosen if index < len(located.storageIDs)],
    )
