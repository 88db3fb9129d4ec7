"""Attributes of objects at the destination, many at the same time, without changing the order of the pairs.

At most LOOKAHEAD items wait here, RUNS_AHEAD behind which is a run, and at most LOOKUP_THREADS calls are on their way.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait

from scanner.decide import needs_attributes
from scanner.march import Pair
from scanner.skim import Same
from scanner.walk import IDLE_S
from stores.base import Stat

LOOKUP_THREADS = 32  # a HEAD takes 5 to 50 ms: 32 at a time are 600 to 6,000 a second
LOOKAHEAD = 512
RUNS_AHEAD = 64  # a run holds on to the sightings of its entries: 64 of 256 entries to two files of them, 20 MB

_Item = Pair | Same
_Waiting = tuple[_Item, Future[Stat | None] | None]


class Lookup:
    """Asks for what a listing does not tell. Used by one scan."""

    def __init__(self, ask: Callable[[str], Stat | None]) -> None:
        self._ask = ask
        self._pool = ThreadPoolExecutor(LOOKUP_THREADS, thread_name_prefix="lookup")

    def complete(self, items: Iterable[_Item | None]) -> Iterator[_Item | None]:
        """Yields the items in their order; found objects whose attributes are needed have them, or `found` is absent
        when the object has gone since it was listed. Passes `None` on after everything that came before it.

        Raises:
            BlockferryError: whatever asking raises.
        """
        waiting: deque[_Waiting] = deque()
        for item in items:
            if item is None:
                yield from _finish(waiting, 0)
                yield None
            elif isinstance(item, Pair) and needs_attributes(item):
                waiting.append((item, self._pool.submit(self._ask, item.path)))
                yield from _finish(waiting, LOOKAHEAD)
            elif waiting:
                waiting.append((item, None))
                yield from _finish(waiting, RUNS_AHEAD if isinstance(item, Same) else LOOKAHEAD)
            else:
                yield item
        yield from _finish(waiting, 0)

    def close(self) -> None:
        """Gives up what was not begun. Calls that are on their way end by themselves; their threads then end too."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _finish(waiting: deque[_Waiting], allowed_count: int) -> Iterator[_Item | None]:
    """Yields from the front what is done, and waits for more while over `allowed_count` items are left."""
    while waiting:
        item, answer = waiting[0]
        if answer is None or isinstance(item, Same):
            yield waiting.popleft()[0]
        elif answer.done():
            waiting.popleft()
            yield Pair(item.source, answer.result())
        elif len(waiting) <= allowed_count:
            return
        elif not wait((answer,), IDLE_S).done:
            yield None
