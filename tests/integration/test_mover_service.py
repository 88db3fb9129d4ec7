"""The mover as a service with Ray actors, from a real HDFS to a real S3 store: what arrives, what the store proves, and
what happens when a process is killed, a stream breaks, a file is bad."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import grpc
import pytest

from blockferry.status import from_rpc_error
from blockferry.v1.location_pb2 import HdfsLocation as HdfsProto
from blockferry.v1.location_pb2 import Location as LocationProto
from blockferry.v1.location_pb2 import S3Location as S3Proto
from blockferry.v1.task_pb2 import Options
from ledger.ledger import Ledger
from ledger.records import Action, PlanEntry, Receipt, UploadIntent, Why
from mover.__main__ import register
from mover.actors import RayHand, start_hands, stop_ray
from mover.api import MoveServicer
from mover.pool import Pool
from service.backoff import Backoff
from service.server import Guard
from service.v1.job_pb2 import Job
from service.v1.move_pb2 import AbortUploadsRequest, MoveShardRequest, MoveShardResponse, ShardMoved
from service.v1.move_pb2_grpc import MoveServiceStub
from stores.base import Attributes, Kind, Stat
from stores.checksum import Algorithm
from stores.hdfs.source import HdfsSource
from stores.location import HdfsLocation, S3Location
from stores.s3 import S3Store
from tests.support.hdfs import HdfsCluster
from tests.support.processes import wait_for
from tests.support.s3 import S3Server, SeaweedServer
from tests.support.tree import FileSpec
from tests.support.trees import checksums, expected, odd_names, sizes

MIB = 1 << 20
SHARD = "000001"
ACTORS = 2


@dataclass(slots=True)
class MoverService:
    """A mover in this process: a gRPC server on a thread of its own, over Ray actors."""

    hands: tuple[RayHand, ...]
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    address: str = ""
    server: grpc.aio.Server = field(init=False)

    def start(self) -> None:
        """Serves until `stop`."""
        threading.Thread(target=self.loop.run_forever, name="mover", daemon=True).start()
        asyncio.run_coroutine_threadsafe(self._serve(), self.loop).result(30)

    async def _serve(self) -> None:
        self.server = grpc.aio.server(interceptors=(Guard(),))
        register(self.server, MoveServicer(Pool(self.hands, Backoff(base_s=0.5))))
        self.address = f"127.0.0.1:{self.server.add_insecure_port('127.0.0.1:0')}"
        await self.server.start()

    def pids(self) -> tuple[int, ...]:
        """Returns the process ids of the actors."""

        async def ask() -> tuple[int, ...]:
            return tuple([await hand.pid() for hand in self.hands])

        return asyncio.run_coroutine_threadsafe(ask(), self.loop).result(60)

    def stop(self) -> None:
        """Ends the server."""
        asyncio.run_coroutine_threadsafe(self.server.stop(5), self.loop).result(30)
        self.loop.call_soon_threadsafe(self.loop.stop)


@pytest.fixture(scope="module")
def mover(seaweed: SeaweedServer) -> Iterator[MoverService]:
    """Actors take the keys from the environment that they are started with."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ACCESS_KEY_ID", seaweed.access_key)
        environment.setenv("AWS_SECRET_ACCESS_KEY", seaweed.secret_key)
        environment.delenv("RAY_ADDRESS", raising=False)
        service = MoverService(start_hands(ACTORS))
        service.start()
        yield service
        service.stop()
        stop_ray()


class Moving(Protocol):
    """The open stream of a move."""

    def __iter__(self) -> Iterator[MoveShardResponse]: ...

    def cancel(self) -> bool: ...


