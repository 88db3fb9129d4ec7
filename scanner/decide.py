"""What is to be done with a pair, and why. PURE: what it must know of the stores is in its arguments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from blockferry.errors import BlockferryError
from ledger.records import Action, EntryFailure, PlanEntry, Why
from scanner.march import Pair
from stores.base import Attributes, Condition, Kind, Stat

PROBE_PREFIX = ".blockferry-probe-"  # what location tests write and delete again, see `stores.base.Prober`


@dataclass(frozen=True, slots=True)
class Rules:
    """What the options and the sink say about all entries.

    Attributes:
        transfer_all: the destination is not listed and everything is copied.
        fail_open: files that are being written are refused; else they are copied up to the length that is known.
        max_object_bytes: the largest object that the sink can be given.
        check_path: `Sink.check_path`: raises when the sink cannot hold a path.
    """

    transfer_all: bool
    fail_open: bool
    max_object_bytes: int
    check_path: Callable[[str], None]


def needs_attributes(pair: Pair) -> bool:
    """Returns whether a transfer cannot be decided before the attributes of the object at the destination are known.

    They are in no listing of S3. LastModified does not help: it says when the object was written, not which version of
    the file it holds, and the clocks of two clusters differ.
    """
    source, found = pair
    return (
        source is not None
        and found is not None
        and found.attributes is None
        and found.size_bytes == source.size_bytes
        and found.kind == source.kind
    )


def decide(pair: Pair, rules: Rules) -> PlanEntry | None:
    """Returns what a transfer does with a pair; None when the path is at the destination only: it is left alone.

    A file is the same when the object has its size and the modification time that was written with it. An object
    without such a time was not written by us: whatever its LastModified is, it can hold other bytes of the same length,
    so it is copied (TIME_DIFFERS).

    Args:
        pair: with the attributes of the found object, where `needs_attributes` asks for them.
        rules: of the whole scan.
    """
    source, found = pair
    if source is None:
        return None
    if (failure := refusal(source, found is None, rules)) is not None:
        return PlanEntry(source.path, Action.REFUSE, Why.REFUSED, source, found, failure)
    if rules.transfer_all:
        return PlanEntry(source.path, Action.COPY, Why.ALL_ASKED, source)
    if found is None:
        return PlanEntry(source.path, Action.COPY, Why.NEW, source)
    action, why = _compare(source, found)
    return PlanEntry(source.path, action, why, source, found)


def _compare(source: Stat, found: Stat) -> tuple[Action, Why]:
    if source.kind != found.kind:
        return Action.COPY, Why.KIND_DIFFERS
    if source.size_bytes != found.size_bytes:
        return Action.COPY, Why.SIZE_DIFFERS
    wanted, kept = source.attributes, found.attributes
    if source.kind is Kind.FILE and (kept is None or kept.mtime_ms != _mtime_ms(source)):
        return Action.COPY, Why.TIME_DIFFERS
    if kept is None and not found.keeps_attributes:
        return Action.SKIP, Why.SAME
    if wanted is not None and (kept is None or not _same_owner(wanted, kept) or kept.mtime_ms != wanted.mtime_ms):
        return Action.METADATA, Why.ATTRIBUTES_DIFFER
    return Action.SKIP, Why.SAME


def _mtime_ms(source: Stat) -> int:
    return source.attributes.mtime_ms if source.attributes else source.mtime_ms


def _same_owner(one: Attributes, other: Attributes) -> bool:
    # Not the access time: reading a file changes it.
    return one.owner == other.owner and one.group == other.group and one.permissions == other.permissions


def decide_check(pair: Pair, rules: Rules) -> PlanEntry | None:
    """Returns what a check does with a pair; None for what is nobody's: probe objects at the destination, and entries
    that every transfer refuses. These were reported by the transfer and are not failures of the check as well."""
    source, found = pair
    if source is None:
        return None if found is None else _extra(found)
    if refusal(source, found is None, rules) is not None:
        return None
    if found is None:
        return PlanEntry(source.path, Action.MISSING, Why.ONE_SIDED, source, None, _missing(source))
    return PlanEntry(source.path, Action.CHECK, Why.VERIFY_ASKED, source, found)


def _extra(found: Stat) -> PlanEntry | None:
    if found.path.startswith(PROBE_PREFIX):
        return None
    message = (
        f"{found.path!r} is at the destination and not at the source: it was deleted at the source, or written by "
        "somebody else. Delete it, or give the transfer a prefix of its own."
    )
    failure = EntryFailure("FILE_EXTRA", message, (("path", found.path),))
    return PlanEntry(found.path, Action.EXTRA, Why.ONE_SIDED, None, found, failure)


def _missing(source: Stat) -> EntryFailure:
    message = (
        f"{source.path!r} is at the source and not at the destination: it failed, it is newer than the transfer, or "
        "somebody deleted the object. Run the task again."
    )
    return EntryFailure("FILE_MISSING", message, (("path", source.path),))


def refusal(source: Stat, is_new: bool, rules: Rules) -> EntryFailure | None:
    """Returns why an entry cannot be moved, with what to do about it; None when it can.

    Args:
        source: the entry. Folders carry no data: their condition is of no matter.
        is_new: the destination was not listed or does not have it. What it has, it can evidently hold.
        rules: of the whole scan.
    """
    if source.kind is Kind.SYMLINK:
        return _failure(source, "SYMLINK_UNSUPPORTED", _SYMLINK)
    if source.kind is Kind.FILE:
        if source.condition is not Condition.PLAIN and source.condition.is_open and rules.fail_open:
            return _failure(source, "SOURCE_OPEN", _OPEN)
        if source.size_bytes > rules.max_object_bytes:
            return _too_large(source, rules.max_object_bytes)
    return _bad_key(source.path, rules.check_path) if is_new else None


_SYMLINK = "is a symbolic link, which is not moved. Transfer what it points to by its own path."
_OPEN = (
    "is being written. Run the task again when its writer has closed it, or take the open files option COPY to copy it "
    "up to its known length."
)


def _failure(source: Stat, reason: str, text: str) -> EntryFailure:
    return EntryFailure(reason, f"{source.path!r} {text}", (("path", source.path),))


def _too_large(source: Stat, limit: int) -> EntryFailure:
    text = (
        f"{source.path!r} has {source.size_bytes} bytes, and the destination takes objects up to {limit}: split the "
        "file, or transfer it to another store."
    )
    found = (("path", source.path), ("expected", f"at most {limit}"), ("found", str(source.size_bytes)))
    return EntryFailure("FILE_TOO_LARGE", text, found)


def _bad_key(path: str, check_path: Callable[[str], None]) -> EntryFailure | None:
    try:
        check_path(path)
    except BlockferryError as error:
        return EntryFailure(error.reason, error.message, tuple({"path": path, **error.coordinates}.items()))
    return None
