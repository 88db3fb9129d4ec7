"""The scheduler's store on SQLite and on PostgreSQL: the same answers, and whole steps whatever happens."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect, text

import scheduler.database
from blockferry.errors import BlockferryError
from scheduler.catalog import StoredResource, StoredTask
from scheduler.counters import MoveTally, ScanTally
from scheduler.events import CancelAsked, Cut, Launched, ShardMoved, ShardPlanned, Started
from scheduler.machine import Execution, State, VerifyMode
from scheduler.record import ExecutionRecord, Fact, advance
from scheduler.requests import RequestId
from scheduler.shards import Shard, given_out
from scheduler.store import Store
from scheduler.tables import METADATA
from tests.support.postgres import PostgresServer

NO_REQUEST = RequestId("M", "", "f")
DAY_MS = 24 * 3600 * 1000


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database, of both kinds."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'deep' / 'blockferry.db'}"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    """A store with the task `tasks/t`."""
    opened = Store(url)
    opened.migrate()
    for name in ("locations/a", "locations/b"):
        opened.catalog.create_location(StoredResource(name, 1, b"\0\xff"), NO_REQUEST)
    for name in ("tasks/t", "tasks/u"):
        opened.catalog.create_task(StoredTask(StoredResource(name, 1, b"x"), "locations/a", "locations/b"), NO_REQUEST)
    yield opened
    opened.close()


def test_the_newest_form_is_that_of_the_last_migration(url: str) -> None:
    folder = Path(scheduler.database.__file__).parent / "migrations"
    assert ScriptDirectory(str(folder)).get_current_head() == scheduler.database.NEWEST
    for _ in range(2):
        opened = Store(url)
        opened.migrate()
        opened.close()
    with create_engine(url).connect() as connection:
        assert MigrationContext.configure(connection).get_current_revision() == scheduler.database.NEWEST


def new_record(number: int = 1, task: str = "tasks/t", create_ms: int = 1000) -> ExecutionRecord:
    execution = Execution(f"{task}/executions/e{number}", VerifyMode.NONE)
    return ExecutionRecord(execution, task, create_ms, b"\0opt", "00-ab", "/ledger/é")


def planned(number: int) -> ShardPlanned:
    return ShardPlanned(
        Cut(f"{number:06d}", number, f"päth/{number}", ScanTally(estimated_count=number), 3, 1 << 45, 0)
    )


def step(
    store: Store, record: ExecutionRecord, shard: Shard | None, fact: Fact
) -> tuple[ExecutionRecord, Shard | None]:
    """Decides and stores one step."""
    now_ms = record.create_ms + record.revision
    result = advance(record, shard, fact, now_ms)
    store.save_step(record.revision, result.record, result.shard, fact, now_ms)
    return result.record, result.shard


def test_migrations_make_the_tables_that_the_code_uses(url: str, store: Store) -> None:
    engine = create_engine(url)
    with engine.connect() as connection:
        assert set(METADATA.tables) <= set(inspect(connection).get_table_names())
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []
    engine.dispose()


def test_migrating_again_changes_nothing(store: Store) -> None:
    store.migrate()
    assert store.catalog.task("tasks/t").source == "locations/a"


def test_sqlite_writes_ahead_and_checks_foreign_keys(tmp_path: Path) -> None:
    opened = Store(f"sqlite:///{tmp_path / 'x.db'}")
    opened.migrate()
    with pytest.raises(BlockferryError, match="FOREIGN KEY") as caught:
        opened.catalog.create_task(
            StoredTask(StoredResource("tasks/t", 1, b""), "locations/a", "locations/b"), NO_REQUEST
        )
    assert not caught.value.retryable
    assert (tmp_path / "x.db-wal").exists()
    opened.close()


def test_resources_come_back_whole(store: Store) -> None:
    assert store.catalog.location("locations/a") == StoredResource("locations/a", 1, b"\0\xff")
    assert store.catalog.task("tasks/t") == StoredTask(StoredResource("tasks/t", 1, b"x"), "locations/a", "locations/b")


def test_names_are_ordered_by_their_bytes(store: Store) -> None:
    for name in ("locations/a-b", "locations/a0", "locations/aa", "locations/0"):
        store.catalog.create_location(StoredResource(name, 1, b""), NO_REQUEST)
    names = [one.name for one in store.catalog.locations("", 100)]
    assert names == sorted(names)
    assert [one.name for one in store.catalog.locations("locations/a", 2)] == ["locations/a-b", "locations/a0"]


@pytest.mark.parametrize("kind", ["location", "task", "execution"])
def test_what_is_not_there_is_not_found(store: Store, kind: str) -> None:
    with pytest.raises(BlockferryError) as caught:
        getattr(store if kind == "execution" else store.catalog, kind)("x")
    assert caught.value.reason == f"{kind.upper()}_NOT_FOUND"


def test_name_that_exists_is_refused(store: Store) -> None:
    with pytest.raises(BlockferryError, match="ALREADY_EXISTS"):
        store.catalog.create_location(StoredResource("locations/a", 2, b""), NO_REQUEST)
    with pytest.raises(BlockferryError, match="ALREADY_EXISTS"):
        store.catalog.refuse_double_task("tasks/t", NO_REQUEST, 2)


def test_request_id_makes_one_resource_for_a_day(store: Store) -> None:
    request = RequestId("RunTask", "id-1", "f")
    first = store.create_execution(new_record(1), request, 50)
    again = store.create_execution(new_record(2, create_ms=1000 + DAY_MS - 1), request, 50)
    assert again == first
    with pytest.raises(BlockferryError, match="REQUEST_ID_REUSED"):
        store.create_execution(new_record(3), replace(request, fingerprint="other"), 50)
    other_method = store.catalog.create_location(StoredResource("locations/x", 1000, b""), replace(request, method="C"))
    assert other_method.name == "locations/x"
    next_day = store.create_execution(new_record(4, create_ms=1000 + DAY_MS), request, 50)
    assert next_day.name == "tasks/t/executions/e4"


def test_refused_call_does_not_use_its_request_id_up(store: Store) -> None:
    request = RequestId("RunTask", "id-1", "f")
    store.create_execution(new_record(1), NO_REQUEST, 50)
    with pytest.raises(BlockferryError, match="QUEUE_FULL"):
        store.create_execution(new_record(2), request, 1)
    assert store.create_execution(new_record(2), request, 50).name == "tasks/t/executions/e2"


def test_queue_is_full_for_one_task_only(store: Store) -> None:
    for number in (1, 2):
        store.create_execution(new_record(number), NO_REQUEST, 2)
    with pytest.raises(BlockferryError, match="2 executions of tasks/t wait"):
        store.create_execution(new_record(3), NO_REQUEST, 2)
    store.create_execution(new_record(1, "tasks/u"), NO_REQUEST, 2)


def test_execution_comes_back_after_each_step(store: Store, url: str) -> None:
    record = store.create_execution(new_record(), NO_REQUEST, 50)
    assert record == new_record()
    record, _ = step(store, record, None, Started())
    record, _ = step(store, record, None, Launched(True))
    record, shard = step(store, record, None, planned(1))
    assert shard is not None
    shard = given_out(shard)
    after = replace(record, revision=record.revision + 1)
    store.save_attempt(record.revision, after, shard)
    record, shard = step(store, after, shard, ShardMoved("000001", 1, "000001.1", MoveTally(3, 1 << 45, 9), 0))
    again = Store(url)
    assert again.execution(record.name) == record
    assert again.shards(record.name) == (shard,)
    kinds = [kind for _, kind in again.history(record.name)]
    assert kinds == ["Started", "Launched", "ShardPlanned", "ShardMoved"]
    again.close()


def test_open_executions_are_those_that_have_not_ended_oldest_first(store: Store) -> None:
    for number in (1, 2, 3):
        store.create_execution(new_record(number), NO_REQUEST, 50)
    step(store, store.execution("tasks/t/executions/e2"), None, CancelAsked())
    assert [one.name for one in store.open_executions()] == ["tasks/t/executions/e1", "tasks/t/executions/e3"]


def test_executions_are_listed_newest_first_in_pages(store: Store) -> None:
    for number in range(1, 6):
        store.create_execution(new_record(number, "tasks/t" if number % 2 else "tasks/u"), NO_REQUEST, 50)
    page = store.executions("", None, 2)
    assert [one.name[-2:] for _, one in page] == ["e5", "e4"]
    assert [one.name[-2:] for _, one in store.executions("", page[-1][0], 10)] == ["e3", "e2", "e1"]
    assert [one.name[-2:] for _, one in store.executions("tasks/u", None, 10)] == ["e4", "e2"]


def test_step_that_may_have_been_stored_can_be_stored_again(store: Store) -> None:
    record = store.create_execution(new_record(), NO_REQUEST, 50)
    result = advance(record, None, Started(), 2000)
    for _ in range(2):
        store.save_step(record.revision, result.record, None, Started(), 2000)
    assert len(store.history(record.name)) == 1


def test_second_scheduler_is_refused_and_changes_nothing(store: Store, url: str) -> None:
    record = store.create_execution(new_record(), NO_REQUEST, 50)
    other = Store(url)
    taken, _ = step(other, record, None, Started())
    cancelled = advance(record, None, CancelAsked(), 9000)
    with pytest.raises(BlockferryError, match="REVISION_CONFLICT") as caught:
        store.save_step(record.revision, cancelled.record, None, CancelAsked(), 9000)
    assert not caught.value.retryable
    assert store.execution(record.name) == taken
    assert len(store.history(record.name)) == 1
    other.close()


def test_failed_step_leaves_nothing_of_itself(store: Store, url: str) -> None:
    """The event's place is taken, so the last insert of the step fails: execution and shard must stay as they were."""
    record = store.create_execution(new_record(), NO_REQUEST, 50)
    record, _ = step(store, record, None, Started())
    record, _ = step(store, record, None, Launched(True))
    result = advance(record, None, planned(1), record.create_ms + record.revision)
    engine = create_engine(url)
    with engine.begin() as connection:
        row = {"e": record.name, "r": result.record.revision}
        connection.execute(text("INSERT INTO events VALUES (:e, :r, 1, 'X', '{}')"), row)
    engine.dispose()
    with pytest.raises(BlockferryError, match="STORE_UNAVAILABLE"):
        store.save_step(record.revision, result.record, result.shard, planned(1), 1)
    assert store.execution(record.name) == record
    assert store.shards(record.name) == ()


