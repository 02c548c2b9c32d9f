"""Promises of playing the demo: what was not played to its end is never reported as right."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.demo import run as demo
from agent.demo.report import CycleRow, Report
from agent.demo.script import ACTS, Act
from agent.demo.show import Screen
from agent.errors import CldError, Refused
from agent.root.layout import Layout


@pytest.fixture
def no_daemon(monkeypatch: pytest.MonkeyPatch) -> None:
    """No process is started or ended."""
    monkeypatch.setattr("agent.demo.run.background.start", lambda _: None)
    monkeypatch.setattr("agent.demo.run.background.stop", lambda *_, **__: None)


def played(folder: Path, monkeypatch: pytest.MonkeyPatch, *, stops: bool) -> dict[str, Any]:
    """The report of a demo whose only check holds, and which then stops or not."""

    def play(stage: demo._Stage) -> None:  # pyright: ignore[reportPrivateUsage]
        stage.report.checks.append(demo.Check("act 1", ok=True, found="done"))
        if stops:
            raise CldError("the daemon paused: planted")

    monkeypatch.setattr(demo._Stage, "play", play)  # pyright: ignore[reportPrivateUsage]
    report = folder / "report.json"
    if stops:
        with pytest.raises(CldError, match="planted"):
            demo.run(folder / "root", report)
    else:
        assert demo.run(folder / "root", report) == 0
    return json.loads(report.read_text())


@pytest.mark.usefixtures("no_daemon")
@pytest.mark.parametrize("stops", [True, False])
def test_a_demo_that_stopped_half_way_is_not_reported_as_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stops: bool
):
    assert played(tmp_path, monkeypatch, stops=stops)["ok"] is not stops


@pytest.mark.usefixtures("no_daemon")
def test_a_folder_that_is_no_demos_is_refused_and_kept(tmp_path: Path):
    (tmp_path / "mine.txt").write_text("dear")
    with pytest.raises(Refused, match="not a demo's data root"):
        demo.run(tmp_path, tmp_path / "report.json")
    assert (tmp_path / "mine.txt").read_text() == "dear"


@pytest.mark.parametrize(("ending", "right"), [("rejected", True), ("done", False)])
def test_holding_is_right_for_what_must_not_serve_and_wrong_for_what_was_to_be_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: Any, right: bool
):
    said: list[str] = []
    monkeypatch.setattr(demo._Stage, "_command", lambda *told: said.append(" ".join(told[1:])))  # pyright: ignore
    nothing: Any = None
    stage = demo._Stage(Layout(tmp_path), nothing, nothing, Screen(), Report())  # pyright: ignore[reportPrivateUsage]
    stage._decide(4, Act("4-harmful", "A batch", ending))  # pyright: ignore[reportPrivateUsage]
    assert [check.ok for check in stage.report.checks] == [right] and said[0].startswith("reject c4")


@pytest.mark.parametrize(("states", "before_its_end"), [(["training", "watching", "done"], True),
                                                        (["training", "rejected"], False)])  # fmt: skip
def test_the_next_batch_arrives_while_a_promoted_version_is_watched_and_not_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, states: list[str], before_its_end: bool
):
    there: dict[str, bool] = {}
    now, moves = [""], iter(states)

    def wait(stage: demo._Stage, _: str, until: Callable[[], object]) -> None:  # pyright: ignore[reportPrivateUsage]
        while not until():
            there[now[0]] = (stage.layout.inbox / ACTS[1].folder).exists()
            now[0] = next(moves)

    row = CycleRow(
        cycle="c1", version="v1", stage="cpt", method="replay", decided_by="rules", records=1, target_before=None,
        target_after=None, gad=None, ifd=None, sd=None, over_refusal=None, verdict="promote", ending=states[-1],
        seconds=1.0, energy_kwh=None,
    )  # fmt: skip
    played: dict[str, Any] = {
        "_wait": wait, "_state": lambda *_: now[0], "_held": lambda *_: False, "_serving": lambda _: "v1",
        "_row": lambda *_: row,
    }  # fmt: skip
    for name, act in played.items():
        monkeypatch.setattr(demo._Stage, name, act)  # pyright: ignore[reportPrivateUsage]
    nothing: Any = None
    demo._Stage(Layout(tmp_path), nothing, nothing, Screen(), Report())._act(1, ACTS[0])  # pyright: ignore
    assert there.pop("watching", False) is before_its_end
    assert there == {"": False, "training": False}
    assert (tmp_path / "inbox" / ACTS[0].folder).is_dir()
