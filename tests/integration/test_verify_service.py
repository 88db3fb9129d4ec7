"""The verifier's service over a real gRPC server, a real HDFS and a real object store. The proving is done by threads
of this process; that of real actors is in test_verifier_actors.py."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import grpc
import pytest

from blockferry.errors import BlockferryError
from blockferry.status import from_rpc_error
from blockferry.v1 import location_pb2, task_pb2
from ledger.ledger import Ledger
from ledger.records import Action, EntryFailure, PlanEntry, Proof, Receipt, Verdict, Why
from service.server import Guard
from service.v1 import job_pb2, verify_pb2, verify_pb2_grpc
from stores.base import Condition, Kind, Stat
from stores.checksum import Algorithm, Checksum, concatenation, empty
from stores.hashing import checksum_of
from stores.hdfs.source import HdfsSource
from stores.location import HdfsLocation, S3Location
from stores.opening import open_sink, open_source
from stores.s3 import S3Store
from tests.support.hdfs import HdfsCluster
from tests.support.ports import free_port
from tests.support.s3 import S3Server
from tests.support.tree import FileSpec, folder
from verifier.api import VerifyServicer, register
from verifier.crew import Crew, StoreShelf
from verifier.pool import ThreadProvers

BLOCK = 1 << 20
CALL_S = 90.0
SHARD, RECEIPTS = "000001", "000001.1"


@dataclass
class Moved:
    """A small tree that was written by its own claims, with its plan and receipts in a ledger."""

    cluster: HdfsCluster
    server: S3Server
    source: HdfsSource
    sink: S3Store
    ledger: Ledger
    job: job_pb2.Job
    plan: dict[str, PlanEntry]
    receipts: dict[str, Receipt]
    bucket: str

    @property
    def root(self) -> str:
        return self.source.location.root

    def write(self, action: Action = Action.COPY) -> None:
        """Writes plan and receipts into the ledger."""
        self.ledger.write_plan(SHARD, [replace(entry, action=action) for entry in self.plan.values()])
        self.ledger.write_receipts(RECEIPTS, self.receipts.values())

    def write_check(self, *more: PlanEntry) -> None:
        """Writes a shard of a check: every entry of the source that was moved, and more."""
        entries = [replace(entry, action=Action.CHECK, why=Why.VERIFY_ASKED) for entry in self.plan.values()]
        self.ledger.write_plan("c000001", [*entries, *more])

    def spoil(self, path: str, body: bytes) -> None:
        """Overwrites an object, with the attributes that it had."""
        kept = self.sink.stat(path)
        assert kept is not None
        assert kept.attributes is not None
        algorithm = kept.checksum.algorithm if kept.checksum else self.receipts[path].checksum.algorithm  # type: ignore[union-attr]
        self.sink.put(path, body, checksum_of(algorithm, body), kept.attributes)


def specs(root: str) -> list[FileSpec]:
    return [
        FileSpec(f"{root}/large", 3 * BLOCK + 5, seed=1),
        FileSpec(f"{root}/small", 700, seed=2),
        FileSpec(f"{root}/empty", 0, seed=3),
        FileSpec(f"{root}/gzip", BLOCK + 1, seed=4, checksum_type="CRC32"),
        FileSpec(f"{root}/unsummed", BLOCK + 2, seed=5, checksum_type="NULL"),
        FileSpec(f"{root}/sp ace+%20 \u00fc", 10, seed=6, owner="alice", group="staff", mode=0o640),
        folder(f"{root}/nothing", owner="bob", mode=0o750),
    ]


def move(source: HdfsSource, sink: S3Store, file: Stat) -> Receipt:
    """Writes one entry as the mover would, with one put."""
    assert file.attributes is not None
    if file.kind is Kind.FOLDER:
        stored = sink.put(file.path, b"", empty(Algorithm.CRC32C), file.attributes)
        return Receipt(file.path, Action.COPY, 0, stored.etag)
    algorithm = source.claimed_algorithm(file)
    body = memoryview(bytearray(file.size_bytes))
    sums: list[tuple[Checksum, int]] = []
    proven = True
    for extent in source.extents(file):
        read = source.read_into(file, extent.offset, body[extent.offset : extent.offset + extent.size], algorithm)
        sums.append((read.checksum, extent.size))
        proven = proven and read.proven
    checksum = concatenation(sums) if sums else empty(algorithm)
    stored = sink.put(file.path, body, checksum, file.attributes)
    return Receipt(file.path, Action.COPY, file.size_bytes, stored.etag, "", checksum, proven, file.version, 1, 1)


@pytest.fixture(scope="module")
def shared_root(hdfs: HdfsCluster) -> str:
    """A tree that no test changes."""
    root = f"/shared-{uuid.uuid4().hex}"
    hdfs.make(specs(root))
    return root


@pytest.fixture
def move_tree(
    hdfs: HdfsCluster, bucket_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[S3Server, str], Moved]]:
    """Moves a tree to a server."""
    sources: list[HdfsSource] = []

    def build(server: S3Server, root: str) -> Moved:
        server.make_bucket(bucket_name)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", server.access_key)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", server.secret_key)
        source = HdfsSource(HdfsLocation((hdfs.namenode,), root))
        sources.append(source)
        sink = S3Store(S3Location(bucket_name, "to/", server.endpoint, "us-east-1"))
        plan = {stat.path: PlanEntry(stat.path, Action.COPY, Why.NEW, stat) for stat in source.list_tree()}
        receipts = {path: move(source, sink, entry.source) for path, entry in plan.items() if entry.source}
        location = location_pb2.Location
        job = job_pb2.Job(
            execution="tasks/t/executions/e",
            ledger_uri=str(tmp_path / "ledger"),
            source=location(hdfs=location_pb2.HdfsLocation(namenodes=[hdfs.namenode], root=root)),
            destination=location(s3=location_pb2.S3Location(bucket=bucket_name, prefix="to", endpoint=server.endpoint)),
        )
        return Moved(hdfs, server, source, sink, Ledger(job.ledger_uri), job, plan, receipts, bucket_name)

    yield build
    for source in sources:
        source.close()


@pytest.fixture
def moved(move_tree: Callable[[S3Server, str], Moved], seaweed: S3Server, shared_root: str) -> Moved:
    """The shared tree at a store that verifies claims."""
    return move_tree(seaweed, shared_root)


@pytest.fixture
def own_moved(
    move_tree: Callable[[S3Server, str], Moved], seaweed: S3Server, hdfs: HdfsCluster, folder_name: str
) -> Moved:
    """A tree of the test's own, whose source it may change."""
    hdfs.make(specs(folder_name))
    return move_tree(seaweed, folder_name)


