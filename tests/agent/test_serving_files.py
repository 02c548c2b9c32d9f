"""Promises of `agent.serving_files`: what is about to serve is read whole, and the loop goes on meanwhile."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent import serving_files
from agent.daemon.loop import Daemon
from agent.serving_files import Found, Reader, parts_of, read_now
from agent.store import commands
from learners.durable import verify
from tests.agent.fake_jobs import Scene
from tests.agent.operating import Operated


class SlowDisk:
    """Stands in for `verify`: nothing is read before `turn`.

    Attributes:
        read: the folders read so far.
    """

    def __init__(self) -> None:
        self.turn = threading.Event()
        self.read: list[str] = []

    def verify(self, folder: Path, digest: str) -> None:
        assert self.turn.wait(30.0)
        self.read.append(folder.name)
        verify(folder, digest)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[SlowDisk]:
    """A disk that gives no file until it is told to."""
    slow = SlowDisk()
    monkeypatch.setattr(serving_files, "verify", slow.verify)
    monkeypatch.setattr(serving_files, "_PATIENCE_SECONDS", 0.01)
    yield slow
    slow.turn.set()


@pytest.fixture
def world(operated: Operated) -> Operated:
    """A root where `v1`, on the base `v0`, serves at generation 2."""
    operated.publish("v1", "v0")
    operated.serve("v1")
    return operated


def parts(world: Operated, version: str = "v1"):
    with world.store.read() as tx:
        return parts_of(tx, version)


def submit(world: Operated, *verbs: str) -> None:
    with world.store.write() as tx:
        for verb in verbs:
            commands.submit(tx, verb, {"target": "v1"} if verb == "pin" else {}, "ada")


def pending(world: Operated) -> list[str]:
    with world.store.read() as tx:
        return [row.verb for row in commands.pending(tx)]


def until(done: Callable[[], object]) -> None:
    limit = time.monotonic() + 30.0
    while not done():
        assert time.monotonic() < limit
        time.sleep(0.01)


@pytest.mark.parametrize("damaged", ["v1", "v0"])
def test_a_changed_file_of_a_version_or_of_its_base_is_found(world: Operated, damaged: str):
    assert read_now(world.layout, parts(world)) == Found()
    (world.layout.version(damaged) / "weights.txt").write_text("tampered")
    found = Reader().ask("c1", world.layout, parts(world))
    assert found == read_now(world.layout, parts(world))
    assert found is not None and found.damaged == damaged and "weights.txt" in found.damage


def test_the_loop_answers_while_the_files_of_a_version_are_read(world: Operated, disk: SlowDisk):
    scene = Scene(world)
    daemon = Daemon(scene.context)
    submit(world, "rollback")
    daemon.turn(0.0)
    submit(world, "pause")
    daemon.turn(1.0)
    assert (pending(world), world.serving(), scene.context.reader.busy) == (["rollback"], ("v1", 2), True)
    disk.turn.set()
    until(lambda: daemon.turn(2.0))
    assert (pending(world), world.serving(), scene.context.reader.busy) == ([], ("v0", 3), False)


def test_what_was_asked_behind_a_rollback_keeps_its_place(world: Operated, disk: SlowDisk):
    daemon = Daemon(Scene(world).context)
    submit(world, "rollback", "pin", "rollback", "pause")
    daemon.turn(0.0)
    assert pending(world) == ["rollback", "pin", "rollback"]
    disk.turn.set()
    until(lambda: daemon.turn(0.0) and not pending(world))


def test_other_files_than_asked_for_first_are_read_from_the_start(world: Operated, disk: SlowDisk):
    reader = Reader()
    assert reader.ask("c1", world.layout, parts(world)) is None
    assert reader.ask("c1", world.layout, parts(world, "v0")) is None
    disk.turn.set()
    until(lambda: reader.ask("c1", world.layout, parts(world, "v0")))
    until(lambda: sorted(disk.read) == ["v0", "v0", "v1"])


def test_an_answer_that_nobody_came_for_is_not_believed(
    world: Operated, disk: SlowDisk, monkeypatch: pytest.MonkeyPatch
):
    reader = Reader()
    assert reader.ask("c1", world.layout, parts(world)) is None
    disk.turn.set()
    until(lambda: not reader.busy)
    (world.layout.version("v1") / "weights.txt").write_text("tampered while cld was paused")
    monkeypatch.setattr(serving_files, "_FRESH_SECONDS", -1.0)
    monkeypatch.setattr(serving_files, "_PATIENCE_SECONDS", 30.0)
    found = reader.ask("c1", world.layout, parts(world))
    assert found is not None and found.damaged == "v1"


def test_a_disk_that_fails_is_reported_to_whoever_asked(world: Operated, monkeypatch: pytest.MonkeyPatch):
    def fail(*_: object) -> None:
        raise OSError("planted")

    monkeypatch.setattr(serving_files, "verify", fail)
    with pytest.raises(OSError, match="planted"):
        Reader().ask("c1", world.layout, parts(world))
