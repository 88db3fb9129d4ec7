"""What a put, a part and a listing cost in CPU of this process: S3Store against boto3, in one run, as a ratio.

    python -m bench.s3_put [--rounds N] [--endpoint URL --bucket NAME]     keys by boto3's default chain

Without an endpoint it starts SeaweedFS. Ways are measured in turns, and the best of the rounds counts: other work on
the machine only adds. Prints JSON, one line a measure.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

from stores.base import Attributes, Kind
from stores.checksum import Algorithm
from stores.hashing import checksum_of
from stores.location import S3Location
from stores.object_metadata import to_metadata
from stores.s3 import S3Store
from tests.support.s3 import SeaweedServer

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_ATTRIBUTES = Attributes("ada", "staff", 0o644, mtime_ms=1_734_968_895_000, atime_ms=1_734_968_895_000)
_GIB = 1 << 30
_MIB = 1 << 20


def plain_client(location: S3Location) -> S3Client:
    """Returns boto3 at its cheapest: payload unsigned, no checksum of its own, one attempt."""
    config = Config(
        s3={"payload_signing_enabled": False, "addressing_style": "path"},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        retries={"total_max_attempts": 1},
    )
    return boto3.client("s3", endpoint_url=location.endpoint, region_name="us-east-1", config=config)


def cpu_s(call: Callable[[int], object], count: int) -> float:
    """Returns the CPU seconds of this process for `count` calls."""
    begin = time.process_time()
    for number in range(count):
        call(number)
    return time.process_time() - begin


def put_ways(store: S3Store, client: S3Client, bucket: str, size: int) -> dict[str, Callable[[int], object]]:
    """Returns what puts an object of that size, by way."""
    body = os.urandom(size)
    claim = checksum_of(Algorithm.CRC32C, body)
    metadata = to_metadata(_ATTRIBUTES, Kind.FILE)
    return {
        "store": lambda number: store.put(f"store/{number}", body, claim, _ATTRIBUTES),
        "boto3": lambda number: client.put_object(
            Bucket=bucket, Key=f"boto3/{number}", Body=body, ChecksumCRC32C=claim.base64, Metadata=metadata
        ),
    }


def part_ways(store: S3Store, client: S3Client, bucket: str, size: int) -> dict[str, Callable[[int], object]]:
    """Returns what sends a part of that size, by way."""
    body = os.urandom(size)
    claim = checksum_of(Algorithm.CRC32C, body)
    upload = store.begin("part", Algorithm.CRC32C, _ATTRIBUTES)
    return {
        "store": lambda number: store.put_part(upload, number + 1, memoryview(body), claim),
        "boto3": lambda number: client.upload_part(
            Bucket=bucket,
            Key=upload.key,
            UploadId=upload.upload_id,
            PartNumber=number + 1,
            Body=body,
            ChecksumCRC32C=claim.base64,
        ),
    }


def list_ways(store: S3Store, client: S3Client, bucket: str) -> dict[str, Callable[[int], object]]:
    """Returns what lists everything in the bucket, by way."""
    paginator = client.get_paginator("list_objects_v2")
    return {
        "store": lambda _: sum(1 for _ in store.list_tree()),
        "boto3": lambda _: sum(len(page["Contents"]) for page in paginator.paginate(Bucket=bucket)),
    }


def compared(
    name: str, ways: dict[str, Callable[[int], object]], count: int, rounds: int, per: float, unit: str
) -> None:
    """Measures the ways in turns and prints the best of each, in units of `per` CPU seconds, and their ratio."""
    best = {way: float("inf") for way in ways}
    for call in ways.values():
        call(0)
    for _ in range(rounds):
        for way, call in ways.items():
            best[way] = min(best[way], cpu_s(call, count))
    shown = {way: round(seconds / per, 4) for way, seconds in best.items()}
    print(
        json.dumps({"measure": name, "unit": unit} | shown | {"boto3/store": round(best["boto3"] / best["store"], 2)})
    )


@contextmanager
def endpoint(asked: str, bucket: str) -> Iterator[S3Location]:
    """Gives the location to measure at: the one that was asked for, or a server of our own."""
    if asked:
        yield S3Location(bucket, endpoint=asked)
        return
    with tempfile.TemporaryDirectory() as folder, SeaweedServer.start(Path(folder) / "s3") as server:
        os.environ.update({"AWS_ACCESS_KEY_ID": server.access_key, "AWS_SECRET_ACCESS_KEY": server.secret_key})
        yield S3Location(server.make_bucket(bucket), endpoint=server.endpoint)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--endpoint", default="")
    parser.add_argument("--bucket", default="bench")
    options = parser.parse_args()
    with endpoint(options.endpoint, options.bucket) as location:
        store, client = S3Store(location), plain_client(location)
        rounds = options.rounds
        for size, count in ((4096, 500), (_MIB, 50)):
            ways = put_ways(store, client, location.bucket, size)
            compared(f"put of {size} bytes", ways, count, rounds, count / 1000, "CPU ms each")
        ways = part_ways(store, client, location.bucket, 16 * _MIB)
        compared("part of 16 MiB", ways, 16, rounds, 16 * 16 * _MIB / _GIB, "CPU s per GiB")
        listed = sum(1 for _ in store.list_tree())
        ways = list_ways(store, client, location.bucket)
        compared(f"listing of {listed} keys", ways, 3, rounds, 3 * listed / 1e6, "CPU us per entry")


if __name__ == "__main__":
    main()