def with_service(talk: Callable[[verify_pb2_grpc.VerifyServiceStub], Awaitable[None]]) -> None:
    """Runs a conversation with the service."""

    async def run() -> None:
        server = grpc.aio.server(interceptors=(Guard(),))
        servicer = VerifyServicer(ThreadProvers(Crew(StoreShelf(open_source, open_sink), 4)))
        register(server, servicer)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        try:
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                await asyncio.wait_for(talk(verify_pb2_grpc.VerifyServiceStub(channel)), CALL_S)
        finally:
            await server.stop(5)
            await servicer.close()

    asyncio.run(run())


def verify(request: verify_pb2.VerifyShardRequest) -> verify_pb2.ShardVerified:
    """Returns the last message of a good stream. Raises BlockferryError for a failed call."""
    ends: list[verify_pb2.ShardVerified] = []

    async def talk(stub: verify_pb2_grpc.VerifyServiceStub) -> None:
        async for response in stub.VerifyShard(request):
            if response.WhichOneof("message") == "shard_verified":
                ends.append(response.shard_verified)

    try:
        with_service(talk)
    except grpc.aio.AioRpcError as error:
        raise from_rpc_error(error) from error
    (end,) = ends
    return end


def verify_transfer(moved: Moved, trusted: bool = True) -> tuple[verify_pb2.ShardVerified, dict[str, Verdict]]:
    moved.write()
    end = verify(
        verify_pb2.VerifyShardRequest(job=moved.job, shard=SHARD, attempt=2, receipts=RECEIPTS, claims_trusted=trusted)
    )
    assert end.verdicts == f"{SHARD}.2"
    return end, {verdict.path: verdict for verdict in moved.ledger.read_verdicts(end.verdicts)}


