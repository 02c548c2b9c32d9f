"""Probe sweeps: the serving version measured again because an operator or the calendar asked (`probe_run`).

The command's row is the whole state of a sweep: it stays pending while the job `sweep-<row>` is worked on, and is
answered in the transaction that records the measurements. Called by `agent.daemon.loop` at every turn.
"""

from __future__ import annotations

from pathlib import Path

from agent import measured
from agent.context import Context
from agent.errors import StoreError, exit_code
from agent.history.diff import line
from agent.operators.commands import refuse
from agent.probing import hidden, profiles, relearn
from agent.steps.diagnosing import read_measurements
from agent.store import commands, control, cycles, deployment, measurements, versions
from agent.store.commands import Command
from monitors.job import MeasureSpec
from monitors.probes.judges import agreements, sentence
from monitors.probes.suites import load_suite, write_suite
from monitors.relearned import RelearnSpec

__all__ = ["advance"]


def advance(context: Context) -> bool:
    """Go on with the oldest sweep that was asked for; True if it was answered.

    A sweep waits while a cycle works or cld is paused: one worker at a time is what the machine was promised.
    """
    with context.store.read() as tx:
        asked = next((row for row in commands.pending(tx) if row.verb == "probe_run"), None)
        if asked is None or cycles.active(tx) is not None or control.paused(tx):
            return False
        serving = deployment.find(tx)
    if serving is None:
        return False
    try:
        return _measure(context, asked, serving.version)
    except StoreError:
        raise
    except Exception as error:
        refuse(context.store, asked, error)
        if exit_code(error) is None:
            raise
        return True


def _measure(context: Context, asked: Command, serving: str) -> bool:
    job_id = f"sweep-{asked.id}"
    target = str(asked.args.get("target") or serving)

    kind, order = ("relearn", _relearned) if "relearn" in asked.args else ("measure", _order)

    def build(folder: Path) -> MeasureSpec | RelearnSpec:
        return order(context, asked, target, folder)

    if context.jobs.ensure(job_id, "monitors", kind, build, cycle=None, step="sweep") is None:
        return False
    rows = read_measurements(context.layout.job(job_id) / "output" / "measurements.jsonl")
    with context.store.write() as tx:
        new = measurements.add_many(tx, rows, job_id)
        judges = agreements(rows)
        message = f"{target} was measured on {len(rows)} probes, {new} of them for the first time"
        data = {"target": target, "job": job_id, "probes": len(rows),
                "judges": [found.model_dump(mode="json") for found in judges]}  # fmt: skip
        commands.answer(tx, asked.id, "applied", "; ".join([message, *map(sentence, judges)]), data)
    return True


def _order(context: Context, asked: Command, target: str, folder: Path) -> MeasureSpec:
    """What is measured: the standing suites again, or what a profile lacks of the version and the initial one."""
    engine, profile = measured.engine_settings(context.config), asked.args.get("profile")
    if (name := asked.args.get("hidden")) is not None:
        return _disguised(context, str(name), target, folder)
    if profile is None:
        wanted, skip = [target], frozenset[str]()
        files = [*measured.standing_suites(context), *_learned(context, target)]
    else:
        with context.store.read() as tx:
            wanted = list(dict.fromkeys(profiles.compared(tx, target)))
        files = list(profiles.suite_files(context.layout, profiles.named(str(profile))).values())
        skip = measured.measured_keys(context, wanted, [load_suite(path) for path in files], engine.digest())
    return MeasureSpec(
        versions=tuple(measured.reference(context.layout, version) for version in wanted),
        suites=tuple(measured.copied(files, folder)),
        engine=engine,
        skip=skip,
    )


def _disguised(context: Context, name: str, target: str, folder: Path) -> MeasureSpec:
    """A suite in disguises on a version and its parent; the suite lies in the job's folder alone."""
    engine, suite = measured.engine_settings(context.config), hidden.suite_of(context.layout, context.config, name)
    with context.store.read() as tx:
        wanted = hidden.compared(tx, target)
    path = folder / "suites" / f"{suite.suite}.jsonl"
    path.parent.mkdir(exist_ok=True)
    write_suite(path, suite)
    return MeasureSpec(
        versions=tuple(measured.reference(context.layout, version) for version in wanted),
        suites=(path,),
        engine=engine,
        skip=measured.measured_keys(context, wanted, [suite], engine.digest()),
    )


def _relearned(context: Context, asked: Command, target: str, folder: Path) -> RelearnSpec:
    """A suite on a version and earlier ones, and again after some steps of training on half of it."""
    args, layout, config = asked.args, context.layout, context.config
    with context.store.read() as tx:
        wanted = relearn.asked_of(
            tx, layout, config, str(args["relearn"]), target, args.get("since"), int(args["steps"])
        )
        return relearn.order(tx, layout, config, wanted, folder)


def _learned(context: Context, version: str) -> list[Path]:
    """The suites that the cycles of a version's line set out to learn, as far as their job folders are kept.

    Without them forgetting cannot be told: a cycle measures its candidate on its own suite, not on the earlier ones.
    """
    with context.store.read() as tx:
        learned = [cycles.get(tx, row.cycle) for row in line(tx, versions.get(tx, version)) if row.cycle]
    names = ((f"{cycle.id}-measuring", f"{measured.target_suite_name(cycle)}.yaml") for cycle in learned)
    files = [context.layout.job(job) / "suites" / name for job, name in names]
    return [file for file in files if file.is_file()]
