"""What an S3 store's error codes and broken connections mean. PURE: no client library is known here.

Codes are those of Amazon's "Error responses" list and, where named, what the tested servers really send. Messages hold
the store's own sentence, which never holds a secret: S3 echoes access key ids and signatures in other elements only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from blockferry.errors import BlockferryError, Whose
from stores.checksum import Checksum


@dataclass(frozen=True, slots=True)
class ObjectPlace:
    """Where a request went. `key` is empty for requests about the bucket."""

    endpoint: str
    bucket: str
    key: str = ""

    def error(
        self,
        reason: str,
        message: str,
        *,
        whose: Whose = Whose.SINK,
        retryable: bool = False,
        retry_after_s: float | None = None,
        more: Mapping[str, str] = MappingProxyType({}),
    ) -> BlockferryError:
        """Returns an error with this place, and `more`, as its coordinates."""
        error = BlockferryError(reason, message, whose=whose, retryable=retryable, retry_after_s=retry_after_s)
        error.coordinates = {"endpoint": self.endpoint, "bucket": self.bucket}
        error.coordinates |= ({"key": self.key} if self.key else {}) | dict(more)
        return error


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer that is an error.

    Attributes:
        status: of HTTP; 200 is possible, at completion.
        code: S3's, or empty where the answer has no body (HEAD).
        message: the store's sentence.
        retry_after_s: of the header Retry-After.
    """

    status: int
    code: str = ""
    message: str = ""
    retry_after_s: float | None = None


class Trouble(StrEnum):
    """Why there was no answer at all."""

    UNREACHABLE = "UNREACHABLE"
    TIMEOUT = "TIMEOUT"
    BROKEN = "BROKEN"
    UNTRUSTED = "UNTRUSTED"
    GARBLED = "GARBLED"
    NO_CREDENTIALS = "NO_CREDENTIALS"


@dataclass(frozen=True, slots=True)
class _Sense:
    """Reason, sentence (cause and cure), whose, retryable."""

    reason: str
    text: str
    whose: Whose = Whose.SINK
    retryable: bool = False


_REJECTED = _Sense("CHECKSUM_REJECTED", "The store computed another checksum than the one claimed, and kept nothing: "
                     "the bytes changed on the way, or are not those of the source.", retryable=True)  # fmt: skip
_REFUSED = _Sense("CREDENTIALS_REFUSED", "The store does not accept the access key or its signature: check the "
                    "location's credentials and region.", Whose.CALLER)  # fmt: skip
_DENIED = _Sense("ACCESS_DENIED", "The store denies this to the location's access key: check its policy, and that "
                   "the keys are right.", Whose.CALLER)  # fmt: skip
_BUSY = _Sense("STORE_BUSY", "The store asks to slow down.", retryable=True)
_FAILED = _Sense("STORE_UNAVAILABLE", "The store failed on its side.", retryable=True)
_BUCKET = _Sense("BUCKET_NOT_FOUND", "There is no such bucket: create it, or correct the location.", Whose.CALLER)
_REGION = _Sense("WRONG_REGION", "The bucket is in another region: set the location's region.", Whose.CALLER)
_KEY = _Sense("INVALID_KEY", "The store cannot hold this key: rename the path.", Whose.SOURCE)
_CONFLICT = _Sense("KEY_CONFLICT", "The store cannot hold this key beside another one that it has already (`a` and "
                     "`a/b`): rename or remove one.", Whose.CALLER)  # fmt: skip
_UPLOAD = _Sense("NO_SUCH_UPLOAD", "The store has forgotten the upload (aborted, completed, or removed by a rule): "
                   "begin it again.")  # fmt: skip
_CLOCK = _Sense("CLOCK_SKEWED", "The clocks of this machine and of the store differ too much: set them.", Whose.US)
_MISSING = _Sense("NOT_FOUND", "There is no such object.")
_LIMIT = _Sense("LIMIT_EXCEEDED", "The store does not allow this size.")
_FULL = _Sense("STORE_FULL", "The store has no space left, or a quota is used up.")
_METADATA = _Sense("METADATA_TOO_LARGE", "The store does not allow so much user metadata (S3: 2 KB).")
_CHANGED = _Sense("OBJECT_CHANGED", "The object was changed by somebody else meanwhile.", retryable=True)
_UNSUPPORTED = _Sense("NOT_SUPPORTED", "The store does not offer this.")
_OTHER = _Sense("STORE_REFUSED", "The store refused the request.")

