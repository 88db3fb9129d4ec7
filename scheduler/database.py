"""The connection to SQLite or PostgreSQL: how it is opened, what a transaction is, and which errors it has.

Both kinds behave alike for whoever uses them: a transaction is whole or nothing, and one that has to wait waits.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError as UrlError
from sqlalchemy.exc import DBAPIError, NoSuchModuleError
from sqlalchemy.pool import ConnectionPoolEntry

from blockferry.errors import BlockferryError, Whose

NEWEST = "0001"  # revision of the last module in `migrations/versions`


class Database:
    """One database. Not to be used by two threads at once."""

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
        if self._revision() == NEWEST:
            return
        from alembic import command  # half a CPU second, of a start's four
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
        with self.transaction() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")

    def close(self) -> None:
        """Closes every connection."""
        self._engine.dispose()

    def _revision(self) -> str:
        """Returns the form that the tables have; empty when there are none."""
        with self.transaction() as connection:
            if not inspect(connection).has_table("alembic_version"):
                return ""
            return str(connection.execute(text("SELECT version_num FROM alembic_version")).scalar() or "")

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Runs the block in a transaction: all of it is stored, or nothing.

        Raises:
            BlockferryError: STORE_UNAVAILABLE; retryable when the database is away, else a fault of ours.
        """
        try:
            with self._engine.begin() as connection:
                yield connection
        except DBAPIError as error:
            lost = error.connection_invalidated or type(error.orig).__name__ == "OperationalError"
            said = f"The database cannot be used: {str(error.orig).strip()}. See to it; the scheduler tries again."
            raise BlockferryError("STORE_UNAVAILABLE", said, retryable=lost, whose=Whose.US) from error


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
        said = f"The database URL cannot be used ({error}). Give one like sqlite:////var/lib/blockferry/blockferry.db "
        said += "or postgresql+psycopg2://user@host/database."
        raise BlockferryError("DATABASE_URL_INVALID", said, whose=Whose.CALLER) from error


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
