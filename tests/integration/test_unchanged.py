"""One execution after another between a real HDFS and real S3 servers: what was seen is not asked for again, and every
change is found."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from blockferry import Client
from blockferry.v1.execution_pb2 import Execution
from blockferry.v1.location_pb2 import HdfsLocation, Location, S3Location
from blockferry.v1.task_pb2 import Options, Task
from service.house import House, HouseOptions
from tests.support.counting import CountingWire
from tests.support.hdfs import HdfsCluster
from tests.support.processes import wait_for
from tests.support.s3 import S3Server, SeaweedServer
from tests.support.tree import FileSpec, folder

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

FILES = tuple(f"{name}" for name in ("chowned", "deleted", "foreign", "left", "retagged", "rewritten", "same/one"))


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, seaweed: SeaweedServer) -> Iterator[House]:
    """Services that stand for all tests here. All servers of the tests have the same keys."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", seaweed.access_key)
        patch.setenv("AWS_SECRET_ACCESS_KEY", seaweed.secret_key)
        with House(HouseOptions(tmp_path_factory.mktemp("house"), actor_count=1)) as standing:
            yield standing


@dataclass(slots=True)
class Place:
    """A folder in HDFS, a bucket behind a counting wire, and a task between them."""

    hdfs: HdfsCluster
    root: str
    server: S3Server
    bucket: str
    wire: CountingWire
    client: Client
    task: str

    def run(self, *, dry_run: bool = False, options: Options | None = None) -> Execution:
        """Runs the task to its end, whatever that is. Requests are counted anew."""
        self.wire.taken(self.bucket)
        begun = self.client.run_task(self.task, dry_run=dry_run, options=options)
        *_, ended = self.client.watch_execution(begun.name)
        return ended

    def moved(self, *, dry_run: bool = False) -> int:
        """Runs the task to a good end; returns how many entries it moved, or would have."""
        ended = self.run(dry_run=dry_run)
        assert ended.state == Execution.STATE_SUCCESS, ended
        return ended.counters.estimated_count

    @property
    def asked(self) -> list[str]:
        """The keys that were asked for by HEAD since the last run began."""
        return self.wire.taken(self.bucket)

    @property
    def s3(self) -> S3Client:
        """A client beside the wire: somebody else."""
        return self.server.client()

    def key(self, name: str) -> str:
        return f"in/{name}"

    def settle(self) -> None:
        """Runs the task until everything is known: the first time copies, the second looks at what is new."""
        assert self.moved() == len(FILES) + 2
        self.wait_a_second()
        assert self.moved() == 0
        self.asked  # noqa: B018 - counted anew

    def wait_a_second(self) -> None:
        """Waits until the store's clock is two seconds ahead of its newest object."""
        newest = max(item["LastModified"] for item in self.s3.list_objects_v2(Bucket=self.bucket)["Contents"])

        def later() -> bool:
            told = self.s3.list_buckets()["ResponseMetadata"]["HTTPHeaders"]["date"]
            return (parsedate_to_datetime(told) - newest).total_seconds() >= 3

        wait_for("a later time of the store", later)


@pytest.fixture
def place(
    request: pytest.FixtureRequest, hdfs: HdfsCluster, house: House, folder_name: str, bucket_name: str
) -> Iterator[Place]:
    """A place at the server whose fixture the test names."""
    server: S3Server = request.getfixturevalue(request.param)
    specs = [FileSpec(f"{folder_name}/{name}", size=900 + at, seed=at) for at, name in enumerate(FILES)]
    hdfs.make([folder(folder_name), folder(f"{folder_name}/empty"), *specs])
    server.make_bucket(bucket_name)
    with CountingWire(server.endpoint) as wire, Client(house.address) as client:
        source = client.create_location(Location(hdfs=HdfsLocation(namenodes=[hdfs.namenode], root=folder_name)))
        store = S3Location(bucket=bucket_name, prefix="in", endpoint=wire.endpoint)
        sink = client.create_location(Location(s3=store))
        task = client.create_task(Task(source=source.name, destination=sink.name))
        yield Place(hdfs, folder_name, server, bucket_name, wire, client, task.name)