_CODES = {
    _REJECTED: ("BadDigest", "XAmzContentChecksumMismatch", "InvalidDigest", "XAmzContentSHA256Mismatch", "InvalidPart",
                "ChecksumMismatch"),
    _REFUSED: ("InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "TokenRefreshRequired",
               "XAdminUserNotFound", "AuthorizationHeaderMalformed", "InvalidSecurity", "NotSignedUp",
               "AccountProblem", "InvalidClientTokenId"),
    _DENIED: ("AccessDenied", "AllAccessDisabled", "AccountNotFound"),
    _BUSY: ("SlowDown", "ServiceUnavailable", "Throttling", "ThrottlingException", "RequestLimitExceeded",
            "TooManyRequests", "Busy", "RequestThrottled"),
    _FAILED: ("InternalError", "InternalServerError", "RequestTimeout", "OperationAborted", "IncompleteBody",
              "ConditionalRequestConflict", "RequestTimeoutException"),
    _BUCKET: ("NoSuchBucket",),
    _REGION: ("PermanentRedirect", "TemporaryRedirect", "IllegalLocationConstraintException"),
    _KEY: ("KeyTooLongError", "KeyTooLong", "InvalidURI", "XMinioInvalidObjectName", "InvalidObjectName"),
    _CONFLICT: ("ObjectParentIsFile", "ExistingObjectIsDirectory", "XMinioParentIsObject", "ObjectExistsAsDirectory",
                "DirectoryObjectContainsData"),
    _UPLOAD: ("NoSuchUpload",),
    _CLOCK: ("RequestTimeTooSkewed",),
    _MISSING: ("NoSuchKey", "NoSuchVersion"),
    _LIMIT: ("EntityTooLarge", "EntityTooSmall"),
    _FULL: ("QuotaExceeded", "XMinioStorageFull", "InsufficientStorage", "NoSpaceLeft",
            "XMinioAdminBucketQuotaExceeded"),
    _METADATA: ("MetadataTooLarge", "RequestHeaderSectionTooLarge"),
    _CHANGED: ("PreconditionFailed",),
    _UNSUPPORTED: ("NotImplemented", "MethodNotAllowed"),
}  # fmt: skip
_BY_CODE = {code: meaning for meaning, codes in _CODES.items() for code in codes}
_BY_STATUS = {
    301: _REGION, 307: _REGION, 308: _REGION, 401: _REFUSED, 403: _DENIED, 404: _MISSING, 405: _UNSUPPORTED,
    408: _FAILED, 409: _CONFLICT, 412: _CHANGED, 413: _LIMIT, 414: _KEY, 425: _BUSY, 429: _BUSY, 501: _UNSUPPORTED,
    503: _BUSY, 507: _FULL,
}  # fmt: skip
_GENERAL_CODES = frozenset({"InvalidRequest", "BadRequest", "InvalidArgument"})
_CLAIM_WORDS = ("checksum", "crc32", "crc64", "digest", "content-md5", "hash", "mp-object-size", "mpuobjectsize")

_TROUBLES = {
    Trouble.UNREACHABLE: _Sense("STORE_UNAVAILABLE", "The endpoint cannot be reached: check its address, and that "
                                  "the store runs", retryable=True),
    Trouble.TIMEOUT: _Sense("STORE_UNAVAILABLE", "The store did not answer in time", retryable=True),
    Trouble.BROKEN: _Sense("STORE_UNAVAILABLE", "The connection broke off (if this happens at once, the endpoint may "
                             "want https:// or http:// instead)", retryable=True),
    Trouble.UNTRUSTED: _Sense("TLS_UNTRUSTED", "The store's certificate is not trusted: give the certificate of its "
                                "authority as the location's CA bundle (--ca-bundle)", Whose.CALLER),
    Trouble.GARBLED: _Sense("STORE_UNAVAILABLE", "The answer is none of an S3 store: check the endpoint's address",
                              retryable=True),
    Trouble.NO_CREDENTIALS: _Sense("CREDENTIALS_MISSING", "No access key was found on this worker: set "
                                     "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY there, or give the location a "
                                     "profile, environment prefix or credentials file", Whose.CALLER),
}  # fmt: skip


def refusal_error(refusal: Refusal, place: ObjectPlace, claim: Checksum | None = None) -> BlockferryError:
    """Returns the error for an answer. `claim` is the checksum that was sent along, if one was."""
    meaning = _meaning(refusal)
    if meaning is _MISSING and not place.key:
        meaning = _BUCKET
    more = {"code": refusal.code or f"HTTP {refusal.status}"}
    if meaning is _REJECTED and claim is not None:
        more |= {"expected": claim.hex, "algorithm": claim.algorithm.value}
    said = f" It said: {refusal.message}" if refusal.message else ""
    wait_s = refusal.retry_after_s if meaning.retryable else None
    return place.error(
        meaning.reason, meaning.text + said, whose=meaning.whose, retryable=meaning.retryable, retry_after_s=wait_s,
        more=more,
    )  # fmt: skip


def trouble_error(trouble: Trouble, detail: str, place: ObjectPlace) -> BlockferryError:
    """Returns the error for a request that got no answer. `detail` is the client library's sentence."""
    meaning = _TROUBLES[trouble]
    text = f"{meaning.text}: {detail}" if detail else f"{meaning.text}."
    return place.error(meaning.reason, text, whose=meaning.whose, retryable=meaning.retryable)


def retry_after_s(header: str | None) -> float | None:
    """Returns the seconds of a header Retry-After; None for a date, which S3 stores do not send."""
    text = (header or "").strip()
    return float(text) if text.isdecimal() else None


def _meaning(refusal: Refusal) -> _Sense:
    if refusal.code == "AuthorizationHeaderMalformed" and "region" in refusal.message.lower():
        return _REGION
    if refusal.code in _GENERAL_CODES and any(word in refusal.message.lower() for word in _CLAIM_WORDS):
        return _REJECTED
    if found := _BY_CODE.get(refusal.code) or _BY_STATUS.get(refusal.status):
        return found
    return _FAILED if refusal.status >= 500 or refusal.status == 200 else _OTHER