def verify_check(
    moved: Moved, *more: PlanEntry, trusted: bool = True
) -> tuple[verify_pb2.ShardVerified, dict[str, Verdict]]:
    moved.write_check(*more)
    request = verify_pb2.VerifyShardRequest(job=moved.job, shard="c000001", attempt=1, claims_trusted=trusted)
    end = verify(request)
    return end, {verdict.path: verdict for verdict in moved.ledger.read_verdicts(end.verdicts)}


def reasons(verdicts: dict[str, Verdict]) -> dict[str, str]:
    return {path: verdict.failure.reason for path, verdict in verdicts.items() if verdict.failure}


def test_transfer_is_proved_by_stored_checksums_without_reading(moved: Moved) -> None:
    end, verdicts = verify_transfer(moved)
    assert reasons(verdicts) == {}
    assert set(verdicts) == set(moved.plan)
    assert end.counts.verified_count == len(moved.plan)
    assert end.counts.verified_bytes == sum(entry.source.size_bytes for entry in moved.plan.values() if entry.source)
    assert end.counts.read_back_bytes == 0
    assert {path: verdict.proof for path, verdict in verdicts.items()} == {
        path: Proof.NONE if path.endswith("/") else Proof.STORED_CHECKSUM for path in moved.plan
    }
    assert not verdicts["unsummed"].source_proven
    assert verdicts["large"].source_proven


def test_objects_that_differ_fail_one_by_one(moved: Moved) -> None:
    moved.spoil("large", b"x" * (3 * BLOCK + 5))
    moved.spoil("small", b"too short")
    client = moved.server.client()
    client.delete_object(Bucket=moved.bucket, Key="to/gzip")
    entry = moved.plan["unsummed"]
    assert entry.source is not None
    assert entry.source.attributes is not None
    attributes = replace(entry.source.attributes, owner="mallory")
    moved.plan["unsummed"] = replace(entry, source=replace(entry.source, attributes=attributes))
    end, verdicts = verify_transfer(moved)
    assert reasons(verdicts) == {
        "large": "CHECKSUM_FAILURE",
        "small": "SIZE_DIFFERS",
        "gzip": "OBJECT_MISSING",
        "unsummed": "METADATA_FAILURE",
    }
    assert end.counts.failed_count == 4
    assert end.counts.verified_count == len(moved.plan) - 4
    assert {group.reason: group.failure_count for group in end.failures}["CHECKSUM_FAILURE"] == 1


def test_source_that_was_changed_is_told(own_moved: Moved) -> None:
    own_moved.cluster.shell("-rm", "-skipTrash", f"{own_moved.root}/small")
    own_moved.cluster.make([FileSpec(f"{own_moved.root}/large", 3 * BLOCK + 5, seed=99)])
    _, verdicts = verify_transfer(own_moved)
    assert reasons(verdicts) == {"small": "SOURCE_CHANGED", "large": "SOURCE_CHANGED"}


def test_file_that_is_being_written_is_proved_up_to_its_known_length(own_moved: Moved) -> None:
    held = own_moved.cluster.hold_open(f"{own_moved.root}/growing", BLOCK + 100, seed=7)
    try:
        stat = own_moved.source.stat("growing")
        assert stat is not None
        assert stat.condition is Condition.OPEN
        own_moved.plan["growing"] = PlanEntry("growing", Action.COPY, Why.NEW, stat)
        own_moved.receipts["growing"] = move(own_moved.source, own_moved.sink, stat)
    finally:
        held.close()
    _, verdicts = verify_transfer(own_moved)
    assert reasons(verdicts) == {}


