"""PURE: the life of one shard, and of every call that is made again under a new attempt when it breaks.

PLANNED -> MOVING -> MOVED -> VERIFYING -> VERIFIED, or FAILED. A shard with nothing to move begins as MOVED; one with
nothing to verify is complete when it is MOVED. A call that breaks puts the shard back; the next attempt has the next
number, so whatever a late worker still writes has another name. A message of an old attempt changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from scheduler.events import CallBroken, CallKind, Command, Cut, MoveShard, ShardMoved, ShardVerified, VerifyShard

BROKEN_LIMIT = 5  # calls of one kind that may break before a shard or a scan is given up


class ShardState(StrEnum):
    """Where a shard stands."""

    PLANNED = "PLANNED"
    MOVING = "MOVING"
    MOVED = "MOVED"
    VERIFYING = "VERIFYING"
    VERIFIED = "VERIFIED"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class Tries:
    """How often a call was made. `attempt`: the number of the last one, 0 before the first. `broken`: how many broke.

    They differ by restarts of the scheduler: each takes a new attempt, but nobody is to blame.
    """

    attempt: int = 0
    broken: int = 0

    def next(self) -> Tries:
        """Returns the tries with one more."""
        return replace(self, attempt=self.attempt + 1)

    def broke(self) -> Tries:
        """Returns the tries with the last one broken."""
        return replace(self, broken=self.broken + 1)

    def given_up(self, retryable: bool) -> bool:
        """Returns whether there is no next one after the last one broke."""
        return not retryable or self.broken >= BROKEN_LIMIT


@dataclass(frozen=True, slots=True)
class Shard:
    """A bounded slice of the plan. `verify_count`: entries to verify as part of its life; 0 when only moved."""

    name: str
    number: int
    state: ShardState
    move_count: int = 0
    move_bytes: int = 0
    verify_count: int = 0
    moves: Tries = Tries()
    verifies: Tries = Tries()
    receipts: str = ""
    verdicts: str = ""

    @property
    def complete(self) -> bool:
        """Returns whether nothing is left to do."""
        return self.state is ShardState.VERIFIED or (self.state is ShardState.MOVED and self.verify_count == 0)

    @property
    def half_moved(self) -> bool:
        """Returns whether a move was begun and none was finished: it may have left uploads at the store."""
        return self.moves.attempt > 0 and not self.receipts

    @property
    def open(self) -> bool:
        """Returns whether something is left to do."""
        return not self.complete and self.state is not ShardState.FAILED


def planned(cut: Cut, moves: bool, verifies: bool) -> Shard:
    """Returns the shard of a cut. `moves`: its entries are moved; `verifies`: it is verified as part of its life."""
    state = ShardState.PLANNED if moves and cut.move_count > 0 else ShardState.MOVED
    verify_count = cut.verify_count if verifies else 0
    return Shard(cut.shard, cut.number, state, cut.move_count, cut.move_bytes, verify_count)


def given_out(shard: Shard) -> Shard:
    """Returns the shard with its next attempt begun."""
    if shard.state in (ShardState.PLANNED, ShardState.MOVING):
        return replace(shard, state=ShardState.MOVING, moves=shard.moves.next())
    if shard.state in (ShardState.MOVED, ShardState.VERIFYING) and shard.open:
        return replace(shard, state=ShardState.VERIFYING, verifies=shard.verifies.next())
    raise ValueError(f"shard {shard.name} is {shard.state}: there is nothing to give out")


def awaits(shard: Shard, kind: CallKind, attempt: int) -> bool:
    """Returns whether the shard waits for a message of this attempt. All others are stale."""
    match kind:
        case CallKind.MOVE:
            return shard.state is ShardState.MOVING and shard.moves.attempt == attempt
        case CallKind.VERIFY:
            return shard.state is ShardState.VERIFYING and shard.verifies.attempt == attempt
        case _:
            return False


def moved(shard: Shard, event: ShardMoved) -> Shard | None:
    """Returns the shard once it is moved; None when the message is stale."""
    if not awaits(shard, CallKind.MOVE, event.attempt):
        return None
    return replace(shard, state=ShardState.MOVED, receipts=event.receipts)


def verified(shard: Shard, event: ShardVerified) -> Shard | None:
    """Returns the shard once it is verified; None when the message is stale."""
    if not awaits(shard, CallKind.VERIFY, event.attempt):
        return None
    return replace(shard, state=ShardState.VERIFIED, verdicts=event.verdicts)


def broken(shard: Shard, event: CallBroken) -> Shard | None:
    """Returns the shard, put back or FAILED, after a call broke; None when the message is stale."""
    if not awaits(shard, event.work, event.attempt):
        return None
    if event.work is CallKind.MOVE:
        tries = shard.moves.broke()
        state = ShardState.FAILED if tries.given_up(event.retryable) else ShardState.PLANNED
        return replace(shard, state=state, moves=tries)
    tries = shard.verifies.broke()
    state = ShardState.FAILED if tries.given_up(event.retryable) else ShardState.MOVED
    return replace(shard, state=state, verifies=tries)


def resumed(shards: Iterable[Shard]) -> tuple[Command, ...]:
    """Returns the commands of the open shards after a restart, in the order of their names."""
    commands: list[Command] = []
    for shard in sorted(shards, key=lambda shard: shard.name):
        if shard.open:
            moving = shard.state in (ShardState.PLANNED, ShardState.MOVING)
            commands.append(MoveShard(shard.name) if moving else VerifyShard(shard.name))
    return tuple(commands)
