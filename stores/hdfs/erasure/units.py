"""The units of one block group while a range of it is read: which can be asked, which have failed. Joins nothing.

For one range; `read` may be called by several threads at once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from blockferry.errors import BlockferryError
from stores.checksum import Algorithm
from stores.hdfs.addresses import Address, addresses_of, shown
from stores.hdfs.datanode import DatanodeRead, Datanodes
from stores.hdfs.erasure.striping import Policy, unit_blocks, unit_bytes
from stores.hdfs.experience import Experience, Mark
from stores.hdfs.failover import LOST, MARKS, Search, only_replicas
from stores.hdfs.transfer.stopwatch import Limit
from stores.hdfs.wire.hdfs_pb2 import LocatedBlockProto

T = TypeVar("T")

# Units that are read at the same time for one range. The threads only wait and copy: more of them gain nothing.
THREAD_COUNT = 4


# What the NameNode may know better: tokens expire, and units are moved by the balancer.
_STALE = frozenset({"REPLICA_MISSING", "TOKEN_REFUSED"})


class TooFewUnitsError(Exception):
    """Not as many units can be read as there are data units."""


class Units:
    """What is known of a group's units. A unit that has failed is not asked again.

    Attributes:
        policy: of the file.
        search: gets the failures, by DataNode.
        located: the units of which the NameNode knows where they are.
        is_stale: a token was refused, or a unit was gone, and the NameNode was not asked yet: it must be asked now.
    """

    def __init__(
        self, policy: Policy, search: Search, datanodes: Datanodes, experience: Experience, is_renewed: bool
    ) -> None:
        """Looks who can be asked. `is_renewed`: the NameNode has just said where the units are."""
        self.policy = policy
        self.search = search
        self.located = unit_blocks(policy, search.block.located)
        self.is_stale = False
        self._datanodes = datanodes
        self._experience = experience
        self._is_renewed = is_renewed
        self._lock = threading.Lock()  # of the search, and of what failed
        self._failed: set[int] = set()
        length = partial(unit_bytes, policy, search.block.located.b.numBytes)
        self._empty = frozenset(unit for unit in range(policy.data_units) if not length(unit))
        self._needed_count = policy.data_units - len(self._empty)
        self._addresses = {unit: addresses_of(block, search.address_of) for unit, block in self.located.items()}
        self._marks = self._marked()

    def _marked(self) -> dict[int, Mark]:
        """Returns the least that is held against a DataNode of each unit that may be good."""
        corrupt = self.search.hosts("CHECKSUM_MISMATCH")
        every = tuple(address for addresses in self._addresses.values() for address in addresses)
        marks = dict(self._experience.ranked(every))
        good = {
            unit: [marks[address] for address in addresses if address not in corrupt]
            for unit, addresses in self._addresses.items()
        }
        return {unit: min(found) for unit, found in good.items() if found}

    def mark(self, unit: int) -> Mark | None:
        """Returns what is held against a unit's DataNode; None: it cannot be asked."""
        return None if unit in self._failed else self._marks.get(unit)

    def worth_asking(self) -> frozenset[int]:
        """Returns the units to be asked: those against whose DataNodes nothing is held, if they are enough to rebuild
        the others; else also slow ones; else also dead ones."""
        found: frozenset[int] = frozenset()
        for worst in Mark:
            found = frozenset(unit for unit in self._marks if unit not in self._failed and self._marks[unit] <= worst)
            if len(found) >= self._needed_count:
                break
        return found

    def read(
        self, unit: int, offset: int, cells: tuple[memoryview, ...], algorithm: Algorithm | None, allow_unproven: bool
    ) -> DatanodeRead | None:
        """Fills the cells from the unit's first replica that serves it; None when none does.

        Raises:
            BlockferryError: what is no failure of a replica.
        """
        located, size_bytes = self.located[unit], sum(map(len, cells))
        for address in self._addresses[unit]:
            if self._is_corrupt(address):
                continue
            begin = self._experience.clock()
            try:
                read = self._datanodes.read_cells(
                    address, located, offset, cells, algorithm, allow_unproven, self._limit(unit, size_bytes)
                )
            except BlockferryError as error:
                self._note(address, error, size_bytes, self._experience.clock() - begin)
            else:
                self._experience.served(address, size_bytes, self._experience.clock() - begin)
                return read
        with self._lock:
            self._failed.add(unit)
        return None

    def _is_corrupt(self, address: Address) -> bool:
        with self._lock:
            return address in self.search.hosts("CHECKSUM_MISMATCH")

    def _limit(self, unit: int, size_bytes: int) -> Limit:
        """Returns how long a unit may take, which is less when it can be rebuilt without it."""
        others = sorted(mark for other in self._marks if other != unit and (mark := self.mark(other)) is not None)
        spare = tuple(others[self._needed_count - 1 :][:1])
        return self._experience.limit(size_bytes, spare, self.search.given_up_count)

    def _note(self, address: Address, error: BlockferryError, size_bytes: int, seconds: float) -> None:
        if error.reason in _STALE and not self._is_renewed:
            self.is_stale = True
            if error.reason == "TOKEN_REFUSED":
                return
        with self._lock:
            self.search.note(address, error)
            self.search.given_up_count += error.reason in MARKS
        if mark := MARKS.get(error.reason):
            self._experience.failed(address, mark, size_bytes, seconds)

    def corrupt_replicas(self) -> tuple[LocatedBlockProto, ...]:
        """Returns the replicas that differed from their checksums, in the form in which they are reported."""
        corrupt, address_of = self.search.hosts("CHECKSUM_MISMATCH"), self.search.address_of
        found = (only_replicas(block, corrupt, address_of) for block in self.located.values())
        return tuple(block for block in found if block.locs)

    def failed(self) -> BlockferryError:
        """Returns the error for a group of which too few units can be read."""
        search, policy = self.search, self.policy
        reasons = {error.reason for error in search.failures.values()}
        said = [f"{shown(address)}: {error.message.rstrip('.')}" for address, error in search.failures.items()]
        units = range(policy.data_units + policy.parity_units)
        missing = [str(unit) for unit in units if unit not in self.located and unit not in self._empty]
        if missing:
            said.append(f"the NameNode knows nothing of the units {', '.join(missing)}")
        is_lost = reasons <= LOST or search.block.located.corrupt
        cure = "Restore the file, or leave it out" if is_lost else "Check the DataNodes, and that they can be reached"
        return search.error(
            "SOURCE_CORRUPT" if is_lost else "SOURCE_UNAVAILABLE",
            f"Block group {search.block.block_id} of {search.file.path} at {search.offset} needs {policy.data_units} "
            f"of its {len(units)} units ({policy.name}), and too many cannot be read: {'; '.join(said)}. {cure}.",
            retryable=bool(missing) or reasons != {"CHECKSUM_MISMATCH"},
        )


def side_by_side(tasks: Sequence[Callable[[], T]]) -> list[T]:
    """Returns what each task gives, in order; runs at most `THREAD_COUNT` at a time. Returns, and raises what the first
    one raised, when all have ended: no thread writes to the caller's memory afterwards."""
    if len(tasks) < 2:
        return [task() for task in tasks]
    with ThreadPoolExecutor(min(len(tasks), THREAD_COUNT), thread_name_prefix="hdfs units") as threads:
        running = [threads.submit(task) for task in tasks]
    return [task.result() for task in running]
