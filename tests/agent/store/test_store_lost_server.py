"""A database server that restarts, is full or is locked: named, waited for, and no end of the daemon."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest
from postgresql_server import MARKS, Server, served
from sqlalchemy import text

from agent.daemon.loop import Daemon, _migrate
from agent.errors import StoreBusy
from agent.store import Store, StoreUnreachable, control, deployment, versions
from tests.agent.fake_jobs import Scene
from tests.agent.operating import Operated

pytestmark = MARKS


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server that tests stop and start."""
    with served() as running:
        yield running


@pytest.fixture(scope="module")
def store(server: Server) -> Iterator[Store]:
    """A store on it where v0 serves, and cld is paused."""
    store = Store(server.url)
    store.migrate()
    with store.write() as tx:
        versions.register(tx, "v0", 0, None, None, "0" * 64, None, None, None)
        deployment.move(tx, "v0", 0, "daemon", "first", "initial")
        control.pause(tx, "operator: quiet", who="ada", fix="cld resume")
    yield store
    store.close()


def test_a_server_that_is_down_is_named_and_used_again_when_it_is_back(server: Server, store: Store):
    server.stop()
    with pytest.raises(StoreUnreachable, match=r"cannot be reached .*\[store\] url"), store.read() as tx:
        deployment.current(tx)
    server.start()
    with store.read() as tx:
        assert deployment.current(tx).version == "v0"


def test_a_server_that_is_stopped_amid_a_transaction_leaves_no_trace_of_it(server: Server, store: Store):
    with pytest.raises(StoreUnreachable), store.write() as tx:
        control.pause(tx, "disk: planted", who="ada", fix="none")
        server.stop()
        server.start()
        control.pauses(tx)
    with store.read() as tx:
        assert [row.code for row in control.pauses(tx)] == ["operator"]


def test_the_daemon_lives_through_a_restart_of_its_server_and_says_so_once(
    server: Server, store: Store, operated: Operated
):
    scene = Scene(operated)
    daemon = Daemon(replace(scene.context, store=store))
    assert not daemon._guarded_turn(0.0)
    server.stop()
    for second in (1.0, 2.0, 3.0):
        assert not daemon._guarded_turn(second)
    server.start()
    daemon._guarded_turn(4.0)
    failed, unrecorded = scene.log.of("daemon.fault")
    assert failed.startswith("a turn failed: StoreUnreachable") and unrecorded.startswith("the pause was not recorded")


def test_a_daemon_that_starts_before_its_server_waits_for_it(server: Server, store: Store, operated: Operated):
    scene = Scene(operated)
    server.stop()
    late = threading.Timer(1.0, server.start)
    late.start()
    _migrate(replace(scene.context, store=store))
    late.join()
    assert len(scene.log.of("daemon.waiting")) == 1
    store.check_schema()


def test_a_database_that_stays_locked_is_busy(store: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("agent.store.BUSY_TIMEOUT_SECONDS", 1)
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with store.write() as tx:
            tx.execute(text("SELECT 1"))
            held.set()
            release.wait(30.0)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(30.0)
    try:
        with pytest.raises(StoreBusy, match="pg_stat_activity"), store.write() as tx:
            control.pauses(tx)
    finally:
        release.set()
        holder.join()
