"""Which suites a cycle is measured with, and which scores are stored already.

Shared by the steps that ask for measurements (`measuring`, `watching`) and the one that judges them (`judging`), so
that all speak of the same suites under the same engine settings.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from agent.config import Config, Judge, Revise
from agent.context import Context
from agent.root.layout import Layout
from agent.store import deployment, measurements, norms, plans, versions
from agent.store.columns import now
from agent.store.cycles import Cycle
from monitors.job import EngineSettings, Measurement, ReviseSettings, VersionRef
from monitors.measure import key
from monitors.precision import native_dtype
from monitors.probes.harness_listing import copy_listing
from monitors.probes.harness_suite import PREFIX, entry_file
from monitors.probes.suites import Suite, copy_suite, load_suite, shipped_suites

__all__ = [
    "compared_versions",
    "copied",
    "engine_settings",
    "measured_keys",
    "reference",
    "serving",
    "snapshot",
    "standing_suites",
    "stored",
    "suite_file",
    "target_suite_name",
    "target_suites",
]


def engine_settings(config: Config) -> EngineSettings:
    """The engine settings under which everything is measured; `auto` is what this machine's processor takes."""
    engine = config.engine
    return EngineSettings(
        kind=engine.kind,
        dtype=native_dtype() if engine.dtype == "auto" else engine.dtype,
        batch_tokens=engine.batch_tokens,
        max_new_tokens=engine.max_new_tokens,
        endpoint=engine.endpoint,
        api_key_env=engine.api_key_env,
        judge=_judge_settings(config.judge),
        revise=_revise_settings(config.revise),
    )


def _judge_settings(judge: Judge) -> EngineSettings | None:
    if judge.endpoint is None:
        return None
    return EngineSettings(kind="openai", endpoint=judge.endpoint, model=judge.model, api_key_env=judge.api_key_env)


def _revise_settings(revise: Revise) -> ReviseSettings | None:
    if revise.passages is None:
        return None
    other = EngineSettings(kind="openai", endpoint=revise.endpoint, model=revise.model, api_key_env=revise.api_key_env)
    return ReviseSettings(passages=revise.passages, count=revise.count, reviser=other if revise.endpoint else None)


def reference(layout: Layout, version_id: str) -> VersionRef:
    """A version as workers are told of it."""
    return VersionRef(id=version_id, path=layout.version(version_id))


def serving(context: Context) -> tuple[str, str]:
    """Ids of the version that serves and of the anchor."""
    with context.store.read() as tx:
        return deployment.current(tx).version, versions.anchor(tx).id


def compared_versions(cycle: Cycle) -> list[str]:
    """Candidate, parent and anchor of a cycle, each once."""
    return list(dict.fromkeys(v for v in (cycle.candidate, cycle.parent, cycle.anchor) if v))


def standing_suites(context: Context) -> list[Path]:
    """Files of the configured suites and of the norms in force: shipped ones by name, others from ROOT/suites/."""
    with context.store.read() as tx:
        of_norms = norms.measured_suites(tx, now())
    return _files(context, [*context.config.probes.suites, *of_norms])


def _files(context: Context, names: Sequence[str]) -> list[Path]:
    """Files of suites, each once; a norm's suite may be configured, too."""
    return list(dict.fromkeys(suite_file(context.layout, name) for name in names))


def suite_file(layout: Layout, name: str) -> Path:
    """File of a suite by its name in [probes] suites; the operator's own may be named without .yaml or .jsonl."""
    if (shipped := shipped_suites().get(name)) is not None:
        return shipped
    if name.startswith(PREFIX):
        return entry_file(name, layout.suites)
    places = [layout.suites / f"{name}{ending}" for ending in ("", ".jsonl", ".yaml")]
    return next((place for place in places if place.is_file()), places[-1])


def target_suites(context: Context) -> list[Path]:
    """The standing suites whose role is `target`: what the operator wants the model to be good at."""
    return [path for path in _files(context, context.config.probes.suites) if load_suite(path).role == "target"]


def target_suite_name(cycle: Cycle) -> str:
    """Name of the suite of probes that diagnosing makes from a cycle's own records."""
    return f"{cycle.id}-target"


def snapshot(context: Context, cycle: Cycle, folder: Path) -> list[Path]:
    """Copy the suites that judge `cycle` into a job's folder: the standing ones and those made for it.

    A diagnosis may have made no probes, but a standing suite that is missing is never passed over. The items of tasks
    of lm-evaluation-harness come with them, as the diagnosis listed them.
    """
    diagnosis = context.layout.job(f"{cycle.id}-diagnosing") / "output"
    made = diagnosis / "probes.yaml"
    copies = copied(_standing_in(context, cycle), folder)
    for path in copies:
        copy_listing(diagnosis, folder / "suites", load_suite(path).suite)
    if made.exists():
        copies.append(Path(shutil.copy(made, folder / "suites" / f"{target_suite_name(cycle)}.yaml")))
    return copies


def _standing_in(context: Context, cycle: Cycle) -> list[Path]:
    """The standing suites when a cycle's plan was made, and those of the norms that it touches."""
    with context.store.read() as tx:
        plan = plans.get(tx, cycle.id)
        touched = [one["suite"] for one in plan.plan.get("norms", ()) if one["suite"] is not None]
        of_norms = norms.measured_suites(tx, plan.at)
    return _files(context, [*context.config.probes.suites, *of_norms, *touched])


def copied(suites: Sequence[Path], folder: Path) -> list[Path]:
    """Copies of suites in a job's folder, because an operator may edit a suite while a worker reads it."""
    copies = folder / "suites"
    copies.mkdir(exist_ok=True)
    return [copy_suite(path, copies) for path in suites]


def stored(context: Context, version_id: str, suites: Sequence[Suite], engine: str) -> list[Measurement]:
    """The stored scores of a version on `suites` under engine settings, named by their digest."""
    with context.store.read() as tx:
        return measurements.of(tx, version_id, [suite.digest for suite in suites], engine)


def measured_keys(context: Context, version_ids: Sequence[str], suites: Sequence[Suite], engine: str) -> frozenset[str]:
    """The key of every score that is stored already, as a `MeasureSpec` skips it."""
    rows = (row for version_id in version_ids for row in stored(context, version_id, suites, engine))
    return frozenset(key(row.version, row.suite, row.probe) for row in rows)
