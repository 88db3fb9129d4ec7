"""Which resource a call has made, so that the same call makes it once only. Used within the caller's transaction."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select

from blockferry.errors import BlockferryError, Whose
from scheduler.tables import REQUEST_IDS

REQUEST_ID_LIFE_MS = 24 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class RequestId:
    """What makes a call repeatable. `request_id` may be empty: then each call is a new one.

    `fingerprint`: of the other arguments; the same id with others is an error.
    """

    method: str
    request_id: str
    fingerprint: str


def earlier_name(connection: Connection, request: RequestId, now_ms: int) -> str | None:
    """Returns the name of what the same request has made before; None when it is new."""
    if not request.request_id:
        return None
    connection.execute(delete(REQUEST_IDS).where(REQUEST_IDS.c.create_time_ms <= now_ms - REQUEST_ID_LIFE_MS))
    same = (REQUEST_IDS.c.method == request.method) & (REQUEST_IDS.c.request_id == request.request_id)
    row = connection.execute(select(REQUEST_IDS).where(same)).first()
    if row is None:
        return None
    if row.fingerprint != request.fingerprint:
        text = f"The request_id {request.request_id} was used for another call within 24 hours: take a new one."
        raise BlockferryError("REQUEST_ID_REUSED", text, whose=Whose.CALLER, request_id=request.request_id)
    name: str = row.name
    return name


def remember(connection: Connection, request: RequestId, name: str, now_ms: int) -> None:
    """Notes what a request has made."""
    if request.request_id:
        row = {"method": request.method, "request_id": request.request_id, "fingerprint": request.fingerprint}
        connection.execute(insert(REQUEST_IDS).values(**row, name=name, create_time_ms=now_ms))
