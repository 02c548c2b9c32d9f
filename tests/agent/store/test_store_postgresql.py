"""The same store on PostgreSQL, on a private server that listens on a socket in the test's own folder."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from older_stores import make_at, rewrite, tables
from postgresql_server import MARKS, served
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DatabaseError
from store_world import make_records, take_in, walk_to

from agent.store import (
    StaleGeneration,
    Store,
    StoreError,
    cycles,
    decisions,
    deployment,
    events,
    jobs,
    measurements,
    norms,
    pool,
    versions,
)
from agent.store.tables import Base, now
from monitors.job import Measurement

pytestmark = MARKS


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """URL of an empty database of a server that ends with the tests."""
    with served() as running:
        yield running.url


@pytest.fixture(scope="module")
def store(server: str) -> Iterator[Store]:
    store = Store(server)
    store.migrate()
    store.check_schema()
    with store.write() as tx:
        versions.register(tx, "v0", 0, None, None, "0" * 64, None, None, None)
        deployment.move(tx, "v0", 0, "daemon", "first", "initial")
    yield store
    store.close()


def test_a_cycle_lives_on_postgresql(store: Store) -> None:
    with store.write() as tx:
        assert take_in(tx, make_records(3), quarantined=1).kept == 3
        assert take_in(tx, make_records(4)).duplicate == 3
        cycle = walk_to(tx, "promoting")
        pool.claim(tx, cycle, [row.id for row in pool.waiting(tx, 9)])
        assert pool.settle(tx, cycle, "learned") == 4
        row = Measurement(
            version="v1",
            suite="s",
            suite_digest="d",
            role="target",
            probe="p",
            slice="x",
            scorer="choice",
            score=1.0,
            engine="e",
        )
        assert [measurements.add_many(tx, [row], "j") for _ in range(2)] == [1, 0]
        assert measurements.matrix(tx)[0].mean == 1.0
        decisions.record(tx, cycle, "approve", "ann", "good", version="v1")
        deployment.move(tx, "v1", 1, "ann", "good", "promote")
        cycles.transition(tx, cycle, "promoting", "failed", "daemon", "x")
    with store.read() as tx:
        assert deployment.current(tx).version == "v1"
        assert versions.protected(tx) == {"v0", "v1"}
        assert cycles.get(tx, cycle).ended_at is not None


def test_history_is_append_only_on_postgresql(store: Store) -> None:
    from sqlalchemy import delete

    with pytest.raises(DatabaseError, match="append-only"), store.write() as tx:
        tx.execute(delete(events.Event))


def test_one_of_two_movers_wins_on_postgresql(store: Store) -> None:
    with store.read() as tx:
        seen = deployment.current(tx)
    outcomes: list[str] = []

    def move() -> None:
        try:
            with store.write() as tx:
                deployment.move(tx, str(seen.previous), seen.generation, "ann", "race", "rollback")
            outcomes.append("won")
        except StaleGeneration:
            outcomes.append("stale")

    threads = [threading.Thread(target=move) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["stale"] * 3 + ["won"]


def test_a_read_cannot_write_on_postgresql(store: Store) -> None:
    with pytest.raises(DatabaseError, match="read-only"), store.read() as tx:
        events.record(tx, "x.happened", "x", "ann", "test")


def test_a_server_is_backed_up_with_its_own_tools(store: Store, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="pg_dump"):
        store.backup(tmp_path / "backup")


def test_a_database_of_the_first_release_is_upgraded_with_its_rows_on_postgresql(server: str) -> None:
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("CREATE DATABASE first_release"))
    engine.dispose()
    make_at(url := server.replace("/postgres?", "/first_release?"), "0001")
    store = Store(url)
    store.migrate()
    with store.write() as tx:
        assert events.listing(tx)[0].action == "test.happened"
        norms.add(tx, norms.Draft("polite", "Answers are polite.", now()), "ann", "test")
        assert norms.awaited(tx) == {}
    store.close()
    assert tables(url) - {"alembic_version"} == Base.metadata.tables.keys()
    with pytest.raises(DatabaseError, match="append-only"):
        rewrite(url, "norm_changes")


def test_what_jobs_cost_is_summed_by_postgresql(store: Store) -> None:
    with store.write() as tx:
        jobs.open(tx, "import-1", None, "training", "train", "learners")
        jobs.finish(tx, "import-1", {"tokens": 40}, {"wall_seconds": 2.0, "energy_kwh": None})
        jobs.open(tx, "baseline-1", None, "x", "measure", "monitors")
        jobs.finish(tx, "baseline-1", {"tokens": 9}, {"wall_seconds": 1.5, "energy_kwh": 0.5})
        assert jobs.spent(tx, now() - timedelta(hours=1)) == jobs.Spent(0.5, 40, 3.5)


def test_the_line_of_a_version_is_one_query_on_postgresql(store: Store) -> None:
    with store.read() as tx:
        assert [row.id for row in versions.line(tx, "v1")] == ["v1", "v0"]
        assert [row.id for row in versions.line(tx, "v1", until="v0")] == ["v1"]
