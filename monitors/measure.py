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
from monitors.harness.items import HarnessItem, answered, load_items
from monitors.job import EngineSettings, Measurement, MeasureResult, MeasureSpec, VersionRef
from monitors.probes.harness_suite import HarnessSuite
from monitors.probes.probe import Answers, Asks, Probe, Score
from monitors.probes.scorers.judge_panel import verdicts
from monitors.probes.suites import Suite, SuiteError, load_suite
from monitors.tools.loop import converse

if TYPE_CHECKING:
    from learners.worker import Job

__all__ = ["FILE", "key", "measure", "measure_suites", "measurements"]

FILE = "measurements.jsonl"
OUTPUT_CHARACTERS = 500
PROGRESS_ITEMS = 16

Question = tuple[Suite, Probe]
Item = Probe | HarnessItem


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
    rows = measure_suites(job, asked.versions, suites, asked.engine, asked.skip, asked.most_per_suite)
    return MeasureResult(measured=len(rows), seconds=time.monotonic() - started)


def measure_suites(
    job: Job,
    versions: Sequence[VersionRef],
    suites: Sequence[Suite],
    settings: EngineSettings,
    skip: Collection[str] = (),
    most: int | None = None,
) -> list[Measurement]:
    """Measure suites on versions, version after version; what an earlier attempt of the job measured is not redone.

    Args:
        skip: `key`s to leave out.
        most: measure only this many of each suite's other items, evenly spaced.

    Returns:
        All measurements of this job, earlier attempts included, as written to `output/measurements.jsonl`.
    """
    kept = job.work / FILE
    done = {key(row.version, row.suite, row.probe) for row in _whole_rows(kept)}
    items = [(suite, _items(suite)) for suite in suites]
    todo = {version.id: list(_todo(version.id, items, skip, done, most)) for version in versions}
    total, count = sum(map(len, todo.values())), 0
    open_engine = open_engines(settings)
    judge = _judge(settings, job)
    with kept.open("a", encoding="utf-8") as file:
        for version in versions:
            if not todo[version.id]:
                continue
            job.progress(count, total, f"loading {version.id}")
            for row in _measured(open_engine(version), version, todo[version.id], settings, judge):
                file.write(row.model_dump_json() + "\n")
                file.flush()
                count += 1
                if count % PROGRESS_ITEMS == 0 or count == total:
                    job.progress(count, total, f"{version.id}: {count} of {total} probes measured")
                job.check_stop()
        os.fsync(file.fileno())
    shutil.copyfile(kept, job.output / FILE)
    return _whole_rows(kept)


def _judge(settings: EngineSettings, job: Job) -> Engine | None:
    if settings.judge is None:
        return None
    return open_engines(settings.judge)(VersionRef(id=settings.judge.model or "judge", path=job.folder))


def _measured(
    engine: Engine,
    version: VersionRef,
    todo: Sequence[tuple[Suite, Item]],
    settings: EngineSettings,
    judge: Engine | None,
) -> Iterator[Measurement]:
    probes = [(suite, item) for suite, item in todo if isinstance(item, Probe)]
    yield from measurements(engine, version.id, probes, settings, judge)
    documents: dict[str, tuple[Suite, list[HarnessItem]]] = {}
    for suite, item in todo:
        if isinstance(item, HarnessItem):
            documents.setdefault(suite.suite, (suite, []))[1].append(item)
    for suite, items in documents.values():
        digest = suite.digest
        for item, score in answered(engine, version, items):
            yield _row(version.id, suite, digest, item, score, settings)


def measurements(
    engine: Engine,
    version_id: str,
    questions: Sequence[Question],
    settings: EngineSettings,
    judge: Engine | None = None,
) -> Iterator[Measurement]:
    """Ask all probes together; yield each one's measurement as soon as its last answer is there.

    Args:
        engine: opened on the version called `version_id`, under `settings`.
        questions: probes with the suite each belongs to.
        judge: opened on the judge model; needed where a probe of scorer `judge` is among them.

    Raises:
        Diverged: the version computes NaN or infinity.
    """
    digests = {suite.suite: suite.digest for suite, _ in questions}
    for item in _answered(engine, [_Pending(suite, probe) for suite, probe in questions], settings):
        said = verdicts(judge, item.probe, item.text)
        score = item.probe.score(Answers(item.text, tuple(item.likelihoods), said))
        yield _row(version_id, item.suite, digests[item.suite.suite], item.probe, score, settings)


def _row(version_id: str, suite: Suite, digest: str, item: Item, score: Score, settings: EngineSettings) -> Measurement:
    _refuse_infinite(score, version_id, item.id)
    return Measurement(
        version=version_id, suite=suite.suite, suite_digest=digest, role=suite.role, probe=item.id, slice=item.slice,
        scorer=item.scorer, score=score.score, margin=score.margin, output=score.output[:OUTPUT_CHARACTERS],
        engine=settings.digest(),
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
        self.open = len(self.asks.continuations) + self.asks.generate + (self.asks.conversation is not None)


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
    for index, text in engine.generate([item.asks.prompt for item in writers], _limits(writers, settings)):
        writers[index].text = text
        yield writers[index]
    talkers = [(item, item.asks.conversation) for item in pending if item.asks.conversation]
    limits = _limits([item for item, _ in talkers], settings)
    for index, transcript in converse(engine, [asked for _, asked in talkers], limits):
        talkers[index][0].text = transcript.text
        yield talkers[index][0]


def _limits(items: Sequence[_Pending], settings: EngineSettings) -> list[int]:
    return [item.probe.max_new_tokens or settings.max_new_tokens for item in items]


def _refuse_infinite(score: Score, version_id: str, item_id: str) -> None:
    if not math.isfinite(score.score) or not math.isfinite(score.margin or 0.0):
        raise Diverged(f"version {version_id!r} computes {score.margin!r} on probe {item_id!r}; it is broken")


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


def _items(suite: Suite) -> Sequence[Item]:
    return load_items(suite) if isinstance(suite, HarnessSuite) else suite.items


def _todo(
    version_id: str,
    items: Sequence[tuple[Suite, Sequence[Item]]],
    skip: Collection[str],
    done: Collection[str],
    most: int | None,
) -> Iterator[tuple[Suite, Item]]:
    for suite, own in items:
        asked = [item for item in own if key(version_id, suite.suite, item.id) not in skip]
        for item in _evenly(asked, most):
            if key(version_id, suite.suite, item.id) not in done:
                yield suite, item


def _evenly(items: Sequence[Item], most: int | None) -> Sequence[Item]:
    """`most` of the items, evenly spaced over their order, which is that of slices."""
    count = len(items)
    return items if most is None or most >= count else [items[place * count // most] for place in range(most)]


def _whole_rows(path: Path) -> list[Measurement]:
    """The measurements in `path`; a last line that was cut off is removed from the file."""
    if not path.exists():
        return []
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if len(whole) < len(content):
        path.write_bytes(whole)
    return [Measurement.model_validate_json(line) for line in whole.splitlines()]
