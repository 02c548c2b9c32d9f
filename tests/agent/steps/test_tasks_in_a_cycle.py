"""A task of lm-evaluation-harness in a whole cycle: listed by the diagnosis, asked by looks, judged, measured again.

The daemon's steps and the workers' functions are real, and work on the task in this process; what else a cycle needs
(other suites, a gap, training) is played.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("lm_eval", reason="the extra lm-eval is not installed")

from agent.steps import looks
from agent.store import jobs, measurements, verdicts
from learners.job import JobRequest
from learners.records import read_records, write_records
from learners.worker import Job
from monitors.gaps.diagnosing import diagnose
from monitors.job import VersionRef
from monitors.measure import measure
from tests.agent.steps.cycle_world import ROLES, Play
from tests.monitors.harness_tasks import write_tasks
from tests.tiny import KNOWN, tiny_base

LEAKED = list(KNOWN)[5]


class Tasks:
    """Workers that ask the suite `tiny-task` of the tiny model, in place of every version, and play the rest."""

    def __init__(self, play: Play, base: Path) -> None:
        self.play = play
        self.base = base
        self.played = dict(play.jobs.work)
        play.jobs.work |= {"diagnosing": self.diagnose, "measuring": self.measure, "watching": self.measure}

    def diagnose(self, spec, output):
        played = self.played["diagnosing"](spec, output)
        first, *others = read_records(spec.records)
        write_records(spec.records, [first.model_copy(update={"content": {"text": f"Quiz: {LEAKED}"}}), *others])
        found = diagnose(self._real(spec, standing=self._tasks(spec.standing)), self._job(output, "diagnosed"))
        (output.parent / "diagnosed" / "output" / "_items").rename(output / "_items")
        answer = {**played, "contaminated": [item.model_dump() for item in found.contaminated]}
        with self.play.world.store.write() as tx:
            jobs.finish(tx, output.parent.name, answer, {})
        return answer

    def measure(self, spec, output):
        played = self.played["watching" if len(spec.versions) == 1 else "measuring"](spec, output)
        versions = tuple(VersionRef(id=version.id, path=self.base) for version in spec.versions)
        measure(self._real(spec, versions=versions, suites=self._tasks(spec.suites)), self._job(output, "asked"))
        asked = output.parent / "asked" / "output" / "measurements.jsonl"
        with (output / "measurements.jsonl").open("a", encoding="utf-8") as file:
            file.write(asked.read_text(encoding="utf-8"))
        return played

    def _tasks(self, files):
        return tuple(file for file in files if file.stem == "tiny-task")

    def _real(self, spec, **changes):
        return spec.model_copy(update=changes).model_dump(mode="json")

    def _job(self, output, name):
        for part in ("work", "output"):
            (output.parent / name / part).mkdir(parents=True)
        return Job(output.parent / name, JobRequest(job_id=name, kind="test", spec={}))


@pytest.fixture
def cycle(play: Play, tmp_path: Path) -> Play:
    """A cycle whose general suite is a task of twelve items, eleven at the first look; a record gives one away."""
    write_tasks(play.world.layout.suites / "tasks")
    suite = play.world.layout.suites / "tiny-task.yaml"
    suite.write_text("suite: tiny-task\nrole: general\nlm_eval: tiny_words\ninclude_path: tasks\n")
    play.configure(
        probes={"suites": ("tiny-task", *(f"my-{role}" for role in ROLES[1:]))},
        gate={"first_items": 11, "most_items": 11, "recheck_items": 4},
    )
    Tasks(play, tiny_base(tmp_path))
    return play


@pytest.mark.slow
def test_a_task_is_asked_and_judged_like_any_suite_without_what_training_data_give_away(cycle: Play):
    """The tiny model has never seen this format and guesses: without its chance level the task would seem to hold."""
    held = cycle.until("awaiting_approval")
    (task,) = [one for one in looks.first(cycle.context, held).suites if one.suite == "tiny-task"]
    with cycle.world.store.read() as tx:
        rows = {version: measurements.of(tx, version, [task.digest]) for version in ("v0", "v1")}
        verdict = verdicts.get(tx, held.id)
    assert verdict is not None
    assert len(task.probes) == 11 and task.chance == pytest.approx(1 / 3)
    assert all({row.probe for row in found} == set(task.probes) for found in rows.values())
    (leaked,) = [remark for remark in verdict.verdict["remarks"] if "tiny-task: 1 item(s) set aside" in remark]
    aside = sum(f"'{probe}'" in leaked for probe in task.probes)
    compared = [row for row in verdict.verdict["suites"] if row["suite"] == "tiny-task"]
    assert [(row["against"], row["items"]) for row in compared] == [("parent", 11 - aside), ("anchor", 11 - aside)]
    assert {(row["chance"], row["outcome"]) for row in compared} == {(task.chance, "blind")}


@pytest.mark.slow
def test_a_task_that_no_worker_has_listed_is_asked_whole_and_rechecked_in_part(cycle: Play):
    diagnose = cycle.jobs.work["diagnosing"]
    assert callable(diagnose)

    def forgetful(spec, output):
        answer = diagnose(spec, output)
        (output / "_items" / "tiny-task.json").unlink()
        return answer

    cycle.jobs.work["diagnosing"] = forgetful
    ended = cycle.until("done")
    (task,) = [one for one in looks.first(cycle.context, ended).suites if one.suite == "tiny-task"]
    with cycle.world.store.read() as tx:
        assert (task.probes, len(measurements.of(tx, "v1", [task.digest]))) == ((), 12)
    again = cycle.world.layout.job("c1-watching") / "output" / "measurements.jsonl"
    second = [row for row in map(json.loads, again.read_text().splitlines()) if row["suite"] == "tiny-task"]
    assert len(second) == 4
