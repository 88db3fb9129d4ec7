"""From the exceptions of botocore and of HTTP to errors with a reason. Holds no meaning of codes."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager

from botocore import exceptions as boto

from stores.http_head import NoHttpError
from stores.http_pool import UnreachableError
from stores.s3_errors import ObjectPlace, Trouble, trouble_error


@contextmanager
def guarded(place: ObjectPlace) -> Iterator[None]:
    """Runs a block that talks to a store; whatever the libraries raise comes out as a BlockferryError."""
    try:
        yield
    except (boto.BotoCoreError, NoHttpError, OSError) as error:
        raise trouble_error(_trouble(error), str(error), place) from error


def _trouble(error: Exception) -> Trouble:
    if isinstance(error, boto.BotoCoreError):
        return Trouble.NO_CREDENTIALS  # botocore is asked for nothing else
    if isinstance(error, ssl.SSLError):
        return Trouble.UNTRUSTED if "CERTIFICATE_VERIFY_FAILED" in str(error) else Trouble.BROKEN
    if isinstance(error, UnreachableError):
        return Trouble.UNREACHABLE
    return Trouble.TIMEOUT if isinstance(error, TimeoutError) else Trouble.BROKEN
