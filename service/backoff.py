"""How long to wait before a call is made again. PURE: the random number is an argument, and nobody waits here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential backoff with full jitter: the n-th wait lies between 0 and base * factor^(n-1), at most the ceiling.

    Attributes:
        base_s: upper bound of the first wait.
        factor: growth from wait to wait.
        ceiling_s: upper bound of every wait.
        attempts: how often a call is made in all, the first time included.
    """

    base_s: float = 0.2
    factor: float = 2.0
    ceiling_s: float = 20.0
    attempts: int = 6

    def delay_s(self, attempt: int, random_unit: float, retry_after_s: float | None = None) -> float:
        """Returns the seconds to wait after `attempt` (from 1) has failed.

        Args:
            attempt: how many calls were made.
            random_unit: a random number from 0 to 1.
            retry_after_s: what the other side asked for: never less than that.
        """
        bound = min(self.ceiling_s, self.base_s * self.factor ** min(attempt - 1, 64))
        return max(bound * random_unit, retry_after_s or 0.0)
