"""The stores that a process has opened: each location once, for as long as the process lives."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace

from blockferry.errors import BlockferryError, Whose
from mover.measures import EffortMeter
from mover.worker import Destination, Gear, gone
from stores.base import Source, Stat
from stores.location import Location

REMEMBERED_FILES = 64


class OpenStores:
    """Opens stores when they are needed first. Threads may share it.

    Args:
        open_source, open_sink: open a store; called once for each location.
    """

    def __init__(self, open_source: Callable[[Location], Source], open_sink: Callable[[Location], Destination]) -> None:
        self._open_source = open_source
        self._open_sink = open_sink
        self._sources: dict[Location, Source] = {}
        self._sinks: dict[Location, Destination] = {}
        self._files: dict[tuple[Location, str], Stat] = {}
        self._lock = threading.Lock()

    def source(self, location: Location) -> Source:
        """Returns the source there."""
        with self._lock:
            if location not in self._sources:
                self._sources[location] = self._open_source(location)
            return self._sources[location]

    def sink(self, location: Location) -> Destination:
        """Returns the sink there."""
        with self._lock:
            if location not in self._sinks:
                self._sinks[location] = self._open_sink(location)
            return self._sinks[location]

    def with_layout(self, location: Location, gear: Gear, file: Stat, meter: EffortMeter) -> Stat:
        """Returns the file with its layout. One that is large does not travel with each part (`calls.light`): it is
        asked for once, and remembered.

        Raises:
            BlockferryError: SOURCE_CHANGED, when the file has another version now.
        """
        if file.layout:
            return file
        with self._lock:
            known = self._files.get((location, file.path))
        if known is None or known.version != file.version:
            known = gear.again(lambda: gear.source.stat(file.path), meter)
            if known is None:
                raise gone(file)
            if known.version != file.version:
                raise _changed(file)
            self._remember((location, file.path), known)
        return replace(file, layout=known.layout)

    def close(self) -> None:
        """Closes every source."""
        with ExitStack() as stack:
            for source in self._sources.values():
                stack.callback(source.close)

    def _remember(self, key: tuple[Location, str], file: Stat) -> None:
        with self._lock:
            self._files[key] = file
            if len(self._files) > REMEMBERED_FILES:
                del self._files[next(iter(self._files))]


def _changed(file: Stat) -> BlockferryError:
    text = f"{file.path} was written again while it was moved: run the task again when it is at rest."
    return BlockferryError("SOURCE_CHANGED", text, whose=Whose.SOURCE, path=file.path)
