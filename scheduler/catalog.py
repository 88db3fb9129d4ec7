"""Locations and tasks as they are stored: a name, a time, and the serialised message with everything else."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, Table, insert, select

from blockferry.errors import BlockferryError, Whose
from scheduler.database import Database
from scheduler.requests import RequestId, earlier_name, remember
from scheduler.tables import LOCATIONS, TASKS


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


class Catalog:
    """Locations and tasks. They are made and read, never changed."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create_location(self, location: StoredResource, request: RequestId) -> StoredResource:
        """Stores a location, or returns the one that the same request has made before.

        Raises:
            BlockferryError: ALREADY_EXISTS, REQUEST_ID_REUSED.
        """
        with self._database.transaction() as connection:
            earlier = earlier_name(connection, request, location.create_ms)
            if earlier is None:
                _refuse_double(connection, LOCATIONS, location.name)
                connection.execute(insert(LOCATIONS).values(**_resource_row(location)))
                remember(connection, request, location.name, location.create_ms)
        return self.location(earlier or location.name)

    def refuse_double_location(self, name: str, request: RequestId, now_ms: int) -> None:
        """Raises what `create_location` would raise."""
        with self._database.transaction() as connection:
            if earlier_name(connection, request, now_ms) is None:
                _refuse_double(connection, LOCATIONS, name)

    def location(self, name: str) -> StoredResource:
        """Returns a location. Raises LOCATION_NOT_FOUND."""
        with self._database.transaction() as connection:
            row = connection.execute(select(LOCATIONS).where(LOCATIONS.c.name == name)).first()
        if row is None:
            raise not_found("location", name)
        return StoredResource(row.name, row.create_time_ms, bytes(row.resource))

    def locations(self, after: str, limit: int) -> tuple[StoredResource, ...]:
        """Returns locations by name, from the first one behind `after`."""
        query = select(LOCATIONS).where(LOCATIONS.c.name > after).order_by(LOCATIONS.c.name).limit(limit)
        with self._database.transaction() as connection:
            rows = connection.execute(query).all()
        return tuple(StoredResource(row.name, row.create_time_ms, bytes(row.resource)) for row in rows)

    def create_task(self, task: StoredTask, request: RequestId) -> StoredTask:
        """Stores a task, or returns the one that the same request has made before.

        Raises:
            BlockferryError: ALREADY_EXISTS, REQUEST_ID_REUSED.
        """
        name, create_ms = task.resource.name, task.resource.create_ms
        with self._database.transaction() as connection:
            earlier = earlier_name(connection, request, create_ms)
            if earlier is None:
                _refuse_double(connection, TASKS, name)
                row = _resource_row(task.resource) | {"source": task.source, "destination": task.destination}
                connection.execute(insert(TASKS).values(**row))
                remember(connection, request, name, create_ms)
        return self.task(earlier or name)

    def refuse_double_task(self, name: str, request: RequestId, now_ms: int) -> None:
        """Raises what `create_task` would raise."""
        with self._database.transaction() as connection:
            if earlier_name(connection, request, now_ms) is None:
                _refuse_double(connection, TASKS, name)

    def task(self, name: str) -> StoredTask:
        """Returns a task. Raises TASK_NOT_FOUND."""
        with self._database.transaction() as connection:
            row = connection.execute(select(TASKS).where(TASKS.c.name == name)).first()
        if row is None:
            raise not_found("task", name)
        resource = StoredResource(row.name, row.create_time_ms, bytes(row.resource))
        return StoredTask(resource, row.source, row.destination)

    def tasks(self, after: str, limit: int) -> tuple[StoredResource, ...]:
        """Returns tasks by name, from the first one behind `after`."""
        query = select(TASKS).where(TASKS.c.name > after).order_by(TASKS.c.name).limit(limit)
        with self._database.transaction() as connection:
            rows = connection.execute(query).all()
        return tuple(StoredResource(row.name, row.create_time_ms, bytes(row.resource)) for row in rows)


def _resource_row(resource: StoredResource) -> dict[str, object]:
    return {"name": resource.name, "create_time_ms": resource.create_ms, "resource": resource.resource}


def _refuse_double(connection: Connection, table: Table, name: str) -> None:
    if connection.execute(select(table.c.name).where(table.c.name == name)).first() is not None:
        text = f"{name} exists already: choose another id, or use what is there."
        raise BlockferryError("ALREADY_EXISTS", text, whose=Whose.CALLER, name=name)


def not_found(kind: str, name: str) -> BlockferryError:
    """Returns the error for a resource that is not there."""
    text = f"There is no {kind} {name}: list them to see what there is."
    return BlockferryError(f"{kind.upper()}_NOT_FOUND", text, whose=Whose.CALLER, name=name)
