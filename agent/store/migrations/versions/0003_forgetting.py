"""Requests to forget, and the append-only certificates of what was forgotten."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

APPEND_ONLY = "forget_certificates"


def upgrade() -> None:
    """Create both tables; certificates refuse UPDATE and DELETE, by the function that 0001 made on PostgreSQL."""
    create_tables()
    for verb in ("UPDATE", "DELETE"):
        op.execute(_trigger(verb))


def create_tables() -> None:
    """Create the tables and their indexes."""
    op.create_table(
        "forget_requests",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("asked", sa.JSON(), nullable=False),
        sa.Column("records", sa.JSON(), nullable=False),
        sa.Column("learned", sa.JSON(), nullable=False),
        sa.Column("method", sa.Text(), nullable=True),
        sa.Column("redact", sa.Boolean(), nullable=False),
        sa.Column("cycle", sa.String(length=64), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["cycle"], ["cycles.id"], name="fk_forget_requests_cycle"),
        sa.PrimaryKeyConstraint("id", name="pk_forget_requests"),
        sa.UniqueConstraint("number", name="uq_forget_requests_number"),
    )
    op.create_index("ix_forget_requests_cycle", "forget_requests", ["cycle"], unique=False)
    op.create_table(
        "forget_certificates",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("request", sa.String(length=64), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["request"], ["forget_requests.id"], name="fk_forget_certificates_request"),
        sa.PrimaryKeyConstraint("seq", name="pk_forget_certificates"),
        sa.UniqueConstraint("request", name="uq_forget_certificates_request"),
    )


def _trigger(verb: str) -> str:
    name = f"CREATE TRIGGER {APPEND_ONLY}_refuse_{verb} BEFORE {verb} ON {APPEND_ONLY}"
    if op.get_bind().dialect.name == "sqlite":
        return f"{name} BEGIN SELECT RAISE(ABORT, '{APPEND_ONLY} is append-only'); END"
    return f"{name} FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
