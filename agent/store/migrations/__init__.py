"""Alembic's scripts, run from `agent.store.schema`; each file of `versions/` is frozen once released."""
