"""What each fact leads to: sums, failures, phases, revisions, and what is stale."""

from dataclasses import replace

from scheduler.counters import MoveTally, ScanTally, Tally, VerifyTally
from scheduler.events import (
    Broken,
    CallBroken,
    CallKind,
    CancelAsked,
    CheckScanEnded,
    CheckShardPlanned,
    Cut,
    Drain,
    Drained,
    Event,
    Launch,
    Launched,
    MoveShard,
    Purpose,
    ReportFailed,
    ReportWritten,
    Scan,
    ScanEnded,
    ShardMoved,
    ShardPlanned,
    ShardVerified,
    Started,
    VerifyShard,
    WriteReport,
)
from scheduler.failures import PhaseFailure, PhaseName
from scheduler.machine import Execution, State, VerifyMode
from scheduler.phases import PhaseStatus
from scheduler.record import ExecutionRecord, Fact, ScanPosition, advance, error_of, next_revision, resumed
from scheduler.shards import BROKEN_LIMIT, Shard, ShardState, Tries, given_out

NAME = "tasks/t/executions/e"
BEGIN_MS = 1_000_000


def cut(number: int = 1, check: bool = False, failures: tuple[PhaseFailure, ...] = ()) -> Cut:
    failed = sum(one.failure_count for one in failures)
    tally = ScanTally(source_listed_count=number * 5, estimated_count=number * 4, failed_count=failed)
    return Cut(f"{'c' if check else ''}{number:06d}", number, f"p{number}", tally, 4, 40, 4, failures)


def failure(phase: PhaseName, reason: str = "R", count: int = 1) -> PhaseFailure:
    return PhaseFailure(phase, reason, 15, f"{reason} happened.", (), count, ("a",))


class History:
    """A record, its shards and its clock."""

    def __init__(self, mode: VerifyMode = VerifyMode.ONLY_FILES_TRANSFERRED, dry_run: bool = False) -> None:
        self.record = ExecutionRecord(Execution(NAME, mode, dry_run), "tasks/t", BEGIN_MS)
        self.shards: dict[str, Shard] = {}
        self.now_ms = BEGIN_MS
        self.commands: tuple[object, ...] = ()
        self.stale = False

    def tell(self, *facts: Fact) -> "History":
        for fact in facts:
            self.now_ms += 1000
            named = self.shards.get(getattr(fact, "shard", ""))
            result = advance(self.record, named, fact, self.now_ms)
            assert result.stale or result.record.revision > self.record.revision
            assert not result.stale or result.record == self.record
            self.record, self.commands, self.stale = result.record, result.commands, result.stale
            if result.shard is not None:
                self.shards[result.shard.name] = result.shard
        return self

    def out(self, shard: str) -> "History":
        self.shards[shard] = given_out(self.shards[shard])
        return self

    def preparing(self) -> "History":
        return self.tell(Started(), Launched(True))

    def ordered(self, *commands: object) -> bool:
        """Whether the last event had these commands, and no others."""
        return self.commands == commands

    @property
    def statuses(self) -> list[PhaseStatus]:
        return [phase.status for phase in self.record.phases]


def moved(shard: str = "000001", attempt: int = 1, failures: tuple[PhaseFailure, ...] = ()) -> ShardMoved:
    failed = sum(one.failure_count for one in failures)
    tally = MoveTally(4 - failed, 40, 44, failed, 2)
    return ShardMoved(shard, attempt, f"{shard}.{attempt}", tally, 0, failures)


def verified(shard: str = "000001", failures: tuple[PhaseFailure, ...] = ()) -> ShardVerified:
    failed = sum(one.failure_count for one in failures)
    return ShardVerified(shard, 1, f"{shard}.1", VerifyTally(4 - failed, 40, failed, 7, 1), failures)


