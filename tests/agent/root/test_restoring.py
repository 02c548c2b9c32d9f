"""What `cld restore` leaves: the copy, and nothing of the database that was there before."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from agent.errors import StoreError
from agent.root.backups import back_up, restore
from agent.root.stores import open_store
from agent.store import control
from tests.agent.operating import Operated


@pytest.fixture
def copy(operated: Operated, tmp_path: Path) -> Path:
    """A backup of the database."""
    back_up(operated.store, tmp_path / "copy.db")
    return tmp_path / "copy.db"


def pause(world: Operated, reason: str) -> None:
    with world.store.write() as tx:
        control.pause(tx, reason, who="ada", fix="cld resume")


def reasons(world: Operated) -> list[str]:
    store = open_store(world.layout, world.config)
    with store.read() as tx:
        found = [row.reason for row in control.pauses(tx)]
    store.check_integrity()
    store.close()
    return found


def kill_before_a_checkpoint(world: Operated) -> Path:
    """Leave the log of a database whose daemon was killed, without the database itself; returns the log."""
    log = world.layout.database.with_name("cld.db-wal")
    kept = shutil.copy(log, log.with_name("kept"))
    world.store.close()
    world.layout.database.unlink()
    return Path(kept).rename(log)


def test_the_log_of_a_database_that_is_gone_is_not_replayed_over_the_copy(operated: Operated, copy: Path):
    pause(operated, "after the copy was made")
    log = kill_before_a_checkpoint(operated)
    assert log.stat().st_size > 0
    restore(operated.layout, operated.config, copy)
    assert reasons(operated) == []
    assert list(operated.layout.root.glob("cld.db.replaced-*-wal"))


def test_a_copy_whose_serving_version_was_swept_since_says_so(operated: Operated, tmp_path: Path):
    operated.publish("v1", "v0")
    operated.serve("v1")
    back_up(operated.store, tmp_path / "copy.db")
    operated.store.close()
    shutil.rmtree(operated.layout.version("v1"))
    _, message, data = restore(operated.layout, operated.config, tmp_path / "copy.db")
    assert data["without_files"] == ["v1"]
    assert "v1" in message and "`cld rollback VERSION`" in message


def test_a_copy_whose_serving_version_is_there_says_nothing_of_it(operated: Operated, copy: Path):
    _, message, data = restore(operated.layout, operated.config, copy)
    assert data["without_files"] == [] and "rollback" not in message


def test_a_copy_that_does_not_fit_leaves_nothing_and_says_so(
    operated: Operated, copy: Path, monkeypatch: pytest.MonkeyPatch
):
    def full(source: Path, target: Path) -> None:
        target.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("agent.root.backups.shutil.copyfile", full)
    with pytest.raises(StoreError, match=r"No space left on device.*free some space"):
        restore(operated.layout, operated.config, copy)
    assert not list(operated.layout.root.glob("*.restoring*"))
    assert reasons(operated) == []
