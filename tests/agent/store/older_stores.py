"""Databases as an earlier release left them, for the tests of upgrading."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect, text

from agent.store import Store, control, events, migrations


def scripts() -> Config:
    """Alembic's view of the migrations."""
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    return config


def chain() -> list[str]:
    """Revisions, oldest first, as each names the one before it."""
    return [script.revision for script in ScriptDirectory.from_config(scripts()).walk_revisions()][::-1]


def make_at(url: str, revision: str) -> None:
    """Make a database at a revision, with an event and a pause in it."""
    engine, config = create_engine(url), scripts()
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    engine.dispose()
    store = Store(url)
    with store.write() as tx:
        events.record(tx, "test.happened", "x", "ann", "before the upgrade")
        control.pause(tx, "kept", "ann", "cld resume")
    store.close()


def tables(url: str) -> set[str]:
    """Names of the tables of a database."""
    engine = create_engine(url)
    found = set(inspect(engine).get_table_names())
    engine.dispose()
    return found


def rewrite(url: str, table: str) -> None:
    """Change every row of a table, as no function of the store does."""
    engine = create_engine(url)
    try:
        with engine.begin() as connection:
            connection.execute(text(f"UPDATE {table} SET who = 'eve'"))
    finally:
        engine.dispose()
