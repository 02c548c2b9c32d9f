"""The schema: migrated equals declared, in both directions; older, newer, missing and damaged are told apart."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, inspect, text

from agent.errors import SchemaTooNew, StoreDamaged, StoreError
from agent.store import SchemaTooOld, Store, StoreMissing, events
from agent.store.tables import Base


def _declared(path: Path, ignore: set[str]) -> dict[str, str]:
    with sqlite3.connect(path) as connection:
        rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND type != 'trigger'")
        found = {name: " ".join(sql.replace('"', "").split()).replace("\t", "") for name, sql in rows}
    connection.close()
    return {name: sql for name, sql in found.items() if name not in ignore}


def test_alembic_sees_nothing_to_do_after_migrating(migrated: Path) -> None:
    engine = create_engine(f"sqlite:///{migrated}")
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
    engine.dispose()


def test_a_fresh_schema_is_the_migrated_schema_word_for_word(migrated: Path, tmp_path: Path) -> None:
    fresh = create_engine(f"sqlite:///{tmp_path / 'fresh.db'}")
    Base.metadata.create_all(fresh)
    fresh.dispose()
    wanted, found = _declared(tmp_path / "fresh.db", set()), _declared(migrated, {"alembic_version"})
    assert wanted.keys() == found.keys()
    for name, sql in wanted.items():
        assert _columns(sql) == _columns(found[name])


def _columns(sql: str) -> set[str]:
    """The parts of a CREATE statement, whatever their order."""
    depth, part, parts = 0, "", set[str]()
    for letter in sql:
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 1:
            parts.add(part.strip())
            part = ""
        else:
            part += letter
    return {piece.strip(" ()") for piece in parts | {part}}


def test_an_additional_column_would_be_noticed(migrated: Path, tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    path.write_bytes(migrated.read_bytes())
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE cycles ADD COLUMN stray TEXT"))
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) != []
    engine.dispose()


def test_migrating_twice_changes_nothing(empty: Store) -> None:
    empty.migrate()
    empty.check_schema()


def test_a_newer_schema_is_refused_by_name(empty: Store) -> None:
    _set_revision(empty, "9999")
    for refused in (empty.check_schema, empty.migrate):
        with pytest.raises(SchemaTooNew, match=r"'9999', newer than .*cld restore"):
            refused()


def test_an_older_schema_names_the_command_that_migrates_it(empty: Store) -> None:
    _set_revision(empty, "0000")
    with pytest.raises(SchemaTooOld, match="cld start"):
        empty.check_schema()


def _set_revision(store: Store, revision: str) -> None:
    with sqlite3.connect(str(store.path)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))
    connection.close()


def test_a_missing_database_is_not_made_by_looking(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'none.db'}")
    for look in (store.check_schema, store.check_integrity, lambda: store.read().__enter__()):
        with pytest.raises(StoreMissing, match="cld init"):
            look()
    assert not (tmp_path / "none.db").exists()


def test_an_empty_database_holds_no_schema(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "cld.db").close()
    (tmp_path / "cld.db").touch()
    store = Store(f"sqlite:///{tmp_path / 'cld.db'}")
    with pytest.raises(StoreMissing, match="no cld tables"):
        store.check_schema()
    store.close()


def test_a_migration_killed_half_way_leaves_nothing_and_runs_again(tmp_path: Path) -> None:
    script = (
        "import os, signal, sys\n"
        "from sqlalchemy import event\n"
        "from agent.store import Store\n"
        "store = Store(sys.argv[1])\n"
        "def strike(connection, cursor, statement, *rest):\n"
        "    if 'CREATE TABLE measurements' in statement:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "event.listen(store._engine, 'before_cursor_execute', strike)\n"
        "store.migrate()\n"
    )
    url = f"sqlite:///{tmp_path / 'cld.db'}"
    died = subprocess.run([sys.executable, "-c", script, url], check=False, env={**os.environ, "PYTHONPATH": "."})
    assert died.returncode == -signal.SIGKILL
    engine = create_engine(url)
    assert inspect(engine).get_table_names() == []
    engine.dispose()
    store = Store(url)
    store.migrate()
    store.check_schema()
    store.close()


def test_alembic_is_imported_only_to_migrate() -> None:
    code = "import sys, agent.store.pool; print(sorted({'alembic', 'torch', 'numpy'} & set(sys.modules)))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_a_file_that_is_no_database_is_refused_with_the_way_back(tmp_path: Path) -> None:
    (tmp_path / "cld.db").write_bytes(b"not a database, not at all" * 400)
    store = Store(f"sqlite:///{tmp_path / 'cld.db'}")
    with pytest.raises(StoreDamaged, match="cld restore BACKUP"):
        store.check_schema()
    with pytest.raises(StoreDamaged, match="cld restore BACKUP"), store.read() as tx:
        events.listing(tx)
    store.close()


def test_a_page_overwritten_in_place_is_found_by_the_integrity_check(store: Store) -> None:
    store.close()
    path = store.path
    assert path is not None
    content = bytearray(path.read_bytes())
    for page in range(4096, len(content), 4096):
        content[page : page + 100] = os.urandom(100)
    path.write_bytes(content)
    with pytest.raises(StoreDamaged, match="cld restore"):
        store.check_integrity()


def test_a_healthy_database_passes_the_integrity_check(store: Store) -> None:
    store.check_integrity()


def test_a_backup_is_a_store_of_its_own(store: Store, tmp_path: Path) -> None:
    store.backup(tmp_path / "backup.db")
    copy = Store(f"sqlite:///{tmp_path / 'backup.db'}")
    copy.check_schema()
    copy.check_integrity()
    with copy.read() as tx, store.read() as original:
        assert len(events.listing(tx)) == len(events.listing(original)) > 0
    copy.close()


def test_a_backup_never_overwrites(store: Store, tmp_path: Path) -> None:
    (tmp_path / "mine.db").write_text("precious")
    with pytest.raises(StoreError, match="never overwrites"):
        store.backup(tmp_path / "mine.db")
    assert (tmp_path / "mine.db").read_text() == "precious"


def test_another_database_is_refused_by_name() -> None:
    with pytest.raises(StoreError, match="sqlite or postgresql"):
        Store("mysql://localhost/cld")
