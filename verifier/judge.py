"""Holds what was found against what was expected. PURE.

The order in which faults are looked for: the object is missing, its size, its content, the source's change since the
plan, its metadata. So damage is never hidden behind a change. An object whose ETag is not the receipt's was written by
somebody else in between; it is judged by its content like any other.
"""

from __future__ import annotations

from collections.abc import Iterator

from ledger.records import EntryFailure, Proof, Verdict
from stores.base import Attributes, Kind, Stat
from stores.checksum import Checksum
from verifier.expect import Expectation


def proof_for(expected: Expectation, found: Stat, claims_trusted: bool) -> Proof:
    """Returns how the content of an object can be proved. READ_BACK only where what the store keeps is no proof: it
    keeps no FULL_OBJECT checksum, one of another algorithm, or it accepts false claims."""
    if expected.kind is not Kind.FILE:
        return Proof.NONE
    if expected.checksum is None:
        return Proof.SIZE_ONLY
    if expected.size_bytes != found.size_bytes:
        return Proof.SIZE_ONLY  # it has failed already: nothing needs to be read
    if claims_trusted and found.checksum is not None and found.checksum.algorithm is expected.checksum.algorithm:
        return Proof.STORED_CHECKSUM
    return Proof.READ_BACK if expected.worth_reading else Proof.SIZE_ONLY


def judge(
    path: str,
    expected: Expectation,
    found: Stat,
    content: Checksum | None,
    proof: Proof,
    change: EntryFailure | None = None,
) -> Verdict:
    """Returns the verdict on an object that exists.

    Args:
        path: of the entry.
        expected: what it must be.
        found: what the sink says now.
        content: the checksum found, as `proof` says; None for SIZE_ONLY and NONE.
        proof: how it was found.
        change: what `expect.source_change` said.
    """
    failure = (
        _kind_or_size(path, expected, found) or _content(path, expected, found, content) or change
    ) or _attributes(path, expected, found)
    return Verdict(
        path=path,
        proof=proof,
        size_bytes=expected.size_bytes,
        expected=expected.checksum,
        found=content,
        source_proven=expected.source_proven,
        failure=failure,
    )


def missing(path: str, size_bytes: int) -> Verdict:
    """Returns the verdict on an object that is not there."""
    failure = EntryFailure(
        "OBJECT_MISSING",
        f"{path!r} is no longer at the destination: somebody deleted it, or the store lost it. Run the task again.",
        (("path", path), ("expected", f"{size_bytes} bytes"), ("found", "nothing")),
    )
    return Verdict(path, Proof.NONE, size_bytes, failure=failure)


def _kind_or_size(path: str, expected: Expectation, found: Stat) -> EntryFailure | None:
    if found.kind == expected.kind and found.size_bytes == expected.size_bytes:
        return None
    wanted = f"{expected.kind} of {expected.size_bytes} bytes"
    there = f"{found.kind} of {found.size_bytes} bytes"
    return EntryFailure(
        "SIZE_DIFFERS",
        f"{path!r} must be a {wanted} at the destination and is a {there}.{_cure(expected, found)}",
        (("path", path), ("expected", wanted), ("found", there)),
    )


def _content(path: str, expected: Expectation, found: Stat, content: Checksum | None) -> EntryFailure | None:
    if expected.checksum is None or content is None or content == expected.checksum:
        return None
    wanted, there = _text(expected.checksum), _text(content)
    return EntryFailure(
        "CHECKSUM_FAILURE",
        f"The content of {path!r} at the destination has the checksum {there}, and {wanted} was expected: "
        f"it was damaged or overwritten.{_cure(expected, found)}",
        (("path", path), ("expected", wanted), ("found", there), ("etag", found.version)),
    )


def _cure(expected: Expectation, found: Stat) -> str:
    kept, wanted = found.attributes, expected.attributes
    if expected.with_mtime and kept is not None and wanted is not None and kept.mtime_ms != wanted.mtime_ms:
        return (
            " The modification times differ as well, so the two are different versions of the file: "
            "run the task again to transfer the source's."
        )
    return " Run the task again with the option transfer ALL to write it anew."


def _attributes(path: str, expected: Expectation, found: Stat) -> EntryFailure | None:
    if expected.attributes is None:
        return None
    if found.attributes is None and not found.keeps_attributes:
        return None
    if found.attributes is None:
        return EntryFailure(
            "METADATA_FAILURE",
            f"{path!r} has no attributes at the destination: it was overwritten by somebody else, or the store drops "
            "user metadata. Run the task again.",
            (("path", path), ("attribute", "all"), ("found", "")),
        )
    differing = tuple(_differing(expected, expected.attributes, found.attributes))
    if not differing:
        return None
    name, wanted, there = differing[0]
    names = ", ".join(name for name, _, _ in differing)
    return EntryFailure(
        "METADATA_FAILURE",
        f"{path!r} has another {names} at the destination than at the source ({name}: {there} and not {wanted}). "
        "Run the task again: it changes the metadata without sending the data.",
        (("path", path), ("attribute", names), ("expected", wanted), ("found", there)),
    )


def _differing(expected: Expectation, wanted: Attributes, kept: Attributes) -> Iterator[tuple[str, str, str]]:
    """Yields name, expected and found text of each attribute that differs."""
    if wanted.owner != kept.owner:
        yield "owner", wanted.owner, kept.owner
    if wanted.group != kept.group:
        yield "group", wanted.group, kept.group
    if wanted.permissions != kept.permissions:
        yield "permissions", f"{wanted.permissions:04o}", f"{kept.permissions:04o}"
    if expected.with_mtime and wanted.mtime_ms != kept.mtime_ms:
        yield "mtime", str(wanted.mtime_ms), str(kept.mtime_ms)
    if expected.with_atime and wanted.atime_ms != kept.atime_ms:
        yield "atime", str(wanted.atime_ms), str(kept.atime_ms)


def _text(checksum: Checksum) -> str:
    return f"{checksum.algorithm}:{checksum.base64}"
