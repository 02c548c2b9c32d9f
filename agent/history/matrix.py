"""The matrix of all promoted versions x all suites, from stored measurements, and what the chain of updates did.

Owns which versions stand in it and what is their line; what the numbers mean is `monitors.matrix`'s and
`monitors.chain`'s. Reads only. Called by `cld probe matrix`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from agent.errors import NotFound
from agent.history.diff import line as ancestors
from agent.measured import target_suite_name
from agent.store import Session, cycles, deployment, measurements, versions
from agent.store.versions import Version
from monitors import hidden, relearned
from monitors.chain import Chain, Drift, Link, RoleChange, chain, drift, role_deltas
from monitors.matrix import SuiteRow, VersionMatrix, version_matrix

__all__ = ["MatrixReport", "report"]

_NOT_AS_ASKED = (hidden.ENDING, relearned.ENDING)
"""Endings of suites that were asked in disguise, or of a version that was trained on for the question."""


@dataclass(frozen=True)
class MatrixReport:
    """The matrix and what follows from it.

    Attributes:
        matrix: every version that ever served and the anchor, x every suite that one of them was measured on.
        line: the serving version and its ancestors, oldest first; the other versions were rolled back.
        anchor: None where none is set.
        drift: of each suite of the matrix, along the line.
        deltas: GAD, IFD, SD and over-refusal of each version of the line, against its parent and the anchor.
        chain: the metrics of continual learning on the line.
    """

    matrix: VersionMatrix
    line: tuple[str, ...]
    anchor: str | None
    drift: tuple[Drift, ...]
    deltas: Mapping[str, Mapping[str, tuple[RoleChange, ...]]]
    chain: Chain

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON values; of each cell its mean, without the items."""
        return {
            "engine": self.matrix.engine,
            "engines": dict(self.matrix.engines),
            "versions": list(self.matrix.versions),
            "line": list(self.line),
            "serving": self.line[-1],
            "anchor": self.anchor,
            "suites": [
                {**_row(row), "drift": asdict(found)} for row, found in zip(self.matrix.suites, self.drift, strict=True)
            ],
            "deltas": {
                version: {against: [asdict(one) for one in found] for against, found in each.items()}
                for version, each in self.deltas.items()
            },
            "chain": asdict(self.chain),
        }


def report(
    tx: Session, *, role: str | None = None, suite: str | None = None, engine: str | None = None
) -> MatrixReport:
    """Arrange what is stored.

    Args:
        role, suite: only suites of this role, of this name; deltas and metrics are of all suites, whatever is shown.
        engine: digest of an engine setting; else that of the newest measured version.

    Raises:
        NotFound: no version serves yet, or there is no such role, suite or engine setting.
    """
    line = ancestors(tx, versions.get(tx, deployment.current(tx).version))[::-1]
    ids = tuple(row.id for row in line)
    anchor = next((row.id for row in versions.listing(tx) if row.anchor), None)
    matrix = _matrix(tx, anchor, engine)
    shown = _filtered(matrix, role, suite)
    return MatrixReport(
        matrix=shown,
        line=ids,
        anchor=anchor,
        drift=tuple(drift(shown, ids, anchor)),
        deltas={row.id: _deltas(matrix, row, anchor) for row in line[1:]},
        chain=chain(matrix, [Link(row.id, _own_suite(tx, row)) for row in line]),
    )


def _matrix(tx: Session, anchor: str | None, engine: str | None) -> VersionMatrix:
    promoted = {move.version for move in deployment.history(tx, limit=100_000)} | ({anchor} if anchor else set())
    ids = [row.id for row in reversed(versions.listing(tx)) if row.id in promoted]
    scores = [score for score in measurements.scores(tx, ids) if not score.suite.endswith(_NOT_AS_ASKED)]
    matrix = version_matrix(scores, ids, engine)
    if engine is not None:
        _require("was measured under engine setting", engine, matrix.engines)
    return matrix


def _deltas(matrix: VersionMatrix, version: Version, anchor: str | None) -> dict[str, tuple[RoleChange, ...]]:
    references = {"parent": version.parent, "anchor": anchor}
    return {name: tuple(role_deltas(matrix, version.id, id)) for name, id in references.items() if id is not None}


def _own_suite(tx: Session, version: Version) -> str | None:
    return target_suite_name(cycles.get(tx, version.cycle)) if version.cycle else None


def _filtered(matrix: VersionMatrix, role: str | None, suite: str | None) -> VersionMatrix:
    if role is not None:
        _require("was measured on a suite of role", role, (row.role for row in matrix.suites))
        matrix = replace(matrix, suites=tuple(row for row in matrix.suites if row.role == role))
    if suite is not None:
        _require("was measured on suite", suite, (row.suite for row in matrix.suites))
        matrix = replace(matrix, suites=tuple(row for row in matrix.suites if row.suite == suite))
    return matrix


def _require(what: str, wanted: str, known: Iterable[str]) -> None:
    there = dict.fromkeys(known)
    if wanted not in there:
        raise NotFound(f"no promoted version {what} {wanted!r}; there are {', '.join(map(repr, there)) or 'none'}")


def _row(row: SuiteRow) -> dict[str, Any]:
    cells = [{"version": id, "mean": cell.mean, "missing": cell.missing} for id, cell in row.cells.items()]
    return {"suite": row.suite, "role": row.role, "digest": row.digest, "items": len(row.probes), "cells": cells}