def test_whole_history() -> None:
    h = History().preparing()
    assert h.record.launch_ms == BEGIN_MS + 1000
    h.tell(ShardPlanned(cut()))
    assert h.ordered(MoveShard("000001"))
    assert h.statuses == [PhaseStatus.RUNNING, PhaseStatus.RUNNING, PhaseStatus.PENDING]
    h.out("000001").tell(moved())
    assert h.ordered(VerifyShard("000001"))
    h.tell(ScanEnded(ScanTally(source_listed_count=6, estimated_count=4)))
    assert h.record.execution.state is State.VERIFYING
    h.out("000001").tell(verified())
    assert h.ordered(WriteReport())
    h.tell(ReportWritten("/r"))
    assert (h.record.execution.state, h.record.end_ms, h.record.report_uri) == (State.SUCCESS, h.now_ms, "/r")
    assert h.statuses == [PhaseStatus.SUCCESS] * 3
    assert [(phase.start_ms, phase.end_ms) for phase in h.record.phases] == [
        (BEGIN_MS + 2000, BEGIN_MS + 5000),
        (BEGIN_MS + 3000, BEGIN_MS + 5000),
        (BEGIN_MS + 4000, BEGIN_MS + 6000),
    ]
    assert h.record.tally == Tally(
        scan=ScanTally(source_listed_count=6, estimated_count=4),
        move=MoveTally(4, 40, 44, 0, 2),
        verify=VerifyTally(4, 40, 0, 7, 1),
        to_verify_count=4,
    )
    assert error_of(h.record) == ("", "")


def test_shard_that_is_announced_twice_is_taken_once() -> None:
    h = History().preparing().tell(ShardPlanned(cut()), ShardPlanned(cut()))
    assert h.stale
    assert h.record.execution.planned == 1


def test_scan_goes_on_from_the_last_shard() -> None:
    h = History().preparing().tell(ShardPlanned(cut(1)), ShardPlanned(cut(2)))
    assert h.record.position(Purpose.TRANSFER) == ScanPosition(Tries(), 2, "p2", cut(2).tally)
    assert h.record.position(Purpose.CHECK) == ScanPosition()


def test_message_of_an_old_attempt_is_stale() -> None:
    h = History().preparing().tell(ShardPlanned(cut())).out("000001").out("000001").tell(moved(attempt=1))
    assert h.stale
    assert h.record.tally.move == MoveTally()


def test_message_of_an_unknown_shard_is_stale() -> None:
    assert History().preparing().tell(moved("000099")).stale


def test_broken_call_is_counted_and_the_shard_put_back() -> None:
    h = History().preparing().tell(ShardPlanned(cut())).out("000001")
    h.tell(CallBroken(CallKind.MOVE, "000001", 1, "X", "m", True))
    assert h.commands == ()
    assert h.shards["000001"].state is ShardState.PLANNED
    assert h.record.tally.broken_call_count == 1


def test_shard_given_up_breaks_the_execution_with_its_reason() -> None:
    h = History().preparing().tell(ShardPlanned(cut()))
    for attempt in range(1, BROKEN_LIMIT + 1):
        h.out("000001").tell(CallBroken(CallKind.MOVE, "000001", attempt, "SINK_DOWN", "It is down.", True))
    assert h.commands == (Drain(),)
    assert h.shards["000001"].state is ShardState.FAILED
    h.tell(Drained(), ReportWritten("/r"))
    assert h.record.execution.state is State.ERROR
    code, detail = error_of(h.record)
    assert (code, detail) == ("SINK_DOWN", "Shard 000001 was given up after 5 broken calls: It is down.")
    assert h.statuses == [PhaseStatus.ERROR, PhaseStatus.ERROR, PhaseStatus.PENDING]


def test_listing_that_fails_for_good_breaks_the_execution() -> None:
    h = History().preparing()
    h.record = h.record.with_position(Purpose.TRANSFER, ScanPosition(Tries(1)))
    h.tell(CallBroken(CallKind.SCAN, "", 1, "LIST_FAILED", "m", False, (("path", "x"),)))
    ending = h.record.execution.ending
    assert ending is not None
    assert (ending.reason, dict(ending.coordinates)) == ("LIST_FAILED", {"path": "x", "attempt": "1"})


def test_scan_that_gets_on_is_forgiven_its_broken_calls() -> None:
    h = History().preparing()
    h.record = h.record.with_position(Purpose.TRANSFER, ScanPosition(Tries(4)))
    h.tell(CallBroken(CallKind.SCAN, "", 4, "X", "m", True))
    assert h.record.scan.tries == Tries(4, 1)
    h.tell(ShardPlanned(cut()))
    assert h.record.scan.tries == Tries(4, 0)


def test_broken_call_of_an_old_scan_is_stale() -> None:
    h = History().preparing()
    h.record = h.record.with_position(Purpose.TRANSFER, ScanPosition(Tries(2)))
    assert h.tell(CallBroken(CallKind.SCAN, "", 1, "X", "m", True)).stale