@dataclass(slots=True)
class Scene:
    """One tree in HDFS, one bucket, one ledger with a shard that copies the whole tree."""

    mover: MoverService
    cluster: HdfsCluster
    server: S3Server
    root: str
    bucket: str
    ledger_folder: Path
    part_size_bytes: int = 0

    def plan(self, specs: tuple[FileSpec, ...], action: Action = Action.COPY) -> None:
        """Makes the files and the plan that moves them."""
        self.cluster.make(specs)
        self.ledger.write_plan(SHARD, (PlanEntry(stat.path, action, Why.NEW, stat) for stat in self.listing()))

    def listing(self) -> tuple[Stat, ...]:
        """Returns the tree as it is now."""
        return tuple(self.source().list_tree())

    def source(self) -> HdfsSource:
        """Returns the folder in HDFS."""
        return HdfsSource(HdfsLocation((self.cluster.namenode,), self.root))

    def sink(self) -> S3Store:
        """Returns the bucket."""
        return S3Store(S3Location(self.bucket, "to/", self.server.endpoint))

    @property
    def ledger(self) -> Ledger:
        """Returns the ledger."""
        return Ledger(str(self.ledger_folder))

    @property
    def job(self) -> Job:
        """Returns the job as the scheduler sends it."""
        return Job(
            execution="tasks/t/executions/e",
            ledger_uri=str(self.ledger_folder),
            source=LocationProto(hdfs=HdfsProto(namenodes=[self.cluster.namenode], root=self.root)),
            destination=LocationProto(s3=S3Proto(bucket=self.bucket, prefix="to/", endpoint=self.server.endpoint)),
            options=Options(part_size_bytes=self.part_size_bytes),
        )

    def stub(self) -> MoveServiceStub:
        """Returns a client."""
        return MoveServiceStub(grpc.insecure_channel(self.mover.address))

    def begin(self, attempt: int = 1) -> Moving:
        """Opens the stream of a move."""
        request = MoveShardRequest(job=self.job, shard=SHARD, attempt=attempt, claims_trusted=True)
        return self.stub().MoveShard(request, timeout=120)

    def move(self, attempt: int = 1) -> ShardMoved:
        """Moves the shard to its end."""
        *_, last = self.begin(attempt)
        assert last.WhichOneof("message") == "shard_moved"
        return last.shard_moved

    def receipts(self, name: str) -> Mapping[str, Receipt]:
        """Returns receipts by path."""
        return {receipt.path: receipt for receipt in self.ledger.read_receipts(name)}

    def objects(self) -> Mapping[str, bytes]:
        """Returns what is in the bucket."""
        client = self.server.client()
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix="to/")
        keys = [item["Key"] for page in pages for item in page.get("Contents", ())]
        bodies = {key: client.get_object(Bucket=self.bucket, Key=key)["Body"].read() for key in keys}
        return {key.removeprefix("to/"): body for key, body in bodies.items()}

    def open_uploads(self) -> int:
        """Returns how many uploads are open in the bucket."""
        return len(self.server.client().list_multipart_uploads(Bucket=self.bucket).get("Uploads", ()))


@pytest.fixture
def scene(
    mover: MoverService,
    hdfs: HdfsCluster,
    seaweed: SeaweedServer,
    folder_name: str,
    bucket_name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Scene:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", seaweed.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", seaweed.secret_key)
    seaweed.make_bucket(bucket_name)
    return Scene(mover, hdfs, seaweed, folder_name, bucket_name, tmp_path / "ledger")


def until_parts(scene: Scene, least: int) -> None:
    """Waits until so many parts of one upload are at the store, and the upload is not complete."""
    client = scene.server.client()

    def arrived() -> bool:
        uploads = client.list_multipart_uploads(Bucket=scene.bucket).get("Uploads", ())
        names = [(upload["Key"], upload["UploadId"]) for upload in uploads]
        counts = [
            len(client.list_parts(Bucket=scene.bucket, Key=key, UploadId=number).get("Parts", ()))
            for key, number in names
        ]
        return max(counts, default=0) >= least

    wait_for(f"{least} parts", arrived)


def test_tree_arrives_with_bytes_checksums_and_attributes(scene: Scene) -> None:
    root = scene.root
    names = odd_names(root)
    specs = (*names, *sizes(root), *checksums(root), FileSpec(f"{root}/large", size=33 * MIB + 5, seed=3))
    scene.part_size_bytes = 5 * MIB
    scene.plan(specs)
    moved = scene.move()
    assert not moved.failures
    assert moved.receipts == f"{SHARD}.1"
    wanted = expected(specs, root)
    assert scene.objects() == wanted
    assert moved.counts.transferred_count == len(wanted)
    assert moved.counts.transferred_bytes == sum(map(len, wanted.values()))
    assert scene.open_uploads() == 0
    assert scene.ledger.upload_notes(SHARD) == ()
    assert_store_keeps_what_hdfs_keeps(scene)


