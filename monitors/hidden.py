"""What an update hid and what it erased: a suite asked in disguises, and what its scores say of two versions.

Owns the suite of disguised items that belongs to a suite (`disguised`) and the reading of its measurements (`told`).
Never a verdict: the gate does not see it. Called by `agent.probing.hidden`; pure.

Source: Kotha et al. 2024 (arXiv:2309.10105). An item that is failed as asked and solved in a disguise is hidden:
rehearsal or a format brings it back. One that nothing brings back is erased: it has to be learned again.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from monitors.job import Measurement
from monitors.probes.disguises import DISGUISES, DisguiseName
from monitors.probes.scorers.conjugate import Conjugate
from monitors.probes.suites import Suite

__all__ = ["ENDING", "Told", "disguised", "told"]

ENDING = "-disguised"
_SOLVED = 0.5


@dataclass(frozen=True, slots=True)
class Told:
    """What the scores of a disguised suite say.

    Attributes:
        items: that were measured in all disguises.
        as_asked: mean score of the questions as they are.
        in_disguise: mean score of each disguise.
        recoverable: mean over items of the best score in any disguise minus that as asked.
        hidden: items failed as asked and solved in a disguise -> that disguise, the best one.
        by_chance: how many of the failed items guessing alone solves in one disguise or another, in the mean. Of four
            choices in four disguises that is two in three, so as many hidden items say nothing.
        erased: items failed in every form; where a version is given to compare with, only those that it solves.
    """

    items: int
    as_asked: float
    in_disguise: dict[str, float]
    recoverable: float
    hidden: dict[str, str]
    by_chance: float
    erased: tuple[str, ...]


def disguised(suite: Suite, *, prefix: str = "") -> Suite:
    """The suite with every item in every disguise, as a suite of its own; slices are disguises.

    Args:
        prefix: text before a question, e.g. solved examples of the task; without one there is no such disguise.
    """
    names: list[DisguiseName] = [name for name in DISGUISES if name != "prefix" or prefix]
    return Suite(
        suite=f"{suite.suite}{ENDING}",
        role=suite.role,
        description=f"{suite.suite} in disguises: what is hidden and what is lost",
        items=tuple(
            Conjugate.model_validate(
                {"id": f"{probe.id}:{name}", "slice": name, "probe": probe, "disguise": name,
                 "prefix": prefix if name == "prefix" else ""}
            )
            for probe in suite.items
            for name in names
        ),
    )  # fmt: skip


def told(
    after: Iterable[Measurement], before: Iterable[Measurement] = (), chance: Mapping[str, float] | None = None
) -> Told | None:
    """Read the measurements of a disguised suite on one version; None where no item was measured as asked.

    Args:
        before: of the version that it is compared with, if any: what that one failed as asked was not lost since.
        chance: score that guessing earns of a disguised item, by its id; 0 where none is given.
    """
    now, then = _by_item(after), _by_item(before)
    if not now:
        return None
    names = next(iter(now.values()))
    best = {item: max(scores, key=lambda name: scores[name]) for item, scores in now.items()}
    failed = [item for item, scores in now.items() if scores["plain"] < _SOLVED and _was_solved(item, then)]
    hidden = {item: best[item] for item in failed if now[item][best[item]] >= _SOLVED}
    return Told(
        items=len(now),
        as_asked=_mean(scores["plain"] for scores in now.values()),
        in_disguise={name: _mean(scores[name] for scores in now.values()) for name in names if name != "plain"},
        recoverable=_mean(scores[best[item]] - scores["plain"] for item, scores in now.items()),
        hidden=hidden,
        by_chance=sum(_guessed(item, now[item], chance or {}) for item in failed),
        erased=tuple(item for item in failed if item not in hidden),
    )


def _guessed(item: str, disguises: Iterable[str], chance: Mapping[str, float]) -> float:
    """How likely guessing solves an item in a disguise."""
    return 1 - math.prod(1 - chance.get(f"{item}:{name}", 0.0) for name in disguises if name != "plain")


def _was_solved(item: str, then: dict[str, dict[str, float]]) -> bool:
    return not then or then.get(item, {}).get("plain", 0.0) >= _SOLVED


def _by_item(rows: Iterable[Measurement]) -> dict[str, dict[str, float]]:
    """Item -> disguise -> score, of the items that were measured in all disguises."""
    found: dict[str, dict[str, float]] = {}
    for row in rows:
        found.setdefault(row.probe.rpartition(":")[0], {})[row.slice] = row.score
    names = {name for scores in found.values() for name in scores}
    return {item: scores for item, scores in found.items() if scores.keys() == names and "plain" in names}


def _mean(values: Iterable[float]) -> float:
    every = list(values)
    return sum(every) / len(every)