def harm(place: Place) -> None:
    """Does at both ends what must be found."""
    s3, bucket = place.s3, place.bucket
    place.hdfs.shell("-chmod", "600", f"{place.root}/chowned")
    s3.delete_object(Bucket=bucket, Key=place.key("deleted"))
    s3.put_object(Bucket=bucket, Key=place.key("foreign"), Body=b"x" * 902)
    kept = s3.get_object(Bucket=bucket, Key=place.key("rewritten"))
    s3.put_object(
        Bucket=bucket, Key=place.key("rewritten"), Body=kept["Body"].read(), Metadata={"file-owner": "mallory"}
    )
    key = place.key("retagged")
    metadata = s3.head_object(Bucket=bucket, Key=key)["Metadata"] | {"file-owner": "mallory"}
    s3.copy_object(
        Bucket=bucket,
        Key=key,
        CopySource={"Bucket": bucket, "Key": key},
        Metadata=metadata,
        MetadataDirective="REPLACE",
    )


HARMED = {"chowned", "deleted", "foreign", "retagged", "rewritten"}


@pytest.mark.parametrize("place", ["seaweed"], indirect=True)
def test_what_was_seen_is_not_asked_for_and_every_change_is_found(place: Place) -> None:
    place.settle()
    assert (place.moved(), place.asked) == (0, []), "nothing has changed"
    assert (place.moved(dry_run=True), place.asked) == (0, [])
    harm(place)
    assert place.moved(dry_run=True) == len(HARMED)
    assert place.asked == [place.key(name) for name in ("chowned", "foreign", "retagged", "rewritten")]
    assert place.moved() == len(HARMED)
    owners = {
        name: place.s3.head_object(Bucket=place.bucket, Key=place.key(name))["Metadata"]["file-owner"]
        for name in HARMED
    }
    assert "mallory" not in owners.values()
    place.wait_a_second()
    assert place.moved() == 0
    assert set(place.asked) <= {place.key(name) for name in HARMED}, "only what was written in the last second"
    assert (place.moved(), place.asked) == (0, [])


@pytest.mark.parametrize("place", ["seaweed"], indirect=True)
def test_a_failed_execution_does_not_forget_and_a_lost_ledger_harms_nothing(place: Place) -> None:
    place.settle()
    place.hdfs.make([FileSpec(f"{place.root}/back\\slash", size=9)])
    for _ in range(2):
        failed = place.run()
        assert (failed.state, failed.error_code) == (Execution.STATE_ERROR, "FILES_FAILED")
        assert place.asked == []
    place.hdfs.shell("-rm", "-skipTrash", f"{place.root}/back*")
    unproved = place.run(options=Options(verify=Options.VERIFY_NONE, transfer=Options.TRANSFER_ALL))
    assert unproved.state == Execution.STATE_SUCCESS
    place.wait_a_second()
    everything = sorted(place.key(name) for name in (*FILES, "empty/", "same/"))
    assert (place.moved(), place.asked) == (0, everything), "all of it was written anew, and nobody has looked"
    last = place.run()
    assert place.asked == []
    shutil.rmtree(Path(last.ledger_uri))
    assert (place.moved(), place.asked) == (0, everything)
    assert (place.moved(), place.asked) == (0, [])


@pytest.mark.parametrize("place", ["versitygw"], indirect=True)
def test_a_store_whose_listing_hides_changes_is_asked_for_everything(place: Place) -> None:
    place.settle()
    everything = sorted(place.key(name) for name in (*FILES, "empty/", "same/"))
    assert (place.moved(), place.asked) == (0, everything)
    harm(place)
    assert place.moved() == len(HARMED)
    assert place.moved() == 0
