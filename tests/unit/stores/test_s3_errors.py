"""What S3 error codes mean: reason, whose, retryable, and where it happened."""

import pytest

from blockferry.errors import Whose
from stores.checksum import Algorithm, Checksum
from stores.s3_errors import ObjectPlace, Refusal, Trouble, refusal_error, retry_after_s, trouble_error

_PLACE = ObjectPlace("http://store:9000", "bucket", "folder/file")
_CLAIM = Checksum(Algorithm.CRC32C, 0xDEADBEEF)


@pytest.mark.parametrize(
    ("status", "code", "reason", "retryable", "whose"),
    [
        (400, "BadDigest", "CHECKSUM_REJECTED", True, Whose.SINK),
        (400, "XAmzContentChecksumMismatch", "CHECKSUM_REJECTED", True, Whose.SINK),
        (400, "InvalidDigest", "CHECKSUM_REJECTED", True, Whose.SINK),
        (400, "XAmzContentSHA256Mismatch", "CHECKSUM_REJECTED", True, Whose.SINK),
        (400, "InvalidPart", "CHECKSUM_REJECTED", True, Whose.SINK),
        (403, "InvalidAccessKeyId", "CREDENTIALS_REFUSED", False, Whose.CALLER),
        (403, "SignatureDoesNotMatch", "CREDENTIALS_REFUSED", False, Whose.CALLER),
        (404, "XAdminUserNotFound", "CREDENTIALS_REFUSED", False, Whose.CALLER),
        (400, "ExpiredToken", "CREDENTIALS_REFUSED", False, Whose.CALLER),
        (403, "AccessDenied", "ACCESS_DENIED", False, Whose.CALLER),
        (403, "", "ACCESS_DENIED", False, Whose.CALLER),
        (404, "NoSuchBucket", "BUCKET_NOT_FOUND", False, Whose.CALLER),
        (404, "NoSuchKey", "NOT_FOUND", False, Whose.SINK),
        (404, "", "NOT_FOUND", False, Whose.SINK),
        (404, "NoSuchUpload", "NO_SUCH_UPLOAD", False, Whose.SINK),
        (301, "PermanentRedirect", "WRONG_REGION", False, Whose.CALLER),
        (301, "", "WRONG_REGION", False, Whose.CALLER),
        (503, "SlowDown", "STORE_BUSY", True, Whose.SINK),
        (503, "ServiceUnavailable", "STORE_BUSY", True, Whose.SINK),
        (429, "", "STORE_BUSY", True, Whose.SINK),
        (500, "InternalError", "STORE_UNAVAILABLE", True, Whose.SINK),
        (500, "", "STORE_UNAVAILABLE", True, Whose.SINK),
        (502, "", "STORE_UNAVAILABLE", True, Whose.SINK),
        (504, "Whatever", "STORE_UNAVAILABLE", True, Whose.SINK),
        (400, "RequestTimeout", "STORE_UNAVAILABLE", True, Whose.SINK),
        (200, "InternalError", "STORE_UNAVAILABLE", True, Whose.SINK),
        (200, "", "STORE_UNAVAILABLE", True, Whose.SINK),
        (409, "OperationAborted", "STORE_UNAVAILABLE", True, Whose.SINK),
        (409, "ObjectParentIsFile", "KEY_CONFLICT", False, Whose.CALLER),
        (412, "PreconditionFailed", "OBJECT_CHANGED", True, Whose.SINK),
        (400, "KeyTooLongError", "INVALID_KEY", False, Whose.SOURCE),
        (403, "RequestTimeTooSkewed", "CLOCK_SKEWED", False, Whose.US),
        (400, "EntityTooSmall", "LIMIT_EXCEEDED", False, Whose.SINK),
        (507, "", "STORE_FULL", False, Whose.SINK),
        (400, "MetadataTooLarge", "METADATA_TOO_LARGE", False, Whose.SINK),
        (501, "NotImplemented", "NOT_SUPPORTED", False, Whose.SINK),
        (418, "Teapot", "STORE_REFUSED", False, Whose.SINK),
    ],
)
def test_a_code_has_its_meaning(status: int, code: str, reason: str, retryable: bool, whose: Whose) -> None:
    error = refusal_error(Refusal(status, code, "the store's own words"), _PLACE)
    assert (error.reason, error.retryable, error.whose) == (reason, retryable, whose)
    assert error.message.endswith("It said: the store's own words")
    assert error.coordinates == {
        "endpoint": "http://store:9000",
        "bucket": "bucket",
        "key": "folder/file",
        "code": code or f"HTTP {status}",
    }


