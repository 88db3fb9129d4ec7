"""Threads for many small pieces of work that mostly wait: as many as the waiting is worth. Knows nothing of the work.

Python runs one thread at a time. With more threads than keep it busy they only hand the interpreter to one another:
1,900 files were 31,000 changes of threads with eight of them and 12,000 with two. With fewer, all wait while a store
far away answers. So the number follows the waiting: the kernel tells how long each thread has run and how long it was
ready to run, and the rest of its time it has waited.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from service import linux

T = TypeVar("T")
R = TypeVar("R")

LEAST = 2
"""Threads where nothing has to be waited for: while one is in the kernel, the other runs Python."""
UNADAPTED = 8
"""Threads where the kernel does not tell."""
WINDOW_S = 0.05
_IDLE, _AIM, _CROWDED = 0.95, 1.1, 1.6  # processors that all threads want together; Python itself uses one


def next_width(width: int, wanted: float, most: int) -> int:
    """PURE: returns how many threads there should be.

    Args:
        width: how many there are.
        wanted: how many processors they want together: 1.0 keeps Python busy, more is a crowd that waits for it.
        most: the largest answer.
    """
    if wanted < _IDLE:
        return min(most, max(width + 1, int(width * min(2.0, _AIM / max(wanted, 0.01)))))
    if wanted > _CROWDED:
        return max(LEAST, width * 3 // 4)
    return width


class AdaptiveThreads:
    """Threads that work at the pieces of all calls of `each`. The calling threads work too, so that there are as many
    as calls at least; beyond these there are at most `most` in all. Threads may share it."""

    def __init__(
        self,
        most: int,
        name: str,
        wanted_s: Callable[[int], float | None] = linux.wanted_s,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Starts no thread yet.

        Args:
            most: threads at work.
            name: how they are called.
            wanted_s: how long the thread of a native id has run or was ready to run; None: nobody knows.
            clock: in seconds.
        """
        self._most = most
        self._ask = wanted_s
        self._clock = clock
        self._adapts = wanted_s(threading.get_native_id()) is not None
        self._width = min(most, LEAST if self._adapts else UNADAPTED)
        self._changed = threading.Condition()
        self._jobs: list[_Job[Any, Any]] = []
        self._helper_count = 0
        self._closed = False
        self._at_work: dict[int, _Look] = {}
        self._next_look = clock() + WINDOW_S
        self._worked_s = self._wanted_s = 0.0
        self._threads = ThreadPoolExecutor(most, thread_name_prefix=name)

    @property
    def width(self) -> int:
        """How many threads are worth it now."""
        return self._width

    def each(self, work: Callable[[T], R], items: Iterable[T]) -> list[R]:
        """Returns what `work` returns for each item, in order; it must not call `each` again. Other threads work in the
        context (`contextvars`) of the calling one. After an error nothing more is begun, and the error is raised when
        all that was begun has ended."""
        job = _Job(work, items)
        with self._changed:
            self._jobs.append(job)
            self._hire()
        try:
            self._work_at(job, helps=False)
        finally:
            with self._changed:
                self._jobs.remove(job)
                self._changed.wait_for(lambda: not job.helper_count)
        if job.error is not None:
            raise job.error
        return [job.results[index] for index in range(job.count)]

    def close(self, wait: bool = False) -> None:
        """Ends the helpers when the pieces that they are at are done; waits for that if asked to. Calls that run go on,
        each with its own thread."""
        with self._changed:
            self._closed = True
            self._width = 0
        self._threads.shutdown(wait, cancel_futures=True)

    def _hire(self) -> None:
        """Gets the helpers that are worth it; those that are too many go by themselves. Wants the lock."""
        waiting_count = sum(len(job.waiting) for job in self._jobs)
        wanted_count = 0 if self._closed else min(self._width - len(self._jobs), waiting_count)
        for _ in range(wanted_count - self._helper_count):
            self._helper_count += 1
            self._threads.submit(self._help)

    def _help(self) -> None:
        while (job := self._next_job()) is not None:
            try:
                job.context.copy().run(self._work_at, job, helps=True)
            finally:
                with self._changed:
                    job.helper_count -= 1
                    self._changed.notify_all()

    def _next_job(self) -> _Job[Any, Any] | None:
        """Returns the job to help with; None: there is none, or there are helpers enough."""
        with self._changed:
            job = next((job for job in self._jobs if job.waiting), None)
            if job is None or len(self._at_work) >= self._width:
                self._helper_count -= 1
                return None
            job.helper_count += 1
            return job

    def _work_at(self, job: _Job[Any, Any], *, helps: bool) -> None:
        thread = threading.get_native_id()
        with self._changed:
            self._at_work[thread] = _Look(self._clock(), self._ask(thread) or 0.0)
        try:
            while job.do_one():
                if self._clock() >= self._next_look:
                    self._look()
                if helps and len(self._at_work) > self._width:
                    break
        finally:
            with self._changed:
                self._count(thread, self._clock())
                del self._at_work[thread]

    def _look(self) -> None:
        """Sets the width by what the threads have waited for since the last look. One thread does, and none waits."""
        if not self._changed.acquire(blocking=False):
            return
        try:
            now = self._clock()
            self._next_look = now + WINDOW_S
            for thread in self._at_work:
                self._count(thread, now)
            if self._adapts and self._worked_s >= WINDOW_S and not self._closed:
                wanted = self._wanted_s / self._worked_s * self._width
                self._width = next_width(self._width, wanted, self._most)
                self._worked_s = self._wanted_s = 0.0
            self._hire()
        finally:
            self._changed.release()

    def _count(self, thread: int, now: float) -> None:
        before, wanted_s = self._at_work[thread], self._ask(thread)
        if wanted_s is not None:
            self._worked_s += now - before.at
            self._wanted_s += wanted_s - before.wanted_s
            self._at_work[thread] = _Look(now, wanted_s)


@dataclass(frozen=True, slots=True)
class _Look:
    """What was seen of a thread: when, and how long it had run or wanted to by then."""

    at: float
    wanted_s: float


class _Job(Generic[T, R]):
    """The pieces of one call of `each`: those that wait, and what came of the others."""

    def __init__(self, work: Callable[[T], R], items: Iterable[T]) -> None:
        self.waiting = deque(enumerate(items))
        self.count = len(self.waiting)
        self.context = copy_context()
        self.helper_count = 0
        self.results: dict[int, R] = {}
        self.error: BaseException | None = None
        self._work = work

    def do_one(self) -> bool:
        """Does one piece. Returns False when there is none left."""
        try:
            index, item = self.waiting.popleft()
        except IndexError:  # not asked before: another thread may be quicker
            return False
        try:
            self.results[index] = self._work(item)
        except BaseException as error:
            self.waiting.clear()
            self.error = self.error or error
        return True
