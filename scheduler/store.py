"""The scheduler's memory: locations, tasks, executions, shards, and what was asked for, in SQLite or PostgreSQL.

One transaction per step: the event, the execution after it and the shard after it are stored together or not at all.
All methods block; the service calls them in one thread (`Desk`), so its loop never waits for a disk.

An execution is written by one process. A second scheduler on the same database finds a revision that it does not know
and stops with REVISION_CONFLICT instead of doing the work twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, Table, create_engine, delete, event, func, insert, make_url, select, update
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError as UrlError
from sqlalchemy.exc import DBAPIError, NoSuchModuleError
from sqlalchemy.pool import ConnectionPoolEntry

from blockferry.errors import BlockferryError, Whose
from scheduler.machine import FINAL, State
from scheduler.plain import to_plain
from scheduler.record import ExecutionRecord, Fact
from scheduler.rows import execution_row, record_of, shard_of, shard_row
from scheduler.shards import Shard
from scheduler.tables import EVENTS, EXECUTIONS, LOCATIONS, REQUEST_IDS, SHARDS, TASKS

T = TypeVar("T")
REQUEST_ID_LIFE_MS = 24 * 3600 * 1000
_FINAL = tuple(str(state) for state in FINAL)


@dataclass(frozen=True, slots=True)
class StoredResource:
    """A location or a task: its name, and the serialised message with everything else."""

    name: str
    create_ms: int
    resource: bytes


@dataclass(frozen=True, slots=True)
class StoredTask:
    """A task with the names of its locations."""

    resource: StoredResource
    source: str
    destination: str


@dataclass(frozen=True, slots=True)
class RequestId:
    """What makes a call repeatable. `request_id` may be empty: then each call is a new one.

    `fingerprint`: of the other arguments; the same id with others is an error.
    """

    method: str
    request_id: str
    fingerprint: str


class Store:
    """The database. Not to be used by two threads at once."""

    def __init__(self, url: str) -> None:
        """Opens nothing yet.

        Raises:
            BlockferryError: DATABASE_URL_INVALID.
        """
        self._engine = _engine(url)

    def migrate(self) -> None:
        """Brings the tables to the newest form, or makes them.

        Raises:
            BlockferryError: STORE_UNAVAILABLE.
        """
        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
        with self._transaction() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")

    def close(self) -> None:
        """Closes every connection."""
        self._engine.dispose()

    # Locations and tasks.

    def create_location(self, location: StoredResource, request: RequestId) -> StoredResource:
        """Stores a location, or returns the one that the same request has made before.

        Raises:
            BlockferryError: ALREADY_EXISTS, REQUEST_ID_REUSED.
        """
        with self._transaction() as connection:
            earlier = _earlier(connection, request, location.create_ms)
            if earlier is None:
                _refuse_double(connection, LOCATIONS, location.name)
                connection.execute(insert(LOCATIONS).values(**_resource_row(location)))
                _remember(connection, request, location.name, location.create_ms)
        return self.location(earlier or location.name)

    def refuse_double_location(self, name: str, request: RequestId, now_ms: int) -> None:
        """Raises what `create_location` would raise."""
        with self._transaction() as connection:
            if _earlier(connection, request, now_ms) is None:
                _refuse_double(connection, LOCATIONS, name)

    def location(self, name: str) -> StoredResource:
        """Returns a location. Raises LOCATION_NOT_FOUND."""
        with self._transaction() as connection:
            row = connection.execute(select(LOCATIONS).where(LOCATIONS.c.name == name)).first()
        if row is None:
            raise _not_found("location", name)
        return StoredResource(row.name, row.create_time_ms, bytes(row.resource))

    def locations(self, after: str, limit: int) -> tuple[StoredResource, ...]:
        """Returns locations by name, from the first one behind `after`."""
        query = select(LOCATIONS).where(LOCATIONS.c.name > after).order_by(LOCATIONS.c.name).limit(limit)
        with self._transaction() as connection:
            rows = connection.execute(query).all()
        return tuple(StoredResource(row.name, row.create_time_ms, bytes(row.resource)) for row in rows)

    def create_task(self, task: StoredTask, request: RequestId) -> StoredTask:
        """Stores a task, or returns the one that the same request has made before.

        Raises:
            BlockferryError: ALREADY_EXISTS, REQUEST_ID_REUSED.
        """
        name, create_ms = task.resource.name, task.resource.create_ms
        with self._transaction() as connection:
            earlier = _earlier(connection, request, create_ms)
            if earlier is None:
                _refuse_double(connection, TASKS, name)
                row = _resource_row(task.resource) | {"source": task.source, "destination": task.destination}
                connection.execute(insert(TASKS).values(**row))
                _remember(connection, request, name, create_ms)
        return self.task(earlier or name)

    def refuse_double_task(self, name: str, request: RequestId, now_ms: int) -> None:
        """Raises what `create_task` would raise."""
        with self._transaction() as connection:
            if _earlier(connection, request, now_ms) is None:
                _refuse_double(connection, TASKS, name)

    def task(self, name: str) -> StoredTask:
        """Returns a task. Raises TASK_NOT_FOUND."""
        with self._transaction() as connection:
            row = connection.execute(select(TASKS).where(TASKS.c.name == name)).first()
        if row is None:
            raise _not_found("task", name)
        resource = StoredResource(row.name, row.create_time_ms, bytes(row.resource))
        return StoredTask(resource, row.source, row.destination)

    def tasks(self, after: str, limit: int) -> tuple[StoredResource, ...]:
        """Returns tasks by name, from the first one behind `after`."""
        query = select(TASKS).where(TASKS.c.name > after).order_by(TASKS.c.name).limit(limit)
        with self._transaction() as connection:
            rows = connection.execute(query).all()
        return tuple(StoredResource(row.name, row.create_time_ms, bytes(row.resource)) for row in rows)

    # Executions.

    def create_execution(self, record: ExecutionRecord, request: RequestId, waiting_limit: int) -> ExecutionRecord:
        """Stores a QUEUED execution, or returns the one that the same request has made before.

        Raises:
            BlockferryError: QUEUE_FULL, when `waiting_limit` executions of the task wait already; REQUEST_ID_REUSED.
        """
        with self._transaction() as connection:
            earlier = _earlier(connection, request, record.create_ms)
            if earlier is None:
                _refuse_full_queue(connection, record.task, waiting_limit)
                connection.execute(insert(EXECUTIONS).values(**execution_row(record)))
                _remember(connection, request, record.name, record.create_ms)
        return self.execution(earlier or record.name)

    def execution(self, name: str) -> ExecutionRecord:
        """Returns an execution. Raises EXECUTION_NOT_FOUND."""
        with self._transaction() as connection:
            row = connection.execute(select(EXECUTIONS).where(EXECUTIONS.c.name == name)).mappings().first()
        if row is None:
            raise _not_found("execution", name)
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
        with self._transaction() as connection:
            rows = connection.execute(query).mappings().all()
        plain = ({str(key): value for key, value in row.items()} for row in rows)
        return tuple((int(row["sequence"]), record_of(row)) for row in plain)

    def open_executions(self) -> tuple[ExecutionRecord, ...]:
        """Returns the executions that have not ended, oldest first."""
        query = select(EXECUTIONS).where(EXECUTIONS.c.state.not_in(_FINAL)).order_by(EXECUTIONS.c.sequence)
        with self._transaction() as connection:
            rows = connection.execute(query).mappings().all()
        return tuple(record_of({str(key): value for key, value in row.items()}) for row in rows)

    def shards(self, execution: str) -> tuple[Shard, ...]:
        """Returns the shards of an execution by name."""
        query = select(SHARDS).where(SHARDS.c.execution == execution).order_by(SHARDS.c.name)
        with self._transaction() as connection:
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
        with self._transaction() as connection:
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
        with self._transaction() as connection:
            if _update_execution(connection, before_revision, record) and shard is not None:
                _put_shard(connection, record.name, shard)

    def history(self, execution: str) -> tuple[tuple[int, str], ...]:
        """Returns revision and kind of everything that happened to an execution, in order."""
        query = select(EVENTS.c.revision, EVENTS.c.kind).where(EVENTS.c.execution == execution)
        with self._transaction() as connection:
            rows = connection.execute(query.order_by(EVENTS.c.revision)).all()
        return tuple((row.revision, row.kind) for row in rows)

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        try:
            with self._engine.begin() as connection:
                yield connection
        except DBAPIError as error:
            lost = error.connection_invalidated or type(error.orig).__name__ == "OperationalError"
            text = f"The database cannot be used: {str(error.orig).strip()}. See to it; the scheduler tries again."
            raise BlockferryError("STORE_UNAVAILABLE", text, retryable=lost, whose=Whose.US) from error


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


def _engine(url: str) -> Engine:
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite":
            if parsed.database:
                Path(parsed.database).absolute().parent.mkdir(parents=True, exist_ok=True)
            engine = create_engine(parsed, connect_args={"timeout": 30.0})
            event.listen(engine, "connect", _prepare_sqlite)
            event.listen(engine, "begin", _begin_sqlite)
            return engine
        return create_engine(parsed, pool_pre_ping=True, pool_size=2)
    except (UrlError, NoSuchModuleError, ImportError, OSError) as error:
        text = f"The database URL cannot be used ({error}). Give one like sqlite:////var/lib/blockferry/blockferry.db "
        text += "or postgresql+psycopg2://user@host/database."
        raise BlockferryError("DATABASE_URL_INVALID", text, whose=Whose.CALLER) from error


def _prepare_sqlite(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    # sqlite3's own transactions begin too late (not before DDL), so it begins none and `_begin_sqlite` does.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that takes the lock only when it first writes can fail where one that waits for it cannot.
    connection.exec_driver_sql("BEGIN IMMEDIATE")


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


def _resource_row(resource: StoredResource) -> dict[str, object]:
    return {"name": resource.name, "create_time_ms": resource.create_ms, "resource": resource.resource}


def _refuse_double(connection: Connection, table: Table, name: str) -> None:
    if connection.execute(select(table.c.name).where(table.c.name == name)).first() is not None:
        text = f"{name} exists already: choose another id, or use what is there."
        raise BlockferryError("ALREADY_EXISTS", text, whose=Whose.CALLER, name=name)


def _refuse_full_queue(connection: Connection, task: str, waiting_limit: int) -> None:
    of_task = select(func.count()).select_from(EXECUTIONS).where(EXECUTIONS.c.task == task)
    waiting = connection.execute(of_task.where(EXECUTIONS.c.state == str(State.QUEUED))).scalar_one()
    if waiting >= waiting_limit:
        text = f"{waiting} executions of {task} wait already, and no more may: try again when one has ended."
        raise BlockferryError("QUEUE_FULL", text, whose=Whose.CALLER, task=task, waiting=waiting)


def _earlier(connection: Connection, request: RequestId, now_ms: int) -> str | None:
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


def _remember(connection: Connection, request: RequestId, name: str, now_ms: int) -> None:
    if request.request_id:
        row = {"method": request.method, "request_id": request.request_id, "fingerprint": request.fingerprint}
        connection.execute(insert(REQUEST_IDS).values(**row, name=name, create_time_ms=now_ms))


def _not_found(kind: str, name: str) -> BlockferryError:
    text = f"There is no {kind} {name}: list them to see what there is."
    return BlockferryError(f"{kind.upper()}_NOT_FOUND", text, whose=Whose.CALLER, name=name)
