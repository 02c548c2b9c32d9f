"""ETA-DACP: continual pre-training on the part of the new texts that is most novel and most diverse.

Xie et al. 2023 (arXiv:2311.08545), "efficient task-agnostic" domain-adaptive pre-training. Nothing is known of a
task; novelty is the parent's own mean negative log-likelihood of a record's tokens (there, a small surrogate's
perplexity), diversity the entropy of its token frequencies (there, of parts of speech), both in nats, and both together
the mean of their quantile ranks. Selection saves training and does nothing against forgetting by itself.

What is novel may be noise. Of texts of which a third was known, a third another language and a third random words, the
third of the highest loss was the noise, the middle one the language, the lowest what was known; after learning one of
them the language had 4.12, 2.89 and 3.92 nats (one seed). Hence `part`, after the code of Cossu et al. 2022
(arXiv:2205.09357).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Literal

from pydantic import Field

from learners.methods import contract
from learners.methods.contract import Material, Recipe, Run, Sources
from learners.parts import select
from learners.parts.rows import Row

__all__ = ["Settings", "compose", "prepare"]


class Settings(contract.Settings):
    """ETA-DACP.

    Attributes:
        keep_share: of the records that are trained on; 1 is plain fine-tuning.
        score: `novelty`, `diversity`, or the mean of both ranks.
        sampling: `hard` takes the best, `soft` draws by score.
        part: which scores are the best: the highest (`top`), the lowest (`bottom`), those about the median, or `random`
            ones, to compare with.
        replay_share: part of each batch that is rehearsed beside the new rows, against what selection makes worse.
    """

    keep_share: float = Field(default=0.5, gt=0, le=1)
    score: Literal["novelty", "diversity", "both"] = "both"
    sampling: select.Sampling = "hard"
    part: select.Part = "top"
    replay_share: float = Field(default=0.0, ge=0, lt=1)


def prepare(sources: Sources) -> Material:
    """Score every record by its first row, and learn from the best.

    Raises:
        InvalidInput: the selection holds no text.
    """
    return select.best(sources, partial(_scores, sources))


def _scores(sources: Sources, rows: Sequence[Row]) -> list[list[float]]:
    wanted = sources.settings.score
    novelty = [select.novelty(sources.model(), rows)] if wanted != "diversity" else []
    return novelty + ([select.diversity(rows)] if wanted != "novelty" else [])


def compose(run: Run) -> Recipe:
    """Nothing is added to the stage but rehearsal, where it is asked for; what was selected is learned."""
    return Recipe(replay_share=run.settings.replay_share, joined=True)
