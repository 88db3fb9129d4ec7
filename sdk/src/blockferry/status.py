"""Errors on the wire: `BlockferryError` to a gRPC status with exactly one ErrorInfo, and back. Opens no connection."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from grpc import RpcError, StatusCode

from blockferry.errors import BlockferryError, Whose
from blockferry.v1 import error_pb2

DETAILS_KEY = "grpc-status-details-bin"
DOMAIN = "blockferry"
_ERROR_INFO = "type.googleapis.com/google.rpc.ErrorInfo"
_RETRY_INFO = "type.googleapis.com/google.rpc.RetryInfo"

# Reasons whose canonical code says more than whose fault it is. All others follow from `whose` and `retryable`.
_CODES = {
    "NOT_FOUND": StatusCode.NOT_FOUND,
    "SOURCE_NOT_FOUND": StatusCode.NOT_FOUND,
    "BUCKET_NOT_FOUND": StatusCode.NOT_FOUND,
    "LOCATION_NOT_FOUND": StatusCode.NOT_FOUND,
    "TASK_NOT_FOUND": StatusCode.NOT_FOUND,
    "EXECUTION_NOT_FOUND": StatusCode.NOT_FOUND,
    "ALREADY_EXISTS": StatusCode.ALREADY_EXISTS,
    "ACCESS_DENIED": StatusCode.PERMISSION_DENIED,
    "CREDENTIALS_REFUSED": StatusCode.PERMISSION_DENIED,
    "CREDENTIALS_MISSING": StatusCode.UNAUTHENTICATED,
    "AUTHENTICATION_REQUIRED": StatusCode.UNAUTHENTICATED,
    "UNTRUSTED_STORE": StatusCode.FAILED_PRECONDITION,
    "QUEUE_FULL": StatusCode.RESOURCE_EXHAUSTED,
    "CHECKSUM_FAILURE": StatusCode.DATA_LOSS,
    "CHECKSUM_REJECTED": StatusCode.DATA_LOSS,
    "SOURCE_CORRUPT": StatusCode.DATA_LOSS,
}


def code_of(error: BlockferryError) -> StatusCode:
    """Returns the canonical gRPC code of an error."""
    if error.reason in _CODES:
        return _CODES[error.reason]
    if error.retryable:
        return StatusCode.UNAVAILABLE
    return StatusCode.INVALID_ARGUMENT if error.whose is Whose.CALLER else StatusCode.INTERNAL


def to_status(error: BlockferryError) -> tuple[StatusCode, str, tuple[tuple[str, bytes], ...]]:
    """Returns code, message and trailing metadata of a failed call."""
    info = error_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=error.coordinates)
    info.metadata["whose"] = error.whose
    info.metadata["retryable"] = str(error.retryable).lower()
    details = [error_pb2.ErrorDetail(type_url=_ERROR_INFO, value=info.SerializeToString())]
    if error.retry_after_s is not None:
        delay = error_pb2.RetryInfo.Delay(seconds=int(error.retry_after_s), nanos=int(error.retry_after_s % 1 * 1e9))
        retry = error_pb2.RetryInfo(retry_delay=delay)
        details.append(error_pb2.ErrorDetail(type_url=_RETRY_INFO, value=retry.SerializeToString()))
    code = code_of(error)
    number: int = code.value[0]
    status = error_pb2.ErrorStatus(code=number, message=error.message, details=details)
    return code, error.message, ((DETAILS_KEY, status.SerializeToString()),)


def from_rpc_error(error: RpcError) -> BlockferryError:
    """Returns the error that the other side raised; for a broken connection one with reason SERVICE_UNAVAILABLE.

    Takes errors of synchronous and asyncio calls alike (both have `code()`, `details()` and `trailing_metadata()`).
    """
    code: StatusCode = error.code()
    trailers = cast(Iterable[tuple[str, str | bytes]], error.trailing_metadata() or ())
    for key, value in trailers:
        if key == DETAILS_KEY and isinstance(value, bytes):
            return _from_status(error_pb2.ErrorStatus.FromString(value))
    text = error.details() or code.name
    if code is StatusCode.UNAVAILABLE:
        return BlockferryError("SERVICE_UNAVAILABLE", f"The service does not answer: {text}", retryable=True)
    if code is StatusCode.DEADLINE_EXCEEDED:
        return BlockferryError("DEADLINE_EXCEEDED", f"The service did not answer in time: {text}", retryable=True)
    if code is StatusCode.CANCELLED:
        return BlockferryError("CALL_CANCELLED", f"The call was cancelled: {text}", retryable=True)
    return BlockferryError(code.name, text)


def _from_status(status: error_pb2.ErrorStatus) -> BlockferryError:
    info = error_pb2.ErrorInfo(reason="UNKNOWN")
    retry_after_s = None
    for detail in status.details:
        if detail.type_url == _ERROR_INFO:
            info = error_pb2.ErrorInfo.FromString(detail.value)
        elif detail.type_url == _RETRY_INFO:
            delay = error_pb2.RetryInfo.FromString(detail.value).retry_delay
            retry_after_s = delay.seconds + delay.nanos / 1e9
    coordinates = dict(info.metadata)
    whose = Whose(coordinates.pop("whose", Whose.US))
    retryable = coordinates.pop("retryable", "false") == "true"
    error = BlockferryError(info.reason, status.message, retryable=retryable, retry_after_s=retry_after_s, whose=whose)
    error.coordinates = coordinates
    return error