def test_failures_of_all_phases_are_kept_apart() -> None:
    h = History(VerifyMode.POINT_IN_TIME_CONSISTENT).preparing()
    h.tell(ShardPlanned(cut(failures=(failure(PhaseName.PREPARE, "SOURCE_OPEN"),)))).out("000001")
    h.tell(moved(failures=(failure(PhaseName.TRANSFER, "SOURCE_CHANGED"),)), ScanEnded(ScanTally(failed_count=1)))
    assert h.commands == (Scan(Purpose.CHECK),)
    extra = (failure(PhaseName.VERIFY, "FILES_ADDED", 2),)
    h.tell(CheckShardPlanned(cut(check=True, failures=extra)), CheckScanEnded(ScanTally()))
    h.out("c000001").tell(verified("c000001"), ReportWritten("/r"))
    worst = h.record.failures[0]
    assert (worst.reason, worst.failure_count) == ("FILES_ADDED", 2)
    assert len(h.record.failures) == 3
    assert h.record.tally.failed_count == 4
    assert h.statuses == [PhaseStatus.ERROR] * 3
    assert h.record.execution.state is State.ERROR


def test_error_names_the_most_frequent_reason() -> None:
    h = History().preparing().tell(ShardPlanned(cut())).out("000001")
    h.tell(moved(failures=(failure(PhaseName.TRANSFER, "CHECKSUM_FAILURE", 3),)), ScanEnded(cut().tally))
    h.out("000001").tell(verified(), ReportFailed("X", "closed"))
    expected = "3 of 4 entries failed; the most frequent reason is CHECKSUM_FAILURE (3): CHECKSUM_FAILURE happened."
    assert error_of(h.record) == ("FILES_FAILED", expected)
    assert h.record.report_error == "X: closed"


def test_dry_run_begins_no_transfer() -> None:
    h = History(dry_run=True).preparing().tell(ShardPlanned(cut()), ScanEnded(ScanTally()))
    assert h.commands == (WriteReport(),)
    assert not h.shards["000001"].open
    assert h.statuses == [PhaseStatus.SUCCESS, PhaseStatus.PENDING, PhaseStatus.PENDING]
    assert h.record.tally.to_verify_count == 0


def test_launch_that_fails_is_an_error_of_the_first_phase() -> None:
    h = History().tell(Started(), Broken("ACCESS_DENIED", "m"))
    assert h.statuses == [PhaseStatus.ERROR, PhaseStatus.PENDING, PhaseStatus.PENDING]


def test_cancelled_phases_are_not_successes() -> None:
    h = History().preparing().tell(ShardPlanned(cut()), CancelAsked(), Drained(), ReportWritten("/r"))
    assert h.record.execution.state is State.CANCELLED
    assert h.statuses == [PhaseStatus.ERROR, PhaseStatus.ERROR, PhaseStatus.PENDING]
    assert error_of(h.record) == ("", "")


def test_cancel_twice_is_stale() -> None:
    assert History().preparing().tell(CancelAsked(), CancelAsked()).stale


def test_waiting_execution_that_is_cancelled_has_an_end() -> None:
    h = History().tell(CancelAsked())
    assert (h.record.execution.state, h.record.end_ms, h.record.launch_ms) == (State.CANCELLED, h.now_ms, None)


def test_revision_grows_with_time_and_with_each_change() -> None:
    record = History().record
    assert next_revision(record, BEGIN_MS) == 2
    assert next_revision(record, BEGIN_MS + 5000) == 5000
    assert next_revision(replace(record, revision=9000), BEGIN_MS + 5000) == 9001


def test_resume_begins_again_what_was_under_way() -> None:
    def commands(h: History) -> tuple[object, ...]:
        return resumed(h.record, h.shards.values())

    steps: tuple[tuple[Event, tuple[object, ...]], ...] = (
        (Started(), (Launch(),)),
        (Launched(True), (Scan(Purpose.TRANSFER),)),
        (ShardPlanned(cut()), (Scan(Purpose.TRANSFER), MoveShard("000001"))),
        (ScanEnded(ScanTally()), (MoveShard("000001"),)),
        (CancelAsked(), (Drain(),)),
        (Drained(), (WriteReport(),)),
        (ReportWritten("/r"), ()),
    )
    h = History()
    assert commands(h) == ()
    for event, expected in steps:
        assert commands(h.tell(event)) == expected
