"""What a few steps of training bring back of a suite: half of its items teach, the other half asks.

Owns which items do which, the suite under whose name the answers after those steps are kept, the request of the job
that gets them (`monitors.relearning`), and what the scores tell (`told`). Trains and measures nothing, and is never a
verdict: the gate does not see it. Called by `agent.probing.relearn`; imports no torch.

Source: Cossu et al. 2022 (arXiv:2205.09357), who judge forgetting after light tuning, for what comes back at once was
not gone. They tune on a task's training data; here a suite's own items are the data, and the initial version may take
the same steps: what it gains in them was learned anew, not remembered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from pydantic import BaseModel, ConfigDict, Field

from learners.records import Record, record_id
from monitors.gate.bounds import TWO_SIDED_95, is_binary
from monitors.job import EngineSettings, VersionRef
from monitors.metrics import recovery
from monitors.probes.probe import Probe
from monitors.probes.suite import Suite, SuiteError

__all__ = ["BATCH", "ENDING", "RelearnSpec", "Relearned", "asked_again", "halves", "lessons", "told"]

ENDING = "-relearned"
BATCH = 4
"""Lessons in a step."""

_LEAST_ITEMS = 4


class RelearnSpec(BaseModel):
    """Measure a suite on `versions`, and its second half again on those of `tuned` after some steps on its first.

    Attributes:
        suite: file of the suite as it is.
        steps: of training, each on `BATCH` lessons.
        skip: "version/suite/probe" keys already measured under this engine setting.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    versions: tuple[VersionRef, ...]
    tuned: tuple[VersionRef, ...]
    suite: Path
    steps: int = Field(ge=1)
    engine: EngineSettings = EngineSettings()
    skip: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Relearned:
    """What the items that ask say, in mean scores.

    Attributes:
        items: that ask.
        before: of the earlier version.
        forgotten, after: of the version, as it is and after the steps.
        lost: bounds (95 %) of what the version changed since the earlier one; a loss is clear where both are below 0.
        recovery: recovery@k = (after - forgotten) / (before - forgotten); None where nothing was lost.
        initial, initial_after: of the initial version; None where the earlier one is the initial one.
    """

    items: int
    before: float
    forgotten: float
    after: float
    lost: tuple[float, float]
    recovery: float | None
    initial: float | None = None
    initial_after: float | None = None

    @property
    def is_clear(self) -> bool:
        """Whether something was lost that could come back."""
        return self.lost[1] < 0.0


def halves(suite: Suite) -> tuple[list[Probe], list[Probe]]:
    """The items that teach and those that ask: of each slice every other one, the first of them teaching.

    Items without a right answer in words, and those that are asked in another form than the first with one (chat or
    plain text), do neither.

    Raises:
        SuiteError: fewer than four items are left.
    """
    known = [probe for probe in suite.items if probe.solution is not None]
    usable = [probe for probe in known if probe.template == known[0].template]
    if len(usable) < _LEAST_ITEMS:
        raise SuiteError(
            f"suite {suite.suite!r} has {len(usable)} items whose right answer is known in words (choice, perplexity, "
            f"match but for patterns); half of them teach and half ask, so it needs {_LEAST_ITEMS}: name another suite"
        )
    slices = {probe.slice: [one for one in usable if one.slice == probe.slice] for probe in usable}
    taught, asked = ([one for items in slices.values() for one in items[start::2]] for start in (0, 1))
    return taught, asked


def lessons(suite: Suite, steps: int) -> list[Record]:
    """The records of so many steps, the items that teach again and again."""
    taught = [_lesson(probe, suite.suite) for probe in halves(suite)[0]]
    return [taught[place % len(taught)] for place in range(steps * BATCH)]


def _lesson(probe: Probe, source: str) -> Record:
    prompt, answer = probe.as_prompt(), probe.solution or ""
    if prompt.turns:
        turns = [{"role": turn.role, "content": turn.content} for turn in prompt.turns]
        content = {"messages": [*turns, {"role": "assistant", "content": answer}]}
        return Record(id=record_id("instruction", content), source=source, kind="instruction", content=content)
    text = {"text": prompt.text + answer}
    return Record(id=record_id("text", text), source=source, kind="text", content=text)


def asked_again(suite: Suite, steps: int) -> Suite:
    """The items that ask as a suite of their own; the name of its one slice, and so its digest, says what taught."""
    after = f"{steps} steps of {BATCH}, {suite.digest}"
    return Suite(
        suite=f"{suite.suite}{ENDING}",
        role=suite.role,
        description=f"half of {suite.suite}, after {steps} steps on the other half",
        items=tuple(probe.model_copy(update={"slice": after}) for probe in halves(suite)[1]),
    )


def told(
    asked: Sequence[str], as_is: Mapping[str, Mapping[str, float]], after: Mapping[str, Mapping[str, float]],
    version: str, since: str, initial: str | None = None,
) -> Relearned:  # fmt: skip
    """Read the scores.

    Args:
        asked: ids of the items that ask.
        as_is, after: version -> item -> score, before the steps and after them.
        since: the earlier version; `initial` is left out where it is the same.
    """

    def of(scores: Mapping[str, Mapping[str, float]], name: str) -> list[float]:
        return [scores[name][item] for item in asked]

    before, forgotten, learned = of(as_is, since), of(as_is, version), of(after, version)
    changes = [new - old for new, old in zip(forgotten, before, strict=True)]
    bounds = TWO_SIDED_95.of([changes], f"{version}:{since}", binary=is_binary(before, forgotten))
    return Relearned(
        items=len(asked),
        before=mean(before),
        forgotten=mean(forgotten),
        after=mean(learned),
        lost=bounds,
        recovery=recovery(mean(before), mean(forgotten), mean(learned)),
        initial=mean(of(as_is, initial)) if initial else None,
        initial_after=mean(of(after, initial)) if initial else None,
    )
