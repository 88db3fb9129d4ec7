"""PURE: which earlier executions can spare a scan its questions."""

from __future__ import annotations

from collections.abc import Iterable

from blockferry.v1 import task_pb2
from scheduler.record import ExecutionRecord

MOST_LEDGERS = 4


def earlier_ledgers(records: Iterable[ExecutionRecord]) -> tuple[str, ...]:
    """Returns the folders of the ledgers that have seen the destination, the newest first, at most `MOST_LEDGERS`.

    A scan that came to its end holds all that it knew and has seen. So those before it are not needed, and what is read
    does not grow from execution to execution. Behind one that was broken off there is another.

    Args:
        records: other executions between the same locations, newest first.
    """
    uris: list[str] = []
    for record in records:
        uris.append(record.ledger_uri)
        if len(uris) == MOST_LEDGERS or (record.execution.scan_ended and _compared(record)):
            break
    return tuple(uris)


def _compared(record: ExecutionRecord) -> bool:
    return task_pb2.Options.FromString(record.options).transfer != task_pb2.Options.TRANSFER_ALL
