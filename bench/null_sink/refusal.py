"""Answers of S3 that are errors."""

from __future__ import annotations

from typing import Self

_STATUS = {
    "AccessDenied": 403,
    "BucketAlreadyOwnedByYou": 409,
    "BucketNotEmpty": 409,
    "MethodNotAllowed": 405,
    "NoSuchBucket": 404,
    "NoSuchKey": 404,
    "NoSuchUpload": 404,
    "NotImplemented": 501,
    "PreconditionFailed": 412,
}


class Refusal(Exception):
    """A request that is answered with an error. `code` is S3's."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message

    @classmethod
    def of(cls, code: str, message: str) -> Self:
        """Returns the refusal with the status that S3 gives to the code: 400 where the table has no other."""
        return cls(_STATUS.get(code, 400), code, message)


class BrokenBody(Refusal):
    """A body that cannot be read to its end: after the answer the connection is closed."""
