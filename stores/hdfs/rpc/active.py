"""Finds the NameNode that can do a call, while the cluster fails over: all are asked side by side, again and again.

One that hangs, or whose host is gone, keeps nobody waiting: its question stays open while the others are asked anew.
Calls may be made several times, so they must be idempotent. Decides nothing about errors: see `Outages` for the limit.
"""

from __future__ import annotations

import itertools
import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from blockferry.errors import BlockferryError
from stores.hdfs.rpc.patience import Patience

# Makes the call at one NameNode and returns the body of its answer.
Ask = Callable[[], bytes]


@dataclass(frozen=True, slots=True)
class Waits:
    """How to wait. `sleep` returns True when the wait was cut short because nobody wants the answer any more."""

    clock: Callable[[], float]
    sleep: Callable[[float], bool]
    random_unit: Callable[[], float] = random.random


@dataclass(slots=True)
class Outages:
    """Since when which kind of call is possible at no NameNode, for all threads of a client. Thread safe.

    The limit of `patience` counts from the first failure of an outage, not of a call: whoever asks again in the middle
    of it, by a retry of its own, does not wait all that time once more.
    """

    patience: Patience
    clock: Callable[[], float]
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _spans: dict[str, tuple[float, float]] = field(default_factory=dict)  # method -> first and last failure

    def failed(self, method: str) -> tuple[float, bool]:
        """Notes a failure. Returns how many seconds this has lasted, and whether a call may still be waited for."""
        now = self.clock()
        with self._lock:
            begun, last = self._spans.get(method, (now, now))
            if now - last > self.patience.limit_s:
                begun = now  # nobody has asked for so long that this is news
            self._spans[method] = begun, now
        return now - begun, now - begun < self.patience.limit_s

    def ended(self, method: str) -> None:
        """Notes that a call was possible."""
        if self._spans:
            with self._lock:
                self._spans.pop(method, None)


class ActiveSearch:
    """One call on its way to the NameNode that can do it. For one thread."""

    def __init__(self, asks: Sequence[Ask], is_about_call: Callable[[BlockferryError], bool], again_s: float) -> None:
        """Asks nobody yet.

        Args:
            asks: one for each NameNode.
            is_about_call: says of an error whether it is the answer, or only that of a NameNode that cannot do calls.
            again_s: after this time those who have answered are asked again, although others have not.
        """
        self._asks = asks
        self._is_about_call = is_about_call
        self._again_s = again_s
        self._changed = threading.Condition()
        self._open: set[int] = set()
        self._failures: dict[int, BlockferryError] = {}
        self._answer: tuple[int, bytes] | None = None
        self._error: tuple[int, BaseException] | None = None

    def circle(self) -> bytes | None:
        """Asks every NameNode that has no question open. Returns the body of the answer; None when nobody can do the
        call now. Raises the error that is the answer."""
        with self._changed:
            idle = set(range(len(self._asks))) - self._open
            self._open |= idle
        for index in idle:
            threading.Thread(target=self._run, args=(index,), name="hdfs find active", daemon=True).start()
        with self._changed:
            self._changed.wait_for(self._is_settled)
            if self._is_running():
                self._changed.wait_for(lambda: not self._is_running(), self._again_s)
            if self._error is not None:
                raise self._error[1]
            return self._answer[1] if self._answer else None

    @property
    def answered_by(self) -> int | None:
        """The NameNode that gave the answer, also when that was an error."""
        with self._changed:
            settled = self._error or self._answer
            return settled[0] if settled else None

    @property
    def failures(self) -> tuple[BlockferryError, ...]:
        """The last failure of each NameNode, in their order."""
        with self._changed:
            return tuple(self._failures[index] for index in sorted(self._failures))

    @property
    def silent(self) -> tuple[int, ...]:
        """The NameNodes that have not answered yet."""
        with self._changed:
            return tuple(sorted(self._open))

    def _is_settled(self) -> bool:
        """Whether one at least has answered in this circle."""
        return not self._is_running() or len(self._open) < len(self._asks)

    def _is_running(self) -> bool:
        return bool(self._open) and self._answer is None and self._error is None

    def _run(self, index: int) -> None:
        try:
            answer = index, self._asks[index]()
        except BlockferryError as error:
            with self._changed:
                if self._is_about_call(error):
                    self._error = self._error or (index, error)
                else:
                    self._failures[index] = error
        except BaseException as error:  # handed to the thread that waits
            with self._changed:
                self._error = self._error or (index, error)
        else:
            with self._changed:
                self._answer = self._answer or answer
        with self._changed:
            self._open.discard(index)
            self._changed.notify_all()


def found(
    search: ActiveSearch,
    waits: Waits,
    patience: Patience,
    may_wait: Callable[[tuple[BlockferryError, ...]], bool],
    failures: tuple[BlockferryError, ...] = (),
) -> bytes | None:
    """Returns the body of the answer after as many circles as `may_wait` allows; else None. Raises as `circle`.

    `failures` says that everybody was asked just now: then it begins with a pause.
    """
    for circle_count in itertools.count(1):
        if not failures:
            answer = search.circle()
            if answer is not None:
                return answer
            failures = search.failures
        if not may_wait(failures) or waits.sleep(patience.pause_s(circle_count, waits.random_unit())):
            return None
        failures = ()
    raise AssertionError("circles do not end by themselves")
