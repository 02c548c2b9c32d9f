"""Transactions: one writer, whole or absent, readings that cannot be written to, history that cannot be rewritten."""

from __future__ import annotations

import re
import threading
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

import agent
import learners
import monitors
from agent.errors import StoreBusy, StoreError
from agent.store import Store, UnnamedChange, control, cycles, decisions, deployment, events, verdicts


def test_an_exception_leaves_no_trace(store: Store) -> None:
    with pytest.raises(RuntimeError), store.write() as tx:
        cycles.create(tx, "data", "daemon", "test")
        raise RuntimeError
    with store.read() as tx:
        assert cycles.active(tx) is None
        assert not any(event.action == "cycle.created" for event in events.listing(tx))


def test_a_read_cannot_write(store: Store) -> None:
    with pytest.raises(StoreError, match="readonly"), store.read() as tx:
        events.record(tx, "x.happened", "x", "ann", "test")


def test_a_read_sees_one_moment(store: Store) -> None:
    with store.read() as before:
        assert control.paused(before) is None
        with store.write() as tx:
            control.pause(tx, "holiday", "ann", "cld resume")
        assert control.paused(before) is None
    with store.read() as after:
        assert control.paused(after) is not None


def test_a_commit_waits_for_the_disk(store: Store) -> None:
    full = 2
    with store.write() as tx:
        assert tx.execute(text("PRAGMA synchronous")).scalar_one() == full
        assert tx.execute(text("PRAGMA journal_mode")).scalar_one() == "wal"


def test_a_row_is_a_reading_and_assigning_to_it_is_refused(store: Store) -> None:
    with pytest.raises(StoreError, match="readings"), store.write() as tx:
        deployment.current(tx).version = "v9"


def test_rows_stay_readable_after_their_transaction(store: Store) -> None:
    with store.read() as tx:
        serving = deployment.current(tx)
    assert (serving.version, serving.changed_at.tzinfo is not None) == ("v0", True)


def test_writers_take_turns(store: Store) -> None:
    def add() -> None:
        for _ in range(10):
            with store.write() as tx:
                events.record(tx, "x.happened", "x", "ann", "test")

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with store.read() as tx:
        assert len(events.listing(tx, "x")) == 40


def test_a_writer_that_never_ends_is_named(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.store.BUSY_TIMEOUT_SECONDS", 0.05)
    impatient = Store(f"sqlite:///{store.path}")
    with store.write() as tx:
        events.record(tx, "x.happened", "x", "ann", "test")
        with pytest.raises(StoreBusy, match="another process"), impatient.write() as other:
            deployment.current(other)
    impatient.close()


@pytest.mark.parametrize("table", ["events", "deployments", "decisions", "verdicts"])
@pytest.mark.parametrize("change", ["UPDATE {} SET who = 'mallory'", "DELETE FROM {}"])
def test_history_is_append_only(store: Store, cycle_in, table: str, change: str) -> None:
    cycle = cycle_in("judging")
    with store.write() as tx:
        decisions.record(tx, cycle, "approve", "ann", "looks good", version="v1")
        verdicts.save(tx, cycle, {"verdict": "hold"})
    change = change.format(table).replace("who", "cycle" if table == "verdicts" else "who")
    with pytest.raises(DatabaseError, match="append-only"), store.write() as tx:
        tx.execute(text(change))


def test_events_come_in_order_and_can_be_followed(store: Store) -> None:
    with store.read() as tx:
        everything = events.listing(tx)
        assert events.listing(tx, after=everything[0].seq) == everything[1:]
        assert [event.subject for event in events.listing(tx, subject="v0", limit=2)] == ["v0", "v0"]


def test_a_change_without_a_name_is_refused(store: Store) -> None:
    with pytest.raises(UnnamedChange, match="names who made it"), store.write() as tx:
        control.pause(tx, "holiday", " ", "cld resume")


_SQL = re.compile(r"\b(from sqlalchemy|import sqlalchemy|SELECT .{1,80} FROM|DELETE FROM|INSERT INTO|UPDATE \w+ SET)")
_ELSEWHERE = {"agent/reads/glance.py"}  # `cld status` reads without SQLAlchemy, whose import takes longer than it may


def test_sql_lives_in_the_store_alone() -> None:
    root = Path(agent.__file__).parent.parent
    modules = [file for package in (agent, monitors, learners) for file in Path(package.__path__[0]).rglob("*.py")]
    found = {str(file.relative_to(root)) for file in modules if _SQL.search(file.read_text(encoding="utf-8"))}
    outside = {name for name in found if not name.startswith("agent/store/")}
    assert outside <= _ELSEWHERE
    assert "agent/store/pool.py" in found
