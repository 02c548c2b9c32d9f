"""Promises of the intake turn: settled files become records once, and what goes wrong is said once and kept."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from agent.config import Source
from agent.intake import Intake
from agent.store import intakes, pool
from agent.work.jobs import JobFailed
from learners.job import Progress
from learners.records import Record, record_id, write_records
from monitors.intake_job import IntakeFile, IntakeResult, IntakeSpec, Quarantined
from tests.agent.fake_jobs import BROKEN, Scene
from tests.agent.operating import Operated


def read(spec: IntakeSpec, output: Path) -> Mapping[str, Any]:
    """A worker that makes one record of each file."""
    contents = [{"text": path.read_text()} for path in spec.files]
    records = [Record(id=record_id("text", c), source=spec.source, kind="text", content=c) for c in contents]
    write_records(output / "records.jsonl", records)
    (output / "quarantine.jsonl").touch()
    return IntakeResult(files=tuple(_file(path, kept=1) for path in spec.files)).model_dump(mode="json")


def refuse(spec: IntakeSpec, output: Path) -> Mapping[str, Any]:
    """A worker that quarantines one item of each file."""
    (output / "records.jsonl").touch()
    items = [Quarantined(origin=str(path), reason="it is no JSON").model_dump_json() for path in spec.files]
    (output / "quarantine.jsonl").write_text("".join(item + "\n" for item in items))
    return IntakeResult(files=tuple(_file(path, quarantined=1) for path in spec.files)).model_dump(mode="json")


def end_at_bomb(spec: IntakeSpec, output: Path) -> Mapping[str, Any]:
    """A worker that one of the files ends, after it said which one it reads."""
    for done, path in enumerate(spec.files):
        line = Progress(done=done, total=len(spec.files), message=f"reading {path.name}").model_dump_json()
        with (output.parent / "progress.jsonl").open("a") as progress:
            progress.write(line + "\n")
        if path.name == "bomb.txt":
            raise JobFailed(output.parent.name, BROKEN, 3)
    return read(spec, output)


def defer(spec: IntakeSpec, output: Path) -> Mapping[str, Any]:
    """A worker that finds every file changing under its hands."""
    for name in ("records.jsonl", "quarantine.jsonl"):
        (output / name).touch()
    return IntakeResult(files=(), deferred={str(path): "it changed" for path in spec.files}).model_dump(mode="json")


def _file(path: Path, kept: int = 0, quarantined: int = 0) -> IntakeFile:
    found = path.stat()
    return IntakeFile(path=str(path), size_bytes=found.st_size, mtime_ns=found.st_mtime_ns, sha256="f" * 64, read=1,
                      kept=kept, duplicate=0, quarantined=quarantined)  # fmt: skip


@pytest.fixture
def scene(operated: Operated) -> Scene:
    """A root whose files settle at once."""
    scene = Scene(operated)
    scene.configure(intake={"settle_seconds": 0.0})
    scene.jobs.work["intake"] = read
    return scene


def drop(scene: Scene, name: str, text: str = "a fact") -> Path:
    path = scene.world.layout.inbox / name
    path.write_text(text)
    return path


def turns(intake: Intake, *moments: float) -> list[bool]:
    return [intake.turn(moment) for moment in moments]


def waiting(scene: Scene) -> int:
    with scene.world.store.read() as tx:
        return sum(pool.counts(tx).values())


def test_a_settled_file_becomes_records_once(scene: Scene):
    drop(scene, "a.txt")
    assert turns(Intake(scene.context), 0.0, 1.0, 2.0, 3.0) == [False, True, False, False]
    assert waiting(scene) == 1 and list(scene.jobs.specs) == ["intake-1"]


def test_a_file_that_was_read_is_not_read_again_by_the_next_daemon(scene: Scene):
    drop(scene, "a.txt")
    turns(Intake(scene.context), 0.0, 1.0)
    turns(Intake(scene.context), 0.0, 1.0, 2.0)
    assert list(scene.jobs.specs) == ["intake-1"]


def test_a_file_that_changed_is_read_again(scene: Scene):
    intake = Intake(scene.context)
    drop(scene, "a.txt")
    turns(intake, 0.0, 1.0)
    drop(scene, "a.txt", "another and longer fact")
    turns(intake, 2.0, 3.0)
    assert waiting(scene) == 2


def test_a_refused_path_is_logged_once_and_again_only_if_the_reason_changes(scene: Scene):
    (scene.world.layout.inbox / "link.txt").symlink_to("/etc/hostname")
    intake = Intake(scene.context)
    turns(intake, *map(float, range(5)))
    (said,) = scene.log.of("source.refused")
    assert "link.txt: only regular files" in said


def test_a_folder_that_is_missing_is_named_once(scene: Scene):
    scene.configure(sources={"gone": Source(path=Path("nowhere"))})
    turns(Intake(scene.context), 0.0, 1.0, 2.0, 3.0)
    assert len(scene.log.of("source.refused")) == 1


def test_an_intake_that_is_given_up_is_recorded_as_failed_and_its_files_quarantined(scene: Scene):
    drop(scene, "bomb.txt")
    scene.jobs.work["intake"] = BROKEN
    assert turns(Intake(scene.context), 0.0, 1.0, 2.0, 3.0) == [False] * 4
    with scene.world.store.read() as tx:
        (item,) = intakes.quarantine_listing(tx)
        assert intakes.open_listing(tx) == []
        total = intakes.accounting(tx)["inbox"]
    assert item.origin.endswith("bomb.txt") and "planted" in item.reason
    assert (total.read, total.kept, total.quarantined) == (1, 0, 1)
    assert len(scene.log.of("intake.failed")) == 1 and len(scene.jobs.specs) == 1


def test_only_the_file_that_ends_the_worker_is_quarantined_and_the_others_come_again(scene: Scene):
    for name in ("a.txt", "bomb.txt", "c.txt"):
        drop(scene, name, name)
    scene.jobs.work["intake"] = end_at_bomb
    assert turns(Intake(scene.context), *map(float, range(5))).count(True) == 1
    with scene.world.store.read() as tx:
        assert [Path(item.origin).name for item in intakes.quarantine_listing(tx)] == ["bomb.txt"]
        total = intakes.accounting(tx)["inbox"]
    assert (total.read, total.kept, total.quarantined) == (3, 2, 1)


def test_items_that_a_worker_refused_are_kept_with_the_reason(scene: Scene):
    drop(scene, "a.txt")
    scene.jobs.work["intake"] = refuse
    assert turns(Intake(scene.context), 0.0, 1.0) == [False, False]
    with scene.world.store.read() as tx:
        assert [item.reason for item in intakes.quarantine_listing(tx)] == ["it is no JSON"]


def test_a_deferred_file_comes_again(scene: Scene):
    intake = Intake(scene.context)
    drop(scene, "a.txt")
    scene.jobs.work["intake"] = defer
    turns(intake, 0.0, 1.0)
    scene.jobs.work["intake"] = read
    assert turns(intake, 2.0, 3.0) == [True, False]
    assert waiting(scene) == 1


def test_one_intake_is_read_at_a_time(scene: Scene):
    del scene.jobs.work["intake"]
    intake = Intake(scene.context)
    for moment, name in enumerate(["a.txt", "b.txt", "c.txt"]):
        drop(scene, name, name)
        turns(intake, moment, moment + 0.5)
    assert list(scene.jobs.specs) == ["intake-1"]
    scene.jobs.work["intake"] = read
    assert turns(intake, 10.0, 11.0, 12.0, 13.0) == [True, True, True, False]


def test_files_stay_where_they_are_untouched(scene: Scene):
    path = drop(scene, "a.txt")
    before = path.stat()
    turns(Intake(scene.context), 0.0, 1.0)
    after = path.stat()
    assert (before.st_mtime_ns, before.st_size, before.st_ino) == (after.st_mtime_ns, after.st_size, after.st_ino)
