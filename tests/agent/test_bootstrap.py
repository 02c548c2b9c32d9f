"""Promises of the first version: imported once, anchored and serving at once, and never given up for good."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from agent import bootstrap
from agent.store import control, deployment, versions
from tests.agent.fake_jobs import BROKEN, Scene
from tests.agent.operating import Operated


def imported(_: Any, __: Path) -> Mapping[str, Any]:
    return {"version_id": "v0", "digest": "d" * 64, "parameters": 1, "seeded": 0}


@pytest.fixture
def scene(bare: Operated) -> Scene:
    """A root where nothing serves yet."""
    return Scene(bare)


def test_the_base_becomes_anchor_and_serves_at_generation_1(scene: Scene):
    assert not bootstrap.advance(scene.context)
    scene.jobs.work["import"] = imported
    assert bootstrap.advance(scene.context)
    with scene.world.store.read() as tx:
        now = deployment.current(tx)
        assert (now.version, now.generation, versions.anchor(tx).id) == ("v0", 1, "v0")


def test_it_happens_once(scene: Scene):
    scene.jobs.work["import"] = imported
    assert all(bootstrap.advance(scene.context) for _ in range(3))
    assert scene.world.serving() == ("v0", 1) and list(scene.jobs.specs) == ["import-1"]


def test_an_import_that_is_killed_before_it_is_recorded_is_recorded_whole(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
):
    scene.jobs.work["import"] = imported
    with monkeypatch.context() as crash, pytest.raises(KeyboardInterrupt):
        crash.setattr("agent.bootstrap.deployment.move", interrupt)
        bootstrap.advance(scene.context)
    with scene.world.store.read() as tx:
        assert versions.listing(tx) == []
    assert bootstrap.advance(scene.context)


def test_an_import_that_is_given_up_pauses_and_is_tried_anew_once_resumed(scene: Scene):
    scene.jobs.work["import"] = BROKEN
    assert not bootstrap.advance(scene.context)
    with scene.world.store.write() as tx:
        (pause,) = control.resume(tx, who="ada", why="the path is right now")
    assert pause.code == "import" and "planted" in pause.reason
    scene.jobs.work["import"] = imported
    assert bootstrap.advance(scene.context)
    assert list(scene.jobs.specs) == ["import-1", "import-2"]


@pytest.mark.parametrize(("base", "source"), [("shipped-name", "shipped-name"), ("mine", "ROOT/mine")])
def test_a_folder_is_named_in_full_and_a_shipped_model_by_its_name(scene: Scene, base: str, source: str):
    (scene.world.layout.root / "mine").mkdir()
    scene.configure(model={"base": base})
    bootstrap.advance(scene.context)
    assert scene.jobs.specs["import-1"].source == source.replace("ROOT", str(scene.world.layout.root))


def interrupt(*_: object, **__: object) -> None:
    raise KeyboardInterrupt
