"""From the exceptions of botocore and urllib3 to errors with a reason. Holds no meaning of codes."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException

from botocore import exceptions as boto
from urllib3 import exceptions as http

from stores.s3_errors import ObjectPlace, Trouble, trouble_error

_UNREACHABLE = (http.NewConnectionError, http.ConnectTimeoutError, http.NameResolutionError, http.LocationParseError)


@contextmanager
def guarded(place: ObjectPlace) -> Iterator[None]:
    """Runs a block that talks to a store; whatever the client library raises comes out as a BlockferryError."""
    try:
        yield
    except (boto.BotoCoreError, http.HTTPError, HTTPException, OSError) as error:
        raise trouble_error(_trouble(error), str(error), place) from error


def _trouble(error: Exception) -> Trouble:
    if isinstance(error, boto.BotoCoreError):
        return Trouble.NO_CREDENTIALS  # botocore is asked for nothing else
    if isinstance(error, http.SSLError | ssl.SSLError):
        return Trouble.UNTRUSTED if "CERTIFICATE_VERIFY_FAILED" in str(error) else Trouble.BROKEN
    if isinstance(error, _UNREACHABLE):
        return Trouble.UNREACHABLE
    return Trouble.TIMEOUT if isinstance(error, http.TimeoutError | TimeoutError) else Trouble.BROKEN
