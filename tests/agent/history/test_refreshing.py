"""Promises of `agent.history.refreshing`: the index follows each cycle, and the daemon never waits for it."""

from __future__ import annotations

import time

import pytest

from agent.daemon.loop import Daemon
from agent.history.refreshing import Refreshing
from tests.agent.fake_jobs import Scene
from tests.agent.operating import Operated

COUNT = "import pathlib, sys; (pathlib.Path(sys.argv[1]) / 'runs').open('a').write('x')"
WAIT = "import time; time.sleep(60)"


@pytest.fixture
def scene(operated: Operated) -> Scene:
    """An operated root whose workers are scripted."""
    return Scene(operated)


def runs(scene: Scene) -> int:
    path = scene.world.layout.root / "runs"
    return len(path.read_text()) if path.exists() else 0


def turn_until_collected(refreshing: Refreshing) -> None:
    limit = time.monotonic() + 60.0
    refreshing.turn()
    while refreshing._process is not None:
        assert time.monotonic() < limit
        time.sleep(0.02)
        refreshing.turn()


def test_the_index_is_refreshed_once_for_each_cycle_that_ended(scene: Scene):
    refreshing = Refreshing(scene.context, ("-c", COUNT))
    counted: list[int] = []
    for step in (lambda: None, lambda: scene.world.cycle_in("aborted"), lambda: None, scene.world.cycle_in):
        step()
        turn_until_collected(refreshing)
        counted.append(runs(scene))
    assert counted == [0, 1, 1, 1]


def test_a_failed_refresh_is_said_and_tried_again_after_the_next_cycle(scene: Scene):
    refreshing = Refreshing(scene.context, ("-c", "raise SystemExit('no embedder')"))
    for _ in range(2):
        scene.world.cycle_in("aborted")
        turn_until_collected(refreshing)
    assert scene.log.of("history.not_refreshed") == ["the search index was not brought up to date: no embedder"] * 2


def test_a_refresh_that_has_much_to_say_ends_all_the_same(scene: Scene):
    scene.world.cycle_in("aborted")
    refreshing = Refreshing(scene.context, ("-c", "import sys; sys.exit('x' * 200_000)"))
    turn_until_collected(refreshing)
    assert scene.log.of("history.not_refreshed")[0].endswith("x" * 300)


def test_a_refresh_ends_with_its_daemon(scene: Scene):
    scene.world.cycle_in("aborted")
    refreshing = Refreshing(scene.context, ("-c", WAIT))
    refreshing.turn()
    process = refreshing._process
    refreshing.stop()
    assert process is not None and process.returncode == -9


def test_the_daemon_brings_the_real_index_up_to_date(scene: Scene):
    scene.world.cycle_in("aborted")
    daemon = Daemon(scene.context)
    daemon.turn(0.0)
    turn_until_collected(daemon._refreshing)
    assert scene.log.of("history.not_refreshed") == []
    assert (scene.world.layout.index / "manifest.json").exists()
