"""When a DataNode has been waited for long enough. PURE: the clock is an argument, and nobody waits here.

The thread that reads looks at its stopwatch whenever bytes have come and whenever none came for `TICK_S`. So giving a
DataNode up needs no other thread, and nothing is written into the caller's memory afterwards.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf

# So often the thread that waits in the kernel looks up.
TICK_S = 0.5


class WaitedEnoughError(TimeoutError):
    """The stopwatch says that it is enough."""


class SilentError(WaitedEnoughError):
    """Nothing came for too long."""


class SlowError(WaitedEnoughError):
    """It comes too slowly, and there is another replica."""


@dataclass(frozen=True, slots=True)
class Limit:
    """How long one DataNode may take for one operation. Seconds.

    Attributes:
        silence_s: nothing may come for so long.
        connect_s: for a new connection.
        look_s: from then on `is_slow` is asked.
        is_slow: whether an operation is given up that has taken so many seconds, and for which so many bytes have come
            of so many.
    """

    silence_s: float
    connect_s: float = inf
    look_s: float = inf
    is_slow: Callable[[float, int, int], bool] = lambda took_s, arrived_bytes, size_bytes: False


class Stopwatch:
    """Measures one operation. For one thread."""

    __slots__ = ("_arrived_bytes", "_begin", "_clock", "_last", "_limit", "_size_bytes")

    def __init__(self, limit: Limit, size_bytes: int, clock: Callable[[], float]) -> None:
        """Starts. `size_bytes` is how much will come, about; what comes with it (headers, sums) counts as arrived."""
        self._limit = limit
        self._size_bytes = size_bytes
        self._clock = clock
        self._begin = self._last = clock()
        self._arrived_bytes = 0

    def arrived(self, count: int) -> None:
        """Notes that so many bytes have come. Raises SlowError when the operation takes too long."""
        self._arrived_bytes += count
        self._last = now = self._clock()
        self._look(now)

    def waited(self) -> None:
        """Notes that nothing came for a while. Raises SilentError or SlowError when that is enough."""
        now = self._clock()
        if now - self._last >= self._limit.silence_s:
            raise SilentError(f"nothing came or went for {self._limit.silence_s:g} s")
        self._look(now)

    def _look(self, now: float) -> None:
        took_s = now - self._begin
        if took_s > self._limit.look_s and self._limit.is_slow(took_s, self._arrived_bytes, self._size_bytes):
            raise SlowError(
                f"only {self._arrived_bytes} of {self._size_bytes} bytes came in {took_s:.1f} s: others are quicker"
            )
