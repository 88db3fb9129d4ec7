"""The null sink of the benches: it takes what S3 clients send, refuses each false claim, and keeps no content."""

import base64
import hashlib
import random
import socket
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from awscrt.checksums import crc32c
from boto3.session import Session
from botocore.config import Config
from botocore.exceptions import ClientError

from bench.null_sink.process import NullSink
from blockferry.errors import BlockferryError
from stores.base import Kind
from stores.checksum import Algorithm, concatenation
from stores.hashing import checksum_of
from stores.s3 import S3Store
from tests.support.stores_under_test import ATTRIBUTES, OTHERS, false_of, location_at

MIB = 1 << 20
PART = 5 * MIB
BODY = random.Random(4).randbytes(PART + 1000)
SIGNED = {"Authorization": "AWS4-HMAC-SHA256 not looked at"}
# Several reads of the server's buffer, and several frames.
LONG = BODY[: 2 * MIB + 7]


@pytest.fixture(scope="module")
def sink(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NullSink]:
    """The null sink over http."""
    with NullSink.start(tmp_path_factory.mktemp("null-sink")) as server:
        yield server


@pytest.fixture(scope="module")
def sink_tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NullSink]:
    """The null sink over https."""
    with NullSink.start(tmp_path_factory.mktemp("null-sink-tls"), tls=True) as server:
        yield server


@pytest.fixture(scope="module")
def client(sink: NullSink) -> Any:
    """One boto3 client for all tests: making one takes longer than a test."""
    return sink.client()


@pytest.fixture
def bucket(client: Any, bucket_name: str) -> str:
    client.create_bucket(Bucket=bucket_name)
    return bucket_name


@pytest.fixture
def store(sink: NullSink, bucket: str, tmp_path: Path) -> Iterator[S3Store]:
    with closing(S3Store(location_at(sink, bucket, tmp_path))) as opened:
        yield opened


def text32(crc: int) -> str:
    return base64.b64encode(crc.to_bytes(4, "big")).decode()


def refused(call: Callable[..., object], **arguments: object) -> tuple[int, str]:
    """Returns the status and code of a call that must be refused."""
    with pytest.raises(ClientError) as raised:
        call(**arguments)
    said = raised.value.response
    return said["ResponseMetadata"]["HTTPStatusCode"], said["Error"]["Code"]


def http(
    server: NullSink, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
) -> tuple[int, bytes]:
    """Sends one request and returns the status and body of the answer."""
    with closing(server.connection()) as connection:
        connection.request(method, path, body, {**SIGNED, **(headers or {})})
        answer = connection.getresponse()
        return answer.status, answer.read()


