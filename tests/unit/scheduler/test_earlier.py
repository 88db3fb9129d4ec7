"""Which ledgers a scan is told of."""

from dataclasses import replace

from blockferry.v1 import task_pb2
from scheduler.earlier import MOST_LEDGERS, earlier_ledgers
from scheduler.machine import Execution, VerifyMode
from scheduler.record import ExecutionRecord

CHANGED = task_pb2.Options(transfer=task_pb2.Options.TRANSFER_CHANGED).SerializeToString()
ALL = task_pb2.Options(transfer=task_pb2.Options.TRANSFER_ALL).SerializeToString()


def record(name: str, *, scanned: bool = True, options: bytes = CHANGED) -> ExecutionRecord:
    execution = replace(Execution(name, VerifyMode.NONE), scan_ended=scanned)
    return ExecutionRecord(execution, "tasks/t", 0, options, ledger_uri=f"/ledgers/{name}")


def test_a_whole_scan_makes_those_before_it_needless() -> None:
    assert earlier_ledgers([record("3"), record("2"), record("1")]) == ("/ledgers/3",)
    assert earlier_ledgers([]) == ()


def test_behind_a_scan_that_was_broken_off_there_is_another() -> None:
    records = [record("3", scanned=False), record("2"), record("1")]
    assert earlier_ledgers(records) == ("/ledgers/3", "/ledgers/2")


def test_what_wrote_all_has_looked_at_nothing_but_its_own() -> None:
    assert earlier_ledgers([record("3", options=ALL), record("2"), record("1")]) == ("/ledgers/3", "/ledgers/2")


def test_they_do_not_become_more_and_more() -> None:
    records = [record(str(number), scanned=False) for number in range(9)]
    assert len(earlier_ledgers(records)) == MOST_LEDGERS
