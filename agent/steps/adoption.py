"""Which version a norm in force is held to, so that it is not lost little by little, each version within its tolerance.

Owns that choice; the comparison is `monitors.gate.erosion`'s. A norm counts from the newest version of the line that
learned it, or from the newest that a person let serve although the norm had eroded; one that no version learned counts
from the version that served when it came into force. Scores compare only under one suite file and engine setting: where
that version has none, the first later one of the line that has is taken. Called by the step `judging`; reads only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from agent.history.diff import line
from agent.steps import norms as steps
from agent.store import Session, measurements, norms, plans, verdicts, versions
from agent.store.cycles import Cycle
from agent.store.versions import Version
from monitors.gate.case import MIN_ITEMS
from monitors.job import Measurement
from monitors.probes.suites import Suite

__all__ = ["adopters"]


def adopters(tx: Session, cycle: Cycle, suites: Sequence[Suite], engine: str) -> list[Measurement]:
    """What the version scored on each norm's suite that the suite is held to; none where that is the parent itself.

    Args:
        suites: that judge the cycle.
        engine: digest of the engine setting under which they were measured.
    """
    moment = steps.moment(tx, cycle)
    began = _began(tx, moment)
    older = line(tx, versions.get(tx, cycle.parent))[::-1] if cycle.parent else []
    return [row for suite in suites if suite.suite in began for row in _scores(tx, older, suite, began, engine)]


def _began(tx: Session, moment: datetime) -> dict[str, datetime]:
    """Suite -> when the newest norm in force that it probes came into force."""
    return {norm.suite: norm.valid_from for norm in norms.listing(tx, moment) if norm.suite is not None}


def _scores(
    tx: Session, older: Sequence[Version], suite: Suite, began: Mapping[str, datetime], engine: str
) -> list[Measurement]:
    for version in older[_first(tx, older, suite.suite, began[suite.suite]) : -1]:
        rows = measurements.of(tx, version.id, [suite.digest], engine)
        if len(rows) >= MIN_ITEMS:
            return rows
    return []


def _first(tx: Session, older: Sequence[Version], suite: str, began: datetime) -> int:
    """Place in the line, oldest first, of the version from which a norm counts."""
    counts = [place for place, one in enumerate(older) if one.cycle and _counts(tx, one.cycle, suite)]
    if counts:
        return counts[-1]
    plan = {one.id: plans.find(tx, one.cycle) if one.cycle else None for one in older}
    later = (place for place, one in enumerate(older) if (made := plan[one.id]) is not None and made.at >= began)
    return max(0, next(later, len(older)) - 1)


def _counts(tx: Session, cycle: str, suite: str) -> bool:
    """Whether a promoted cycle learned a norm, or a person let its candidate serve although the norm had eroded."""
    learned, verdict = plans.norms_of(tx, cycle), verdicts.get(tx, cycle)
    rows: Sequence[Mapping[str, Any]] = verdict.verdict.get("suites", ()) if verdict else ()
    return any(one["suite"] == suite and one["change"] != "retire" for one in learned) or any(
        row["suite"] == suite and row["outcome"] == "eroded" and not row["dry_run"] for row in rows
    )
