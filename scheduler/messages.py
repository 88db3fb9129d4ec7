"""Messages of the internal calls as plain values, and back. Calls nobody."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from blockferry.v1 import location_pb2, task_pb2
from scheduler.counters import MoveTally, ScanTally, VerifyTally
from scheduler.events import Cut
from scheduler.failures import PhaseFailure, PhaseName
from scheduler.record import ScanPosition
from service.v1 import job_pb2, move_pb2, scan_pb2, verify_pb2


@dataclass(frozen=True, slots=True)
class Assignment:
    """What every call of an execution carries. The byte strings are serialised public messages. `earlier_ledger_uris`
    only where the destination is looked at: when it is prepared and scanned."""

    execution: str
    ledger_uri: str
    source: bytes
    destination: bytes
    options: bytes
    earlier_ledger_uris: tuple[str, ...] = ()


def job_message(work: Assignment) -> job_pb2.Job:
    """Returns what every call carries."""
    return job_pb2.Job(
        execution=work.execution,
        ledger_uri=work.ledger_uri,
        source=location_pb2.Location.FromString(work.source),
        destination=location_pb2.Location.FromString(work.destination),
        options=task_pb2.Options.FromString(work.options),
        earlier_ledger_uris=work.earlier_ledger_uris,
    )


def cursor_message(position: ScanPosition) -> scan_pb2.ScanCursor:
    """Returns where a scan is to go on."""
    tally = position.tally
    counts = scan_pb2.ScanCounts(
        source_listed_count=tally.source_listed_count,
        source_listed_bytes=tally.source_listed_bytes,
        destination_listed_count=tally.destination_listed_count,
        destination_listed_bytes=tally.destination_listed_bytes,
        estimated_count=tally.estimated_count,
        estimated_bytes=tally.estimated_bytes,
        estimated_folder_count=tally.estimated_folder_count,
        estimated_metadata_count=tally.estimated_metadata_count,
        skipped_count=tally.skipped_count,
        failed_count=tally.failed_count,
    )
    return scan_pb2.ScanCursor(shard_number=position.number, last_path=position.last_path, counts=counts)


def cut_of(message: scan_pb2.ShardPlanned, phase: PhaseName) -> Cut:
    """Returns a planned shard; `phase` is the one that its failures belong to."""
    return Cut(
        shard=message.shard,
        number=message.cursor.shard_number,
        last_path=message.cursor.last_path,
        tally=scan_tally_of(message.cursor.counts),
        move_count=message.move_count,
        move_bytes=message.move_bytes,
        verify_count=message.verify_count,
        failures=failures_of(message.failures, phase),
    )


def scan_tally_of(counts: scan_pb2.ScanCounts) -> ScanTally:
    """Returns what a scan has found."""
    return ScanTally(
        source_listed_count=counts.source_listed_count,
        source_listed_bytes=counts.source_listed_bytes,
        destination_listed_count=counts.destination_listed_count,
        destination_listed_bytes=counts.destination_listed_bytes,
        estimated_count=counts.estimated_count,
        estimated_bytes=counts.estimated_bytes,
        estimated_folder_count=counts.estimated_folder_count,
        estimated_metadata_count=counts.estimated_metadata_count,
        skipped_count=counts.skipped_count,
        failed_count=counts.failed_count,
    )


def move_tally_of(counts: move_pb2.MoveProgress) -> MoveTally:
    """Returns what an attempt has moved."""
    return MoveTally(
        transferred_count=counts.transferred_count,
        transferred_bytes=counts.transferred_bytes,
        written_bytes=counts.written_bytes,
        failed_count=counts.failed_count,
        retry_count=counts.retry_count,
    )


def verify_tally_of(counts: verify_pb2.VerifyProgress) -> VerifyTally:
    """Returns what an attempt has proved."""
    return VerifyTally(
        verified_count=counts.verified_count,
        verified_bytes=counts.verified_bytes,
        failed_count=counts.failed_count,
        read_back_bytes=counts.read_back_bytes,
        retry_count=counts.retry_count,
    )


def failures_of(groups: Iterable[job_pb2.FailureGroup], phase: PhaseName) -> tuple[PhaseFailure, ...]:
    """Returns grouped failures of one phase."""
    return tuple(
        PhaseFailure(
            phase=phase,
            reason=group.reason,
            code=group.code,
            message=group.message,
            metadata=tuple(sorted(group.metadata.items())),
            failure_count=group.failure_count,
            sample_paths=tuple(group.sample_paths),
        )
        for group in groups
    )
