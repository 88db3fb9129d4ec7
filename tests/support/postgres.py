"""A real PostgreSQL for the tests, from Debian's packages: its own data folder, 127.0.0.1 only, no unix socket."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg2

from tests.support.ports import free_port
from tests.support.processes import Child, bound_to_us

_CURE = "install PostgreSQL (Debian: apt-get install postgresql), or run `make setup` as root"
_USER = "blockferry"
_FAST = ("fsync=off", "full_page_writes=off", "synchronous_commit=off", "shared_buffers=32MB", "max_connections=50")


def _programs() -> Path:
    """Returns the folder with initdb and postgres, of the newest version installed."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[4]))
    found = folders[-1] if folders else shutil.which("postgres")
    if found is None:
        raise FileNotFoundError(f"PostgreSQL is missing; cure: {_CURE}")
    return Path(found).parent


def _account() -> str:
    """Returns the account the server runs as: ours, or postgres when we are root, as which it refuses to run."""
    return "postgres" if os.geteuid() == 0 else ""


@dataclass(slots=True)
class PostgresServer:
    """A running PostgreSQL; `start` makes one. Its folder is removed by stop."""

    folder: Path
    port: int
    child: Child | None = None

    @classmethod
    def start(cls) -> Self:
        """Makes a database cluster in a temporary folder and starts its server (2 to 4 s)."""
        # not in pytest's folders: those of root are closed to the account postgres
        server = cls(Path(tempfile.mkdtemp(prefix="blockferry-postgres-")), free_port())
        try:
            server._initialise()
            server.start_process()
        except BaseException:
            server.stop()
            raise
        return server

    def _initialise(self) -> None:
        account = _account()
        if account:
            user = pwd.getpwnam(account)
            os.chown(self.folder, user.pw_uid, user.pw_gid)
        initdb = (str(_programs() / "initdb"), "-D", str(self.folder / "data"), "-U", _USER, "-A", "trust")
        command = bound_to_us((*initdb, "-E", "UTF8", "--no-locale", "--no-sync"), user=account)
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=self.folder)
        if done.returncode:
            raise RuntimeError(f"initdb failed ({done.returncode}): {done.stdout}{done.stderr}")

    def start_process(self) -> None:
        """Starts the server (again) on the same port and data, and returns when it answers."""
        options = ("listen_addresses=127.0.0.1", "unix_socket_directories=", f"port={self.port}", *_FAST)
        flags = tuple(part for option in options for part in ("-c", option))
        command = (str(_programs() / "postgres"), "-D", str(self.folder / "data"), *flags)
        self.child = Child.start("postgresql", command, self.folder / "postgresql.log", user=_account())
        self.child.wait_ready(self._answers)

    def kill(self) -> None:
        """Ends the server at once, as a crash would; start_process() brings it back with its data."""
        assert self.child is not None
        self.child.signal(signal.SIGKILL)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _connect(self) -> "psycopg2.extensions.connection":
        connection = psycopg2.connect(host="127.0.0.1", port=self.port, user=_USER, dbname="postgres")
        connection.autocommit = True
        return connection

    def _answers(self) -> bool:
        try:
            self._connect().close()
        except psycopg2.OperationalError as error:
            raise OSError(str(error)) from error
        return True

    def make_database(self, name: str) -> str:
        """Creates an empty database and returns its URL for SQLAlchemy."""
        connection = self._connect()
        try:
            with connection.cursor() as cursor:
                cursor.execute(f'CREATE DATABASE "{name}"')
        finally:
            connection.close()
        return f"postgresql+psycopg2://{_USER}@127.0.0.1:{self.port}/{name}"

    def stop(self) -> None:
        """Ends the server and removes its folder."""
        if self.child is not None:
            self.child.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
