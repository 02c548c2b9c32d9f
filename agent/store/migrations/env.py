"""Alembic's entry: run the migrations on the connection that `agent.store.schema` passes, in its transaction."""

from __future__ import annotations

from alembic import context

from agent.store.tables import Base

context.configure(
    connection=context.config.attributes["connection"], target_metadata=Base.metadata, render_as_batch=True
)
context.run_migrations()
