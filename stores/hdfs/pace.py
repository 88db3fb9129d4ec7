"""How long reads usually take, by their size, and how many may be done twice. PURE.

Memory: at most 16 classes of sizes with `KEPT_COUNT` numbers each.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

KEPT_COUNT = 64
# Fewer reads of a class say nothing.
ENOUGH_COUNT = 8
# Among three DataNodes the slow one serves every third read: a quantile of 0.95 would be its time, and call it usual.
QUANTILE = 0.5

MIB = 1 << 20
# What may be read twice: so much of all that is read. Asking costs about as much as a MiB.
EXTRA_SHARE = 0.05
ASKING_BYTES = MIB
FIRST_ALLOWANCE_BYTES = 64 * MIB
MOST_ALLOWANCE_BYTES = 512 * MIB


class _Recent:
    """The last times of one class of sizes; their quantile is taken anew after every eighth."""

    __slots__ = ("_count", "_quantile_s", "_seconds")

    def __init__(self) -> None:
        self._seconds: deque[float] = deque(maxlen=KEPT_COUNT)
        self._count = 0
        self._quantile_s: float | None = None

    def note(self, seconds: float) -> None:
        self._seconds.append(seconds)
        self._count += 1
        if self._count % ENOUGH_COUNT == 0:
            ordered = sorted(self._seconds)
            self._quantile_s = ordered[int(QUANTILE * len(ordered))]

    @property
    def quantile_s(self) -> float | None:
        return self._quantile_s


class Pace:
    """The times of the last reads. Sizes within a factor of 4 are one class."""

    __slots__ = ("_classes",)

    def __init__(self) -> None:
        self._classes: dict[int, _Recent] = {}

    def note(self, size_bytes: int, seconds: float) -> None:
        """Takes the time of a read; of one that was given up, the time after which it was."""
        number = _class_of(size_bytes)
        recent = self._classes.get(number)
        if recent is None:
            recent = self._classes[number] = _Recent()
        recent.note(seconds)

    def usual_s(self, size_bytes: int) -> float | None:
        """Returns the usual time of a read of this size, rather too long than too short; None: not known yet.

        Without enough reads of its class: the time of the next larger one, or a smaller one's times the sizes' ratio.
        """
        wanted = _class_of(size_bytes)
        recent = self._classes.get(wanted)
        if recent is not None and recent.quantile_s is not None:
            return recent.quantile_s
        known = {number: each.quantile_s for number, each in self._classes.items() if each.quantile_s is not None}
        if larger := [number for number in known if number > wanted]:
            return known[min(larger)]
        if smaller := [number for number in known if number < wanted]:
            return known[max(smaller)] * float(4 ** (wanted - max(smaller)))
        return None


def _class_of(size_bytes: int) -> int:
    return min((size_bytes.bit_length() + 1) // 2, 15)


@dataclass(slots=True)
class Allowance:
    """How many bytes may still be read in vain: grows with what is read, shrinks with what is given up."""

    left_bytes: float = FIRST_ALLOWANCE_BYTES

    def earn(self, size_bytes: int) -> None:
        """Notes a read that was done."""
        earned = EXTRA_SHARE * (size_bytes + ASKING_BYTES)
        self.left_bytes = min(self.left_bytes + earned, MOST_ALLOWANCE_BYTES)

    def spend(self, size_bytes: int) -> bool:
        """Returns whether so much may be read in vain, and takes it off then."""
        cost = size_bytes + ASKING_BYTES
        if cost > self.left_bytes:
            return False
        self.left_bytes -= cost
        return True
