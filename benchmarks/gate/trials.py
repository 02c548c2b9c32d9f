"""Real pairs: the versions are trained and measured as the daemon does it, and judged by the gate's own code.

Owns the results' folder. Weights lie in `lab/` and may go; every version's measurements stay in `measurements/`, and
what each training cost in `trained/`, so a second call judges at once, and a call after a kill goes on pair by pair.
Judging is a pure function of what is stored: another policy needs nothing measured anew.
"""

from __future__ import annotations

import gzip
import random
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from benchmarks.gate.definitions import Expected, Pair
from benchmarks.gate.material import Material, material
from benchmarks.gate.truth import Known, known
from benchmarks.lab import BASE, EMBEDDED, Lab, Learned, base_version, digest_of
from learners.durable import write_atomic
from learners.job import JobRequest
from learners.worker import Job
from monitors.evidence import by_suite
from monitors.gate import GatePolicy, Verdict, judge, noise_of
from monitors.gate.looks import asked
from monitors.job import Measurement, VersionRef
from monitors.measure import key
from monitors.probes.suites import Suite

__all__ = ["Bench", "PairResult", "resampled"]

Say = Callable[[str], None]


class PairResult(BaseModel):
    """What the gate said of one pair.

    Attributes:
        known: what items say that the gate never saw; None for a pair of the same weights.
        again: of a pair of the same weights, how many items of how many scored otherwise the second time.
        verdicts: how often each word fell when the items were drawn anew from those measured (bootstrap).
        seconds: of the training; None where nothing was trained.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    expected: Expected
    parent: str
    candidate: str
    verdict: str
    reasons: tuple[str, ...]
    lost: tuple[str, ...]
    known: Known | None = None
    again: tuple[int, int] | None = None
    verdicts: dict[str, int]
    seconds: float | None = None


@dataclass(frozen=True)
class Bench:
    """Real pairs in one folder of results.

    Attributes:
        folder: of all results.
        suites: that must hold; each pair brings its own target.
        independent: that the gate never sees; they say what a pair really is.
        model: the base model: a shipped name, a model's folder or a version's.
    """

    folder: Path
    suites: Sequence[Suite]
    independent: Sequence[Suite]
    model: str
    policy: GatePolicy
    say: Say = print

    def run(self, pairs: Iterable[Pair], *, draws: int, fresh: bool) -> list[PairResult]:
        """Make and measure what is missing, and judge everything.

        Args:
            pairs: in an order in which each finds what it needs.
            draws: bootstrap draws of the items of each pair.
            fresh: forget earlier results.

        Raises:
            ValueError: the folder holds results of another model.
        """
        if fresh:
            for name in ("lab", "measurements", "trained"):
                shutil.rmtree(self.folder / name, ignore_errors=True)
        self._claim()
        made: dict[str, Pair] = {}
        found: list[PairResult] = []
        for pair in pairs:
            made[pair.name] = pair
            found.append(self._result(pair, made, draws))
            self.say(f"{pair.name}: expected {pair.expected}, the gate says {found[-1].verdict}")
        return found

    def _claim(self) -> None:
        """Stored results bear the names of versions alone, so a folder is of one model."""
        file = self.folder / "model.txt"
        stored = file.read_text(encoding="utf-8") if file.exists() else EMBEDDED
        if stored != self.model and (self.folder / "measurements").exists():
            raise ValueError(
                f"{str(self.folder)!r} holds results of {stored!r}, not of {self.model!r}: name another folder with "
                "--out, or forget them with --fresh"
            )
        self.folder.mkdir(parents=True, exist_ok=True)
        write_atomic(file, self.model)

    def _result(self, pair: Pair, made: dict[str, Pair], draws: int) -> PairResult:
        given = _material(pair, made)
        learned = self._trained(pair, given) if given and pair.recipe else None
        target = [given.suite] if given and given.suite else []
        suites = [*self.suites, *target]
        anchor, parent = self._measured(BASE, self.suites), self._measured(pair.parent, suites)
        candidate = self._measured(pair.version, suites, again=pair.expected == "same")
        verdict = _judged(candidate, parent, anchor, suites, self.policy)
        noise = noise_of(parent, candidate) if pair.expected == "same" else None
        return PairResult(
            name=pair.name,
            expected=pair.expected,
            parent=pair.parent,
            candidate=pair.version,
            verdict=verdict.verdict,
            reasons=verdict.reasons,
            lost=_lost(verdict),
            known=None if pair.expected == "same" else self._known(pair, given),
            again=None if noise is None else (sum(one.changed for one in noise), sum(one.items for one in noise)),
            verdicts=resampled(candidate, parent, anchor, suites, self.policy, draws, pair.name),
            seconds=learned.seconds if learned else None,
        )  # fmt: skip

    def _known(self, pair: Pair, given: Material | None) -> Known:
        suites = [*self.independent, *([given.held_out] if given and given.held_out else [])]
        candidate, parent = self._measured(pair.version, suites), self._measured(pair.parent, suites)
        return known(candidate, parent, self._measured(BASE, self.independent), self.policy)

    def _trained(self, pair: Pair, given: Material) -> Learned:
        """Train the pair's candidate unless all that is asked of it is measured already."""
        kept = self.folder / "trained" / f"{pair.name}.json"
        if kept.exists():
            return Learned.model_validate_json(kept.read_bytes())
        recipe = pair.recipe
        if recipe is None:
            raise ValueError(f"{pair.name!r} has no recipe to train by")
        learned = self._lab().learn(
            pair.name, pair.parent, recipe.stage, recipe.method, given.records, recipe.settings, recipe.seed
        )
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(kept, learned.model_dump_json(indent=2))
        return learned

    def _lab(self) -> Lab:
        return Lab.over(base_version(self.model, self.folder / "lab"), self.folder / "lab")

    def _measured(self, version: str, suites: Sequence[Suite], *, again: bool = False) -> list[Measurement]:
        """A version's measurements on `suites`; what is missing is measured and kept, without the model's words."""
        path = self.folder / "measurements" / f"{version}{'.again' if again else ''}.jsonl.gz"
        kept = _read(path)
        digests = {suite.digest for suite in suites}
        known = {row.suite_digest for row in kept}
        missing = [suite for suite in suites if suite.digest not in known]
        if missing:
            kept += self._ask(version, missing, again=again)
            _write(path, kept)
        return [row for row in kept if row.suite_digest in digests]

    def _ask(self, version: str, suites: Sequence[Suite], *, again: bool) -> list[Measurement]:
        lab, wanted = self._lab(), {suite.suite for suite in suites}
        if not lab.version(version).exists():
            raise FileNotFoundError(f"the weights of {version!r} are gone and it lacks {wanted!r}; run with --fresh")
        rows = _second(lab, version, suites) if again else lab.measure(version, suites)
        return [row for row in rows if row.suite in wanted]


