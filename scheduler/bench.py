"""What all executions of a scheduler share: the store, the workers, the clock, and how much is done at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from scheduler.shards import BROKEN_LIMIT
from scheduler.store import Desk
from scheduler.workers import Workers
from service.backoff import Backoff


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is done at once, and how long is waited.

    Attributes:
        moving: shards that are moved at once, of all executions.
        verifying: shards that are verified at once, of all executions.
        patience_s: how long a worker may be unreachable before the execution breaks.
        report_patience_s: the same for the report of an execution that was cancelled or broke.
        backoff: waits between broken calls.
    """

    moving: int = 2
    verifying: int = 2
    patience_s: float = 300.0
    report_patience_s: float = 30.0
    backoff: Backoff = field(default_factory=partial(Backoff, base_s=0.5, attempts=BROKEN_LIMIT))


@dataclass(frozen=True, slots=True)
class Bench:
    """What runs share. `moving` and `verifying` hold a place per call; `now_ms`: milliseconds since 1970 UTC."""

    desk: Desk
    workers: Workers
    limits: Limits
    moving: asyncio.Semaphore
    verifying: asyncio.Semaphore
    now_ms: Callable[[], int]
