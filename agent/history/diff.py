"""What changed from one version to another: what was learned on the way, and what it did to each suite and probe."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from agent.history.facts import FactsChange, change_of_facts
from agent.store import Session, measurements, plans, pool, verdicts, versions
from agent.store.versions import Version
from monitors.job import Measurement

__all__ = ["ItemChange", "LearnedStep", "SuiteChange", "VersionDiff", "diff", "line"]


@dataclass(frozen=True)
class LearnedStep:
    """A version on the way, and what was learned to make it."""

    version: str
    cycle: str
    stage: str | None
    method: str | None
    records: int
    kinds: dict[str, int]
    sources: dict[str, int]
    settings: dict[str, Any]
    reason: str | None
    verdict: str | None


@dataclass(frozen=True)
class SuiteChange:
    """Mean scores over the items that both versions were measured on, under one engine setting."""

    suite: str
    role: str
    engine: str
    items: int
    before: float
    after: float
    delta: float


@dataclass(frozen=True)
class ItemChange:
    """A probe whose score differs."""

    suite: str
    probe: str
    slice: str
    before: float
    after: float
    output_before: str
    output_after: str


@dataclass(frozen=True)
class VersionDiff:
    """Two versions compared.

    Attributes:
        before, after: id, parent, base, stage, method, digest, state and verdict of each.
        related: whether `before` is an ancestor of `after`; if not, `learned` tells all of `after`'s line.
        learned: newest first.
        settings: training settings that differ between the newest step of each, as [before, after].
        facts: of documents that came again, see `agent.history.facts`; None where none did.
        suites, items: by suite; most lost first.
    """

    before: dict[str, Any]
    after: dict[str, Any]
    related: bool
    learned: tuple[LearnedStep, ...]
    settings: dict[str, tuple[Any, Any]]
    facts: FactsChange | None
    suites: tuple[SuiteChange, ...]
    items: tuple[ItemChange, ...]

    def as_dict(self) -> dict[str, Any]:
        """The comparison as JSON values."""
        return asdict(self)


def diff(tx: Session, before: str, after: str) -> VersionDiff:
    """Compare two versions.

    Raises:
        NotFound: no such version.
    """
    old, new = versions.get(tx, before), versions.get(tx, after)
    ancestry = line(tx, new, until=before)
    learned = tuple(_step(tx, version) for version in ancestry if version.cycle)
    pairs = _pairs(measurements.of(tx, before), measurements.of(tx, after))
    return VersionDiff(
        before=_facts(tx, old),
        after=_facts(tx, new),
        related=before == after or (bool(ancestry) and ancestry[-1].parent == before),
        learned=learned,
        settings=_changed(_settings(tx, old), _settings(tx, new)),
        facts=change_of_facts(pairs),
        suites=tuple(_suites(pairs)),
        items=tuple(_items(pairs)),
    )


def line(tx: Session, newest: Version, until: str | None = None) -> list[Version]:
    """`newest` and its ancestors, newest first, down to the base model, or to and without `until`."""
    return versions.line(tx, newest.id, until)


def _step(tx: Session, version: Version) -> LearnedStep:
    cycle = version.cycle or ""
    records, plan, verdict = pool.records_of(tx, cycle), plans.find(tx, cycle), verdicts.get(tx, cycle)
    return LearnedStep(
        version=version.id,
        cycle=cycle,
        stage=version.stage,
        method=version.method,
        records=len(records),
        kinds=dict(Counter(record.kind for record in records)),
        sources=dict(Counter(record.source for record in records)),
        settings=_settings(tx, version),
        reason=plan.reason if plan else None,
        verdict=verdict.outcome if verdict else None,
    )


def _facts(tx: Session, version: Version) -> dict[str, Any]:
    verdict = verdicts.latest_of(tx, version.id)
    names = ("id", "number", "parent", "base", "cycle", "stage", "method", "digest", "state")
    return {name: getattr(version, name) for name in names} | {"verdict": verdict.outcome if verdict else None}


def _settings(tx: Session, version: Version) -> dict[str, Any]:
    plan = plans.find(tx, version.cycle) if version.cycle else None
    return dict(plan.plan.get("settings") or {}) if plan else {}


def _changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    names = sorted(before.keys() | after.keys())
    return {name: (before.get(name), after.get(name)) for name in names if before.get(name) != after.get(name)}


def _pairs(before: Iterable[Measurement], after: Iterable[Measurement]) -> list[tuple[Measurement, Measurement]]:
    """Measurements of the same probe of the same suite file under the same engine setting."""
    old = {(row.suite_digest, row.probe, row.engine): row for row in before}
    return [(old[key], row) for row in after if (key := (row.suite_digest, row.probe, row.engine)) in old]


def _suites(pairs: Iterable[tuple[Measurement, Measurement]]) -> list[SuiteChange]:
    groups: dict[tuple[str, str, str, str], list[tuple[float, float]]] = {}
    for old, new in pairs:
        key = (new.suite, new.suite_digest, new.role, new.engine)
        groups.setdefault(key, []).append((old.score, new.score))
    changes: list[SuiteChange] = []
    for (suite, _, role, engine), scores in sorted(groups.items()):
        before, after = (sum(side) / len(scores) for side in zip(*scores, strict=True))
        changes.append(SuiteChange(suite, role, engine, len(scores), before, after, after - before))
    return changes


def _items(pairs: Iterable[tuple[Measurement, Measurement]]) -> list[ItemChange]:
    changed = [
        ItemChange(new.suite, new.probe, new.slice, old.score, new.score, old.output, new.output)
        for old, new in pairs
        if old.score != new.score
    ]
    return sorted(changed, key=lambda item: (item.suite, item.after - item.before, item.probe))
