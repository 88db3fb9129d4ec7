"""An error goes over the wire and comes back as it was."""

from __future__ import annotations

import pickle
from typing import Any

import grpc
import pytest

from blockferry.errors import BlockferryError, Whose
from blockferry.status import DETAILS_KEY, code_of, from_rpc_error, to_status


class Failed(grpc.RpcError):
    """A failed call, as grpc's synchronous and asyncio clients give it."""

    def __init__(self, code: grpc.StatusCode, details: str, trailers: tuple[tuple[str, bytes], ...] = ()) -> None:
        self._values = code, details, trailers

    def code(self) -> grpc.StatusCode:
        return self._values[0]

    def details(self) -> str:
        return self._values[1]

    def trailing_metadata(self) -> tuple[Any, ...]:
        return self._values[2]


ERROR = BlockferryError(
    "STORE_UNAVAILABLE",
    "The store is busy.",
    retryable=True,
    retry_after_s=1.5,
    whose=Whose.SINK,
    path="a b",
    attempt=3,
)


def fields(error: BlockferryError) -> tuple[object, ...]:
    return error.reason, error.message, error.retryable, error.retry_after_s, error.whose, error.coordinates


def test_an_error_survives_the_wire() -> None:
    assert fields(from_rpc_error(Failed(*to_status(ERROR)))) == fields(ERROR)


def test_an_error_survives_pickling() -> None:
    assert fields(pickle.loads(pickle.dumps(ERROR))) == fields(ERROR)  # noqa: S301


def test_the_trailer_has_the_standard_name() -> None:
    assert to_status(ERROR)[2][0][0] == DETAILS_KEY == "grpc-status-details-bin"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ERROR, grpc.StatusCode.UNAVAILABLE),
        (BlockferryError("ACCESS_DENIED", "No.", whose=Whose.CALLER), grpc.StatusCode.PERMISSION_DENIED),
        (BlockferryError("INVALID_LOCATION", "No.", whose=Whose.CALLER), grpc.StatusCode.INVALID_ARGUMENT),
        (BlockferryError("CHECKSUM_FAILURE", "No."), grpc.StatusCode.DATA_LOSS),
        (BlockferryError("INTERNAL", "No."), grpc.StatusCode.INTERNAL),
    ],
)
def test_reasons_have_canonical_codes(error: BlockferryError, code: grpc.StatusCode) -> None:
    assert code_of(error) is code


@pytest.mark.parametrize(
    ("code", "reason", "retryable"),
    [
        (grpc.StatusCode.UNAVAILABLE, "SERVICE_UNAVAILABLE", True),
        (grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED", True),
        (grpc.StatusCode.CANCELLED, "CALL_CANCELLED", True),
        (grpc.StatusCode.UNIMPLEMENTED, "UNIMPLEMENTED", False),
    ],
)
def test_a_status_without_details_is_told_by_its_code(code: grpc.StatusCode, reason: str, retryable: bool) -> None:
    error = from_rpc_error(Failed(code, "connection refused"))
    assert (error.reason, error.retryable) == (reason, retryable)
    assert "connection refused" in error.message


def test_the_text_names_reason_and_place() -> None:
    assert str(ERROR) == "STORE_UNAVAILABLE: The store is busy. [path: a b, attempt: 3]"
