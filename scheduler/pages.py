"""PURE: page sizes and page tokens. A token is opaque, and bound to the arguments of the call that gave it."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json

from blockferry.errors import BlockferryError, Whose

DEFAULT_SIZE = 50
MAX_SIZE = 1000


def page_size(asked: int) -> int:
    """Returns how many resources a page holds. Raises INVALID_ARGUMENT when `asked` is negative."""
    if asked < 0:
        text = f"page_size is {asked}: it must not be negative. 0 means {DEFAULT_SIZE}."
        raise BlockferryError("INVALID_ARGUMENT", text, whose=Whose.CALLER, field="page_size", value=asked)
    return min(asked or DEFAULT_SIZE, MAX_SIZE)


def token(after: str, *arguments: object) -> str:
    """Returns the token of the page behind `after`, of a call with these arguments."""
    plain = json.dumps([_fingerprint(arguments), after])
    return base64.urlsafe_b64encode(plain.encode()).decode().rstrip("=")


def position(page_token: str, *arguments: object) -> str:
    """Returns where a page begins: what `token` was given; empty for the first page.

    Raises:
        BlockferryError: INVALID_PAGE_TOKEN, when it is none of ours, or of a call with other arguments.
    """
    if not page_token:
        return ""
    try:
        fingerprint, after = json.loads(base64.urlsafe_b64decode(page_token + "=" * (-len(page_token) % 4)))
    except (binascii.Error, ValueError, TypeError) as error:
        raise _invalid() from error
    if fingerprint != _fingerprint(arguments) or not isinstance(after, str):
        raise _invalid()
    return after


def _fingerprint(arguments: tuple[object, ...]) -> str:
    return hashlib.sha256(json.dumps([str(one) for one in arguments]).encode()).hexdigest()[:16]


def _invalid() -> BlockferryError:
    text = "The page_token is not of a call with these arguments: leave it empty to begin with the first page."
    return BlockferryError("INVALID_PAGE_TOKEN", text, whose=Whose.CALLER, field="page_token")
