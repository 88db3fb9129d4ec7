"""The scheduler's memory of executions: what they are, what happened to them, and their shards.

One transaction per step: the event, the execution after it and the shard after it are stored together or not at all.
All methods block; the service calls them in one thread (`Desk`), so its loop never waits for a disk.

An execution is written by one process. A second scheduler on the same database finds a revision that it does not know
and stops with REVISION_CONFLICT instead of doing the work twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sqlalchemy import Connection, and_, func, insert, select, update

from blockferry.errors import BlockferryError, Whose
from scheduler.catalog import Catalog, not_found
from scheduler.database import Database
from scheduler.machine import FINAL, State
from scheduler.plain import to_plain
from scheduler.record import ExecutionRecord, Fact
from scheduler.requests import RequestId, earlier_name, remember
from scheduler.rows import execution_row, record_of, shard_of, shard_row
from scheduler.shards import Shard
from scheduler.tables import EVENTS, EXECUTIONS, SHARDS, TASKS

T = TypeVar("T")
_FINAL = tuple(str(state) for state in FINAL)


class Store:
    """Everything that is stored. `catalog`: locations and tasks. Not to be used by two threads at once."""

    def __init__(self, url: str) -> None:
        """Opens nothing yet.

        Raises:
            BlockferryError: DATABASE_URL_INVALID.
        """
        self._database = Database(url)
        self.catalog = Catalog(self._database)

    def migrate(self) -> None:
        """Makes the tables, or brings them to the newest form. Raises STORE_UNAVAILABLE."""
        self._database.migrate()

    def close(self) -> None:
        """Closes every connection."""
        self._database.close()

    def create_execution(self, record: ExecutionRecord, request: RequestId, waiting_limit: int) -> ExecutionRecord:
        """Stores a QUEUED execution, or returns the one that the same request has made before.

        Raises:
            BlockferryError: QUEUE_FULL, when `waiting_limit` executions of the task wait already; REQUEST_ID_REUSED.
        """
        with self._database.transaction() as connection:
            earlier = earlier_name(connection, request, record.create_ms)
            if earlier is None:
                _refuse_full_queue(connection, record.task, waiting_limit)
                connection.execute(insert(EXECUTIONS).values(**execution_row(record)))
                remember(connection, request, record.name, record.create_ms)
        return self.execution(earlier or record.name)

    def execution(self, name: str) -> ExecutionRecord:
        """Returns an execution. Raises EXECUTION_NOT_FOUND."""
        with self._database.transaction() as connection:
            row = connection.execute(select(EXECUTIONS).where(EXECUTIONS.c.name == name)).mappings().first()
        if row is None:
            raise not_found("execution", name)
        return record_of({str(key): value for key, value in row.items()})

    def executions(self, task: str, before: int | None, limit: int) -> tuple[tuple[int, ExecutionRecord], ...]:
        """Returns executions with their sequence numbers, newest first.

        Args:
            task: resource name; empty for all tasks.
            before: only those with a lower sequence number.
            limit: at most this many.
        """
        query = select(EXECUTIONS).order_by(EXECUTIONS.c.sequence.desc()).limit(limit)
        if task:
            query = query.where(EXECUTIONS.c.task == task)
        if before is not None:
            query = query.where(EXECUTIONS.c.sequence < before)
        with self._database.transaction() as connection:
            rows = connection.execute(query).mappings().all()
        plain = ({str(key): value for key, value in row.items()} for row in rows)
        return tuple((int(row["sequence"]), record_of(row)) for row in plain)

    def earlier_executions(self, name: str, limit: int) -> tuple[ExecutionRecord, ...]:
        """Returns other executions between the same locations as this one, of whatever task, that have begun; newest
        first, at most `limit`."""
        own = select(TASKS.c.source, TASKS.c.destination).join(EXECUTIONS, EXECUTIONS.c.task == TASKS.c.name)
        ends = own.where(EXECUTIONS.c.name == name).subquery()
        same = and_(TASKS.c.source == ends.c.source, TASKS.c.destination == ends.c.destination)
        query = select(EXECUTIONS).join(TASKS, EXECUTIONS.c.task == TASKS.c.name).join(ends, same)
        query = query.where(EXECUTIONS.c.name != name, EXECUTIONS.c.launch_time_ms.is_not(None))
        query = query.order_by(EXECUTIONS.c.sequence.desc()).limit(limit)
        with self._database.transaction() as connection:
            rows = connection.execute(query).mappings().all()
        return tuple(record_of({str(key): value for key, value in row.items()}) for row in rows)

    def open_executions(self) -> tuple[ExecutionRecord, ...]:
        """Returns the executions that have not ended, oldest first."""
        query = select(EXECUTIONS).where(EXECUTIONS.c.state.not_in(_FINAL)).order_by(EXECUTIONS.c.sequence)
        with self._database.transaction() as connection:
            rows = connection.execute(query).mappings().all()
        return tuple(record_of({str(key): value for key, value in row.items()}) for row in rows)

    def shards(self, execution: str) -> tuple[Shard, ...]:
        """Returns the shards of an execution by name."""
        query = select(SHARDS).where(SHARDS.c.execution == execution).order_by(SHARDS.c.name)
        with self._database.transaction() as connection:
            rows = connection.execute(query).mappings().all()
        return tuple(shard_of({str(key): value for key, value in row.items()}) for row in rows)

    def save_step(
        self, before_revision: int, record: ExecutionRecord, shard: Shard | None, fact: Fact, now_ms: int
    ) -> None:
        """Stores a step: the fact, the execution after it, and the shard after it when one changed.

        May be repeated with the same arguments when it is not known whether it was stored.

        Raises:
            BlockferryError: REVISION_CONFLICT, when somebody else has changed the execution.
        """
        with self._database.transaction() as connection:
            if _update_execution(connection, before_revision, record):
                if shard is not None:
                    _put_shard(connection, record.name, shard)
                row = {"execution": record.name, "revision": record.revision, "time_ms": now_ms}
                row |= {"kind": type(fact).__name__, "event": to_plain(fact)}
                connection.execute(insert(EVENTS).values(**row))

    def save_attempt(self, before_revision: int, record: ExecutionRecord, shard: Shard | None) -> None:
        """Stores that a shard (or a scan) was given out. No event: nothing is known to have happened yet.

        Raises:
            BlockferryError: REVISION_CONFLICT, as in `save_step`.
        """
        with self._database.transaction() as connection:
            if _update_execution(connection, before_revision, record) and shard is not None:
                _put_shard(connection, record.name, shard)

    def history(self, execution: str) -> tuple[tuple[int, str], ...]:
        """Returns revision and kind of everything that happened to an execution, in order."""
        query = select(EVENTS.c.revision, EVENTS.c.kind).where(EVENTS.c.execution == execution)
        with self._database.transaction() as connection:
            rows = connection.execute(query.order_by(EVENTS.c.revision)).all()
        return tuple((row.revision, row.kind) for row in rows)


class Desk:
    """The one thread that uses the store, for the asyncio side."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")

    async def ask(self, call: Callable[[Store], T]) -> T:
        """Returns what `call` returns, called with the store in its thread. Calls are served in order."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, call, self.store)

    def close(self) -> None:
        """Waits for the last call, then closes the store."""
        self._thread.shutdown(wait=True)
        self.store.close()


def _update_execution(connection: Connection, before_revision: int, record: ExecutionRecord) -> bool:
    """Returns False when the very same change is stored already."""
    rows = update(EXECUTIONS).where(EXECUTIONS.c.name == record.name)
    changed = connection.execute(rows.where(EXECUTIONS.c.revision == before_revision).values(**execution_row(record)))
    if changed.rowcount == 1:
        return True
    found = connection.execute(select(EXECUTIONS.c.revision).where(EXECUTIONS.c.name == record.name)).scalar()
    if found == record.revision:
        return False
    text = f"Another scheduler changes {record.name}: run only one on a database. This one leaves it alone."
    raise BlockferryError("REVISION_CONFLICT", text, execution=record.name, expected=before_revision, found=found)


def _put_shard(connection: Connection, execution: str, shard: Shard) -> None:
    row = shard_row(execution, shard)
    rows = update(SHARDS).where(SHARDS.c.execution == execution, SHARDS.c.name == shard.name)
    if connection.execute(rows.values(**row)).rowcount == 0:
        connection.execute(insert(SHARDS).values(**row))


def _refuse_full_queue(connection: Connection, task: str, waiting_limit: int) -> None:
    of_task = select(func.count()).select_from(EXECUTIONS).where(EXECUTIONS.c.task == task)
    waiting = connection.execute(of_task.where(EXECUTIONS.c.state == str(State.QUEUED))).scalar_one()
    if waiting >= waiting_limit:
        text = f"{waiting} executions of {task} wait already, and no more may: try again when one has ended."
        raise BlockferryError("QUEUE_FULL", text, whose=Whose.CALLER, task=task, waiting=waiting)
