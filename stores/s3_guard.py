"""From the exceptions of botocore and of HTTP to errors with a reason. Holds no meaning of codes."""

from __future__ import annotations

import ssl
from dataclasses import replace
from types import TracebackType

from botocore import exceptions as boto

from stores.http_head import NoHttpError
from stores.http_pool import UnreachableError
from stores.s3_errors import ObjectPlace, Trouble, trouble_error


class Guarded:
    """Runs a block that talks to a store about one of a bucket's keys; whatever the libraries raise comes out as a
    BlockferryError."""

    __slots__ = ("_bucket", "_key")

    def __init__(self, bucket: ObjectPlace, key: str = "") -> None:
        self._bucket = bucket
        self._key = key

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, boto.BotoCoreError | NoHttpError | OSError):
            raise trouble_error(_trouble(error), str(error), replace(self._bucket, key=self._key)) from error


def _trouble(error: Exception) -> Trouble:
    if isinstance(error, boto.BotoCoreError):
        return Trouble.NO_CREDENTIALS  # botocore is asked for nothing else
    if isinstance(error, ssl.SSLError):
        return Trouble.UNTRUSTED if "CERTIFICATE_VERIFY_FAILED" in str(error) else Trouble.BROKEN
    if isinstance(error, UnreachableError):
        return Trouble.UNREACHABLE
    return Trouble.TIMEOUT if isinstance(error, TimeoutError) else Trouble.BROKEN
