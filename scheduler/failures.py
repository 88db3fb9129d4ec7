"""PURE: what went wrong with single entries, grouped by phase and reason. Never holds one row per file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

GROUP_LIMIT = 100
SAMPLE_LIMIT = 5


class PhaseName(StrEnum):
    """The phases, in their order."""

    PREPARE = "PREPARE"
    TRANSFER = "TRANSFER"
    VERIFY = "VERIFY"


@dataclass(frozen=True, slots=True)
class PhaseFailure:
    """Entries that failed in one phase for one reason. `message` and `metadata` are of the first one."""

    phase: PhaseName
    reason: str
    code: int
    message: str
    metadata: tuple[tuple[str, str], ...]
    failure_count: int
    sample_paths: tuple[str, ...]


def merged(known: tuple[PhaseFailure, ...], more: Iterable[PhaseFailure]) -> tuple[PhaseFailure, ...]:
    """Returns both, one group per phase and reason, most frequent first.

    At most `GROUP_LIMIT` groups of `SAMPLE_LIMIT` paths: a group that is left out is still in the execution's counters.
    """
    groups = {(group.phase, group.reason): group for group in known}
    for group in more:
        key = (group.phase, group.reason)
        groups[key] = _joined(groups[key], group) if key in groups else _cut(group)
    ordered = sorted(groups.values(), key=lambda group: -group.failure_count)
    return tuple(ordered[:GROUP_LIMIT])


def entry_count(failures: Iterable[PhaseFailure]) -> int:
    """Returns how many entries the groups stand for."""
    return sum(group.failure_count for group in failures)


def _joined(first: PhaseFailure, second: PhaseFailure) -> PhaseFailure:
    paths = dict.fromkeys((*first.sample_paths, *second.sample_paths))
    return _cut(replace(first, failure_count=first.failure_count + second.failure_count, sample_paths=tuple(paths)))


def _cut(group: PhaseFailure) -> PhaseFailure:
    return replace(group, sample_paths=group.sample_paths[:SAMPLE_LIMIT])