class TestObjects:
    def test_a_put_is_described_but_not_kept(self, client: Any, bucket: str) -> None:
        put = client.put_object(
            Bucket=bucket,
            Key="a b/ü+%20",
            Body=LONG,
            ContentType="text/plain",
            Metadata={"src-mtime": "5", "who": "ada"},
        )
        head = client.head_object(Bucket=bucket, Key="a b/ü+%20", ChecksumMode="ENABLED")
        assert (head["ContentLength"], head["ContentType"]) == (len(LONG), "text/plain")
        assert head["Metadata"] == {"src-mtime": "5", "who": "ada"}
        assert head["ETag"] == put["ETag"] and head["ETag"].endswith('-1"')
        assert (head["ChecksumCRC32C"], head["ChecksumType"]) == (text32(crc32c(LONG)), "FULL_OBJECT")
        assert refused(client.get_object, Bucket=bucket, Key="a b/ü+%20") == (501, "NotImplemented")

    @pytest.mark.parametrize("size", [0, 1, 64])
    def test_a_tiny_object_is_kept(self, client: Any, bucket: str, size: int) -> None:
        client.put_object(Bucket=bucket, Key="tiny", Body=BODY[:size])
        assert client.get_object(Bucket=bucket, Key="tiny")["Body"].read() == BODY[:size]

    def test_one_byte_more_is_not_kept(self, client: Any, bucket: str) -> None:
        client.put_object(Bucket=bucket, Key="small", Body=BODY[:65])
        assert refused(client.get_object, Bucket=bucket, Key="small") == (501, "NotImplemented")

    def test_a_checksum_is_told_only_when_asked_for(self, client: Any, bucket: str) -> None:
        client.put_object(Bucket=bucket, Key="key", Body=b"x")
        assert "ChecksumCRC32C" not in client.head_object(Bucket=bucket, Key="key")

    def test_what_is_not_there(self, client: Any, bucket: str) -> None:
        assert refused(client.head_object, Bucket=bucket, Key="none") == (404, "404")
        assert refused(client.get_object, Bucket=bucket, Key="none") == (404, "NoSuchKey")
        assert refused(client.put_object, Bucket="no-such-bucket", Key="key", Body=LONG) == (404, "NoSuchBucket")
        client.delete_object(Bucket=bucket, Key="none")

    def test_deleted_objects_are_gone(self, client: Any, bucket: str) -> None:
        for key in ("a", "b", "c & <d>", "e"):
            client.put_object(Bucket=bucket, Key=key, Body=b"")
        client.delete_object(Bucket=bucket, Key="a")
        gone = client.delete_objects(
            Bucket=bucket, Delete={"Objects": [{"Key": "b"}, {"Key": "c & <d>"}]}, ChecksumAlgorithm="CRC32"
        )
        assert [one["Key"] for one in gone["Deleted"]] == ["b", "c & <d>"]
        assert [one["Key"] for one in client.list_objects_v2(Bucket=bucket)["Contents"]] == ["e"]

    def test_a_copy_has_new_metadata_and_the_old_checksum(self, client: Any, bucket: str) -> None:
        client.put_object(Bucket=bucket, Key="a+b c", Body=LONG, Metadata={"who": "ada"})
        client.copy_object(
            Bucket=bucket, Key="a+b c", CopySource={"Bucket": bucket, "Key": "a+b c"}, MetadataDirective="REPLACE",
            Metadata={"who": "bob"},
        )  # fmt: skip
        head = client.head_object(Bucket=bucket, Key="a+b c", ChecksumMode="ENABLED")
        assert (head["Metadata"], head["ContentLength"]) == ({"who": "bob"}, len(LONG))
        assert head["ChecksumCRC32C"] == text32(crc32c(LONG))

    def test_a_copy_of_another_version_is_refused(self, client: Any, bucket: str) -> None:
        client.put_object(Bucket=bucket, Key="key", Body=b"x")
        source = {"Bucket": bucket, "Key": "key"}
        told = refused(client.copy_object, Bucket=bucket, Key="new", CopySource=source, CopySourceIfMatch='"other"')
        assert told == (412, "PreconditionFailed")

    def test_a_put_where_nothing_may_be(self, client: Any, bucket: str) -> None:
        client.put_object(Bucket=bucket, Key="key", Body=b"x", IfNoneMatch="*")
        told = refused(client.put_object, Bucket=bucket, Key="key", Body=b"y", IfNoneMatch="*")
        assert told == (412, "PreconditionFailed")

    def test_what_is_not_offered_changes_nothing(self, client: Any, bucket: str) -> None:
        client.put_object(Bucket=bucket, Key="key", Body=b"x")
        told = refused(client.put_object_tagging, Bucket=bucket, Key="key", Tagging={"TagSet": []})
        assert told == (501, "NotImplemented")
        assert client.get_object(Bucket=bucket, Key="key")["Body"].read() == b"x"

    def test_a_key_that_is_too_long(self, client: Any, bucket: str) -> None:
        client.put_object(Bucket=bucket, Key="x" * 1024, Body=b"x")
        assert refused(client.put_object, Bucket=bucket, Key="x" * 1025, Body=b"x") == (400, "KeyTooLongError")


class TestBuckets:
    def test_buckets_are_made_listed_and_removed(self, client: Any, bucket: str) -> None:
        assert bucket in [one["Name"] for one in client.list_buckets()["Buckets"]]
        assert client.get_bucket_location(Bucket=bucket)["LocationConstraint"] is None
        client.head_bucket(Bucket=bucket)
        assert refused(client.create_bucket, Bucket=bucket) == (409, "BucketAlreadyOwnedByYou")
        client.put_object(Bucket=bucket, Key="key", Body=b"x")
        assert refused(client.delete_bucket, Bucket=bucket) == (409, "BucketNotEmpty")
        client.delete_object(Bucket=bucket, Key="key")
        client.delete_bucket(Bucket=bucket)
        assert refused(client.head_bucket, Bucket=bucket) == (404, "404")


