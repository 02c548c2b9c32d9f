"""What a daemon does turn after turn for months: nothing it says, keeps or reads may grow with all that ever was."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import event

from agent.cli.log_lines import read_log
from agent.daemon.logs import open_log
from agent.daemon.loop import Daemon
from agent.store import control, measurements
from agent.trigger import Trigger
from learners.durable import write_manifest
from monitors.job import Measurement
from tests.agent.fake_jobs import Scene
from tests.agent.operating import Operated


@pytest.fixture
def scene(operated: Operated) -> Scene:
    """An operated root whose workers are scripted."""
    return Scene(operated)


def test_workers_are_held_to_their_limits_while_cld_is_paused(scene: Scene, monkeypatch: pytest.MonkeyPatch):
    looks: list[str] = []
    monkeypatch.setattr(scene.jobs, "watch_unasked", lambda: looks.append("look"), raising=False)
    with scene.world.store.write() as tx:
        control.pause(tx, "operator: quiet", who="ada", fix="cld resume")
    Daemon(scene.context).turn(0.0)
    assert looks == ["look"]


def test_a_turn_that_fails_again_and_again_is_logged_once_until_one_succeeds(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
):
    fates = iter([True, True, False, True])

    def turn(*_: object) -> bool:
        if next(fates):
            raise ZeroDivisionError("planted")
        return True

    monkeypatch.setattr(Daemon, "turn", turn)
    daemon = Daemon(scene.context)
    assert [daemon._guarded_turn(0.0) for _ in range(4)] == [False, False, True, False]
    assert len(scene.log.of("daemon.fault")) == 2


def test_no_cycle_starts_beside_a_worker_that_still_measures(scene: Scene):
    scene.world.fill_pool(8)
    scene.jobs.busy = True
    trigger = Trigger(scene.context)
    assert [trigger.turn(moment) for moment in (0.0, 1000.0)] == [False, False]
    scene.jobs.busy = False
    assert trigger.turn(2000.0)


def test_the_log_keeps_one_full_file_beside_the_one_it_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("agent.daemon.logs._MOST_BYTES", 1000)
    log = open_log(tmp_path / "daemon.jsonl", "info")
    for number in range(100):
        log.info(f"event {number}")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["daemon.jsonl", "daemon.jsonl.1"]
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 2500
    assert json.loads((tmp_path / "daemon.jsonl").read_text().splitlines()[-1])["event"] == "event 99"


def test_following_a_log_goes_on_in_the_file_that_takes_its_place(tmp_path: Path):
    path = tmp_path / "daemon.jsonl"
    path.write_text('{"event": "one"}\n{"event": "two"}\n')
    lines = read_log(path, 1, follow=True)
    seen = [next(lines)["event"]]
    path.rename(tmp_path / "daemon.jsonl.1")
    path.write_text('{"event": "three"}\n')
    seen.append(next(lines)["event"])
    with path.open("a") as file:
        file.write('{"event": "four"}\n')
    assert [*seen, next(lines)["event"]] == ["two", "three", "four"]


def test_what_nobody_registered_below_versions_is_said_once(scene: Scene):
    """The daemon was killed between publishing and registering, and the cycle was aborted then."""
    folder = scene.world.layout.versions / "v7.old"
    folder.mkdir()
    write_manifest(folder)
    daemon = Daemon(scene.context)
    for minute in range(3):
        daemon.turn(minute * 61.0)
    (said,) = scene.log.of("version.unknown")
    assert f"rm -r {folder}" in said and folder.exists()


def test_recording_measurements_counts_only_what_was_measured_now(operated: Operated):
    """Counting the whole table took a second for each million scores, twice for each job, with the writer's lock."""
    rows = [
        Measurement(version="v0", suite="s", suite_digest="d", role="target", probe=f"p{number}", slice="x",
                    scorer="choice", score=1.0, engine="e") for number in range(3)
    ]  # fmt: skip
    statements: list[str] = []
    with operated.store.write() as tx:
        event.listen(tx.connection(), "before_cursor_execute", lambda *call: statements.append(call[2]))
        assert measurements.add_many(tx, rows[:2], "test") == 2
        assert measurements.add_many(tx, rows, "test") == 1
    counted = [said for said in statements if "count(" in said.lower()]
    assert counted and all("WHERE" in said for said in counted)