def _second(lab: Lab, version: str, suites: Sequence[Suite]) -> list[Measurement]:
    """Measure once more, every other item first: other neighbours in the batches, the same settings."""
    from monitors.measure import measure_suites

    folder = lab.folder / "jobs" / f"again-{version}-{digest_of(suites)}"
    for name in ("work", "output"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    job = Job(folder, JobRequest(job_id=folder.name, kind="measure", spec={}))
    versions = [VersionRef(id=version, path=lab.version(version))]
    every_other = {key(version, suite.suite, probe.id) for suite in suites for probe in suite.items[::2]}
    measure_suites(job, versions, suites, lab.engine, every_other)
    return measure_suites(job, versions, suites, lab.engine)


def _material(pair: Pair, made: dict[str, Pair]) -> Material | None:
    """What the pair's candidate learned, whichever pair made it."""
    maker = made.get(pair.version)
    if maker is None or maker.recipe is None:
        return None
    return material(maker.name, maker.recipe.data, maker.recipe.seed)


def _lost(verdict: Verdict) -> tuple[str, ...]:
    """Suites that must hold and clearly did not."""
    failed = [row.suite for row in verdict.suites if row.outcome == "fail" and row.role != "target"]
    return tuple(dict.fromkeys(failed))


def _judged(
    candidate: Sequence[Measurement],
    parent: Sequence[Measurement],
    anchor: Sequence[Measurement],
    suites: Sequence[Suite],
    policy: GatePolicy,
) -> Verdict:
    """The gate's word, after as many looks as it asks for."""
    look = dict.fromkeys((suite.suite for suite in suites), 1)
    targets = [suite.suite for suite in suites if suite.role == "target"]
    while True:
        facts = [asked(suite, policy, look[suite.suite]) for suite in suites]
        verdict = judge(candidate, parent, anchor, targets, policy, asked=facts)
        if not verdict.more:
            return verdict
        look |= {name: look[name] + 1 for name in verdict.more}


def resampled(
    candidate: Sequence[Measurement],
    parent: Sequence[Measurement],
    anchor: Sequence[Measurement],
    suites: Sequence[Suite],
    policy: GatePolicy,
    draws: int,
    seed: str,
) -> dict[str, int]:
    """How often each word falls when every suite's items are drawn anew, with replacement, from those measured.

    The draws of one pair rest on the same two versions: they say how much the word depends on which items a suite
    happens to hold, not how often the gate errs on other versions.
    """
    draw = random.Random(seed)  # noqa: S311 - simulation, not secrecy
    targets = [suite.suite for suite in suites if suite.role == "target"]
    sides = [{name: {row.probe: row for row in rows} for name, rows in by_suite(side).items()}
             for side in (candidate, parent, anchor)]  # fmt: skip
    found: dict[str, int] = dict.fromkeys(("promote", "hold", "reject"), 0)
    for _ in range(draws):
        chosen = {one.suite: draw.choices([probe.id for probe in one.items], k=len(one.items)) for one in suites}
        new, old, base = (
            [
                side[name][probe].model_copy(update={"probe": f"{probe}:{place}"})
                for name, probes in chosen.items()
                for place, probe in enumerate(probes)
                if name in side
            ]
            for side in sides
        )
        found[judge(new, old, base, targets, policy).verdict] += 1
    return found


def _read(path: Path) -> list[Measurement]:
    if not path.exists():
        return []
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [Measurement.model_validate_json(line) for line in lines]


def _write(path: Path, rows: Sequence[Measurement]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(row.model_dump_json(exclude={"output"}) + "\n" for row in rows)
    write_atomic(path, gzip.compress(text.encode(), mtime=0))
