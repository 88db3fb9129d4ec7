"""A ledger and its report in a bucket of a real object store."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest

from blockferry.errors import BlockferryError
from ledger.ledger import Ledger
from ledger.records import Action, PlanEntry, Receipt, UploadNote, Why
from ledger.report import ShardNames, write_report
from stores.base import Kind, Stat, Upload
from stores.checksum import Algorithm
from tests.support.s3 import SeaweedServer


@pytest.fixture
def uri(seaweed: SeaweedServer, bucket_name: str) -> str:
    """A folder in an empty bucket."""
    seaweed.make_bucket(bucket_name)
    keys = f"{quote(seaweed.access_key, safe='')}:{quote(seaweed.secret_key, safe='')}"
    endpoint = quote(seaweed.endpoint.removeprefix("http://"), safe="")
    return f"s3://{keys}@{bucket_name}/ledgers/one?scheme=http&endpoint_override={endpoint}&region=us-east-1"


def entries(count: int) -> tuple[PlanEntry, ...]:
    return tuple(
        PlanEntry(f"f{number:06d}", Action.COPY, Why.NEW, Stat(f"f{number:06d}", Kind.FILE, number, 1))
        for number in range(count)
    )


def test_plan_comes_back_from_a_bucket(uri: str) -> None:
    ledger = Ledger(uri)
    ledger.write_plan("000001", entries(5000))
    ledger.write_plan("000001", entries(4000))
    assert Ledger(uri).read_plan("000001") == entries(4000)


def test_missing_file_in_a_bucket_is_named_without_keys(uri: str, bucket_name: str, seaweed: SeaweedServer) -> None:
    with pytest.raises(BlockferryError) as caught:
        Ledger(uri).read_plan("000001")
    assert caught.value.reason == "LEDGER_MISSING"
    assert caught.value.coordinates["path"] == f"s3://{bucket_name}/ledgers/one/plan/000001.parquet"
    assert seaweed.secret_key not in str(caught.value)


def test_upload_notes_live_in_a_bucket(uri: str) -> None:
    ledger = Ledger(uri)
    assert ledger.upload_notes("000001") == ()
    note = UploadNote(Upload("a", "k/a", "u", Algorithm.CRC32C), "v", 5)
    ledger.note_upload("000001", note)
    assert ledger.upload_notes("000001") == (note,)
    ledger.drop_upload("000001", "a")
    ledger.drop_upload("000001", "a")
    assert ledger.upload_notes("000001") == ()


def test_report_is_written_into_a_bucket(uri: str, bucket_name: str, seaweed: SeaweedServer) -> None:
    ledger = Ledger(uri)
    ledger.write_plan("000001", entries(3))
    ledger.write_receipts("000001.1", [Receipt("f000001", Action.COPY, 1)])
    assert (
        write_report(ledger, {"a": 1}, [ShardNames("000001", "000001.1")]) == f"s3://{bucket_name}/ledgers/one/report"
    )
    client = seaweed.client()
    summary = client.get_object(Bucket=bucket_name, Key="ledgers/one/report/summary.json")["Body"].read()
    assert json.loads(summary)["report"]["entries"]["TRANSFERRED"] == 1
    csv = client.get_object(Bucket=bucket_name, Key="ledgers/one/report/transferred.csv")["Body"].read()
    assert csv.splitlines()[1].startswith(b"f000001,COPY,NEW,1,")