@pytest.mark.parametrize("code", ["InvalidRequest", "BadRequest", "InvalidArgument"])
@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("Value for x-amz-checksum-crc32c header is invalid.", "CHECKSUM_REJECTED"),
        ("Checksum Type mismatch occurred", "CHECKSUM_REJECTED"),
        ("The provided 'x-amz-mp-object-size' header value 5 does not match what was computed: 6", "CHECKSUM_REJECTED"),
        ("You must specify at least one part", "STORE_REFUSED"),
        ("", "STORE_REFUSED"),
    ],
)
def test_a_general_code_is_a_rejection_when_it_is_about_the_claim(code: str, message: str, reason: str) -> None:
    assert refusal_error(Refusal(400, code, message), _PLACE).reason == reason


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("The authorization header is malformed; the region 'us-east-1' is wrong", "WRONG_REGION"),
        ("The authorization header is malformed", "CREDENTIALS_REFUSED"),
    ],
)
def test_a_malformed_header_may_mean_the_region(message: str, reason: str) -> None:
    assert refusal_error(Refusal(400, "AuthorizationHeaderMalformed", message), _PLACE).reason == reason


def test_a_rejection_names_the_claim() -> None:
    error = refusal_error(Refusal(400, "BadDigest"), _PLACE, _CLAIM)
    assert (error.coordinates["expected"], error.coordinates["algorithm"]) == ("deadbeef", "CRC32C")
    assert "expected" not in refusal_error(Refusal(503, "SlowDown"), _PLACE, _CLAIM).coordinates


def test_a_missing_thing_without_a_key_is_the_bucket() -> None:
    assert refusal_error(Refusal(404), ObjectPlace("e", "b")).reason == "BUCKET_NOT_FOUND"


def test_the_wait_that_was_asked_for_is_kept_where_a_retry_helps() -> None:
    assert refusal_error(Refusal(503, "SlowDown", retry_after_s=7.0), _PLACE).retry_after_s == 7.0
    assert refusal_error(Refusal(403, "AccessDenied", retry_after_s=7.0), _PLACE).retry_after_s is None


@pytest.mark.parametrize(
    ("header", "seconds"), [("7", 7.0), (" 0 ", 0.0), (None, None), ("", None), ("-1", None), ("Sat, 21 Nov", None)]
)
def test_retry_after(header: str | None, seconds: float | None) -> None:
    assert retry_after_s(header) == seconds


@pytest.mark.parametrize(
    ("trouble", "reason", "retryable"),
    [
        (Trouble.UNREACHABLE, "STORE_UNAVAILABLE", True),
        (Trouble.TIMEOUT, "STORE_UNAVAILABLE", True),
        (Trouble.BROKEN, "STORE_UNAVAILABLE", True),
        (Trouble.UNTRUSTED, "TLS_UNTRUSTED", False),
        (Trouble.NO_CREDENTIALS, "CREDENTIALS_MISSING", False),
    ],
)
def test_a_trouble_has_its_meaning(trouble: Trouble, reason: str, retryable: bool) -> None:
    error = trouble_error(trouble, "what the library said", _PLACE)
    assert (error.reason, error.retryable) == (reason, retryable)
    assert error.coordinates["endpoint"] == "http://store:9000"
    assert error.message.endswith(": what the library said")


def test_every_trouble_has_a_meaning() -> None:
    assert all(trouble_error(trouble, "", _PLACE).message.endswith(".") for trouble in Trouble)
