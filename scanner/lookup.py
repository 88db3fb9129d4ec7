"""Attributes of objects at the destination, many at the same time, without changing the order of the pairs.

At most LOOKAHEAD pairs wait here, and at most LOOKUP_THREADS calls are on their way.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace

from scanner.decide import needs_attributes
from scanner.march import Pair
from scanner.walk import IDLE_S
from stores.base import Attributes, Stat

LOOKUP_THREADS = 32  # a HEAD takes 5 to 50 ms: 32 at a time are 600 to 6,000 a second
LOOKAHEAD = 512

# (path, version of the object) -> its attributes, when they are known without asking the store.
KnownAttributes = Callable[[str, str], Attributes | None]
_Waiting = tuple[Pair, Future[Stat | None] | None]


def nothing_known(path: str, version: str) -> Attributes | None:
    """Knows no attributes: each is asked for. Stands where a catalogue of earlier executions can stand."""
    return None


class Lookup:
    """Asks for what a listing does not tell. Used by one scan."""

    def __init__(self, ask: Callable[[str], Stat | None], known: KnownAttributes) -> None:
        self._ask = ask
        self._known = known
        self._pool = ThreadPoolExecutor(LOOKUP_THREADS, thread_name_prefix="lookup")

    def complete(self, pairs: Iterable[Pair | None]) -> Iterator[Pair | None]:
        """Yields the pairs in their order; found objects whose attributes are needed have them, or `found` is absent
        when the object has gone since it was listed. Passes `None` on after everything that came before it.

        Raises:
            BlockferryError: whatever asking raises.
        """
        waiting: deque[_Waiting] = deque()
        for pair in pairs:
            if pair is None:
                yield from _finish(waiting, 0)
                yield None
            elif needs_attributes(pair):
                waiting.append(self._begin(pair))
                yield from _finish(waiting, LOOKAHEAD)
            elif waiting:
                waiting.append((pair, None))
                yield from _finish(waiting, LOOKAHEAD)
            else:
                yield pair
        yield from _finish(waiting, 0)

    def _begin(self, pair: Pair) -> _Waiting:
        found = pair.found
        if found is not None and (attributes := self._known(found.path, found.version)) is not None:
            return Pair(pair.source, replace(found, attributes=attributes)), None
        return pair, self._pool.submit(self._ask, pair.path)

    def close(self) -> None:
        """Gives up what was not begun. Calls that are on their way end by themselves; their threads then end too."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _finish(waiting: deque[_Waiting], allowed_count: int) -> Iterator[Pair | None]:
    """Yields from the front what is done, and waits for more while over `allowed_count` pairs are left."""
    while waiting:
        pair, answer = waiting[0]
        if answer is None:
            yield waiting.popleft()[0]
        elif answer.done():
            waiting.popleft()
            yield Pair(pair.source, answer.result())
        elif len(waiting) <= allowed_count:
            return
        elif not wait((answer,), IDLE_S).done:
            yield None
