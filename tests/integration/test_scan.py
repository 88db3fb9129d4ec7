"""The scanner as a process of its own, between a real HDFS and real S3 servers."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import grpc
import pytest

from blockferry.errors import BlockferryError
from blockferry.status import from_rpc_error
from blockferry.v1 import location_pb2, task_pb2
from ledger.ledger import Ledger
from ledger.records import Action, PlanEntry, Why
from service.jobs import location_from_proto
from service.v1 import job_pb2, scan_pb2, scan_pb2_grpc
from stores.base import Kind, Sink
from stores.checksum import Algorithm
from stores.hashing import checksum_of
from stores.opening import open_sink
from tests.support.hdfs import HdfsCluster
from tests.support.ports import free_port
from tests.support.processes import Child, wait_for
from tests.support.s3 import RcloneServer, S3Server, SeaweedServer
from tests.support.tree import FileSpec, folder
from tests.support.trees import odd_names

T = TypeVar("T")
ROOT = Path(__file__).parents[2]
UNSPECIFIED = scan_pb2.ScanRequest.PURPOSE_UNSPECIFIED
TRANSFER, CHECK = scan_pb2.ScanRequest.PURPOSE_TRANSFER, scan_pb2.ScanRequest.PURPOSE_CHECK
DEADLINE_S = 60.0
MTIME_MS = 1_700_000_000_123


@dataclass(frozen=True, slots=True)
class Scanner:
    """A running scanner and a connection to it."""

    child: Child
    address: str
    stub: scan_pb2_grpc.ScanServiceStub
    trace_file: Path

    def scan(
        self,
        job: job_pb2.Job,
        purpose: scan_pb2.ScanRequest.Purpose = TRANSFER,
        cursor: scan_pb2.ScanCursor | None = None,
        attempt: int = 1,
    ) -> list[scan_pb2.ScanResponse]:
        """Returns all messages of a scan. Raises the scanner's BlockferryError."""
        request = scan_pb2.ScanRequest(job=job, purpose=purpose, cursor=cursor, attempt=attempt)
        return answered(lambda: list(self.stub.Scan(request, timeout=DEADLINE_S)))

    def prepare(self, job: job_pb2.Job, dry_run: bool = False) -> scan_pb2.PrepareResponse:
        """Prepares a job. Raises the scanner's BlockferryError."""
        request = scan_pb2.PrepareRequest(job=job, dry_run=dry_run)
        return answered(lambda: self.stub.Prepare(request, timeout=DEADLINE_S))

    def check(self, location: location_pb2.Location, write: bool = False) -> Sequence[location_pb2.LocationCheck]:
        """Tests a location."""
        request = scan_pb2.CheckLocationRequest(location=location, write=write)
        return answered(lambda: self.stub.CheckLocation(request, timeout=DEADLINE_S)).checks

    def spans(self) -> list[dict[str, Any]]:
        """Returns the spans that have ended up to now."""
        return [json.loads(line) for line in self.trace_file.read_text().splitlines()]


def answered(call: Callable[[], T]) -> T:
    try:
        return call()
    except grpc.RpcError as error:
        raise from_rpc_error(error) from error


@pytest.fixture(scope="module")
def scanner(tmp_path_factory: pytest.TempPathFactory, seaweed: SeaweedServer) -> Iterator[Scanner]:
    place = tmp_path_factory.mktemp("scanner")
    address, trace_file = f"127.0.0.1:{free_port()}", place / "spans.jsonl"
    environment = {
        "PYTHONPATH": f"{ROOT}:{ROOT / 'sdk' / 'src'}",
        "AWS_ACCESS_KEY_ID": seaweed.access_key,
        "AWS_SECRET_ACCESS_KEY": seaweed.secret_key,
        "BLOCKFERRY_TRACE_FILE": str(trace_file),
    }
    arguments = (sys.executable, "-m", "scanner", "--listen", address)
    child = Child.start("scanner", arguments, place / "scanner.log", environment=environment)
    with grpc.insecure_channel(address) as channel:
        grpc.channel_ready_future(channel).result(DEADLINE_S)
        yield Scanner(child, address, scan_pb2_grpc.ScanServiceStub(channel), trace_file)
    assert child.stop() == 0, "SIGTERM ends it well"


def hdfs_location(namenode: str, root: str, user: str = "") -> location_pb2.Location:
    return location_pb2.Location(hdfs=location_pb2.HdfsLocation(namenodes=[namenode], root=root, user=user))


