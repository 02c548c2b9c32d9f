"""The matrix of versions x suites: what every promoted version scored.

Owns which stored scores may stand in one row; what follows from them is `chain`'s. Reads no store. Called by
`agent.history.matrix`.

All scores of a row are of one suite file, one engine setting and the same items: where the gate measured one version
on more items than another, the row keeps those that they share. What was measured otherwise is missing, and says how.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from monitors.job import Role

__all__ = ["CellScores", "ItemScore", "SuiteRow", "VersionMatrix", "version_matrix"]

_ROLES: Final[tuple[Role, ...]] = ("general", "instruction", "safety", "overrefusal", "target")
_NEVER: Final = "not measured"


class ItemScore(NamedTuple):
    """The part of a stored `Measurement` that a matrix reads."""

    version: str
    suite: str
    suite_digest: str
    role: Role
    engine: str
    probe: str
    score: float


@dataclass(frozen=True, slots=True)
class CellScores:
    """A version's scores on the items of a row, in their order; none where they are missing, and then why."""

    scores: tuple[float, ...] = ()
    missing: str = ""

    @property
    def mean(self) -> float | None:
        """The mean score, None where it is missing."""
        return sum(self.scores) / len(self.scores) if self.scores else None


@dataclass(frozen=True, slots=True)
class SuiteRow:
    """A suite on every version of the matrix.

    Attributes:
        digest: of the suite file that the newest measured version was measured with; another file is another suite.
        probes: the items that all cells share.
        cells: one for each version of the matrix, by its id, in their order.
    """

    suite: str
    role: Role
    digest: str
    probes: tuple[str, ...]
    cells: Mapping[str, CellScores]

    def cell(self, version: str) -> CellScores:
        """The cell of a version; a missing one where the matrix has no such version."""
        return self.cells.get(version) or CellScores(missing=_NEVER)

    def changes(self, version: str, reference: str) -> tuple[float, ...]:
        """Item by item, the score of `version` less that of `reference`; empty where either is missing."""
        new, old = self.cell(version).scores, self.cell(reference).scores
        return tuple(a - b for a, b in zip(new, old, strict=True)) if new and old else ()

    def change(self, version: str, reference: str) -> float | None:
        """Mean of `changes`, None where either is missing."""
        changes = self.changes(version, reference)
        return sum(changes) / len(changes) if changes else None


@dataclass(frozen=True, slots=True)
class VersionMatrix:
    """Versions x suites under one engine setting.

    Attributes:
        versions: oldest first.
        engine: digest of the setting that all scores are of; empty where nothing was measured.
        engines: every setting that these versions were measured under, with its number of scores.
        suites: by role, then name.
    """

    versions: tuple[str, ...]
    engine: str
    engines: Mapping[str, int]
    suites: tuple[SuiteRow, ...]

    def row(self, suite: str) -> SuiteRow | None:
        """The row of a suite, None where no version was measured on it."""
        return next((row for row in self.suites if row.suite == suite), None)


def version_matrix(scores: Iterable[ItemScore], versions: Sequence[str], engine: str | None = None) -> VersionMatrix:
    """Arrange stored scores.

    Args:
        scores: of any versions, suite files and engine settings, in the order in which they were measured.
        versions: those to show, oldest first.
        engine: digest of an engine setting; else the one that the newest measured version was last measured under.
    """
    age = {version: place for place, version in enumerate(versions)}
    # Stable: within a version the order of measurement stays.
    known = sorted((score for score in scores if score.version in age), key=lambda score: age[score.version])
    chosen = engine if engine is not None else known[-1].engine if known else ""
    suites: dict[str, list[ItemScore]] = {}
    for score in known:
        suites.setdefault(score.suite, []).append(score)
    rows = [_row(found, versions, chosen) for found in suites.values()]
    return VersionMatrix(
        versions=tuple(versions),
        engine=chosen,
        engines=dict(sorted(Counter(score.engine for score in known).items())),
        suites=tuple(sorted(rows, key=lambda row: (_ROLES.index(row.role), row.suite))),
    )


def _row(found: Sequence[ItemScore], versions: Sequence[str], engine: str) -> SuiteRow:
    """One suite, by the file of its newest score (under this engine setting, if there is one)."""
    newest = next((score for score in reversed(found) if score.engine == engine), found[-1])
    measured: dict[str, dict[str, float]] = {}
    for score in found:
        if (score.suite_digest, score.engine) == (newest.suite_digest, engine):
            measured.setdefault(score.version, {})[score.probe] = score.score
    settings: dict[str, set[str]] = {}
    for score in found:
        settings.setdefault(score.version, set()).add(score.engine)
    missing = {version: _otherwise(settings.get(version, set()), engine) for version in versions}
    probes: list[str] = []
    for version in reversed(measured):
        shared = sorted(measured[version].keys() & probes) if probes else sorted(measured[version])
        missing[version] = _unusable(measured[version]) or ("" if shared else "measured on other items only")
        probes = probes if missing[version] else shared
    return SuiteRow(
        suite=newest.suite,
        role=newest.role,
        digest=newest.suite_digest,
        probes=tuple(probes),
        cells={
            version: CellScores(() if why else tuple(measured[version][probe] for probe in probes), why)
            for version, why in missing.items()
        },
    )


def _unusable(scores: Mapping[str, float]) -> str:
    # Written so that NaN, which compares false with everything, counts as bad.
    bad = [probe for probe, score in scores.items() if not 0.0 <= score <= 1.0]
    return f"{len(bad)} scores are not in [0, 1]: {bad[0]!r}" if bad else ""


def _otherwise(settings: Collection[str], engine: str) -> str:
    """How a version was measured that has no score of the row's suite file and engine setting."""
    if engine in settings:
        return "measured with another file of the suite only"
    return f"measured under {', '.join(sorted(settings))} only" if settings else _NEVER
