"""Messages of the scanner's servicer and the values inside."""

from __future__ import annotations

import asyncio
from dataclasses import fields

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blockferry.errors import BlockferryError
from ledger.failures import FailureGroup
from scanner.api import cursor_from_proto, purpose_from_proto, register, response_to_proto
from scanner.facts import Counts, Cursor, Listed, PlannedShard, Scanned, ScanPurpose
from service.v1 import scan_pb2

COUNTS = st.builds(Counts, **{field.name: st.integers(0, 1 << 60) for field in fields(Counts)})
CURSORS = st.builds(Cursor, st.integers(0, 1 << 30), st.text(), COUNTS)


@given(CURSORS)
def test_a_cursor_comes_back_as_it_was_told(cursor: Cursor) -> None:
    told = response_to_proto(PlannedShard("000001", 0, 0, 0, cursor)).shard_planned.cursor
    assert cursor_from_proto(scan_pb2.ScanCursor.FromString(told.SerializeToString())) == cursor


def test_no_cursor_means_from_the_begin() -> None:
    assert cursor_from_proto(scan_pb2.ScanRequest().cursor) == Cursor()


def test_a_shard_tells_its_sums_and_failures() -> None:
    group = FailureGroup("SOURCE_OPEN", 9, "open", (("path", "a"),), 7, ("a", "b"))
    shard = response_to_proto(PlannedShard("000017", 3, 40, 2, Cursor(17, "z"), (group,))).shard_planned
    assert (shard.shard, shard.move_count, shard.move_bytes, shard.verify_count) == ("000017", 3, 40, 2)
    assert (shard.failures[0].reason, shard.failures[0].failure_count) == ("SOURCE_OPEN", 7)
    assert list(shard.failures[0].sample_paths) == ["a", "b"]


def test_signs_of_life_and_the_end_tell_counts() -> None:
    counts = Counts(skipped_count=4)
    assert response_to_proto(Listed(counts)).progress.counts.skipped_count == 4
    assert response_to_proto(Scanned(counts)).scan_ended.counts.skipped_count == 4


def test_purposes() -> None:
    request = scan_pb2.ScanRequest
    assert purpose_from_proto(request(purpose=request.PURPOSE_TRANSFER)) is ScanPurpose.TRANSFER
    assert purpose_from_proto(request(purpose=request.PURPOSE_CHECK)) is ScanPurpose.CHECK
    with pytest.raises(BlockferryError, match="INVALID_ARGUMENT"):
        purpose_from_proto(request())


def test_the_service_is_registered_under_its_full_name() -> None:
    async def names() -> tuple[str, ...]:
        return register(grpc.aio.server())

    assert asyncio.run(names()) == ("service.v1.ScanService",)