def s3_location(endpoint: str, bucket: str, keys_file: Path | None = None) -> location_pb2.Location:
    credentials = location_pb2.CredentialsReference(file=str(keys_file)) if keys_file else None
    s3 = location_pb2.S3Location(bucket=bucket, prefix="lake", endpoint=endpoint, credentials=credentials)
    return location_pb2.Location(s3=s3)


@dataclass(slots=True)
class Place:
    """A folder in HDFS, a bucket, and ledgers of one test."""

    hdfs: HdfsCluster
    server: S3Server
    root: str
    bucket: str
    ledgers: Path
    ledger_count: int = 0

    def make(self, *files: FileSpec) -> None:
        self.hdfs.make([folder(self.root), *files])

    def job(
        self,
        user: str = "",
        source: location_pb2.Location | None = None,
        destination: location_pb2.Location | None = None,
        options: task_pb2.Options | None = None,
    ) -> job_pb2.Job:
        """Returns a job with a new ledger."""
        self.ledger_count += 1
        return job_pb2.Job(
            execution="tasks/t/executions/e",
            ledger_uri=str(self.ledgers / str(self.ledger_count)),
            source=source or hdfs_location(self.hdfs.namenode, self.root, user),
            destination=destination or s3_location(self.server.endpoint, self.bucket),
            options=options,
        )

    def sink(self) -> Sink:
        """Returns the destination, with the keys of the scanner's environment."""
        return open_sink(location_from_proto(s3_location(self.server.endpoint, self.bucket)))


@pytest.fixture
def place(
    hdfs: HdfsCluster,
    seaweed: SeaweedServer,
    folder_name: str,
    bucket_name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Place:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", seaweed.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", seaweed.secret_key)
    return Place(hdfs, seaweed, folder_name, seaweed.make_bucket(bucket_name), tmp_path)


def shards_in(messages: Iterable[scan_pb2.ScanResponse]) -> list[scan_pb2.ShardPlanned]:
    return [message.shard_planned for message in messages if message.HasField("shard_planned")]


def plan_of(job: job_pb2.Job, messages: Sequence[scan_pb2.ScanResponse]) -> list[PlanEntry]:
    """Returns the plan of a scan that has ended well."""
    assert messages[-1].HasField("scan_ended")
    ledger = Ledger(job.ledger_uri)
    return [entry for shard in shards_in(messages) for entry in ledger.read_plan(shard.shard)]


def carry_out(sink: Sink, plan: Iterable[PlanEntry]) -> None:
    """Does what the mover would, with zeros for content."""
    for entry in plan:
        if entry.source is None or entry.source.attributes is None:
            continue
        if entry.action is Action.METADATA and entry.source.kind is Kind.FILE:
            sink.set_attributes(entry.path, entry.source.attributes, Algorithm.CRC32C)
        elif entry.action in (Action.COPY, Action.METADATA):
            body = bytes(entry.source.size_bytes)
            sink.put(entry.path, body, checksum_of(Algorithm.CRC32C, body), entry.source.attributes)


def decisions(plan: Iterable[PlanEntry]) -> dict[str, tuple[Action, Why]]:
    return {entry.path: (entry.action, entry.why) for entry in plan}


def test_every_name_is_planned_in_key_order_and_nothing_is_left_when_it_was_moved(
    scanner: Scanner, place: Place
) -> None:
    made = odd_names(place.root)
    place.make(*made)
    job = place.job()
    plan = plan_of(job, scanner.scan(job))
    paths = [entry.path for entry in plan]
    assert paths == sorted(paths, key=str.encode)
    assert {spec.path.removeprefix(f"{place.root}/") for spec in made} <= {path.removesuffix("/") for path in paths}
    assert "empty/" in paths
    assert set(decisions(plan).values()) == {(Action.COPY, Why.NEW)}
    assert all(entry.source and (entry.source.layout or entry.source.kind is Kind.FOLDER) for entry in plan)

    carry_out(place.sink(), plan)
    again = place.job()
    messages = scanner.scan(again)
    left = plan_of(again, messages)
    # SeaweedFS keeps no attributes of folders.
    assert [entry for entry in left if entry.action is not Action.METADATA or not entry.path.endswith("/")] == []
    counts = messages[-1].scan_ended.counts
    assert counts.skipped_count + len(left) == len(plan)
    assert counts.source_listed_count == counts.destination_listed_count == len(plan)