def test_entries_that_failed_before_get_no_verdict(moved: Moved) -> None:
    failed = EntryFailure("ACCESS_DENIED", "no")
    moved.receipts["small"] = Receipt("small", Action.COPY, failure=failed)
    _, verdicts = verify_transfer(moved)
    assert "small" not in verdicts


def test_untrusted_store_is_read_back(moved: Moved) -> None:
    moved.spoil("small", b"y" * 700)
    end, verdicts = verify_transfer(moved, trusted=False)
    assert reasons(verdicts) == {"small": "CHECKSUM_FAILURE"}
    assert {verdict.proof for path, verdict in verdicts.items() if not path.endswith("/")} == {Proof.READ_BACK}
    assert end.counts.read_back_bytes == sum(entry.source.size_bytes for entry in moved.plan.values() if entry.source)


def test_store_that_takes_any_claim_is_caught_by_reading_back(
    move_tree: Callable[[S3Server, str], Moved], rclone_s3: S3Server, shared_root: str
) -> None:
    moved = move_tree(rclone_s3, shared_root)
    body = b"z" * 700
    small = moved.plan["small"].source
    assert small is not None
    assert small.attributes is not None
    receipt = moved.receipts["small"]
    assert receipt.checksum is not None
    moved.sink.put("small", body, receipt.checksum, small.attributes)  # a claim that is not true of the body
    _, verdicts = verify_transfer(moved, trusted=False)
    assert reasons(verdicts)["small"] == "CHECKSUM_FAILURE"
    assert "large" not in reasons(verdicts) or reasons(verdicts)["large"] == "METADATA_FAILURE"


def test_check_asks_the_datanodes_anew(moved: Moved) -> None:
    end, verdicts = verify_check(moved)
    assert reasons(verdicts) == {}
    assert end.counts.verified_count == len(moved.plan)
    assert end.counts.read_back_bytes == 0
    assert verdicts["large"].proof is Proof.STORED_CHECKSUM
    assert verdicts["gzip"].proof is Proof.STORED_CHECKSUM
    assert verdicts["large"].source_proven
    # No sums are kept of it: its data was read at the source.
    assert verdicts["unsummed"].proof is Proof.READ_BACK
    assert not verdicts["unsummed"].source_proven


def test_check_of_an_untrusted_store_reads_back(moved: Moved) -> None:
    moved.spoil("large", b"x" * (3 * BLOCK + 5))
    end, verdicts = verify_check(moved, trusted=False)
    assert reasons(verdicts) == {"large": "CHECKSUM_FAILURE"}
    assert end.counts.read_back_bytes > 0


def test_check_finds_what_differs_now(own_moved: Moved) -> None:
    own_moved.spoil("gzip", b"x" * (BLOCK + 1))
    own_moved.cluster.make([FileSpec(f"{own_moved.root}/small", 701, seed=98)])
    own_moved.cluster.shell("-chmod", "600", f"{own_moved.root}/empty")
    _, verdicts = verify_check(own_moved)
    assert reasons(verdicts) == {"gzip": "CHECKSUM_FAILURE", "small": "SIZE_DIFFERS", "empty": "METADATA_FAILURE"}


def test_one_sided_entries_get_verdicts_and_are_not_counted_again(moved: Moved) -> None:
    missing = EntryFailure("FILE_MISSING", "at the source only")
    extra = EntryFailure("FILE_EXTRA", "at the destination only")
    stat = Stat("x", Kind.FILE, 3, 1)
    end, verdicts = verify_check(
        moved,
        PlanEntry("x", Action.MISSING, Why.ONE_SIDED, stat, None, missing),
        PlanEntry("y", Action.EXTRA, Why.ONE_SIDED, None, replace(stat, path="y"), extra),
    )
    assert reasons(verdicts) == {"x": "FILE_MISSING", "y": "FILE_EXTRA"}
    assert end.counts.failed_count == 0
    assert end.counts.verified_count == len(moved.plan)
    assert list(end.failures) == []


