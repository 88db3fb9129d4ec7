"""The stores of the conformance suite: each test runs over all of them. versitygw is skipped where Go is missing."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.s3 import S3Server
from tests.support.stores_under_test import KNOWN_LIMITS, StoreUnderTest, memory_under_test, s3_under_test

_FIXTURES = {"seaweedfs": "seaweed", "versitygw": "versitygw"}
_BUCKET = "conformance"


def _server(request: pytest.FixtureRequest, name: str) -> S3Server:
    server = request.getfixturevalue(_FIXTURES[name])
    assert isinstance(server, S3Server)
    client = server.client()
    if not any(bucket["Name"] == _BUCKET for bucket in client.list_buckets()["Buckets"]):
        server.make_bucket(_BUCKET)
    return server


@pytest.fixture(params=sorted(KNOWN_LIMITS))
def tried(request: pytest.FixtureRequest, tmp_path: Path) -> StoreUnderTest:
    """An empty store of each kind."""
    if request.param == "memory":
        return memory_under_test()
    return s3_under_test(request.param, _server(request, request.param), _BUCKET, tmp_path)


@pytest.fixture(params=sorted(_FIXTURES))
def s3_server(request: pytest.FixtureRequest) -> Iterator[S3Server]:
    """Each real server, with the suite's bucket."""
    yield _server(request, request.param)


@pytest.fixture
def s3_bucket() -> str:
    """The bucket of the suite."""
    return _BUCKET