def test_a_second_scan_finds_what_changed(scanner: Scanner, place: Place) -> None:
    names = ["same", "grown", "touched", "chmod", "chown", "deleted"]
    place.make(*(FileSpec(f"{place.root}/{name}", size=5, mtime_ms=MTIME_MS) for name in names))
    first = place.job()
    carry_out(place.sink(), plan_of(first, scanner.scan(first)))

    place.hdfs.shell("-rm", "-skipTrash", f"{place.root}/grown", f"{place.root}/deleted")
    place.hdfs.shell("-chmod", "600", f"{place.root}/chmod")
    place.hdfs.shell("-chown", "ada:lovelace", f"{place.root}/chown")
    place.hdfs.shell("-touch", "-m", "-t", "20200101:000000", f"{place.root}/touched")
    place.make(FileSpec(f"{place.root}/grown", size=6, mtime_ms=MTIME_MS), FileSpec(f"{place.root}/new/er", size=1))
    job = place.job()
    messages = scanner.scan(job)
    assert decisions(plan_of(job, messages)) == {
        "chmod": (Action.METADATA, Why.ATTRIBUTES_DIFFER),
        "chown": (Action.METADATA, Why.ATTRIBUTES_DIFFER),
        "grown": (Action.COPY, Why.SIZE_DIFFERS),
        "new/": (Action.COPY, Why.NEW),
        "new/er": (Action.COPY, Why.NEW),
        "touched": (Action.COPY, Why.TIME_DIFFERS),
    }
    counts = messages[-1].scan_ended.counts
    assert (counts.skipped_count, counts.estimated_metadata_count, counts.destination_listed_count) == (1, 2, 6)


def test_all_copies_everything_again(scanner: Scanner, place: Place) -> None:
    place.make(FileSpec(f"{place.root}/a", size=5))
    first = place.job()
    carry_out(place.sink(), plan_of(first, scanner.scan(first)))
    job = place.job(options=task_pb2.Options(transfer=task_pb2.Options.TRANSFER_ALL))
    messages = scanner.scan(job)
    assert decisions(plan_of(job, messages)) == {"a": (Action.COPY, Why.ALL_ASKED)}
    assert messages[-1].scan_ended.counts.destination_listed_count == 0


def test_a_scan_goes_on_from_its_cursor(scanner: Scanner, place: Place) -> None:
    place.make(*(FileSpec(f"{place.root}/f{number:03d}/x", size=number) for number in range(100)))
    whole = place.job()
    messages = scanner.scan(whole)
    shards = shards_in(messages)
    assert len(shards) > 1, "the first shard is closed early"
    resumed = place.job()
    rest = scanner.scan(resumed, cursor=shards[0].cursor, attempt=2)
    ledger = Ledger(whole.ledger_uri)
    together = [*ledger.read_plan(shards[0].shard), *plan_of(resumed, rest)]
    assert without_layouts(together) == without_layouts(plan_of(whole, messages))
    assert rest[-1].scan_ended == messages[-1].scan_ended
    assert shards_in(rest)[0].shard == "000002-2"


def without_layouts(plan: Iterable[PlanEntry]) -> list[PlanEntry]:
    """Returns a plan that can be compared: layouts hold how full each DataNode is, which changes by the second."""
    return [replace(entry, source=entry.source and replace(entry.source, layout=b"")) for entry in plan]


def test_a_root_that_is_one_file_is_one_entry(scanner: Scanner, place: Place) -> None:
    place.make(FileSpec(f"{place.root}/only", size=9))
    job = place.job(source=hdfs_location(place.hdfs.namenode, f"{place.root}/only"))
    scanner.prepare(job)
    assert decisions(plan_of(job, scanner.scan(job))) == {"only": (Action.COPY, Why.NEW)}


def test_an_empty_root_leaves_nothing_to_do(scanner: Scanner, place: Place) -> None:
    place.make()
    job = place.job()
    assert scanner.prepare(job).claims_trusted
    assert plan_of(job, scanner.scan(job)) == []


