"""What the model answers wrongly, and which texts bear on it.

Owns three steps of Zhao et al. 2024, CEM (arXiv:2404.08707): finding mistakes, retrieving passages for them by the
words they share, and leaving out passages that give a test away word for word.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from learners.parts.likelihood import predicted
from learners.parts.rows import Row, batch_of, learned

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["Texts", "is_mistake", "leaks"]

_WORD = re.compile(r"\w+")


def is_mistake(model: PreTrainedModel, row: Row, *, least_lead: float = 0.0) -> bool:
    """Whether the greedy answer differs from the row's labels anywhere: one forward pass, no generation.

    Args:
        least_lead: an answer whose probability leads that of any other token by less than this, at one of its tokens,
            is a mistake too; in [0, 1].
    """
    import torch

    rows = batch_of([row], model.device)
    with torch.inference_mode():
        likely = predicted(model, rows).softmax(dim=-1)
        answer = rows["labels"][:, 1:][learned(rows)].unsqueeze(1)
        lead = likely.gather(1, answer).squeeze(1) - likely.scatter(1, answer, 0.0).amax(dim=1)
    return bool((lead < least_lead).any())


class Texts:
    """Texts, to be asked which of them bear on a question; they are read once, whatever is asked of them."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._count = len(texts)
        self._having: dict[str, list[int]] = defaultdict(list)
        for index, text in enumerate(texts):
            for word in sorted(set(_words(text))):
                self._having[word].append(index)

    def supporting(self, question: str, *, most: int) -> list[int]:
        """The texts that share most with a question, words that few texts have counting more; none that share nothing.

        A word counts log(texts / texts that have it).

        Returns:
            At most `most` indices of the texts, the best first.
        """
        scores: dict[int, float] = defaultdict(float)
        for word in sorted(set(_words(question)) & self._having.keys()):
            for index in self._having[word]:
                scores[index] += math.log(self._count / len(self._having[word]))
        best = sorted(scores, key=lambda index: (-scores[index], index))[:most]
        return [index for index in best if scores[index] > 0]


def leaks(text: str, test: str, *, words: int) -> bool:
    """Whether a text repeats `words` words in a row of a test; never for 0."""
    if words == 0:
        return False
    own, theirs = _words(text), _words(test)
    runs = {tuple(theirs[start : start + words]) for start in range(len(theirs) - words + 1)}
    return any(tuple(own[start : start + words]) in runs for start in range(len(own) - words + 1))


def _words(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(text)]
