"""Alembic's entry: runs the steps on the connection that `store` hands over. Opens no connection of its own."""

from __future__ import annotations

from alembic import context

from scheduler.tables import METADATA

connection = context.config.attributes["connection"]
# SQLite alters a table by copying it.
context.configure(connection=connection, target_metadata=METADATA, render_as_batch=connection.dialect.name == "sqlite")
with context.begin_transaction():
    context.run_migrations()
