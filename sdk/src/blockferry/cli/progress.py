"""Progress of an execution on standard error: three bars on a terminal, else a line when something changed much."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

from blockferry.cli.show import ERR, state_name
from blockferry.cli.sizes import show_size
from blockferry.v1.execution_pb2 import Counters, Execution

LINE_EVERY_S = 10.0


class Rate(ProgressColumn):
    """Bytes per second of a bar that counts bytes."""

    def render(self, task: Task) -> Text:
        """Returns the rate of the last half minute."""
        speed = task.finished_speed or task.speed
        return Text(f"{show_size(speed)}/s" if speed and task.fields["rated"] else "", style="dim")


def follow(executions: Iterable[Execution], quiet: bool) -> Execution:
    """Shows an execution until it has ended; returns it as it was at the end.

    Args:
        executions: the execution, each time it changes; not empty.
        quiet: show nothing.
    """
    if quiet:
        return _last(executions, lambda _: None)
    if ERR.is_terminal:
        with Bars() as bars:
            return _last(executions, bars.show)
    return _last(executions, Lines().show)


def _last(executions: Iterable[Execution], show: Callable[[Execution], None]) -> Execution:
    last = Execution()
    for execution in executions:
        show(execution)
        last = execution
    return last


class Bars:
    """Three bars: prepare by entries, transfer and verify by bytes, each with entries in words."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description:9}"),
            BarColumn(),
            TextColumn("{task.fields[words]}"),
            Rate(),
            TimeRemainingColumn(),
            console=ERR,
        )
        self._prepare = self._bar("prepare", rated=False)
        self._transfer = self._bar("transfer", rated=True)
        self._verify = self._bar("verify", rated=False)

    def __enter__(self) -> Bars:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, execution: Execution) -> None:
        """Draws an execution as it is."""
        counters = execution.counters
        listing = execution.state in (Execution.STATE_QUEUED, Execution.STATE_LAUNCHING, Execution.STATE_PREPARING)
        listed = f"{counters.source_listed_count:,} listed, {counters.estimated_count:,} to transfer"
        done = None if listing else counters.source_listed_count or 1
        self._progress.update(self._prepare, total=done, completed=done or 0, words=listed)
        self._draw(
            self._transfer, counters.transferred_bytes, counters.estimated_bytes, _transferred(counters), listing
        )
        verified = f"{counters.verified_count:,} of {counters.estimated_verify_count:,}"
        self._draw(self._verify, counters.verified_count, counters.estimated_verify_count, verified, listing)

    def _bar(self, name: str, rated: bool) -> TaskID:
        return self._progress.add_task(name, total=None, words="", rated=rated)

    def _draw(self, bar: TaskID, done: int, total: int, words: str, listing: bool) -> None:
        # While the listing goes on the totals still grow: the bar is right for what is known.
        complete = not listing and done >= total
        self._progress.update(
            bar, total=total or (1 if complete else None), completed=done or int(complete), words=words
        )


class Lines:
    """One line when the state changes, and every ten seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._state = -1
        self._next = 0.0

    def show(self, execution: Execution) -> None:
        """Prints a line, if it is time."""
        now = self._clock()
        if execution.state == self._state and now < self._next:
            return
        self._state, self._next = execution.state, now + LINE_EVERY_S
        counters = execution.counters
        verified = f"verified {counters.verified_count:,} of {counters.estimated_verify_count:,}"
        line = f"{state_name(execution)}: listed {counters.source_listed_count:,}, {_transferred(counters)}, {verified}"
        ERR.print(Text(line))


def _transferred(counters: Counters) -> str:
    entries = f"{counters.transferred_count:,} of {counters.estimated_count:,}"
    return f"transferred {entries}, {show_size(counters.transferred_bytes)} of {show_size(counters.estimated_bytes)}"
