"""How long calls wait for a NameNode that can do them, and with what pauses. PURE: nobody waits here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Patience:
    """Exponential pauses with jitter, and an end.

    Attributes:
        limit_s: from the first failure of a call on. An ordinary fail-over takes 5 to 60 s.
        base_s: upper bound of the first pause.
        ceiling_s: upper bound of every pause: so long a NameNode that is active again can stay unnoticed.
    """

    limit_s: float = 90.0
    base_s: float = 0.2
    ceiling_s: float = 5.0

    def pause_s(self, circle_count: int, random_unit: float) -> float:
        """Returns the pause after so many circles (from 1) in which no NameNode could: between half of the bound and
        all of it, so that many workers do not ask in step.

        Args:
            circle_count: how often every NameNode was asked.
            random_unit: a random number from 0 to 1.
        """
        bound = min(self.ceiling_s, self.base_s * 2.0 ** min(circle_count - 1, 64))
        return bound * (0.5 + random_unit / 2)
