"""ETS-DACP: continual pre-training on the part of the new texts that is most like a task.

Xie et al. 2023 (arXiv:2311.08545), "efficient task-similar" domain-adaptive pre-training. The task's texts are the
records of the selection that continual pre-training itself does not learn: questions, instructions, preferences. A
record's score is cos(e(x) - c, mean_task e - c) with e the parent's mean last hidden state (not an embedding model's)
and c the mean over all records; or the mean of the quantile ranks of that, its loss and its entropy (nats), which is
our reading of how the paper combines them. Selection saves training and raises forgetting, because what is left is
further from what the model knew.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from pydantic import Field

from learners.failures import InvalidInput
from learners.methods import contract
from learners.methods.contract import Material, Recipe, Run, Sources
from learners.parts import select
from learners.parts.rows import Row
from learners.parts.views import spoken, text_rows
from learners.records import Record

__all__ = ["Settings", "compose", "prepare"]


class Settings(contract.Settings):
    """ETS-DACP.

    Attributes:
        keep_share: of the records that are trained on; 1 is plain fine-tuning.
        combine: rank by the mean of similarity, novelty and diversity ("ETS-DACP-com") instead of similarity alone.
        sampling: `hard` takes the best, `soft` draws by score.
        part: which scores are the best: the highest (`top`), the lowest (`bottom`), those about the median, or `random`
            ones, to compare with.
        replay_share: part of each batch that is rehearsed beside the new rows, against what selection makes worse.
    """

    keep_share: float = Field(default=0.5, gt=0, le=1)
    combine: bool = False
    sampling: select.Sampling = "hard"
    part: select.Part = "top"
    replay_share: float = Field(default=0.0, ge=0, lt=1)


def prepare(sources: Sources) -> Material:
    """Score every record by its first row, and learn from the best.

    Raises:
        InvalidInput: the selection holds no record that describes a task, or none to learn.
    """
    return select.best(sources, partial(_scores, sources))


def _scores(sources: Sources, rows: Sequence[Row]) -> list[list[float]]:
    model = sources.model()
    scores = [select.similarity(model, rows, _task(sources))]
    return scores + ([select.novelty(model, rows), select.diversity(rows)] if sources.settings.combine else [])


def _task(sources: Sources) -> list[Row]:
    """What is said in the records that are no texts, without the template of a chat, which all of them share."""
    limit = sources.settings.max_length_tokens
    texts = ["\n".join(spoken(record)) for record in sources.others]
    rows = [row for text in texts if text.strip() for row in text_rows(_plain(text), sources.tokenizer, limit)]
    if not rows:
        raise InvalidInput(
            "ets_dacp selects texts by a task, and the selection holds no instruction, tool or preference record that "
            "would show one; add such records, or use eta_dacp, which needs none"
        )
    return rows


def _plain(text: str) -> Record:
    return Record(id="", source="", kind="text", content={"text": text})


def compose(run: Run) -> Recipe:
    """Nothing is added to the stage but rehearsal, where it is asked for; what was selected is learned."""
    return Recipe(replay_share=run.settings.replay_share, joined=True)
