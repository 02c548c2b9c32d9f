"""DynaInst: of every task the instances are kept that the model is most and least sure of, and outputs are kept soft.

Mok et al. 2023, Large-scale Lifelong Learning of In-context Instructions and How to Tackle It (ACL 2023). Kept are the
records with the lowest and the highest mean entropy under the trained model; they are rehearsed among the new rows. A
term pulls predictions towards the uniform distribution, which is meant to find flatter minima. The authors' equations
were not published in full: the term is a reconstruction.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from pydantic import Field

from learners.methods import contract
from learners.methods.contract import Material, Recipe, Run, Sources
from learners.parts import entropy, exemplars
from learners.parts.views import rehearsal_rows

__all__ = ["Settings", "compose", "prepare"]


class Settings(contract.Settings):
    """DynaInst.

    Attributes:
        instances: kept of each task, half of them at either end.
        replay_share: part of each batch that is rehearsed, on top of the new rows.
        entropy_weight: lambda of the term; 0 is plain rehearsal of what was kept.
        form: of the term, see `learners.parts.entropy.OutputEntropy`.
    """

    instances: int = Field(default=20, ge=0)
    replay_share: float = Field(default=0.33, ge=0, lt=1)
    entropy_weight: float = Field(default=0.01, ge=0)
    form: entropy.Form = "entropy"


def prepare(sources: Sources) -> Material:
    """Rehearse what was kept of each task, and nothing else."""
    limit = sources.settings.max_length_tokens
    kept = [record for group in exemplars.read(sources.memory_folder).values() for record in group]
    rows = [row for record in kept for row in rehearsal_rows(record, sources.tokenizer, limit)]
    return replace(sources.material(), remembered=rows)


def compose(run: Run) -> Recipe:
    """Learn old and new rows in the same batches, with the term, and keep both ends of the new ones."""
    settings: Settings = run.settings
    term = entropy.OutputEntropy(settings.entropy_weight, settings.form)
    return Recipe(
        replay_share=settings.replay_share,
        joined=True,
        losses=(term,) if settings.entropy_weight else (),
        after_training=(partial(_keep, run),),
    )


def _keep(run: Run) -> None:
    """Add this task's instances to those of earlier tasks."""
    limit = run.settings.max_length_tokens
    run.model.eval()
    scores = [
        entropy.mean_entropy(run.model, rehearsal_rows(record, run.tokenizer, limit)[0]) for record in run.records
    ]
    groups = exemplars.read(run.memory_folder)
    ends = exemplars.both_ends(scores, run.settings.instances)
    groups[str(len(groups) + 1)] = [run.records[index] for index in ends]
    exemplars.write(run.memory_folder, groups)
