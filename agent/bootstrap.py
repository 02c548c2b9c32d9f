"""The first version: the base model becomes v0, the anchor, and serves. Nothing else can happen before.

An import that is given up pauses the loop and leaves the next job open (`import-2`, ...): a given-up job would fail
again unasked, and `cld resume` means that its cause, a wrong [model] base or a full disk, was seen to.
"""

from __future__ import annotations

from pathlib import Path

from agent.context import DAEMON, Context
from agent.errors import NotFound
from agent.store import Session, control, deployment, jobs, versions
from agent.work.jobs import JobFailed
from learners.models import ImportResult, ImportSpec

__all__ = ["advance"]

_FIRST = "v0"


def advance(context: Context) -> bool:
    """True once a version serves; until then a worker imports the base model."""
    with context.store.read() as tx:
        if deployment.find(tx) is not None:
            return True
        number = _newest_import(tx)

    def build(_: Path) -> ImportSpec:
        return ImportSpec(
            version_id=_FIRST,
            source=_source(context),
            destination=context.layout.version(_FIRST),
            seed_prompts=context.config.replay.seed_prompts,
        )

    try:
        answer = context.jobs.ensure(f"import-{number}", "learners", "import", build, cycle=None, step="import")
    except JobFailed as failure:
        _give_up(context, number, failure)
        return False
    if answer is None:
        return False
    _let_serve(context, ImportResult.model_validate(answer).digest)
    return True


def _let_serve(context: Context, digest: str) -> None:
    """Register the imported model, mark it as the anchor and point the deployment at it, in one transaction."""
    why = f"the base model {context.config.model.base} was imported"
    with context.store.write() as tx:
        versions.register(
            tx,
            _FIRST,
            0,
            parent=None,
            base=None,
            digest=digest,
            stage=None,
            method=None,
            cycle=None,
            who=DAEMON,
            why=why,
        )
        versions.mark(tx, _FIRST, "kept", DAEMON, why)
        versions.set_anchor(tx, _FIRST, who=DAEMON, why=why)
        deployment.move(tx, _FIRST, 0, DAEMON, why, cause="initial")
    context.log.info(why, action="version.imported", version=_FIRST)


def _newest_import(tx: Session) -> int:
    number = 1
    while True:
        try:
            jobs.get(tx, f"import-{number + 1}")
        except NotFound:
            return number
        number += 1


def _give_up(context: Context, number: int, failure: JobFailed) -> None:
    reason = f"import: {failure}"
    with context.store.write() as tx:
        context.jobs.open(tx, f"import-{number + 1}", "learners", "import", cycle=None, step="import")
        control.pause(
            tx, reason, who=DAEMON, fix="correct [model] base and restart if it is the cause, then cld resume"
        )
    context.log.error(f"paused: {reason}", action="daemon.paused")


def _source(context: Context) -> str:
    """A folder relative to the data root becomes absolute; a shipped model's name stays."""
    folder = context.layout.root / context.config.model.base
    return str(folder) if folder.is_dir() else context.config.model.base
