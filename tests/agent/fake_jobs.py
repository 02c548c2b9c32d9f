"""Stands in for workers: a job's answer is scripted, its output files are written as a worker would leave them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel

from agent.context import Context, Log
from agent.root.layout import Layout
from agent.store import Session, Store, jobs
from agent.work.jobs import JobFailed, JobRunner
from learners.job import Failure
from tests.agent.operating import Operated

Work = Callable[[Any, Path], Mapping[str, Any]]
"""What a worker does: from the spec and the output folder that it fills to its answer."""


@dataclass
class Lines:
    """A log that keeps what was said."""

    said: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    def info(self, event: str, **fields: object) -> None:
        """Keep it with its action."""
        self.said.append((str(fields.get("action")), event))

    warning = error = info

    def of(self, action: str) -> list[str]:
        """What was said under an action."""
        return [event for known, event in self.said if known == action]


@dataclass
class FakeJobs:
    """A `JobRunner` whose workers are functions by the job's step.

    Attributes:
        work: by step; a `Failure` is a job that used up its attempts, a missing step is a worker that still works.
        specs: what each job was asked, by job id; built once, as by the real runner.
    """

    layout: Layout
    store: Store
    work: dict[str, Work | Failure] = field(default_factory=dict[str, Work | Failure])
    specs: dict[str, Any] = field(default_factory=dict[str, Any])
    busy: bool = False
    stopped: int = 0
    _answers: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])

    def ensure(
        self, job_id: str, package: str, kind: str, build: Callable[[Path], BaseModel], *, cycle: str | None, step: str
    ) -> dict[str, Any] | None:
        """As `JobRunner.ensure`."""
        with self.store.write() as tx:
            self.open(tx, job_id, package, kind, cycle=cycle, step=step)
        folder = self.layout.job(job_id)
        if job_id not in self.specs:
            folder.mkdir(parents=True)
            self.specs[job_id] = build(folder)
        work = self.work.get(step)
        if work is None:
            return None
        if isinstance(work, Failure):
            raise JobFailed(job_id, work, 3)
        if job_id not in self._answers:
            (folder / "output").mkdir()
            self._answers[job_id] = dict(work(self.specs[job_id], folder / "output"))
            (folder / "output" / "result.json").write_text(json.dumps(self._answers[job_id]), encoding="utf-8")
        return self._answers[job_id]

    def open(self, tx: Session, job_id: str, package: str, kind: str, *, cycle: str | None, step: str) -> jobs.Job:
        """As `JobRunner.open`."""
        return jobs.open(tx, job_id, cycle, step, kind, package)

    def stop_all(self, grace_seconds: float) -> None:
        """Nothing runs; it is counted."""
        self.stopped += 1

    def abandon(self, cycle: str, reason: str) -> None:
        """Nothing runs."""

    def watch_unasked(self) -> None:
        """Nothing runs."""

    end_forsaken = watch_unasked


BROKEN = Failure(reason="crashed", message="planted")


class Scene:
    """An operated root with fake workers and a log that can be read.

    Attributes:
        world, jobs, log, context: the parts.
    """

    def __init__(self, world: Operated) -> None:
        self.world = world
        self.jobs = FakeJobs(world.layout, world.store)
        self.log = Lines()
        self.context = Context(world.layout, world.config, world.store, cast(JobRunner, self.jobs), cast(Log, self.log))

    def configure(self, **sections: dict[str, Any]) -> None:
        """Change keys of the configuration, by section."""
        config = self.context.config
        changed = {
            name: getattr(config, name).model_copy(update=keys) if name != "sources" else keys
            for name, keys in sections.items()
        }
        self.context = Context(
            self.world.layout, config.model_copy(update=changed), self.world.store, self.context.jobs, self.context.log
        )