def test_two_processes_may_ask_at_once(store: Store, url: str) -> None:
    """A waiting transaction waits; it does not fail."""
    errors: list[Exception] = []

    def create(first: int) -> None:
        mine = Store(url)
        try:
            for number in range(first, first + 20):
                mine.create_execution(new_record(number), NO_REQUEST, 1000)
        except Exception as error:
            errors.append(error)
        finally:
            mine.close()

    threads = [threading.Thread(target=create, args=(first,)) for first in (100, 200, 300)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []
    assert len(store.open_executions()) == 60


def _steps_until_killed(url: str, told: "multiprocessing.SimpleQueue[int]") -> None:
    store = Store(url)
    record = store.execution("tasks/t/executions/e1")
    record, _ = step(store, record, None, Started())
    record, _ = step(store, record, None, Launched(True))
    for number in range(1, 1_000_000):
        record, _ = step(store, record, None, planned(number))
        told.put(number)


def test_kill_9_leaves_whole_steps(store: Store, url: str) -> None:
    """Execution, shards and history agree, and everything that was told as stored is there."""
    store.create_execution(new_record(), NO_REQUEST, 50)
    context = multiprocessing.get_context("spawn")
    told = context.SimpleQueue()
    writer = context.Process(target=_steps_until_killed, args=(url, told))
    writer.start()
    stored = 0
    while stored < 25:
        stored = told.get()
    assert writer.pid is not None
    os.kill(writer.pid, signal.SIGKILL)
    writer.join(30)
    record = store.execution("tasks/t/executions/e1")
    shards = store.shards(record.name)
    assert record.execution.state is State.PREPARING
    assert record.execution.planned == len(shards) == record.scan.number >= stored
    assert [kind for _, kind in store.history(record.name)].count("ShardPlanned") == len(shards)


def test_database_that_is_away_is_a_retryable_error_and_comes_back() -> None:
    with PostgresServer.start() as server:
        url = server.make_database("away")
        store = Store(url)
        store.migrate()
        engine = create_engine(url)
        with engine.connect() as connection:
            connection.execute(text("CHECKPOINT"))  # the tests' server answers before it has written
        engine.dispose()
        server.kill()
        with pytest.raises(BlockferryError, match="STORE_UNAVAILABLE") as caught:
            store.catalog.locations("", 1)
        assert caught.value.retryable
        server.start_process()
        assert store.catalog.locations("", 1) == ()
        store.close()


@pytest.mark.parametrize("wrong", ["", "nonsense", "nosuch://x/y", "sqlite:////proc/no/such.db"])
def test_wrong_url_is_refused(wrong: str) -> None:
    with pytest.raises(BlockferryError) as caught:
        Store(wrong)
    assert caught.value.reason == "DATABASE_URL_INVALID"
