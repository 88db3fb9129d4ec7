"""Tries both ends before anything begins, and tests single locations. Blocks: the servicer gives it a thread."""

from __future__ import annotations

import logging
from contextlib import closing

from blockferry.errors import BlockferryError, Whose
from ledger.traits import Traits, read_traits, write_traits
from scanner.march import Side
from scanner.walk import list_failed
from service.jobs import Job, UntrustedStore
from stores.base import Check, ClaimProbe, Lister
from stores.change_probe import lists_changes
from stores.location import Location, S3Location
from stores.opening import OpenSink, OpenSource, open_sink, open_source

LOG = logging.getLogger("blockferry.scanner")
_NO_PROBE = ClaimProbe(trusted=False, detail="not probed: a dry run writes nothing")


def prepare(job: Job, dry_run: bool) -> ClaimProbe:
    """Opens both ends, lists the begin of both, and sends the destination false checksum claims, unless `dry_run`.

    Where an earlier execution has seen the destination it is also found out, once, whether that counts: see
    `stores.change_probe`.

    Returns:
        what the probe saw; not trusted in a dry run.

    Raises:
        BlockferryError: SOURCE_NOT_FOUND, ACCESS_DENIED, NAMENODE_UNAVAILABLE, BUCKET_NOT_FOUND, CREDENTIALS_REFUSED,
            STORE_UNAVAILABLE, LIST_FAILED; UNTRUSTED_STORE when the job refuses a store that accepts false claims.
    """
    with closing(open_source(job.source)) as source:
        _list_source(source, job.source)
    with closing(open_sink(job.destination)) as sink:
        _list_begin(sink, Side.DESTINATION)
        if job.earlier_ledger_uris:
            _find_traits(job, sink, dry_run)
        if dry_run:
            return _NO_PROBE
        probe = sink.probe_claims()
    if not probe.trusted and job.options.untrusted_store is UntrustedStore.REFUSE:
        raise _untrusted(probe, job.destination)
    return probe


def _find_traits(job: Job, sink: OpenSink, dry_run: bool) -> None:
    """Writes into the ledger what is known of the destination, or can be found out."""
    traits = read_traits((job.ledger_uri, *job.earlier_ledger_uris))
    if traits is None and not dry_run:
        try:
            traits = Traits(lists_changes(sink))
        except BlockferryError as error:
            LOG.warning('action="traits_unknown" error="%s"', error)
    if traits is not None:
        write_traits(job.ledger_uri, traits)


def check_location(location: Location, write: bool) -> tuple[Check, ...]:
    """Returns the steps of a location's test. An end that cannot be opened is a failed step, no error."""
    try:
        with closing(_open(location)) as store:
            return store.checks(write)
    except BlockferryError as error:
        return (Check(f"open {location.uri}", False, error.message, error.reason),)


def _open(location: Location) -> OpenSource | OpenSink:
    return open_sink(location) if isinstance(location, S3Location) else open_source(location)


def _list_source(source: Lister, location: Location) -> None:
    try:
        _list_begin(source, Side.SOURCE)
    except BlockferryError as error:
        if error.reason != "NOT_FOUND":
            raise
        raise BlockferryError(
            "SOURCE_NOT_FOUND",
            f"There is no {location.uri}: check the path's spelling (it is absolute, and case matters) and that this "
            "is the right cluster.",
            whose=Whose.CALLER,
            uri=location.uri,
        ) from error


def _list_begin(store: Lister, side: Side) -> None:
    """Asks for the first entry of a listing; there may be none."""
    try:
        for _ in store.list_tree():
            return
    except BlockferryError as error:
        raise list_failed(error, side) from error


def _untrusted(probe: ClaimProbe, location: Location) -> BlockferryError:
    accepted = ", ".join(probe.accepted) or probe.detail
    return BlockferryError(
        "UNTRUSTED_STORE",
        f"{location.uri} accepted false checksum claims ({accepted}), so what it keeps proves nothing: take another "
        "store, or the untrusted store option READ_BACK, which reads every object again.",
        whose=Whose.SINK,
        uri=location.uri,
        accepted=accepted,
    )