def assert_store_keeps_what_hdfs_keeps(scene: Scene) -> None:
    """Receipt, object and source agree: attributes, size, and the checksum of the whole where HDFS keeps one."""
    receipts, source, sink = scene.receipts(f"{SHARD}.1"), scene.source(), scene.sink()
    for stat in scene.listing():
        receipt, found = receipts[stat.path], sink.stat(stat.path)
        assert found is not None
        assert (found.attributes, found.size_bytes) == (stat.attributes, stat.size_bytes)
        if stat.kind is Kind.FILE:
            assert found.checksum == receipt.checksum
        assert (receipt.etag, receipt.source_version) == (found.version, stat.version)
        if stat.kind is Kind.FILE and receipt.checksum is not None and stat.size_bytes:
            kept = source.stored_checksum(stat, 0, stat.size_bytes, receipt.checksum.algorithm)
            assert kept == (None if "/null" in stat.path else receipt.checksum), stat.path
            assert receipt.source_proven is ("/null" not in stat.path), stat.path
            assert (receipt.checksum.algorithm is Algorithm.CRC32) is ("/crc32" in stat.path), stat.path


def test_killed_actor_costs_repeats_and_nothing_else(scene: Scene) -> None:
    specs = tuple(FileSpec(f"{scene.root}/{number}", size=60 * MIB, seed=number) for number in range(5))
    scene.part_size_bytes = 5 * MIB
    scene.plan(specs)
    stream = scene.begin()
    until_parts(scene, 1)
    victim = scene.mover.pids()[0]
    os.kill(victim, signal.SIGKILL)
    *_, last = stream
    assert not last.shard_moved.failures
    assert last.shard_moved.counts.retry_count > 0
    assert scene.objects() == expected(specs, scene.root)
    assert victim not in scene.mover.pids()


def test_next_attempt_sends_only_the_missing_parts(scene: Scene) -> None:
    specs = (FileSpec(f"{scene.root}/large", size=300 * MIB + 1, seed=1),)
    scene.part_size_bytes = 5 * MIB
    scene.plan(specs)
    stream = scene.begin()
    until_parts(scene, 4)
    stream.cancel()
    wait_for("the note of the upload", lambda: len(scene.ledger.upload_notes(SHARD)) == 1)
    moved = scene.move(attempt=2)
    assert not moved.failures
    assert moved.counts.transferred_bytes == 300 * MIB + 1
    assert 0 < moved.counts.written_bytes <= 280 * MIB + 1
    assert scene.objects() == expected(specs, scene.root)
    assert (scene.open_uploads(), scene.ledger.upload_notes(SHARD)) == (0, ())
    receipt = scene.receipts(f"{SHARD}.2")["large"]
    assert receipt.source_proven
    assert receipt.part_count == 61


def test_next_attempt_sends_nothing_that_is_there(scene: Scene) -> None:
    specs = (*sizes(scene.root), FileSpec(f"{scene.root}/large", size=12 * MIB, seed=1))
    scene.part_size_bytes = 5 * MIB
    scene.plan(specs)
    first, second = scene.move(), scene.move(attempt=2)
    assert first.counts.written_bytes == first.counts.transferred_bytes
    assert second.counts.written_bytes == 0
    one, two = scene.receipts(f"{SHARD}.1"), scene.receipts(f"{SHARD}.2")
    assert {path: (r.etag, r.checksum) for path, r in one.items()} == {
        path: (r.etag, r.checksum) for path, r in two.items()
    }


def test_uploads_of_a_cancelled_move_can_be_aborted(scene: Scene) -> None:
    scene.part_size_bytes = 5 * MIB
    scene.plan((FileSpec(f"{scene.root}/large", size=300 * MIB, seed=1),))
    stream = scene.begin()
    until_parts(scene, 1)
    stream.cancel()
    answer = scene.stub().AbortUploads(AbortUploadsRequest(job=scene.job, shard=SHARD), timeout=60)
    assert answer.aborted_count == 1
    assert (scene.open_uploads(), scene.ledger.upload_notes(SHARD)) == (0, ())
    again = scene.stub().AbortUploads(AbortUploadsRequest(job=scene.job, shard=SHARD), timeout=60)
    assert again.aborted_count == 0


