"""What the versions of the serving line make of each norm: adoption, retention, residual and over-generalisation.

Owns which stored measurements each number rests on; the formulas are `monitors.metrics.norms`'s. In a norm's suite the
slice `near-miss` holds prompts just outside its scope, where nothing was to change; all other items are in its scope.
Reads only. Called by `cld values report`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from agent.history.diff import line as ancestors
from agent.store import Session, deployment, measurements, norms, plans, versions
from agent.store.versions import Version
from monitors.matrix import ItemScore, SuiteRow, version_matrix
from monitors.metrics import norm_adoption, norm_overgeneralisation, norm_residual, norm_retention
from monitors.metrics.norms import NEAR_MISS

__all__ = ["NormReading", "NormReport", "report", "without"]


@dataclass(frozen=True)
class NormReading:
    """What one version makes of a norm; a number is None where it cannot be told.

    Attributes:
        items: in the norm's scope.
        adoption: how often the norm is followed.
        retention: what is left of how it was followed when it was learned; None before that, and once it was retired.
        residual: how often the norm whose place it took is followed still; of a norm that was retired, how often it
            is itself, from the version on that let it go.
        overgeneralisation: change on near misses since the version before it was learned; None before that.
    """

    version: str
    serves: bool
    items: int
    adoption: float | None = None
    retention: float | None = None
    residual: float | None = None
    overgeneralisation: float | None = None


@dataclass(frozen=True)
class NormReport:
    """A norm and its readings.

    Attributes:
        learned_by: the first version of the line whose plan set out to learn it.
        retired_by: the first whose plan set out to let it go.
        level: how often the version before `learned_by` follows it: what is left to expect of one that let it go.
        engine: digest of the engine setting that all readings are of.
        versions: those of the line that were measured, oldest first.
        missing: why there are none; empty where there are.
    """

    norm: str
    statement: str
    suite: str | None
    valid_from: datetime
    valid_to: datetime | None
    supersedes: str | None
    learned_by: str | None = None
    retired_by: str | None = None
    level: float | None = None
    engine: str = ""
    versions: tuple[NormReading, ...] = ()
    missing: str = ""


def report(tx: Session, name: str | None = None) -> list[dict[str, Any]]:
    """The report on one norm or all of them, as JSON values.

    Raises:
        NotFound: there is no norm `name`, or no version serves yet.
    """
    wanted = [norms.get(tx, name)] if name is not None else norms.listing(tx)
    line = ancestors(tx, versions.get(tx, deployment.current(tx).version))[::-1]
    found = _Line(tx, [version.id for version in line], {norm.suite for norm in norms.listing(tx)})
    return [asdict(_report(tx, norm, found, _Touched(tx, line, norm.id))) for norm in wanted]


class _Line:
    """The stored scores of a line of versions on the suites of norms, under the newest version's engine setting."""

    def __init__(self, tx: Session, ids: Sequence[str], suites: set[str | None]) -> None:
        self.ids = ids
        self._scores = [score for score in measurements.scores(tx, ids) if score.suite in suites]
        self._near = measurements.of_slice(tx, NEAR_MISS)
        self.engine = version_matrix(self._scores, ids).engine

    def place(self, version: str | None) -> int:
        """Place of a version, oldest first; beyond the line's end where it is None."""
        return self.ids.index(version) if version is not None else len(self.ids)

    def row(self, suite: str | None, *, near: bool = False) -> SuiteRow | None:
        """The items of a suite in its norm's scope, or its near misses; None where none was measured."""
        mine = [score for score in self._scores if score.suite == suite and self._is_near(score) is near]
        return version_matrix(mine, self.ids, self.engine).row(suite) if suite is not None else None

    def _is_near(self, score: ItemScore) -> bool:
        return (score.suite, score.probe) in self._near


class _Touched:
    """The first versions of a line, oldest first, whose plans set out to learn a norm, and to let it go."""

    def __init__(self, tx: Session, line: Sequence[Version], norm: str) -> None:
        changes = [(version.id, _changes(tx, version.cycle, norm)) for version in line]
        self.learned_by = next((name for name, found in changes if found - {"retire"}), None)
        self.retired_by = next((name for name, found in changes if "retire" in found), None)


def _changes(tx: Session, cycle: str | None, norm: str) -> frozenset[str]:
    """What a cycle's plan set out to do to a norm."""
    return frozenset(one["change"] for one in plans.norms_of(tx, cycle) if one["norm"] == norm)


def without(tx: Session, norm: str, newest: str) -> str | None:
    """The version from before a norm was learned in the line of a version; None where nobody set out to learn it.

    Where its files are gone the newest one before it that has files: that knows no more of the norm.
    """
    older = ancestors(tx, versions.get(tx, newest))[::-1]
    first = next((place for place, one in enumerate(older) if _changes(tx, one.cycle, norm) - {"retire"}), 0)
    return next((one.id for one in reversed(older[:first]) if one.state != "swept"), None)


def _report(tx: Session, norm: norms.Norm, line: _Line, touched: _Touched) -> NormReport:
    old = norms.get(tx, norm.supersedes).suite if norm.supersedes else None
    readings = _readings(line, norm.suite, old, touched)
    return NormReport(
        norm=norm.id,
        statement=norm.statement,
        suite=norm.suite,
        valid_from=norm.valid_from,
        valid_to=norm.valid_to,
        supersedes=norm.supersedes,
        learned_by=touched.learned_by,
        retired_by=touched.retired_by,
        level=_level(line, norm.suite, touched.learned_by),
        engine=line.engine,
        versions=readings,
        missing="" if readings else _missing(norm),
    )


def _missing(norm: norms.Norm) -> str:
    if norm.suite is None:
        return "it was registered without a suite, so nobody can measure it: a revision of it can bring one (--suite)"
    return f"no version of the line was measured on {norm.suite!r}; `cld probe run` measures the one that serves"


def _level(line: _Line, suite: str | None, learned_by: str | None) -> float | None:
    place, row = line.place(learned_by), line.row(suite)
    scores = row.cell(line.ids[place - 1]).scores if row and 0 < place < len(line.ids) else ()
    return norm_adoption(scores) if scores else None


def _readings(line: _Line, suite: str | None, old: str | None, touched: _Touched) -> tuple[NormReading, ...]:
    row = line.row(suite)
    if row is None:
        return ()
    near, before = line.row(suite, near=True), line.row(old)
    place, end = line.place(touched.learned_by), line.place(touched.retired_by)
    found: list[NormReading] = []
    for version in line.ids:
        after = row.cell(version).scores
        if not after:
            continue
        since, gone = line.place(version) >= place, line.place(version) >= end
        residual = after if gone else before.cell(version).scores if before else ()
        found.append(
            NormReading(
                version=version,
                serves=version == line.ids[-1],
                items=len(after),
                adoption=norm_adoption(after),
                retention=_retention(after, row.cell(line.ids[place]).scores) if since and not gone else None,
                residual=norm_residual(residual) if residual else None,
                overgeneralisation=_change(near, version, line.ids[place - 1]) if since and place > 0 else None,
            )
        )
    return tuple(found)


def _retention(after: Sequence[float], learned: Sequence[float]) -> float | None:
    return norm_retention(after, learned) if learned else None


def _change(near: SuiteRow | None, version: str, before: str) -> float | None:
    if near is None:
        return None
    new, old = near.cell(version).scores, near.cell(before).scores
    return norm_overgeneralisation(new, old) if new and old else None
