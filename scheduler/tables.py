"""The tables, as SQLAlchemy sees them. The migrations make them; a test compares the two.

Rows grow with shards, not with files. Names are ordered by their bytes on every database, as page tokens need it.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

METADATA = MetaData()
NAME = String(200).with_variant(String(200, collation="C"), "postgresql")
# SQLite gives ascending numbers to rows by itself only when the key is an INTEGER.
SEQUENCE = BigInteger().with_variant(Integer, "sqlite")

LOCATIONS = Table(
    "locations",
    METADATA,
    Column("name", NAME, primary_key=True),
    Column("create_time_ms", BigInteger, nullable=False),
    Column("resource", LargeBinary, nullable=False),  # serialised blockferry.v1.Location
)

TASKS = Table(
    "tasks",
    METADATA,
    Column("name", NAME, primary_key=True),
    Column("create_time_ms", BigInteger, nullable=False),
    Column("source", NAME, ForeignKey("locations.name"), nullable=False),
    Column("destination", NAME, ForeignKey("locations.name"), nullable=False),
    Column("resource", LargeBinary, nullable=False),  # serialised blockferry.v1.Task
)

EXECUTIONS = Table(
    "executions",
    METADATA,
    Column("sequence", SEQUENCE, primary_key=True, autoincrement=True),  # the order in which they were asked for
    Column("name", NAME, nullable=False, unique=True),
    Column("task", NAME, ForeignKey("tasks.name"), nullable=False),
    Column("state", String(20), nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("dry_run", Boolean, nullable=False),
    Column("options", LargeBinary, nullable=False),  # serialised blockferry.v1.Options
    Column("traceparent", String(100), nullable=False),
    Column("ledger_uri", Text, nullable=False),
    Column("create_time_ms", BigInteger, nullable=False),
    Column("launch_time_ms", BigInteger),
    Column("end_time_ms", BigInteger),
    Column("control", JSON, nullable=False),  # machine.Execution without name, state and dry_run
    Column("tally", JSON, nullable=False),  # counters.Tally
    Column("failures", JSON, nullable=False),  # failures.PhaseFailure, at most 100
    Column("phases", JSON, nullable=False),  # phases.PhaseTimes, three
    Column("scans", JSON, nullable=False),  # record.ScanPosition of the transfer and of the check
    Column("report_uri", Text, nullable=False),
    Column("report_error", Text, nullable=False),
    Index("executions_by_task", "task", "sequence"),
    Index("executions_by_state", "state"),
)

SHARDS = Table(
    "shards",
    METADATA,
    Column("execution", NAME, ForeignKey("executions.name"), primary_key=True),
    Column("name", NAME, primary_key=True),
    Column("number", Integer, nullable=False),
    Column("state", String(20), nullable=False),
    Column("move_count", BigInteger, nullable=False),
    Column("move_bytes", BigInteger, nullable=False),
    Column("verify_count", BigInteger, nullable=False),
    Column("move_attempt", Integer, nullable=False),
    Column("move_broken", Integer, nullable=False),
    Column("verify_attempt", Integer, nullable=False),
    Column("verify_broken", Integer, nullable=False),
    Column("receipts", Text, nullable=False),
    Column("verdicts", Text, nullable=False),
)

# What happened to an execution, in the order of revisions: its history for people.
EVENTS = Table(
    "events",
    METADATA,
    Column("execution", NAME, ForeignKey("executions.name"), primary_key=True),
    Column("revision", BigInteger, primary_key=True),
    Column("time_ms", BigInteger, nullable=False),
    Column("kind", String(40), nullable=False),
    Column("event", JSON, nullable=False),
)

# Which resource a call made, so that the same call makes it once only. Rows live for 24 hours.
REQUEST_IDS = Table(
    "request_ids",
    METADATA,
    Column("method", String(40), primary_key=True),
    Column("request_id", String(100), primary_key=True),
    Column("fingerprint", String(64), nullable=False),
    Column("name", NAME, nullable=False),
    Column("create_time_ms", BigInteger, nullable=False),
    Index("request_ids_by_time", "create_time_ms"),
)
