"""The one place where a call is made again. Decides by `error.retryable` alone."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

from blockferry.errors import BlockferryError
from service.backoff import Backoff

T = TypeVar("T")


def call_with_retry(
    call: Callable[[], T],
    backoff: Backoff,
    sleep: Callable[[float], None] = time.sleep,
    on_retry: Callable[[BlockferryError, int], None] | None = None,
) -> T:
    """Returns what `call` returns, after as many tries as `backoff` allows.

    Args:
        call: may be repeated.
        backoff: how often and with what waits.
        sleep: waits; a caller that can be cancelled gives one that raises.
        on_retry: told the error and the number of the failed attempt (from 1) before each wait.

    Raises:
        BlockferryError: the last one, with the coordinate `attempt` when it was tried more than once.
    """
    for attempt in range(1, backoff.attempts + 1):
        try:
            return call()
        except BlockferryError as error:
            if attempt > 1:
                error.coordinates["attempt"] = str(attempt)
            if not error.retryable or attempt == backoff.attempts:
                raise
            if on_retry is not None:
                on_retry(error, attempt)
            sleep(backoff.delay_s(attempt, random.random(), error.retry_after_s))  # noqa: S311 - jitter, no secret
    raise AssertionError("a backoff allows one attempt at least")
