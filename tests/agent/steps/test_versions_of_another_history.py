"""A version's folder that was there before its number was given: of a database that a backup has replaced."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.root.doctor import examine
from agent.steps.training import published
from learners.durable import DamagedFolder, write_manifest
from learners.versions import VersionSpec, write_spec
from tests.agent.fake_jobs import Scene
from tests.agent.operating import Operated


@pytest.fixture
def scene(operated: Operated) -> Scene:
    """An operated root where a job has just trained v1."""
    scene = Scene(operated)
    trained(operated.layout.job("c1-training") / "output" / "version", "the weights of now")
    return scene


def trained(folder: Path, weights: str) -> None:
    folder.mkdir(parents=True)
    (folder / "weights.txt").write_text(weights)
    (folder / "weights").mkdir()
    write_spec(folder, VersionSpec(id="v1", parent="v0", base=None))
    write_manifest(folder)


def test_it_is_set_aside_and_said(scene: Scene):
    trained(scene.world.layout.version("v1"), "the weights of another history")
    published(scene.context, "c1-training", "v1")
    assert (scene.world.layout.version("v1") / "weights.txt").read_text() == "the weights of now"
    (aside,) = scene.world.layout.versions.glob("aside-*")
    assert (aside / "weights.txt").read_text() == "the weights of another history"
    assert aside.name in scene.log.of("version.folder_set_aside")[0]


def test_doctor_names_what_was_set_aside_and_how_to_delete_it(scene: Scene):
    trained(scene.world.layout.version("v1"), "the weights of another history")
    published(scene.context, "c1-training", "v1")
    (found,) = [check for check in examine(scene.world.layout, scene.world.config) if check.name == "set aside"]
    assert found.outcome == "warn" and "aside-v1-1" in found.fix


def test_what_a_killed_daemon_published_itself_stays(scene: Scene):
    for _ in range(2):
        published(scene.context, "c1-training", "v1")
    assert not list(scene.world.layout.versions.glob("aside-*"))


def test_a_registered_version_is_never_moved(scene: Scene):
    scene.world.publish("v1", "v0")
    with pytest.raises(DamagedFolder):
        published(scene.context, "c1-training", "v1")
    assert not list(scene.world.layout.versions.glob("aside-*"))