def begun_and_never_heard_of(scene: Scene) -> None:
    """Leaves what a mover leaves that is killed while it begins an upload: the intent, and maybe the upload."""
    scene.ledger.note_upload(SHARD, UploadIntent("large", time.time_ns() // 1_000_000))
    scene.sink().begin("large", Algorithm.CRC32C, Attributes("a", "b", 0o600, 1, 1))


def test_orphan_of_a_killed_mover_is_gone_after_the_next_attempt(scene: Scene) -> None:
    specs = (FileSpec(f"{scene.root}/large", size=12 * MIB, seed=1),)
    scene.part_size_bytes = 5 * MIB
    scene.plan(specs)
    begun_and_never_heard_of(scene)
    assert not scene.move(attempt=2).failures
    assert scene.objects() == expected(specs, scene.root)
    assert (scene.open_uploads(), scene.ledger.upload_notes(SHARD)) == (0, ())


def test_orphan_of_a_killed_mover_can_be_aborted(scene: Scene) -> None:
    begun_and_never_heard_of(scene)
    answer = scene.stub().AbortUploads(AbortUploadsRequest(job=scene.job, shard=SHARD), timeout=60)
    assert answer.aborted_count == 1
    assert (scene.open_uploads(), scene.ledger.upload_notes(SHARD)) == (0, ())


@pytest.mark.parametrize("size", [700_000, 12 * MIB])
def test_bad_file_fails_alone(scene: Scene, size: int) -> None:
    good = tuple(FileSpec(f"{scene.root}/good-{number}", size=size, seed=number) for number in range(6))
    scene.part_size_bytes = 5 * MIB
    scene.plan((*good, FileSpec(f"{scene.root}/bad", size=size, seed=99)))
    for replica in scene.cluster.replicas(f"{scene.root}/bad").values():
        damaged = bytearray(replica.read_bytes())
        damaged[1000] ^= 1
        replica.write_bytes(damaged)
    moved = scene.move()
    assert [(group.reason, tuple(group.sample_paths)) for group in moved.failures] == [("SOURCE_CORRUPT", ("bad",))]
    assert (moved.counts.transferred_count, moved.counts.failed_count) == (6, 1)
    assert scene.objects() == expected(good, scene.root)
    assert (scene.open_uploads(), scene.ledger.upload_notes(SHARD)) == (0, ())
    failure = scene.receipts(f"{SHARD}.1")["bad"].failure
    assert failure is not None
    assert dict(failure.coordinates)["path"] == "bad"


def test_changed_attributes_are_set_without_sending_data(scene: Scene) -> None:
    scene.plan((FileSpec(f"{scene.root}/a/file", size=3 * MIB, seed=1),))
    scene.move()
    scene.cluster.shell("-chmod", "-R", "700", scene.root)
    scene.ledger.write_plan(
        SHARD, (PlanEntry(stat.path, Action.METADATA, Why.ATTRIBUTES_DIFFER, stat) for stat in scene.listing())
    )
    moved = scene.move(attempt=2)
    assert (moved.counts.transferred_count, moved.counts.written_bytes) == (2, 0)
    sink = scene.sink()
    for stat in scene.listing():
        found = sink.stat(stat.path)
        assert found is not None
        assert isinstance(found.attributes, Attributes)
        assert found.attributes == stat.attributes
        assert found.attributes.permissions == 0o700
    assert scene.objects() == expected((FileSpec(f"{scene.root}/a/file", size=3 * MIB, seed=1),), scene.root)


def test_missing_bucket_fails_the_call_and_not_the_files(scene: Scene) -> None:
    scene.plan(sizes(scene.root))
    scene.bucket = "no-such-bucket"
    with pytest.raises(grpc.RpcError) as caught:
        scene.move()
    assert from_rpc_error(caught.value).reason == "BUCKET_NOT_FOUND"
    assert not list(scene.ledger_folder.glob("receipts/*"))


def test_missing_plan_fails_the_call(scene: Scene) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        scene.move()
    assert from_rpc_error(caught.value).reason == "LEDGER_MISSING"
