"""The life of one shard."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.counters import MoveTally, ScanTally, VerifyTally
from scheduler.events import CallBroken, CallKind, Cut, MoveShard, ShardMoved, ShardVerified, VerifyShard
from scheduler.shards import (
    BROKEN_LIMIT,
    Shard,
    ShardState,
    Tries,
    broken,
    given_out,
    moved,
    planned,
    resumed,
    verified,
)

CUT = Cut("000001", 1, "a", ScanTally(), 2, 10, 2)


def move_end(attempt: int) -> ShardMoved:
    return ShardMoved("000001", attempt, f"000001.{attempt}", MoveTally(), 2)


def verify_end(attempt: int) -> ShardVerified:
    return ShardVerified("000001", attempt, f"000001.{attempt}", VerifyTally())


def breaks(kind: CallKind, attempt: int, retryable: bool = True) -> CallBroken:
    return CallBroken(kind, "000001", attempt, "SERVICE_UNAVAILABLE", "m", retryable)


@pytest.fixture
def fresh() -> Shard:
    return planned(CUT, moves=True, verifies=True)


def test_whole_life(fresh: Shard) -> None:
    assert fresh.state is ShardState.PLANNED
    moving = given_out(fresh)
    assert (moving.state, moving.moves) == (ShardState.MOVING, Tries(1))
    at_destination = moved(moving, move_end(1))
    assert at_destination is not None
    assert (at_destination.state, at_destination.receipts, at_destination.open) == (ShardState.MOVED, "000001.1", True)
    verifying = given_out(at_destination)
    proved = verified(verifying, verify_end(1))
    assert proved is not None
    assert (proved.state, proved.verdicts, proved.complete, proved.open) == (
        ShardState.VERIFIED,
        "000001.1",
        True,
        False,
    )


def test_shard_with_nothing_to_move_begins_as_moved() -> None:
    assert planned(replace(CUT, move_count=0), moves=True, verifies=True).state is ShardState.MOVED
    assert planned(CUT, moves=False, verifies=True).state is ShardState.MOVED


def test_shard_with_nothing_to_verify_is_complete_when_moved(fresh: Shard) -> None:
    done = moved(given_out(replace(fresh, verify_count=0)), move_end(1))
    assert done is not None
    assert done.complete
    with pytest.raises(ValueError, match="nothing to give out"):
        given_out(done)


def test_broken_call_puts_the_shard_back_under_the_next_attempt(fresh: Shard) -> None:
    back = broken(given_out(fresh), breaks(CallKind.MOVE, 1))
    assert back is not None
    assert (back.state, back.moves) == (ShardState.PLANNED, Tries(1, 1))
    assert given_out(back).moves == Tries(2, 1)


def test_error_that_no_retry_cures_fails_the_shard(fresh: Shard) -> None:
    back = broken(given_out(fresh), breaks(CallKind.MOVE, 1, retryable=False))
    assert back is not None
    assert (back.state, back.open) == (ShardState.FAILED, False)


@pytest.mark.parametrize("kind", [CallKind.MOVE, CallKind.VERIFY])
def test_shard_is_given_up_after_five_broken_calls_of_one_kind(fresh: Shard, kind: CallKind) -> None:
    shard = fresh if kind is CallKind.MOVE else replace(fresh, state=ShardState.MOVED, moves=Tries(4, 4))
    for attempt in range(1, BROKEN_LIMIT + 1):
        after = broken(given_out(shard), breaks(kind, attempt))
        assert after is not None
        assert (after.state is ShardState.FAILED) is (attempt == BROKEN_LIMIT)
        shard = after


def test_restart_takes_an_attempt_but_blames_nobody(fresh: Shard) -> None:
    shard = fresh
    for _ in range(10):
        shard = given_out(shard)  # given out again while it is MOVING: nobody knows what became of the call
    assert shard.moves == Tries(10, 0)


def test_stale_attempt_changes_nothing(fresh: Shard) -> None:
    second = given_out(given_out(fresh))
    assert moved(second, move_end(1)) is None
    assert broken(second, breaks(CallKind.MOVE, 1)) is None
    assert broken(second, breaks(CallKind.VERIFY, 2)) is None
    assert broken(second, breaks(CallKind.SCAN, 2)) is None
    assert verified(second, verify_end(2)) is None


def test_message_that_comes_twice_changes_nothing(fresh: Shard) -> None:
    once = moved(given_out(fresh), move_end(1))
    assert once is not None
    assert moved(once, move_end(1)) is None


def test_open_shards_are_given_out_again(fresh: Shard) -> None:
    at_destination = moved(given_out(fresh), move_end(1))
    assert at_destination is not None
    shards = (
        replace(given_out(fresh), name="000004"),
        replace(fresh, name="000002"),
        replace(at_destination, name="000003"),
        replace(given_out(at_destination), name="000001"),
        replace(fresh, name="000005", state=ShardState.VERIFIED),
        replace(fresh, name="000006", state=ShardState.FAILED),
        replace(at_destination, name="000007", verify_count=0),
    )
    assert resumed(shards) == (
        VerifyShard("000001"),
        MoveShard("000002"),
        VerifyShard("000003"),
        MoveShard("000004"),
    )


@settings(deadline=None)
@given(st.lists(st.sampled_from(("out", "moved", "verified", "broken", "fatal")), max_size=40), st.randoms())
def test_attempts_only_grow_and_ends_stay(actions: list[str], random: object) -> None:
    shard = planned(CUT, moves=True, verifies=True)
    for action in actions:
        before = shard
        kind = CallKind.MOVE if shard.state in (ShardState.PLANNED, ShardState.MOVING) else CallKind.VERIFY
        attempt = (shard.moves if kind is CallKind.MOVE else shard.verifies).attempt
        match action:
            case "out" if shard.open:
                shard = given_out(shard)
            case "moved":
                shard = moved(shard, move_end(attempt)) or shard
            case "verified":
                shard = verified(shard, verify_end(attempt)) or shard
            case "broken" | "fatal":
                shard = broken(shard, breaks(kind, attempt, action == "broken")) or shard
        assert shard.moves.attempt >= before.moves.attempt
        assert shard.verifies.attempt >= before.verifies.attempt
        assert shard.moves.broken <= shard.moves.attempt
        assert before.open or shard == before
