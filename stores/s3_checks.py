"""The test of an S3 location, step by step, as a person would try it. Finds; never raises for what it finds."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from itertools import islice
from typing import Protocol

from blockferry.errors import BlockferryError
from stores.base import Attributes, Check, Prober
from stores.checksum import Algorithm
from stores.claim_probe import PROBE_PREFIX, Probed
from stores.hashing import checksum_of
from stores.location import S3Location

_BODY = b"blockferry tries to write here"
# Reasons of a first listing that fails, by the step that they belong to; steps before it have passed.
_STEPS = ("credentials found", "endpoint", "credentials", "bucket", "list")
_STEP_OF = {
    "CREDENTIALS_MISSING": "credentials found",
    "STORE_UNAVAILABLE": "endpoint",
    "STORE_BUSY": "endpoint",
    "TLS_UNTRUSTED": "endpoint",
    "CLOCK_SKEWED": "credentials",
    "CREDENTIALS_REFUSED": "credentials",
    "BUCKET_NOT_FOUND": "bucket",
    "WRONG_REGION": "bucket",
}


class Checked(Probed, Prober, Protocol):
    """A store that is to be tried."""


def run_checks(store: Checked, location: S3Location, write: bool) -> tuple[Check, ...]:
    """Returns the steps in order; those after a failed one may be absent. What was written is removed."""
    checks = _first_listing(store, location)
    if not write or not all(check.passed for check in checks):
        return checks
    return checks + _writing(store, f"{PROBE_PREFIX}{uuid.uuid4().hex}-write") + (_claims(store),)


def _first_listing(store: Checked, location: S3Location) -> tuple[Check, ...]:
    """Tells five steps from one request: its error, if any, names the step that failed."""
    passed = {
        "credentials found": f"keys found ({location.credentials.kind.value.lower().replace('_', ' ')})",
        "endpoint": f"{location.endpoint or 'AWS'} answers",
        "credentials": "the store accepts the keys",
        "bucket": f"{location.bucket} exists",
        "list": f"{location.uri} can be listed",
    }
    try:
        for _ in islice(store.list_tree(), 1):
            pass
    except BlockferryError as error:
        failed = _STEP_OF.get(error.reason, "list")
        before = _STEPS[: _STEPS.index(failed)]
        return (*(Check(step, True, passed[step]) for step in before), _failed(failed, error))
    return tuple(Check(step, True, passed[step]) for step in _STEPS)


def _writing(store: Checked, path: str) -> tuple[Check, ...]:
    claim = checksum_of(Algorithm.CRC32C, _BODY)
    attributes = Attributes("blockferry", "blockferry", 0o600, mtime_ms=0, atime_ms=0)
    write = _tried("write", f"{path} was written", lambda: store.put(path, _BODY, claim, attributes))
    if not write.passed:
        return (write,)
    read = _tried("read back", f"{path} was read back", lambda: _read_back(store, path))
    return write, read, _tried("delete", f"{path} was deleted", lambda: store.delete(path))


def _read_back(store: Checked, path: str) -> None:
    found = b"".join(store.read(path))
    if found != _BODY:
        text = f"What was read back ({len(found)} bytes) is not what was written ({len(_BODY)} bytes)."
        raise BlockferryError("READ_BACK_DIFFERS", text, path=path)


def _claims(store: Checked) -> Check:
    try:
        probe = store.probe_claims()
    except BlockferryError as error:
        return _failed("checksum claims", error)
    return Check("checksum claims", probe.trusted, probe.detail, "" if probe.trusted else "CLAIMS_NOT_VERIFIED")


def _tried(step: str, message: str, call: Callable[[], object]) -> Check:
    try:
        call()
    except BlockferryError as error:
        return _failed(step, error)
    return Check(step, True, message)


def _failed(step: str, error: BlockferryError) -> Check:
    return Check(step, False, str(error), error.reason)