def test_a_check_tells_what_is_on_one_side_only(scanner: Scanner, place: Place) -> None:
    place.make(FileSpec(f"{place.root}/both", size=5), FileSpec(f"{place.root}/lost", size=5))
    first = place.job()
    carry_out(place.sink(), [entry for entry in plan_of(first, scanner.scan(first)) if entry.path != "lost"])
    place.server.client().put_object(Bucket=place.bucket, Key="lake/extra", Body=b"x")
    job = place.job(options=task_pb2.Options(verify=task_pb2.Options.VERIFY_POINT_IN_TIME_CONSISTENT))
    messages = scanner.scan(job, CHECK)
    assert {entry.path: entry.action for entry in plan_of(job, messages)} == {
        "both": Action.CHECK,
        "extra": Action.EXTRA,
        "lost": Action.MISSING,
    }
    shard = shards_in(messages)[0]
    assert (shard.shard, shard.verify_count, shard.move_count) == ("c000001", 1, 0)
    assert {group.reason: list(group.sample_paths) for group in shard.failures} == {
        "FILE_EXTRA": ["extra"],
        "FILE_MISSING": ["lost"],
    }


def test_an_open_file_is_copied_or_refused_by_option(scanner: Scanner, place: Place) -> None:
    place.make(FileSpec(f"{place.root}/closed", size=5))
    held = place.hdfs.hold_open(f"{place.root}/open", size=3, seed=1)
    try:
        copying = place.job()
        assert decisions(plan_of(copying, scanner.scan(copying)))["open"] == (Action.COPY, Why.NEW)
        failing = place.job(options=task_pb2.Options(open_files=task_pb2.Options.OPEN_FILES_FAIL))
        messages = scanner.scan(failing)
        assert decisions(plan_of(failing, messages))["open"] == (Action.REFUSE, Why.REFUSED)
        assert [group.reason for group in shards_in(messages)[0].failures] == ["SOURCE_OPEN"]
    finally:
        held.close()


def test_a_path_that_is_no_key_is_refused_and_its_neighbours_are_not(scanner: Scanner, place: Place) -> None:
    place.make(FileSpec(f"{place.root}/tab\tname", size=5), FileSpec(f"{place.root}/good", size=5))
    job = place.job()
    messages = scanner.scan(job)
    assert decisions(plan_of(job, messages)) == {
        "good": (Action.COPY, Why.NEW),
        "tab\tname": (Action.REFUSE, Why.REFUSED),
    }
    assert [group.reason for group in shards_in(messages)[0].failures] == ["INVALID_KEY"]
    assert messages[-1].scan_ended.counts.failed_count == 1


def failure_of(call: Callable[[], object]) -> BlockferryError:
    with pytest.raises(BlockferryError) as raised:
        call()
    return raised.value


def test_no_permission_for_the_root_fails_and_names_it(scanner: Scanner, place: Place) -> None:
    place.make(FileSpec(f"{place.root}/a"))
    place.hdfs.shell("-chmod", "700", place.root)
    for call in (scanner.prepare, scanner.scan):
        error = failure_of(partial(call, place.job(user="stranger")))
        assert error.reason == "ACCESS_DENIED"
        assert place.root in error.message
        assert not error.retryable


def test_no_permission_for_a_folder_below_fails_the_scan_and_names_it(scanner: Scanner, place: Place) -> None:
    place.make(FileSpec(f"{place.root}/a"), FileSpec(f"{place.root}/secret/b"), FileSpec(f"{place.root}/z"))
    place.hdfs.shell("-chmod", "700", f"{place.root}/secret")
    error = failure_of(lambda: scanner.scan(place.job(user="stranger")))
    assert error.reason == "ACCESS_DENIED"
    assert f"{place.root}/secret" in error.message
    assert error.coordinates["side"] == "source"


def test_a_missing_path_is_named_with_its_cure(scanner: Scanner, place: Place) -> None:
    error = failure_of(lambda: scanner.prepare(place.job()))
    assert error.reason == "SOURCE_NOT_FOUND"
    assert place.root in error.message
    assert "check the path" in error.message


def test_a_wrong_bucket_is_named(scanner: Scanner, place: Place) -> None:
    place.make()
    destination = s3_location(place.server.endpoint, "no-such-bucket-here")
    for call in (scanner.prepare, scanner.scan):
        error = failure_of(partial(call, place.job(destination=destination)))
        assert error.reason == "BUCKET_NOT_FOUND"
        assert error.coordinates["bucket"] == "no-such-bucket-here"