def test_change_of_metadata_is_proved_by_size_and_attributes(moved: Moved) -> None:
    moved.receipts = {
        path: replace(receipt, action=Action.METADATA, checksum=None) for path, receipt in moved.receipts.items()
    }
    moved.write(Action.METADATA)
    request = verify_pb2.VerifyShardRequest(
        job=moved.job, shard=SHARD, attempt=1, receipts=RECEIPTS, claims_trusted=True
    )
    end = verify(request)
    verdicts = {verdict.path: verdict for verdict in moved.ledger.read_verdicts(end.verdicts)}
    assert reasons(verdicts) == {}
    assert verdicts["large"].proof is Proof.SIZE_ONLY


def test_missing_ledger_fails_the_call(moved: Moved) -> None:
    request = verify_pb2.VerifyShardRequest(job=moved.job, shard="000009", attempt=1, receipts="000009.1")
    with pytest.raises(BlockferryError) as caught:
        verify(request)
    assert caught.value.reason == "LEDGER_MISSING"


def test_unreachable_store_fails_the_call_and_writes_no_verdicts(moved: Moved, tmp_path: Path) -> None:
    moved.write()
    moved.job.destination.s3.endpoint = f"http://127.0.0.1:{free_port()}"
    request = verify_pb2.VerifyShardRequest(
        job=moved.job, shard=SHARD, attempt=1, receipts=RECEIPTS, claims_trusted=True
    )
    with pytest.raises(BlockferryError) as caught:
        verify(request)
    assert caught.value.retryable
    assert not (tmp_path / "ledger" / "verdicts").exists()


def test_cancelled_call_stops_the_work(moved: Moved, tmp_path: Path) -> None:
    moved.write()
    moved.job.source.hdfs.namenodes[:] = [f"127.0.0.1:{free_port()}"]  # so that every entry is retried for long
    request = verify_pb2.VerifyShardRequest(
        job=moved.job, shard=SHARD, attempt=1, receipts=RECEIPTS, claims_trusted=True
    )

    async def talk(stub: verify_pb2_grpc.VerifyServiceStub) -> None:
        call = stub.VerifyShard(request)
        async for _ in call:
            break
        call.cancel()

    with_service(talk)  # closes the provers: returns only when their threads have ended
    assert not (tmp_path / "ledger" / "verdicts").exists()


def test_report_is_written_by_the_service(moved: Moved, tmp_path: Path) -> None:
    moved.spoil("small", b"q" * 700)
    end, _ = verify_transfer(moved)
    moved.job.options.CopyFrom(task_pb2.Options(report_uri=str(tmp_path / "report")))
    request = verify_pb2.WriteReportRequest(
        job=moved.job,
        summary_json='{"state": "ERROR"}',
        shards=[verify_pb2.ReportShard(shard=SHARD, receipts=RECEIPTS, verdicts=end.verdicts)],
    )
    uris: list[str] = []

    async def talk(stub: verify_pb2_grpc.VerifyServiceStub) -> None:
        async for response in stub.WriteReport(request):
            uris.append(response.report_uri)

    with_service(talk)
    assert uris[-1] == str(tmp_path / "report")
    summary = json.loads((tmp_path / "report" / "summary.json").read_text())
    assert summary["state"] == "ERROR"
    assert summary["report"]["failures"][0]["reason"] == "CHECKSUM_FAILURE"


@pytest.mark.parametrize("text", ["", "[1]", "{"])
def test_summary_that_is_no_object_is_refused(moved: Moved, text: str) -> None:
    async def talk(stub: verify_pb2_grpc.VerifyServiceStub) -> None:
        async for _ in stub.WriteReport(verify_pb2.WriteReportRequest(job=moved.job, summary_json=text)):
            pass

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        with_service(talk)
    assert from_rpc_error(caught.value).reason == "INVALID_ARGUMENT"
