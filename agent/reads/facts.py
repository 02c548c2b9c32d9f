"""What the store knows, as plain JSON values: the reads behind `cld cycle`, `plan`, `history` and `probe`.

Owns the choice of what a reader is shown of a row. It changes nothing and renders nothing; the CLI and the API show
the same facts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from itertools import islice
from typing import Any

from agent import set_aside
from agent.config import Config
from agent.errors import NotFound
from agent.root.layout import Layout
from agent.store import (
    Session,
    cycles,
    decisions,
    deployment,
    events,
    gaps,
    intakes,
    jobs,
    measurements,
    norms,
    plans,
    pool,
    verdicts,
    versions,
)
from agent.store.columns import now, row_facts

__all__ = [
    "cycle", "cycle_list", "folders", "intake", "judges", "newest_plan", "plan", "quarantine", "scores",
    "suites", "version", "version_list",
]  # fmt: skip


def cycle_list(tx: Session, limit: int) -> list[dict[str, Any]]:
    """The newest cycles with the verdict on each, newest first."""
    rows = cycles.listing(tx, limit)
    judged = verdicts.outcomes(tx, [row.id for row in rows])
    return [{**row_facts(row), "verdict": judged.get(row.id)} for row in rows]


def cycle(tx: Session, cycle_id: str) -> dict[str, Any]:
    """Everything that happened in a cycle.

    Raises:
        NotFound: no such cycle.
    """
    found = cycles.get(tx, cycle_id)
    verdict = verdicts.get(tx, cycle_id)
    return {
        **row_facts(found),
        "records": len(pool.records_of(tx, cycle_id)),
        "set_aside": [item.model_dump(mode="json") for item in set_aside.in_cycle(tx, cycle_id)],
        "gaps": [gap.model_dump(mode="json") for gap in gaps.of_cycle(tx, cycle_id)],
        "jobs": [row_facts(job, "result") for job in jobs.of_cycle(tx, cycle_id)],
        "verdict": verdict.verdict if verdict else None,
        "decisions": [row_facts(row) for row in decisions.of_cycle(tx, cycle_id)],
        "events": [row_facts(row) for row in events.listing(tx, subject=cycle_id)],
    }


def intake(tx: Session, config: Config) -> list[dict[str, Any]]:
    """What was read from each source, configured or not any more: read = kept + duplicate + quarantined."""
    totals = intakes.accounting(tx)
    nothing = intakes.Accounting(0, 0, 0, 0)
    rows: list[dict[str, Any]] = []
    for name in sorted({*config.sources, *totals}):
        source = config.sources.get(name)
        told = source.model_dump(mode="json", include={"kind", "path", "trust"}) if source else {}
        rows.append(
            {"source": name, "kind": None, "path": None, "trust": None, **told, **vars(totals.get(name, nothing))}
        )
    return rows


def quarantine(tx: Session, limit: int) -> list[dict[str, Any]]:
    """The items quarantined last, newest first, each with its reason."""
    return [row_facts(row) for row in intakes.quarantine_listing(tx, limit)]


def plan(tx: Session, cycle_id: str) -> dict[str, Any]:
    """The plan of a cycle: what it will learn and how, why, and the alternatives it beat.

    Raises:
        NotFound: the cycle has none.
    """
    return row_facts(plans.get(tx, cycle_id))


def newest_plan(tx: Session) -> dict[str, Any]:
    """The plan made last.

    Raises:
        NotFound: there is none yet.
    """
    newest = plans.listing(tx, limit=1)
    if not newest:
        raise NotFound("no plan was made yet; `cld cycle run` starts a cycle, which makes one")
    return row_facts(newest[0])


def version_list(tx: Session, filters: Mapping[str, str], limit: int) -> list[dict[str, Any]]:
    """The newest versions, newest first, with the verdict on each and whether it serves.

    Args:
        filters: exact values of `stage`, `method`, `state` or `verdict`.
    """
    serving = deployment.find(tx)
    rows = (
        {**_version_facts(tx, row), "serves": serving is not None and serving.version == row.id}
        for row in (versions.listing(tx) if filters else versions.listing(tx, limit))
    )
    return list(islice((row for row in rows if all(row.get(key) == value for key, value in filters.items())), limit))


def version(tx: Session, version_id: str) -> dict[str, Any]:
    """Everything about a version: card, scores, who let it through, when it served.

    Raises:
        NotFound: no such version.
    """
    row = versions.get(tx, version_id)
    served = [row_facts(move) for move in deployment.history(tx, limit=10_000) if move.version == version_id]
    return {
        **_version_facts(tx, row),
        "card": row.card,
        "facts": row.facts,
        "scores": scores(tx, version_id),
        "judges": judges(tx, version_id),
        "served": served,
        "decisions": [row_facts(word) for word in decisions.of_cycle(tx, row.cycle)] if row.cycle else [],
        "events": [row_facts(event) for event in events.listing(tx, subject=version_id)],
    }


def folders(layout: Layout, version_id: str, base: str | None) -> dict[str, str]:
    """What an engine is given to serve a version: its weights, and what lies over them; nothing once they are swept."""
    own = layout.version(version_id)
    weights = {"weights": layout.version(base or version_id) / "weights"}
    over = {name: own / name for name in ("adapter", "extension")}
    return {name: str(path) for name, path in (weights | over).items() if path.is_dir() and own.is_dir()}


def scores(tx: Session, version_id: str) -> list[dict[str, Any]]:
    """Mean score of a version per suite."""
    return [asdict(row) for row in measurements.matrix(tx, [version_id])]


def judges(tx: Session, version_id: str) -> list[dict[str, Any]]:
    """How the two judges of a version's answers agree, per suite and engine setting."""
    from monitors.probes.judges import agreements, sentence

    rows = agreements(measurements.of(tx, version_id))
    return [{**found.model_dump(mode="json"), "told": sentence(found)} for found in rows]


def _version_facts(tx: Session, row: versions.Version) -> dict[str, Any]:
    """The newest verdict, and who let it serve where a person did: a held candidate passes its re-check later."""
    verdict, decision = verdicts.latest_of(tx, row.id), decisions.latest_of(tx, row.id)
    person = decision.who if decision and decision.decision == "approve" else None
    return {
        **row_facts(row, "card", "facts"), "verdict": verdict.outcome if verdict else None, "let_through_by": person,
    }  # fmt: skip


def suites(tx: Session, layout: Layout, config: Config) -> list[dict[str, Any]]:
    """The suites that are measured, those of norms in force after the configured ones: role, size, digest, file.

    Raises:
        NotFound: a name in [probes] suites is neither shipped nor a file in ROOT/suites.
    """
    from agent.measured import suite_file
    from monitors.probes.suites import load_suite, shipped_suites

    rows: list[dict[str, Any]] = []
    for name in dict.fromkeys([*config.probes.suites, *norms.measured_suites(tx, now())]):
        path = suite_file(layout, name)
        if not path.is_file():
            raise NotFound(
                f"{name!r} in [probes] suites is no suite: shipped are {', '.join(sorted(shipped_suites()))}, "
                f"and {str(path)!r} is not there"
            )
        suite = load_suite(path)
        rows.append(
            {"suite": suite.suite, "role": suite.role, "probes": len(suite.entries) or None, "digest": suite.digest,
             "description": suite.description, "file": str(path)}
        )  # fmt: skip
    return rows
