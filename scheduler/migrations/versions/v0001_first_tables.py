"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# A released step never changes, so it does not use `scheduler.tables`.
NAME = sa.String(200).with_variant(sa.String(200, collation="C"), "postgresql")
SEQUENCE = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Makes the tables."""
    op.create_table(
        "locations",
        sa.Column("name", NAME, primary_key=True),
        sa.Column("create_time_ms", sa.BigInteger, nullable=False),
        sa.Column("resource", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "tasks",
        sa.Column("name", NAME, primary_key=True),
        sa.Column("create_time_ms", sa.BigInteger, nullable=False),
        sa.Column("source", NAME, sa.ForeignKey("locations.name"), nullable=False),
        sa.Column("destination", NAME, sa.ForeignKey("locations.name"), nullable=False),
        sa.Column("resource", sa.LargeBinary, nullable=False),
    )
    _create_executions()
    _create_shards()
    _create_events_and_request_ids()


def _create_executions() -> None:
    op.create_table(
        "executions",
        sa.Column("sequence", SEQUENCE, primary_key=True, autoincrement=True),
        sa.Column("name", NAME, nullable=False, unique=True),
        sa.Column("task", NAME, sa.ForeignKey("tasks.name"), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("dry_run", sa.Boolean, nullable=False),
        sa.Column("options", sa.LargeBinary, nullable=False),
        sa.Column("traceparent", sa.String(100), nullable=False),
        sa.Column("ledger_uri", sa.Text, nullable=False),
        sa.Column("create_time_ms", sa.BigInteger, nullable=False),
        sa.Column("launch_time_ms", sa.BigInteger),
        sa.Column("end_time_ms", sa.BigInteger),
        *(sa.Column(name, sa.JSON, nullable=False) for name in ("control", "tally", "failures", "phases", "scans")),
        sa.Column("report_uri", sa.Text, nullable=False),
        sa.Column("report_error", sa.Text, nullable=False),
    )
    op.create_index("executions_by_task", "executions", ["task", "sequence"])
    op.create_index("executions_by_state", "executions", ["state"])


def _create_shards() -> None:
    op.create_table(
        "shards",
        sa.Column("execution", NAME, sa.ForeignKey("executions.name"), primary_key=True),
        sa.Column("name", NAME, primary_key=True),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("move_count", "move_bytes", "verify_count")),
        *(
            sa.Column(name, sa.Integer, nullable=False)
            for name in ("move_attempt", "move_broken", "verify_attempt", "verify_broken")
        ),
        sa.Column("receipts", sa.Text, nullable=False),
        sa.Column("verdicts", sa.Text, nullable=False),
    )


def _create_events_and_request_ids() -> None:
    op.create_table(
        "events",
        sa.Column("execution", NAME, sa.ForeignKey("executions.name"), primary_key=True),
        sa.Column("revision", sa.BigInteger, primary_key=True),
        sa.Column("time_ms", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("event", sa.JSON, nullable=False),
    )
    op.create_table(
        "request_ids",
        sa.Column("method", sa.String(40), primary_key=True),
        sa.Column("request_id", sa.String(100), primary_key=True),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("create_time_ms", sa.BigInteger, nullable=False),
    )
    op.create_index("request_ids_by_time", "request_ids", ["create_time_ms"])


def downgrade() -> None:
    """Drops the tables with all they hold."""
    for table in ("request_ids", "events", "shards", "executions", "tasks", "locations"):
        op.drop_table(table)
