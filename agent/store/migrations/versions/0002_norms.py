"""The registry of norms, and the append-only log of their changes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

APPEND_ONLY = "norm_changes"


def upgrade() -> None:
    """Create both tables; the log refuses UPDATE and DELETE, by the function that 0001 made on PostgreSQL."""
    create_tables()
    for verb in ("UPDATE", "DELETE"):
        op.execute(_trigger(verb))


def create_tables() -> None:
    """Create the tables and their indexes."""
    op.create_table(
        "norms",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("statement", sa.Text(), nullable=False),
        sa.Column("scope", sa.JSON(), nullable=False),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("valid_to", sa.DateTime(timezone=True), nullable=True),
        sa.Column("supersedes", sa.String(length=64), nullable=True),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("approver", sa.Text(), nullable=False),
        sa.Column("suite", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["supersedes"], ["norms.id"], name="fk_norms_supersedes"),
        sa.PrimaryKeyConstraint("id", name="pk_norms"),
        sa.UniqueConstraint("supersedes", name="uq_norms_supersedes"),
    )
    op.create_table(
        "norm_changes",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("norm", sa.String(length=64), nullable=False),
        sa.Column("change", sa.String(length=16), nullable=False),
        sa.Column("old", sa.String(length=64), nullable=True),
        sa.Column("effective", sa.DateTime(timezone=True), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["norm"], ["norms.id"], name="fk_norm_changes_norm"),
        sa.ForeignKeyConstraint(["old"], ["norms.id"], name="fk_norm_changes_old"),
        sa.PrimaryKeyConstraint("seq", name="pk_norm_changes"),
    )
    op.create_index("ix_norm_changes_norm", "norm_changes", ["norm"], unique=False)


def _trigger(verb: str) -> str:
    name = f"CREATE TRIGGER {APPEND_ONLY}_refuse_{verb} BEFORE {verb} ON {APPEND_ONLY}"
    if op.get_bind().dialect.name == "sqlite":
        return f"{name} BEGIN SELECT RAISE(ABORT, '{APPEND_ONLY} is append-only'); END"
    return f"{name} FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
