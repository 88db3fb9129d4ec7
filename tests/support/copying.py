"""Copies by the API of a house that runs: a task for a folder of HDFS and a bucket, and how its run ended."""

from __future__ import annotations

from blockferry import Client
from blockferry.v1.execution_pb2 import Execution
from blockferry.v1.location_pb2 import HdfsLocation, Location, S3Location
from blockferry.v1.task_pb2 import Options, Task
from service.house import House
from tests.support.hdfs import HdfsCluster
from tests.support.s3 import S3Server


def copy_task(
    client: Client, cluster: HdfsCluster, server: S3Server, root: str, bucket: str, options: Options | None = None
) -> str:
    """Makes both locations and a task, and returns its name. The keys are those of the environment."""
    source = client.create_location(Location(hdfs=HdfsLocation(namenodes=[cluster.namenode], root=root)))
    sink = client.create_location(Location(s3=S3Location(bucket=bucket, endpoint=server.endpoint)))
    return str(client.create_task(Task(source=source.name, destination=sink.name, options=options)).name)


def copied(house: House, cluster: HdfsCluster, server: S3Server, root: str, bucket: str) -> Execution:
    """Copies a folder into a new bucket and returns how it ended."""
    server.make_bucket(bucket)
    with Client(house.address) as client:
        *_, ended = client.watch_execution(client.run_task(copy_task(client, cluster, server, root, bucket)).name)
    return ended
