"""A database of every earlier release comes up to date with its rows kept."""

from __future__ import annotations

from pathlib import Path

import pytest
from older_stores import chain, make_at, rewrite, tables
from sqlalchemy.exc import DatabaseError

from agent.store import SchemaTooOld, Store, control, events, norms, schema
from agent.store.tables import Base, now

EARLIER = chain()[:-1]


def test_every_migration_follows_the_one_before_and_the_last_is_the_head():
    assert chain() == [f"{number:04}" for number in range(1, len(chain()) + 1)]
    assert schema.head() == chain()[-1]


@pytest.mark.parametrize("revision", EARLIER)
def test_an_earlier_database_is_refused_until_it_is_upgraded(tmp_path: Path, revision: str):
    make_at(url := f"sqlite:///{tmp_path / 'cld.db'}", revision)
    store = Store(url)
    with pytest.raises(SchemaTooOld, match=f"{revision}.*cld start"):
        store.check_schema()
    store.migrate()
    store.check_schema()
    store.close()


@pytest.mark.parametrize("revision", EARLIER)
def test_an_upgraded_database_has_its_rows_and_every_table(tmp_path: Path, revision: str):
    make_at(url := f"sqlite:///{tmp_path / 'cld.db'}", revision)
    assert tables(url) - {"alembic_version"} <= Base.metadata.tables.keys()
    store = Store(url)
    store.migrate()
    with store.read() as tx:
        assert [row.action for row in events.listing(tx)] == ["test.happened", "paused"]
        assert control.paused(tx)
    store.check_integrity()
    store.close()
    assert tables(url) - {"alembic_version"} == Base.metadata.tables.keys()


def test_the_log_of_norms_is_append_only_after_the_upgrade(tmp_path: Path):
    make_at(url := f"sqlite:///{tmp_path / 'cld.db'}", "0001")
    store = Store(url)
    store.migrate()
    with store.write() as tx:
        norms.add(tx, norms.Draft("polite", "Answers are polite.", now()), "ann", "test")
    store.close()
    with pytest.raises(DatabaseError, match="append-only"):
        rewrite(url, "norm_changes")
