"""Which runs were told to stop. A run is one call of the service, for one attempt at one shard."""

from __future__ import annotations

import threading
from collections.abc import Callable

from blockferry.errors import BlockferryError, Whose

REMEMBERED_RUNS = 1024


class Stops:
    """Remembers the last runs. Threads may share it."""

    def __init__(self) -> None:
        self._stops: dict[str, threading.Event] = {}
        self._lock = threading.Lock()

    def of(self, run: str) -> threading.Event:
        """Returns the event that is set when the run is to stop."""
        with self._lock:
            if run not in self._stops:
                self._stops[run] = threading.Event()
                if len(self._stops) > REMEMBERED_RUNS:
                    del self._stops[next(iter(self._stops))]
            return self._stops[run]

    def pause_of(self, run: str) -> Callable[[float], None]:
        """Returns a function that waits so many seconds and raises CANCELLED as soon as the run is to stop."""
        stop = self.of(run)

        def pause(seconds: float) -> None:
            if stop.is_set() or (seconds > 0 and stop.wait(seconds)):
                raise BlockferryError("CANCELLED", f"The move {run} was stopped.", whose=Whose.CALLER, run=run)

        return pause
