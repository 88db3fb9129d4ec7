"""The one error of blockferry, on both sides of a call. Holds no retry loop and imports nothing outside the standard
library: clients, services and workers all raise it.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


class Whose(StrEnum):
    """Who must act so that the error goes away."""

    CALLER = "CALLER"
    SOURCE = "SOURCE"
    SINK = "SINK"
    US = "US"


class BlockferryError(Exception):
    """Something went wrong: why (`reason`), what and what to do (`message`), and where (`coordinates`).

    Callers ask `retryable`, `retry_after_s` and `whose`; they never tell errors apart by class.

    Attributes:
        reason: UPPER_SNAKE_CASE, at most 63 characters, e.g. `CHECKSUM_FAILURE`.
        message: one English sentence with the cause and the cure.
        coordinates: path, block_id, offset, host, attempt, expected, found: every dynamic word of the message.
            Never holds a secret.
        retryable: the same call can succeed later without anybody's help.
        retry_after_s: try again after so many seconds at the earliest, if the other side said so.
    """

    def __init__(
        self,
        reason: str,
        message: str,
        *,
        retryable: bool = False,
        retry_after_s: float | None = None,
        whose: Whose = Whose.US,
        **coordinates: object,
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.retryable = retryable
        self.retry_after_s = retry_after_s
        self.whose = whose
        self.coordinates: dict[str, str] = {key: str(value) for key, value in coordinates.items()}

    def __str__(self) -> str:
        return f"{self.reason}: {placed(self.message, self.coordinates.items())}"

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        state = (self.reason, self.message, self.retryable, self.retry_after_s, self.whose, self.coordinates)
        return _rebuild, state


def placed(message: str, coordinates: Iterable[tuple[str, str]]) -> str:
    """Returns a message with the coordinates that it does not mention itself: `... [bucket: b, endpoint: e]`."""
    missing = [f"{key}: {value}" for key, value in coordinates if value and value not in message]
    return f"{message} [{', '.join(missing)}]" if missing else message


def _rebuild(
    reason: str,
    message: str,
    retryable: bool,
    retry_after_s: float | None,
    whose: Whose,
    coordinates: dict[str, str],
) -> BlockferryError:
    error = BlockferryError(reason, message, retryable=retryable, retry_after_s=retry_after_s, whose=whose)
    error.coordinates = coordinates
    return error
