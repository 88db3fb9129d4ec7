"""What reading has taught about DataNodes: whom to ask last, how long reads take, and so how long to wait for one.

Memory: one entry for each DataNode that failed once and has served nothing since, and what `pace` says.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from functools import partial
from math import inf

from stores.hdfs.addresses import Address
from stores.hdfs.config.cluster import HedgedReads
from stores.hdfs.pace import Allowance, Pace
from stores.hdfs.transfer.stopwatch import Limit

# A DataNode that failed is asked after the others for so long; twice as long each time it fails again.
AVOIDED_FOR_S = 30.0
LONGEST_AVOIDED_S = 480.0
# When that time is over one reader tries it, and the others wait so long for the outcome.
TRIAL_S = 20.0

# A read is given up after so many times what is usual.
SLOW_FACTOR = 4.0


@dataclass(frozen=True, slots=True)
class Waits:
    """How long a DataNode is waited for while there is another replica. Seconds.

    Attributes:
        connect_s: a SYN is sent again after 1 and after 3 s.
        silence_s: without a byte.
        sums_silence_s: the same while it combines the stored sums of a block.
        least_whole_s: a read is not given up as slow before.
        last_connect_s: for a connection to the last replica.
    """

    connect_s: float = 4.0
    silence_s: float = 5.0
    sums_silence_s: float = 20.0
    least_whole_s: float = 1.5
    last_connect_s: float = 16.0


def waits_of(hedged: HedgedReads) -> Waits:
    """Returns how long to wait where site files ask for hedged reads: their threshold is when a read may be slow."""
    return Waits(least_whole_s=hedged.threshold_s) if hedged.thread_count else Waits()


class Mark(IntEnum):
    """What is held against a DataNode; the least first."""

    NONE = 0
    SLOW = 1
    DEAD = 2  # no connection, or silence


@dataclass(slots=True)
class _Avoided:
    mark: Mark
    until: float
    failure_count: int = 1
    is_on_trial: bool = False


class Experience:
    """What one process knows of the DataNodes of a cluster. Thread safe."""

    def __init__(
        self, timeout_s: float = 60.0, clock: Callable[[], float] = time.monotonic, waits: Waits | None = None
    ) -> None:
        """`timeout_s` is how long the last replica may be silent; nothing is waited for longer."""
        self.clock = clock
        self._waits = waits or Waits()
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._avoided: dict[Address, _Avoided] = {}
        self._pace = Pace()
        self._allowance = Allowance()
        self._limits: dict[tuple[bool, Mark, int, bool], Limit] = {}  # they are few, and each read needs one

    def ranked(self, addresses: tuple[Address, ...]) -> tuple[tuple[Address, Mark], ...]:
        """Returns the addresses with what is held against each: those with nothing first, otherwise in their order.

        One whose time is over counts as good, for this caller alone: it is the trial.
        """
        with self._lock:
            if not self._avoided:
                return tuple([(address, Mark.NONE) for address in addresses])
            now = self.clock()
            return tuple(
                sorted(((address, self._mark(address, now)) for address in addresses), key=lambda each: each[1])
            )

    def limit(
        self, size_bytes: int | None, others: tuple[Mark, ...], given_up_count: int, is_final: bool = True
    ) -> Limit:
        """Returns how long a DataNode may take.

        Args:
            size_bytes: of the read; None: it is asked for stored sums.
            others: what is held against those that could be asked instead. A silent DataNode is given up when one of
                them is not dead, a slow one when nothing is held against one: when all are slow, none is given up.
            given_up_count: how many were given up already for this range; doubles the time each.
            is_final: False while the NameNode can be asked for more replicas: a silent one is not waited for then.
        """
        key = (size_bytes is None, min(others) if others else Mark.DEAD, given_up_count, is_final)
        if (limit := self._limits.get(key)) is None:
            limit = self._limits[key] = self._limit(*key)
        return limit

    def _limit(self, for_sums: bool, best: Mark, given_up_count: int, is_final: bool) -> Limit:
        if best is Mark.DEAD and is_final:
            return Limit(self._timeout_s, min(self._waits.last_connect_s, self._timeout_s))
        patience = 2.0**given_up_count
        silence_s = self._waits.sums_silence_s if for_sums else self._waits.silence_s
        silence_s = min(silence_s * patience, self._timeout_s)
        connect_s = min(self._waits.connect_s, self._timeout_s)
        if for_sums or best is not Mark.NONE:
            return Limit(silence_s, connect_s)
        return Limit(silence_s, connect_s, self._waits.least_whole_s * patience, partial(self._gives_up, patience))

    def served(self, address: Address, size_bytes: int | None, seconds: float) -> None:
        """Notes that a DataNode has done what it was asked."""
        with self._lock:
            avoided = self._avoided.get(address) if self._avoided else None
            if avoided and (avoided.mark is Mark.DEAD or size_bytes is None or not self._is_slow(size_bytes, seconds)):
                del self._avoided[address]
            if size_bytes is not None:
                self._pace.note(size_bytes, seconds)
                self._allowance.earn(size_bytes)

    def failed(self, address: Address, mark: Mark, size_bytes: int | None, seconds: float) -> None:
        """Notes that a DataNode could not be reached, was silent or slow, and was given up after so many seconds."""
        with self._lock:
            avoided = self._avoided.get(address)
            if avoided is None:
                avoided = self._avoided[address] = _Avoided(mark, 0.0)
            elif avoided.is_on_trial:
                avoided.mark, avoided.is_on_trial = mark, False
                avoided.failure_count += 1
            else:  # another reader has met it too
                avoided.mark = max(avoided.mark, mark)
            for_s = AVOIDED_FOR_S * 2.0 ** min(avoided.failure_count - 1, 32)
            avoided.until = self.clock() + min(for_s, LONGEST_AVOIDED_S)
            if mark is Mark.SLOW and size_bytes is not None:
                self._pace.note(size_bytes, seconds)

    def _mark(self, address: Address, now: float) -> Mark:
        """Returns what is held against a DataNode now; lets the caller try it when its time is over."""
        avoided = self._avoided.get(address)
        if avoided is None:
            return Mark.NONE
        if now < avoided.until:
            return avoided.mark
        avoided.until, avoided.is_on_trial = now + TRIAL_S, True
        return Mark.NONE

    def _is_slow(self, size_bytes: int, seconds: float) -> bool:
        usual_s = self._pace.usual_s(size_bytes)
        return usual_s is not None and seconds > max(SLOW_FACTOR * usual_s, self._waits.least_whole_s)

    def _gives_up(self, patience: float, took_s: float, arrived_bytes: int, size_bytes: int) -> bool:
        """See `Limit.is_slow`. What needs to its end no longer than another read takes is not given up."""
        with self._lock:
            usual_s = self._pace.usual_s(size_bytes)
            if usual_s is None or took_s <= SLOW_FACTOR * usual_s * patience:
                return False
            left_bytes = max(size_bytes - arrived_bytes, 0)
            needed_s = took_s * left_bytes / arrived_bytes if arrived_bytes else inf
            return needed_s > usual_s and self._allowance.spend(arrived_bytes)