@pytest.mark.parametrize("wrong", ["key", "secret"])
def test_wrong_keys_are_told(scanner: Scanner, place: Place, wrong: str) -> None:
    place.make()
    key = "NOBODYSKEY0000000001" if wrong == "key" else place.server.access_key
    keys = place.ledgers / "keys"
    keys.write_text(f"[default]\naws_access_key_id = {key}\naws_secret_access_key = not-the-secret\n")
    destination = s3_location(place.server.endpoint, place.bucket, keys)
    error = failure_of(lambda: scanner.prepare(place.job(destination=destination)))
    assert error.reason == "CREDENTIALS_REFUSED"
    assert "not-the-secret" not in str(error)


def test_an_s3_store_that_is_down_is_told(scanner: Scanner, place: Place) -> None:
    place.make()
    destination = s3_location(f"http://127.0.0.1:{free_port()}", place.bucket)
    for call in (scanner.prepare, scanner.scan):
        error = failure_of(partial(call, place.job(destination=destination)))
        assert error.reason == "STORE_UNAVAILABLE"
        assert error.retryable


def test_a_namenode_that_is_down_is_told(scanner: Scanner, place: Place) -> None:
    namenode = f"127.0.0.1:{free_port()}"
    for call in (scanner.prepare, scanner.scan):
        error = failure_of(partial(call, place.job(source=hdfs_location(namenode, "/x"))))
        assert error.reason == "NAMENODE_UNAVAILABLE"
        assert namenode in str(error)


def test_a_scan_without_a_purpose_is_refused(scanner: Scanner, place: Place) -> None:
    assert failure_of(lambda: scanner.scan(place.job(), purpose=UNSPECIFIED)).reason == "INVALID_ARGUMENT"


def test_a_store_that_believes_false_claims_is_found_out(
    scanner: Scanner, place: Place, rclone_s3: RcloneServer
) -> None:
    place.make(FileSpec(f"{place.root}/a"))
    destination = s3_location(rclone_s3.endpoint, rclone_s3.make_bucket(place.bucket + "-r"))
    answer = scanner.prepare(place.job(destination=destination))
    assert not answer.claims_trusted
    assert answer.claims_detail
    refusing = task_pb2.Options(untrusted_store=task_pb2.Options.UNTRUSTED_STORE_REFUSE)
    error = failure_of(lambda: scanner.prepare(place.job(destination=destination, options=refusing)))
    assert error.reason == "UNTRUSTED_STORE"
    assert error.coordinates["accepted"]


def test_a_dry_run_sends_nothing(scanner: Scanner, place: Place) -> None:
    place.make(FileSpec(f"{place.root}/a"))
    answer = scanner.prepare(place.job(), dry_run=True)
    assert (answer.claims_trusted, answer.claims_detail) == (False, "not probed: a dry run writes nothing")


def test_locations_are_checked_step_by_step(scanner: Scanner, place: Place) -> None:
    place.make(FileSpec(f"{place.root}/a"))
    passed, failed = location_pb2.LocationCheck.RESULT_PASSED, location_pb2.LocationCheck.RESULT_FAILED
    good = scanner.check(hdfs_location(place.hdfs.namenode, place.root))
    assert {check.result for check in good} == {passed}
    written = scanner.check(s3_location(place.server.endpoint, place.bucket), write=True)
    assert {check.result for check in written} == {passed}
    assert "Contents" not in place.server.client().list_objects_v2(Bucket=place.bucket), "probes are removed"
    down = scanner.check(hdfs_location(f"127.0.0.1:{free_port()}", "/x"))
    assert [check.reason for check in down if check.result == failed][:1] == ["NAMENODE_UNAVAILABLE"]


def test_a_cancelled_scan_ends_and_its_spans_tell(scanner: Scanner, place: Place) -> None:
    place.make(*(FileSpec(f"{place.root}/{number:04d}") for number in range(400)))
    job = place.job()
    call = scanner.stub.Scan(scan_pb2.ScanRequest(job=job, purpose=TRANSFER, attempt=1), timeout=DEADLINE_S)
    assert next(call).HasField("shard_planned")
    before = len(scans(scanner))
    call.cancel()
    wait_for("the scan's span to end", lambda: len(scans(scanner)) > before, deadline_s=DEADLINE_S)
    planned = [span["parent_id"] for span in scanner.spans() if span["name"] == "plan shard"]
    assert planned
    assert set(planned) <= scans(scanner)


def scans(scanner: Scanner) -> set[str]:
    """Returns the ids of the spans of all scans that have ended."""
    return {span["context"]["span_id"] for span in scanner.spans() if span["name"] == "scan"}
