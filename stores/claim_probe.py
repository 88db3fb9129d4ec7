"""Whether a sink refuses false claims: the question on which every proof by stored checksums rests.

A 200 with an echoed checksum proves nothing: `rclone serve s3` echoes claims that it never compared. So false ones are
sent, each to a name of its own, and true ones must be kept and answered. Whatever was made is removed.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Protocol, TypeVar

from blockferry.errors import BlockferryError
from stores.base import Attributes, ClaimProbe, Multipart, Sink, Upload
from stores.checksum import Algorithm, Checksum
from stores.hashing import checksum_of

T = TypeVar("T")
PROBE_PREFIX = ".blockferry-probe-"
_BODY = b"blockferry asks whether a false checksum is refused"
_ATTRIBUTES = Attributes("blockferry", "blockferry", 0o600, mtime_ms=0, atime_ms=0)
_TRUE = checksum_of(Algorithm.CRC32C, _BODY)
_FALSE = Checksum(_TRUE.algorithm, _TRUE.value ^ 1)
# Answers that tell about the store's abilities. Any other error tells that it could not be asked.
_ANSWERS = frozenset({"CHECKSUM_REJECTED", "NOT_SUPPORTED", "STORE_REFUSED", "LIMIT_EXCEEDED"})


class Probed(Sink, Multipart, Protocol):
    """A sink that can remove what was put."""

    def delete(self, path: str) -> None:
        """Removes an object. No error when there is none."""
        ...


def probe_claims(store: Probed) -> ClaimProbe:
    """Sends false and true claims for a put, a part and a completion.

    Raises:
        BlockferryError: the store could not be asked (down, access denied, no bucket).
    """
    attempt = _Attempt(store)
    try:
        attempt.false_put()
        attempt.false_part()
        attempt.false_completion()
        attempt.true_put()
        attempt.true_completion()
    finally:
        left = attempt.clean()
    return _judged(attempt.accepted, attempt.lost, left)


def _judged(accepted: list[str], lost: list[str], left: list[str]) -> ClaimProbe:
    sentences = [
        f"accepts a false checksum of: {', '.join(accepted)}" if accepted else "",
        f"does not keep a true checksum of: {', '.join(lost)}" if lost else "",
        f"kept probe objects that could not be removed: {', '.join(left)}" if left else "",
    ]
    said = "; ".join(sentence for sentence in sentences if sentence)
    detail = f"The store {said}." if said else "False checksums of a put, a part and a completion were refused."
    return ClaimProbe(not accepted and not lost, detail, tuple(accepted))


class _Attempt:
    """One probe. Remembers everything that it makes."""

    def __init__(self, store: Probed) -> None:
        self._store = store
        self._name = f"{PROBE_PREFIX}{uuid.uuid4().hex}"
        self._uploads: list[Upload] = []
        self._paths: list[str] = []
        self.accepted: list[str] = []
        self.lost: list[str] = []

    def false_put(self) -> None:
        path = self._path("false-put")
        self._expect_refusal("put", path, lambda: self._store.put(path, _BODY, _FALSE, _ATTRIBUTES))

    def false_part(self) -> None:
        upload = self._begin("false-part")
        if upload is not None:
            call = lambda: self._store.put_part(upload, 1, memoryview(_BODY), _FALSE)  # noqa: E731 - reads as the put
            self._expect_refusal("part", upload.path, call)

    def false_completion(self) -> None:
        upload = self._begin("false-completion")
        if upload is not None:
            self._expect_refusal("completion", upload.path, lambda: self._complete(upload, _FALSE))

    def true_put(self) -> None:
        path = self._path("true-put")
        self._expect_kept("put", path, lambda: self._store.put(path, _BODY, _TRUE, _ATTRIBUTES))

    def true_completion(self) -> None:
        upload = self._begin("true-completion")
        if upload is not None:
            self._expect_kept("completion", upload.path, lambda: self._complete(upload, _TRUE))

    def clean(self) -> list[str]:
        """Removes everything; returns the paths that could not be removed."""
        left = [upload.path for upload in self._uploads if not _done(self._store.abort, upload)]
        return left + [path for path in self._paths if not _done(self._store.delete, path)]

    def _path(self, step: str) -> str:
        self._paths.append(f"{self._name}-{step}")
        return self._paths[-1]

    def _begin(self, step: str) -> Upload | None:
        """Begins an upload; None when the store offers none, which is noted."""
        try:
            self._uploads.append(self._store.begin(self._path(step), Algorithm.CRC32C, _ATTRIBUTES))
        except BlockferryError as error:
            _require_answer(error)
            self.lost.append(f"{step} ({error.reason})")
            return None
        return self._uploads[-1]

    def _complete(self, upload: Upload, claim: Checksum) -> object:
        part = self._store.put_part(upload, 1, memoryview(_BODY), _TRUE)
        return self._store.complete(upload, (part,), claim, len(_BODY))

    def _expect_refusal(self, what: str, path: str, call: Callable[[], object]) -> None:
        try:
            call()
        except BlockferryError as error:
            _require_answer(error)
            if self._store.stat(path) is not None:
                self.accepted.append(f"{what} (refused, but kept)")
            return
        self.accepted.append(what)

    def _expect_kept(self, what: str, path: str, call: Callable[[], object]) -> None:
        try:
            call()
        except BlockferryError as error:
            _require_answer(error)
            self.lost.append(f"{what} ({error.reason})")
            return
        found = self._store.stat(path)
        if found is None or found.checksum != _TRUE or found.size_bytes != len(_BODY):
            self.lost.append(what)


def _require_answer(error: BlockferryError) -> None:
    """Raises the error when it says nothing about claims."""
    if error.reason not in _ANSWERS:
        raise error


def _done(call: Callable[[T], None], argument: T) -> bool:
    """Calls and returns whether that worked."""
    try:
        call(argument)
    except BlockferryError:
        return False
    return True
