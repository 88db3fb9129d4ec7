"""One listing in a thread of its own, so that both ends are asked at the same time.

Memory of one walk: a full belt, see `belt.py`, twice (one that is filled and one that is compared). A listing that
fails is never taken for one that has ended.
"""

from __future__ import annotations

import contextvars
import logging
import random
import threading
from collections.abc import Iterator
from functools import partial

from opentelemetry import metrics

from blockferry.errors import BlockferryError, Whose
from scanner.belt import Belt
from scanner.march import Side
from service.backoff import Backoff
from stores.base import Lister, QuickLister, Stat, Stretch, sink_row, source_row
from stores.login_reasons import LOGIN_REASONS

LOG = logging.getLogger("blockferry.scanner")
_RETRIES = metrics.get_meter("blockferry.scanner").create_counter(
    "blockferry.scanner.list_retries.count", description="Listings that broke and went on after their last entry."
)
IDLE_S = 0.25  # so often those behind look at their clocks while the store keeps silent

# Reasons that say more than LIST_FAILED: they are kept.
SPECIFIC = LOGIN_REASONS | frozenset(
    {
        "ACCESS_DENIED",
        "BUCKET_NOT_FOUND",
        "CREDENTIALS_MISSING",
        "CREDENTIALS_REFUSED",
        "INVALID_PATH",
        "LIST_UNORDERED",
        "NAMENODE_BUSY",
        "NAMENODE_INCOMPATIBLE",
        "NAMENODE_SAFE_MODE",
        "NAMENODE_STANDBY",
        "NAMENODE_UNAVAILABLE",
        "NOT_FOUND",
        "SOURCE_NOT_FOUND",
        "STORE_BUSY",
        "STORE_UNAVAILABLE",
        "SYMLINK_IN_PATH",
        "TLS_UNTRUSTED",
        "WRONG_REGION",
    }
)


class Walk:
    """Lists one store, to be taken either as stats or in stretches. The thread begins at once; `close` ends it."""

    def __init__(
        self,
        lister: Lister,
        side: Side,
        after: str,
        stop: threading.Event,
        backoff: Backoff,
        in_stretches: bool = False,
    ) -> None:
        self._lister = lister
        self._side = side
        self._last = after
        self._stop = stop
        self._backoff = backoff
        self._belt: Belt[Stat | Stretch] = Belt()
        self._error: Exception | None = None
        self._quick = lister if in_stretches and isinstance(lister, QuickLister) else None
        run = partial(contextvars.copy_context().run, self._run)  # log lines and spans belong to the caller's span
        self._thread = threading.Thread(target=run, name=f"walk {side}", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[Stat | None]:
        """Yields the listing in key order, and `None` each time that it had nothing for `IDLE_S`.

        Raises:
            BlockferryError: the listing's, with the side in it; SCAN_STOPPED when `stop` was set.
        """
        for items in self._taken():
            yield from items  # type: ignore[misc] # stats, when it was not asked for stretches
            if not items:
                yield None

    def stretches(self) -> Iterator[Stretch | None]:
        """Yields the listing in stretches, and `None` likewise.

        Raises:
            BlockferryError: as `__iter__`.
        """
        row_of = source_row if self._side is Side.SOURCE else sink_row
        for items in self._taken():
            if not items:
                yield None
            stats = [item for item in items if isinstance(item, Stat)]
            if stats:
                yield Stretch([stat.path for stat in stats], [row_of(stat) for stat in stats], stats.__getitem__)
            else:
                yield from items  # type: ignore[misc] # stretches

    def _taken(self) -> Iterator[list[Stat | Stretch]]:
        while (items := self._belt.take(IDLE_S)) is not None:
            if self._stop.is_set():
                raise stopped()
            yield items
        if self._stop.is_set():
            raise stopped()
        if self._error is not None:
            raise self._error

    def close(self, timeout_s: float) -> bool:
        """Ends the thread, waiting for a call of the store that is on its way. Returns whether it has ended."""
        self._stop.set()
        self._belt.close()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._list_with_retry()
        except BlockferryError as error:
            self._error = list_failed(error, self._side)
        except Exception as error:
            self._error = error
        self._belt.end()

    def _list_with_retry(self) -> None:
        failed_count = 0
        while True:
            begun_at = self._last
            try:
                return self._list()
            except BlockferryError as error:
                # Each step forward is a success: only failures in a row count.
                failed_count = 1 if self._last > begun_at else failed_count + 1
                if not error.retryable or failed_count >= self._backoff.attempts:
                    raise
                _RETRIES.add(1, {"side": self._side, "reason": error.reason})
                LOG.warning('action="list_again" side=%s failed_count=%d %s', self._side, failed_count, error)
                jitter = random.random()  # noqa: S311 - jitter, no secret
                if self._stop.wait(self._backoff.delay_s(failed_count, jitter, error.retry_after_s)):
                    return

    def _list(self) -> None:
        if self._quick is not None:
            return self._list_stretches(self._quick)
        put = self._belt.put
        for stat in self._lister.list_tree(self._last):
            if not put(stat, 1, len(stat.layout)):
                return
            self._last = stat.path

    def _list_stretches(self, lister: QuickLister) -> None:
        for stretch in lister.list_stretches(self._last):
            if not self._belt.put(stretch, len(stretch.paths), 0):
                return
            self._last = stretch.paths[-1]


def list_failed(error: BlockferryError, side: Side) -> BlockferryError:
    """Returns the error of a whole scan for that of one call: same cause and cure, with the side that failed."""
    failed = BlockferryError(
        error.reason if error.reason in SPECIFIC else "LIST_FAILED",
        f"Listing the {side} failed, so nothing is concluded from it: {error.message}",
        retryable=error.retryable,
        retry_after_s=error.retry_after_s,
        whose=error.whose if error.whose is not Whose.US else _whose(side),
    )
    failed.coordinates = {"side": str(side), "cause": error.reason, **error.coordinates}
    failed.__cause__ = error
    return failed


def stopped() -> BlockferryError:
    """Returns the error of a scan that was asked to stop: its caller has gone, or the scanner ends."""
    text = "The scan was stopped before its end: call it again with the cursor of the last shard."
    return BlockferryError("SCAN_STOPPED", text, retryable=True)


def _whose(side: Side) -> Whose:
    return Whose.SOURCE if side is Side.SOURCE else Whose.SINK