class TestClaims:
    @pytest.mark.parametrize("name, crc", [("crc32c", crc32c), ("crc32", zlib.crc32)])
    def test_of_a_put(self, sink: NullSink, client: Any, bucket: str, name: str, crc: Callable[[bytes], int]) -> None:
        argument = f"Checksum{name.upper()}"
        said = client.put_object(Bucket=bucket, Key="key", Body=LONG, **{argument: text32(crc(LONG))})
        assert said[argument] == text32(crc(LONG))
        false = {argument: text32(crc(LONG) ^ 1)}
        assert refused(client.put_object, Bucket=bucket, Key="key", Body=LONG, **false) == (400, "BadDigest")
        assert refused(client.put_object, Bucket=bucket, Key="new", Body=LONG, **false) == (400, "BadDigest")
        head = client.head_object(Bucket=bucket, Key="key", ChecksumMode="ENABLED")
        assert (head[argument], head["ETag"]) == (text32(crc(LONG)), said["ETag"])
        assert [one["Key"] for one in client.list_objects_v2(Bucket=bucket)["Contents"]] == ["key"]

    @pytest.mark.parametrize("name", ["SHA256", "SHA1"])
    def test_of_a_put_by_hashes(self, client: Any, bucket: str, name: str) -> None:
        digest = hashlib.new(name, LONG).digest()
        for body, accepted in ((LONG, True), (LONG[:-1], False)):
            claim = {f"Checksum{name}": base64.b64encode(digest).decode()}
            if accepted:
                client.put_object(Bucket=bucket, Key="key", Body=body, **claim)
            else:
                assert refused(client.put_object, Bucket=bucket, Key="key", Body=body, **claim) == (400, "BadDigest")

    def test_of_an_md5(self, client: Any, bucket: str) -> None:
        true = base64.b64encode(hashlib.md5(LONG, usedforsecurity=False).digest()).decode()
        client.put_object(Bucket=bucket, Key="key", Body=LONG, ContentMD5=true)
        head = client.head_object(Bucket=bucket, Key="key", ChecksumMode="ENABLED")
        assert head["ChecksumCRC32C"] == text32(crc32c(LONG))
        told = refused(client.put_object, Bucket=bucket, Key="key", Body=LONG[:-1], ContentMD5=true)
        assert told == (400, "BadDigest")

    def test_that_are_no_checksums(self, sink: NullSink, bucket: str) -> None:
        for claim in ("", "AAA", "AAAAAAAAAAA=", "ääää"):
            status, body = http(sink, "PUT", f"/{bucket}/key", b"x", {"x-amz-checksum-crc32c": claim})
            assert (status, b"InvalidRequest" in body) == (400, True), claim

    @pytest.mark.parametrize("algorithm", ["CRC32C", "CRC32", "CRC64NVME", "SHA256"])
    def test_in_a_trailer(self, sink_tls: NullSink, bucket_name: str, algorithm: str) -> None:
        """Over https boto3 sends a body in chunks, with its checksum behind it."""
        client = _checking_client(sink_tls)
        client.create_bucket(Bucket=bucket_name)
        client.put_object(Bucket=bucket_name, Key="key", Body=BytesIO(LONG), ChecksumAlgorithm=algorithm)
        head = client.head_object(Bucket=bucket_name, Key="key", ChecksumMode="ENABLED")
        assert (head["ContentLength"], f"Checksum{algorithm}" in head) == (len(LONG), True)
        assert "ContentEncoding" not in head

    @pytest.mark.parametrize("nested", [False, True], ids=["with a length", "in chunks of HTTP"])
    @pytest.mark.parametrize("signed", [False, True], ids=["unsigned", "signed"])
    @pytest.mark.parametrize("frame", [1, 8192, 1_000_003, len(LONG)])
    def test_in_a_trailer_of_any_frames(
        self, sink: NullSink, client: Any, bucket: str, frame: int, signed: bool, nested: bool
    ) -> None:
        body = LONG if frame > 1 else LONG[:300]
        for crc, status in ((crc32c(body), 200), (crc32c(body) ^ 1, 400)):
            sent = _framed(body, frame, f"x-amz-checksum-crc32c:{text32(crc)}", signed)
            assert _put_frames(sink, f"/{bucket}/{crc}", sent, len(body), signed, nested)[0] == status
        head = client.head_object(Bucket=bucket, Key=str(crc32c(body)), ChecksumMode="ENABLED")
        assert (head["ContentLength"], head["ChecksumCRC32C"]) == (len(body), text32(crc32c(body)))
        assert client.list_objects_v2(Bucket=bucket)["KeyCount"] == 1

    def test_in_a_trailer_that_does_not_come(self, sink: NullSink, bucket: str) -> None:
        status, body = _put_frames(sink, f"/{bucket}/key", _framed(LONG, 8192, "", signed=False), len(LONG))
        assert (status, b"MalformedTrailerError" in body) == (400, True)

    def test_of_a_decoded_length(self, sink: NullSink, bucket: str) -> None:
        sent = _framed(LONG, 8192, f"x-amz-checksum-crc32c:{text32(crc32c(LONG))}", signed=False)
        status, body = _put_frames(sink, f"/{bucket}/key", sent, len(LONG) + 1)
        assert (status, b"IncompleteBody" in body) == (400, True)

    def test_frames_without_a_trailer(self, sink: NullSink, client: Any, bucket: str) -> None:
        headers = {"x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "Content-Encoding": "gzip,aws-chunked"}
        assert http(sink, "PUT", f"/{bucket}/key", _framed(LONG, 8192, "", signed=True), headers)[0] == 200
        head = client.head_object(Bucket=bucket, Key="key")
        assert (head["ContentLength"], head["ContentEncoding"]) == (len(LONG), "gzip")

    def test_a_broken_frame_ends_the_connection(self, sink: NullSink, bucket: str) -> None:
        sent = b"10\r\n" + bytes(16) + b"garbage\r\n0\r\n\r\n"
        assert _put_frames(sink, f"/{bucket}/key", sent, 16)[0] == 400


class TestUploads:
    def test_parts_become_an_object(self, client: Any, bucket: str) -> None:
        upload = _Sending(client, bucket)
        upload.begin(ChecksumAlgorithm="CRC32C", ChecksumType="FULL_OBJECT", Metadata={"who": "ada"})
        parts = [upload.part(2, BODY[PART:]), upload.part(1, BODY[:PART])][::-1]
        assert refused(client.head_object, Bucket=bucket, Key="key") == (404, "404")
        done = upload.complete(parts, ChecksumCRC32C=text32(crc32c(BODY)), MpuObjectSize=len(BODY))
        head = client.head_object(Bucket=bucket, Key="key", ChecksumMode="ENABLED")
        assert (head["ContentLength"], head["Metadata"]) == (len(BODY), {"who": "ada"})
        assert (head["ChecksumCRC32C"], head["ChecksumType"]) == (text32(crc32c(BODY)), "FULL_OBJECT")
        assert head["ETag"] == done["ETag"] and head["ETag"].endswith('-2"')
        assert done["ChecksumCRC32C"] == text32(crc32c(BODY))
        assert refused(upload.complete, parts=parts) == (404, "NoSuchUpload")

    def test_crc32_of_the_whole(self, client: Any, bucket: str) -> None:
        upload = _Sending(client, bucket)
        upload.begin(ChecksumAlgorithm="CRC32", ChecksumType="FULL_OBJECT")
        parts = [upload.part(1, BODY[:PART], "CRC32"), upload.part(2, BODY[PART:], "CRC32")]
        false = text32(zlib.crc32(BODY) ^ 1)
        assert refused(upload.complete, parts=parts, ChecksumCRC32=false) == (400, "BadDigest")
        upload.complete(parts, ChecksumCRC32=text32(zlib.crc32(BODY)))

    def test_a_false_claim_of_a_part_leaves_the_earlier_one(self, client: Any, bucket: str) -> None:
        upload = _Sending(client, bucket)
        upload.begin(ChecksumAlgorithm="CRC32C", ChecksumType="FULL_OBJECT")
        part = upload.part(1, LONG)
        told = refused(
            client.upload_part, Bucket=bucket, Key="key", UploadId=upload.upload_id, PartNumber=1, Body=LONG[:-1],
            ChecksumCRC32C=text32(crc32c(LONG)),
        )  # fmt: skip
        assert told == (400, "BadDigest")
        upload.complete([part], ChecksumCRC32C=text32(crc32c(LONG)))

    def test_false_completions_are_refused_and_a_true_one_taken(self, client: Any, bucket: str) -> None:
        upload = _Sending(client, bucket)
        upload.begin(ChecksumAlgorithm="CRC32C", ChecksumType="FULL_OBJECT")
        parts = [upload.part(1, BODY[:PART]), upload.part(2, BODY[PART:])]
        whole = text32(crc32c(BODY))
        false = text32(crc32c(BODY) ^ 1)
        for code, listed, more in (
            ("BadDigest", parts, {"ChecksumCRC32C": false}),
            ("BadDigest", parts, {"ChecksumCRC32C": whole, "MpuObjectSize": len(BODY) + 1}),
            ("BadDigest", [parts[0], {**parts[1], "ChecksumCRC32C": false}], {"ChecksumCRC32C": whole}),
            ("BadDigest", parts[:1], {"ChecksumCRC32C": whole}),
            ("BadDigest", parts, {"ChecksumCRC32": text32(zlib.crc32(BODY))}),
            ("InvalidPart", [parts[0], {**parts[1], "ETag": '"other-1"'}], {"ChecksumCRC32C": whole}),
            ("InvalidPart", [*parts, {**parts[1], "PartNumber": 3}], {"ChecksumCRC32C": whole}),
            ("InvalidPartOrder", parts[::-1], {}),
            ("MalformedXML", [], {}),
        ):
            assert refused(upload.complete, parts=listed, **more) == (400, code), (code, more)
        assert refused(client.head_object, Bucket=bucket, Key="key") == (404, "404")
        upload.complete(parts, ChecksumCRC32C=whole, MpuObjectSize=len(BODY))

    def test_a_claim_of_the_whole_is_checked_where_no_algorithm_was_named(self, client: Any, bucket: str) -> None:
        upload = _Sending(client, bucket)
        upload.begin()
        parts = [upload.part(1, LONG, "")]
        assert refused(upload.complete, parts=parts, ChecksumCRC32C=text32(crc32c(LONG) ^ 1)) == (400, "BadDigest")
        upload.complete(parts, ChecksumCRC32C=text32(crc32c(LONG)))

    def test_a_checksum_of_checksums(self, client: Any, bucket: str) -> None:
        upload = _Sending(client, bucket)
        upload.begin(ChecksumAlgorithm="CRC32C")
        upload.complete([upload.part(1, BODY[:PART]), upload.part(2, BODY[PART:])])
        sums = b"".join(crc32c(part).to_bytes(4, "big") for part in (BODY[:PART], BODY[PART:]))
        head = client.head_object(Bucket=bucket, Key="key", ChecksumMode="ENABLED")
        assert (head["ChecksumCRC32C"], head["ChecksumType"]) == (f"{text32(crc32c(sums))}-2", "COMPOSITE")

    def test_a_part_that_is_too_small(self, client: Any, bucket: str) -> None:
        upload = _Sending(client, bucket)
        upload.begin()
        parts = [upload.part(1, BODY[: PART - 1], ""), upload.part(2, b"x", "")]
        assert refused(upload.complete, parts=parts) == (400, "EntityTooSmall")

    def test_parts_are_listed_page_by_page(self, client: Any, bucket: str) -> None:
        upload = _Sending(client, bucket)
        upload.begin(ChecksumAlgorithm="CRC32C", ChecksumType="FULL_OBJECT")
        for number in (7, 1, 3):
            upload.part(number, BODY[:number])
        names = {"Bucket": bucket, "Key": "key", "UploadId": upload.upload_id}
        first = client.list_parts(**names, MaxParts=2)
        assert [(part["PartNumber"], part["Size"]) for part in first["Parts"]] == [(1, 1), (3, 3)]
        assert first["Parts"][1]["ChecksumCRC32C"] == text32(crc32c(BODY[:3]))
        assert (first["IsTruncated"], first["ChecksumType"]) == (True, "FULL_OBJECT")
        second = client.list_parts(**names, PartNumberMarker=first["NextPartNumberMarker"])
        assert ([part["PartNumber"] for part in second["Parts"]], second["IsTruncated"]) == ([7], False)

    def test_uploads_are_listed_and_aborted(self, client: Any, bucket: str) -> None:
        for key in ("b/1", "a/2", "a/1"):
            client.create_multipart_upload(Bucket=bucket, Key=key)
        found = client.list_multipart_uploads(Bucket=bucket, Prefix="a/")["Uploads"]
        assert [upload["Key"] for upload in found] == ["a/1", "a/2"]
        gone = {"Bucket": bucket, "Key": "a/1", "UploadId": found[0]["UploadId"]}
        client.abort_multipart_upload(**gone)
        assert refused(client.abort_multipart_upload, **gone) == (404, "NoSuchUpload")
        assert refused(client.upload_part, **gone, PartNumber=1, Body=LONG) == (404, "NoSuchUpload")
        assert refused(client.list_parts, **gone) == (404, "NoSuchUpload")
        assert len(client.list_multipart_uploads(Bucket=bucket)["Uploads"]) == 2

    def test_copying_into_a_part_is_not_offered(self, client: Any, bucket: str) -> None:
        client.put_object(Bucket=bucket, Key="source", Body=b"x")
        upload = _Sending(client, bucket)
        upload.begin()
        told = refused(
            client.upload_part_copy, Bucket=bucket, Key="key", UploadId=upload.upload_id, PartNumber=1,
            CopySource={"Bucket": bucket, "Key": "source"},
        )  # fmt: skip
        assert told == (501, "NotImplemented")


KEYS = sorted(
    ("a-b", "a-b/c", "a.b", "a/", "a/b", "a/b-c", "a/b/c", "a0", "b", "b c+d%20&<>", "é/ü", "\U0001f600", "~")
)


@pytest.fixture(scope="module")
def full(client: Any) -> str:
    """A bucket with all keys, put in another order; some were deleted in between, one came again."""
    bucket = "listed"
    client.create_bucket(Bucket=bucket)
    for key in (*KEYS[::-1], "a/gone", "gone"):
        client.put_object(Bucket=bucket, Key=key, Body=b"x")
    client.list_objects_v2(Bucket=bucket)
    for key in ("a/gone", "gone", "a/b"):
        client.delete_object(Bucket=bucket, Key=key)
    client.put_object(Bucket=bucket, Key="a/b", Body=b"x")
    return bucket


class TestListing:
    @pytest.mark.parametrize("size", [1, 2, 1000])
    def test_keys_come_in_order_page_by_page(self, client: Any, full: str, size: int) -> None:
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=full, PaginationConfig={"PageSize": size})
        assert [one["Key"] for page in pages for one in page.get("Contents", ())] == KEYS

    def test_an_entry_tells_what_head_tells(self, client: Any, full: str) -> None:
        entry = client.list_objects_v2(Bucket=full, Prefix="a0")["Contents"][0]
        head = client.head_object(Bucket=full, Key="a0")
        assert (entry["Size"], entry["ETag"]) == (head["ContentLength"], head["ETag"])
        assert entry["LastModified"] == head["LastModified"]

    @pytest.mark.parametrize("prefix", ["", "a", "a/", "a-", "a/b", "é", "none", "~~"])
    def test_keys_of_a_prefix(self, client: Any, full: str, prefix: str) -> None:
        found = client.list_objects_v2(Bucket=full, Prefix=prefix).get("Contents", ())
        assert [one["Key"] for one in found] == [key for key in KEYS if key.startswith(prefix)]

    @pytest.mark.parametrize("after", ["a", "a-b", "a.", "a/", "a/b", "a/zz", "b c+d%&<>", "~", "\U0001f600"])
    def test_keys_after_any_text(self, client: Any, full: str, after: str) -> None:
        found = client.list_objects_v2(Bucket=full, StartAfter=after).get("Contents", ())
        assert [one["Key"] for one in found] == [key for key in KEYS if key > after]

    @pytest.mark.parametrize("method", ["list_objects_v2", "list_objects"])
    @pytest.mark.parametrize("size", [1, 2, 1000])
    @pytest.mark.parametrize(
        "prefix, keys, folders",
        [
            ("", [key for key in KEYS if "/" not in key], ["a-b/", "a/", "é/"]),
            ("a/", ["a/", "a/b", "a/b-c"], ["a/b/"]),
            ("a-", ["a-b"], ["a-b/"]),
        ],
    )
    def test_folders(
        self, client: Any, full: str, method: str, size: int, prefix: str, keys: list[str], folders: list[str]
    ) -> None:
        pages = list(
            client.get_paginator(method).paginate(
                Bucket=full, Prefix=prefix, Delimiter="/", PaginationConfig={"PageSize": size}
            )
        )
        assert [one["Key"] for page in pages for one in page.get("Contents", ())] == keys
        assert [one["Prefix"] for page in pages for one in page.get("CommonPrefixes", ())] == folders
        assert len(pages) == -(-(len(keys) + len(folders)) // size)

    def test_version_1(self, client: Any, full: str) -> None:
        pages = client.get_paginator("list_objects").paginate(Bucket=full, PaginationConfig={"PageSize": 3})
        assert [one["Key"] for page in pages for one in page.get("Contents", ())] == KEYS

    def test_a_token_that_is_none(self, client: Any, full: str) -> None:
        told = refused(client.list_objects_v2, Bucket=full, ContinuationToken="made up")
        assert told == (400, "InvalidArgument")


class TestConnections:
    def test_a_request_without_a_signature_is_refused(self, sink: NullSink, bucket: str) -> None:
        with closing(sink.connection()) as connection:
            for _ in range(2):  # the connection stays usable
                connection.request("PUT", f"/{bucket}/key", LONG)
                answer = connection.getresponse()
                assert (answer.status, b"AccessDenied" in answer.read()) == (403, True)
            connection.request("HEAD", f"/{bucket}/key", headers=SIGNED)
            assert connection.getresponse().status == 404

    def test_a_client_may_wait_for_leave_to_send(self, sink: NullSink, bucket: str) -> None:
        with _raw(sink) as raw:
            raw.sendall(_head("PUT", f"/{bucket}/key", len(LONG), "Expect: 100-continue\r\n"))
            assert raw.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
            raw.sendall(LONG)
            assert raw.recv(1000).startswith(b"HTTP/1.1 200 OK\r\n")

    def test_requests_that_come_at_once_are_answered_in_turn(self, sink: NullSink, bucket: str) -> None:
        with _raw(sink) as raw:
            puts = b"".join(_head("PUT", f"/{bucket}/{number}", 5) + b"12345" for number in range(300))
            raw.sendall(puts + _head("GET", "/", 0, "Connection: close\r\n"))
            answers = b"".join(iter(lambda: raw.recv(1 << 16), b""))
        assert (answers.count(b"HTTP/1.1 200 OK"), answers.count(b"ListAllMyBucketsResult")) == (301, 2)

    def test_a_head_that_comes_byte_by_byte(self, sink: NullSink) -> None:
        with _raw(sink) as raw:
            for letter in _head("GET", "/", 0, "Connection: close\r\n"):
                raw.sendall(bytes([letter]))
            assert raw.recv(1000).startswith(b"HTTP/1.1 200 OK\r\n")

    def test_what_is_no_request_is_refused(self, sink: NullSink) -> None:
        with _raw(sink) as raw:
            raw.sendall(b"nonsense\r\n\r\n")
            assert raw.recv(1000).startswith(b"HTTP/1.1 400 ")

    def test_a_body_that_ends_early_makes_no_object(self, sink: NullSink, client: Any, bucket: str) -> None:
        with _raw(sink) as raw:
            raw.sendall(_head("PUT", f"/{bucket}/key", 10) + b"12345")
            raw.shutdown(socket.SHUT_WR)
            assert raw.recv(1000).startswith(b"HTTP/1.1 400 ")
        assert refused(client.head_object, Bucket=bucket, Key="key") == (404, "404")


def test_it_counts_and_forgets(tmp_path: Path) -> None:
    with NullSink.start(tmp_path / "sink") as sink:
        client: Any = sink.client()
        client.create_bucket(Bucket="bucket")
        sink.reset()
        assert refused(client.head_bucket, Bucket="bucket") == (404, "404")
        client.create_bucket(Bucket="bucket")
        client.put_object(Bucket="bucket", Key="a", Body=LONG, ChecksumCRC32C=text32(crc32c(LONG)))
        refused(client.put_object, Bucket="bucket", Key="b", Body=LONG, ChecksumCRC32C=text32(0))
        counters = sink.counters()
        assert counters["requests"] == {"CreateBucket": 1, "HeadBucket": 1, "PutObject": 2}
        assert (counters["claims_checked"], counters["claims_refused"]) == (2, 1)
        assert (counters["received_bytes"], counters["objects"]) == (2 * len(LONG), 1)
        assert 0 < counters["peak_memory_bytes"] < 200 * MIB
        assert counters["cpu_s"] > 0


def test_an_md5_may_be_left_unchecked(tmp_path: Path) -> None:
    with NullSink.start(tmp_path / "sink", checks_md5=False) as sink:
        client: Any = sink.client()
        client.create_bucket(Bucket="bucket")
        false = base64.b64encode(bytes(16)).decode()
        client.put_object(Bucket="bucket", Key="key", Body=LONG, ContentMD5=false)
        told = refused(
            client.put_object, Bucket="bucket", Key="key", Body=LONG, ContentMD5=false, ChecksumCRC32C=text32(0)
        )
        assert told == (400, "BadDigest")
        counters = sink.counters()
        assert (counters["claims_checked"], counters["claims_unchecked"]) == (1, 2)


class TestBlockferry:
    def test_its_probe_trusts_the_sink(self, store: S3Store) -> None:
        probe = store.probe_claims()
        assert (probe.trusted, probe.accepted) == (True, ())
        checks = store.checks(write=True)
        assert all(check.passed for check in checks), checks
        assert list(store.list_tree()) == []

    @pytest.mark.parametrize("algorithm", Algorithm)
    def test_put_stat_and_new_attributes(self, store: S3Store, algorithm: Algorithm) -> None:
        claim = checksum_of(algorithm, LONG)
        stored = store.put("folder/fi le+%20", memoryview(LONG), claim, OTHERS)
        found = store.stat("folder/fi le+%20")
        assert found is not None
        assert (found.kind, found.size_bytes, found.checksum) == (Kind.FILE, len(LONG), claim)
        assert (found.attributes, found.version) == (OTHERS, stored.etag)
        store.set_attributes("folder/fi le+%20", ATTRIBUTES, algorithm)
        again = store.stat("folder/fi le+%20")
        assert again is not None and (again.attributes, again.checksum) == (ATTRIBUTES, claim)
        assert store.stat("folder/none") is None
        with pytest.raises(BlockferryError) as raised:
            store.put("false", LONG, false_of(claim), OTHERS)
        assert raised.value.reason == "CHECKSUM_REJECTED"

    @pytest.mark.parametrize("algorithm", Algorithm)
    def test_an_upload_in_parts(self, store: S3Store, algorithm: Algorithm) -> None:
        upload = store.begin("file", algorithm, ATTRIBUTES)
        bodies = (BODY[:PART], BODY[PART:])
        sums = [checksum_of(algorithm, body) for body in bodies]
        parts = tuple(store.put_part(upload, n, memoryview(bodies[n - 1]), sums[n - 1]) for n in (1, 2))
        assert store.list_parts(upload) == parts
        whole = concatenation((part, len(body)) for part, body in zip(sums, bodies, strict=True))
        for claim, size in ((false_of(whole), len(BODY)), (whole, len(BODY) + 1)):
            with pytest.raises(BlockferryError) as raised:
                store.complete(upload, parts, claim, size)
            assert raised.value.reason == "CHECKSUM_REJECTED"
        store.complete(upload, parts, whole, len(BODY))
        found = store.stat("file")
        assert found is not None and (found.checksum, found.size_bytes) == (whole, len(BODY))
        assert store.complete(upload, parts, whole, len(BODY)).etag == found.version

    def test_a_listing_of_several_pages(self, sink: NullSink, bucket: str, tmp_path: Path) -> None:
        with closing(sink.connection()) as connection:
            names = sorted(f"{'a' if number % 3 else 'a-b'}/{number:04d}" for number in range(2_100))
            for name in names:
                connection.request("PUT", f"/{bucket}/{name}", b"", SIGNED)
                connection.getresponse().read()
        store = S3Store(location_at(sink, bucket, tmp_path))
        assert [entry.path for entry in store.list_tree()] == names
        assert [entry.path for entry in store.list_tree(names[1_500])] == names[1_501:]
        store.close()

    def test_https(self, sink_tls: NullSink, bucket_name: str, tmp_path: Path) -> None:
        store = S3Store(location_at(sink_tls, sink_tls.make_bucket(bucket_name), tmp_path))
        assert store.probe_claims().trusted
        store.put("file", memoryview(BODY), checksum_of(Algorithm.CRC32C, BODY), ATTRIBUTES)
        assert [entry.size_bytes for entry in store.list_tree()] == [len(BODY)]
        store.close()


class _Sending:
    """One upload by boto3."""

    def __init__(self, client: Any, bucket: str) -> None:
        self.client = client
        self.names = {"Bucket": bucket, "Key": "key"}
        self.upload_id = ""

    def begin(self, **settings: object) -> None:
        self.upload_id = self.client.create_multipart_upload(**self.names, **settings)["UploadId"]

    def part(self, number: int, body: bytes, algorithm: str = "CRC32C") -> dict[str, Any]:
        crc = {"CRC32C": crc32c, "CRC32": zlib.crc32}.get(algorithm)
        claim = {f"Checksum{algorithm}": text32(crc(body))} if crc else {}
        said = self.client.upload_part(
            **self.names, UploadId=self.upload_id, PartNumber=number, Body=bytearray(body), **claim
        )
        return {"PartNumber": number, "ETag": said["ETag"], **claim}

    def complete(self, parts: list[dict[str, Any]], **claims: object) -> dict[str, Any]:
        whole = {"ChecksumType": "FULL_OBJECT"} if any(name.startswith("Checksum") for name in claims) else {}
        done: dict[str, Any] = self.client.complete_multipart_upload(
            **self.names, UploadId=self.upload_id, MultipartUpload={"Parts": parts}, **whole, **claims
        )
        return done


def _checking_client(server: NullSink) -> Any:
    """Returns boto3 as it is by default: with checksums of its own."""
    return Session().client(
        "s3",
        endpoint_url=server.endpoint,
        region_name=server.region,
        aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key,
        verify=str(server.ca_file),
        config=Config(s3={"addressing_style": "path"}),
    )


def _framed(body: bytes, frame: int, trailer: str, signed: bool) -> bytes:
    """Returns a body of aws-chunked."""
    signature = f";chunk-signature={'0' * 64}" if signed else ""
    frames = [body[start : start + frame] for start in range(0, len(body), frame)]
    sent = b"".join(f"{len(one):x}{signature}\r\n".encode() + one + b"\r\n" for one in frames)
    end = f"{trailer}\r\n" if trailer else ""
    if signed and trailer:
        end += f"x-amz-trailer-signature:{'0' * 64}\r\n"
    return sent + f"0{signature}\r\n{end}\r\n".encode()


def _put_frames(
    server: NullSink, path: str, sent: bytes, size: int, signed: bool = False, nested: bool = False
) -> tuple[int, bytes]:
    """Puts a body of aws-chunked that announces a CRC32C; `nested`: in chunks of HTTP that cut it anywhere."""
    kind = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER" if signed else "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
    headers = {
        "x-amz-content-sha256": kind, "x-amz-trailer": "x-amz-checksum-crc32c", "Content-Encoding": "aws-chunked",
        "x-amz-decoded-content-length": str(size),
    }  # fmt: skip
    if nested:
        headers["Transfer-Encoding"] = "chunked"
        cuts = [sent[start : start + 70_001] for start in range(0, len(sent), 70_001)]
        sent = b"".join(f"{len(cut):X}\r\n".encode() + cut + b"\r\n" for cut in cuts) + b"0\r\n\r\n"
    return http(server, "PUT", path, sent, headers)


def _raw(server: NullSink) -> socket.socket:
    place = urlsplit(server.endpoint)
    return socket.create_connection((place.hostname or "", place.port or 0), timeout=30)


def _head(method: str, path: str, size: int, more: str = "") -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nHost: here\r\nAuthorization: AWS4\r\n{more}Content-Length: {size}\r\n\r\n"
    return head.encode()
