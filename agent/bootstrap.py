"""The first version: the base model becomes v0, the anchor, and serves. Nothing else can happen before."""

from __future__ import annotations

from pathlib import Path

from agent.context import DAEMON, Context
from agent.store import deployment, versions
from learners.models import ImportResult, ImportSpec

__all__ = ["advance"]

_FIRST = "v0"


def advance(context: Context) -> bool:
    """True once a version serves; until then a worker imports the base model."""
    with context.store.read() as tx:
        if deployment.find(tx) is not None:
            return True

    def build(_: Path) -> ImportSpec:
        return ImportSpec(
            version_id=_FIRST,
            source=_source(context),
            destination=context.layout.version(_FIRST),
            seed_prompts=context.config.replay.seed_prompts,
        )

    answer = context.jobs.ensure("import-v0", "learners", "import", build, cycle=None, step="import")
    if answer is None:
        return False
    result = ImportResult.model_validate(answer)
    why = f"the base model {context.config.model.base} was imported"
    with context.store.write() as tx:
        versions.register(
            tx,
            _FIRST,
            0,
            parent=None,
            base=None,
            digest=result.digest,
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
    return True


def _source(context: Context) -> str:
    """A folder relative to the data root becomes absolute; a shipped model's name stays."""
    folder = context.layout.root / context.config.model.base
    return str(folder) if folder.is_dir() else context.config.model.base
