"""The `measure` job: every probe of some suites on some versions, one `Measurement` each.

Owns the order of work and the file of results; what is asked and judged is the scorers' (`monitors.probes`), what is
computed the engines' (`monitors.engines`). A measurement is written as soon as its batch is done, so a job that was
cut off goes on where it stopped. Called by `python -m monitors JOB_DIR`; `measure_suites` also by the gap finder.
"""

from __future__ import annotations

import math
import os
import shutil
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from learners.failures import Diverged, InvalidInput
from monitors.engines import Engine, Likelihood, open_engines
from monitors.job import EngineSettings, Measurement, MeasureResult, MeasureSpec, VersionRef
from monitors.probes.probe import Answers, Asks, Probe, Score
from monitors.probes.suites import Suite, SuiteError, load_suite

if TYPE_CHECKING:
    from learners.worker import Job

__all__ = ["FILE", "key", "measure", "measure_suites", "measurements"]

FILE = "measurements.jsonl"
OUTPUT_CHARACTERS = 500
PROGRESS_ITEMS = 16

Question = tuple[Suite, Probe]


def measure(spec: dict[str, Any], job: Job) -> MeasureResult:
    """Score every probe of `spec`'s suites on each of its versions; the answers lie in `output/measurements.jsonl`.

    Args:
        spec: a `MeasureSpec`.
        job: results are kept in its work folder between attempts.

    Raises:
        InvalidInput: a suite, a version or the engine's settings cannot be used.
        Diverged: a version computes NaN or infinity.
    """
    started = time.monotonic()
    asked = MeasureSpec.model_validate(spec)
    suites = _load(asked.suites)
    left_out = asked.skip.union(*(_beyond(asked.most_per_suite, suite, asked.versions) for suite in suites))
    rows = measure_suites(job, asked.versions, suites, asked.engine, left_out)
    return MeasureResult(measured=len(rows), seconds=time.monotonic() - started)


def measure_suites(
    job: Job,
    versions: Sequence[VersionRef],
    suites: Sequence[Suite],
    settings: EngineSettings,
    skip: Collection[str] = (),
) -> list[Measurement]:
    """Measure suites on versions, version after version; what an earlier attempt of the job measured is not redone.

    Args:
        skip: `key`s to leave out.

    Returns:
        All measurements of this job, earlier attempts included, as written to `output/measurements.jsonl`.
    """
    kept = job.work / FILE
    done = {key(row.version, row.suite, row.probe) for row in _whole_rows(kept)}.union(skip)
    todo = {version.id: _todo(version.id, suites, done) for version in versions}
    total, count = sum(map(len, todo.values())), 0
    open_engine = open_engines(settings)
    with kept.open("a", encoding="utf-8") as file:
        for version in versions:
            if not todo[version.id]:
                continue
            job.progress(count, total, f"loading {version.id}")
            for row in measurements(open_engine(version), version.id, todo[version.id], settings):
                file.write(row.model_dump_json() + "\n")
                file.flush()
                count += 1
                if count % PROGRESS_ITEMS == 0 or count == total:
                    job.progress(count, total, f"{version.id}: {count} of {total} probes measured")
                job.check_stop()
        os.fsync(file.fileno())
    shutil.copyfile(kept, job.output / FILE)
    return _whole_rows(kept)


def measurements(
    engine: Engine, version_id: str, questions: Sequence[Question], settings: EngineSettings
) -> Iterator[Measurement]:
    """Ask all probes together; yield each one's measurement as soon as its last answer is there.

    Args:
        engine: opened on the version called `version_id`, under `settings`.
        questions: probes with the suite each belongs to.

    Raises:
        Diverged: the version computes NaN or infinity.
    """
    digests = {suite.suite: suite.digest for suite, _ in questions}
    for item in _answered(engine, [_Pending(suite, probe) for suite, probe in questions], settings):
        score = item.probe.score(Answers(item.text, tuple(item.likelihoods)))
        _refuse_infinite(score, version_id, item.probe)
        yield Measurement(
            version=version_id, suite=item.suite.suite, suite_digest=digests[item.suite.suite], role=item.suite.role,
            probe=item.probe.id, slice=item.probe.slice, scorer=item.probe.scorer, score=score.score,
            margin=score.margin, output=score.output[:OUTPUT_CHARACTERS], engine=settings.digest(),
        )  # fmt: skip


def key(version: str, suite: str, probe: str) -> str:
    """The key of one measurement in `MeasureSpec.skip`."""
    return f"{version}/{suite}/{probe}"


@dataclass(slots=True)
class _Pending:
    """A probe, what it asks for and what has been answered so far."""

    suite: Suite
    probe: Probe
    asks: Asks = field(init=False)
    text: str = ""
    likelihoods: list[Likelihood] = field(default_factory=list[Likelihood])
    open: int = 0

    def __post_init__(self) -> None:
        self.asks = self.probe.asks()
        self.likelihoods = [Likelihood(0.0, 0)] * len(self.asks.continuations)
        self.open = len(self.asks.continuations) + self.asks.generate


def _answered(engine: Engine, pending: Sequence[_Pending], settings: EngineSettings) -> Iterator[_Pending]:
    asked = [(item, place) for item in pending for place in range(len(item.asks.continuations))]
    pairs = [(item.asks.prompt, item.asks.continuations[place]) for item, place in asked]
    for index, likelihood in engine.loglikelihood(pairs):
        item, place = asked[index]
        item.likelihoods[place] = likelihood
        item.open -= 1
        if item.open == 0:
            yield item
    writers = [item for item in pending if item.asks.generate]
    limits = [item.probe.max_new_tokens or settings.max_new_tokens for item in writers]
    for index, text in engine.generate([item.asks.prompt for item in writers], limits):
        writers[index].text = text
        yield writers[index]


def _refuse_infinite(score: Score, version_id: str, probe: Probe) -> None:
    if not math.isfinite(score.score) or not math.isfinite(score.margin or 0.0):
        raise Diverged(f"version {version_id!r} computes {score.margin!r} on probe {probe.id!r}; it is broken")


def _load(paths: Sequence[Path]) -> list[Suite]:
    try:
        suites = [load_suite(path) for path in paths]
    except SuiteError as error:
        raise InvalidInput(str(error)) from error
    names = [suite.suite for suite in suites]
    for name in names:
        if names.count(name) > 1:
            raise InvalidInput(f"two suite files are named {name!r}; results are kept per suite name, rename one")
    return suites


def _beyond(most: int | None, suite: Suite, versions: Sequence[VersionRef]) -> set[str]:
    """Keys of the probes to leave out so that `most` of a suite remain, evenly spaced over its slices' order."""
    count = len(suite.items)
    chosen = range(count) if most is None or most >= count else {place * count // most for place in range(most)}
    left = [probe.id for place, probe in enumerate(suite.items) if place not in chosen]
    return {key(version.id, suite.suite, probe_id) for version in versions for probe_id in left}


def _todo(version_id: str, suites: Sequence[Suite], done: Collection[str]) -> list[Question]:
    asked = [(suite, probe) for suite in suites for probe in suite.items]
    return [(suite, probe) for suite, probe in asked if key(version_id, suite.suite, probe.id) not in done]


def _whole_rows(path: Path) -> list[Measurement]:
    """The measurements in `path`; a last line that was cut off is removed from the file."""
    if not path.exists():
        return []
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if len(whole) < len(content):
        path.write_bytes(whole)
    return [Measurement.model_validate_json(line) for line in whole.splitlines()]
