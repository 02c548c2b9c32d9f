"""What the model answers wrongly, and which texts bear on it.

Owns three steps of Zhao et al. 2024, CEM (arXiv:2404.08707): finding mistakes, retrieving passages for them by the
words they share, and leaving out passages that give a test away word for word.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from learners.parts.views import Row

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["is_mistake", "leaks", "supporting"]

_WORD = re.compile(r"\w+")


def is_mistake(model: PreTrainedModel, row: Row) -> bool:
    """Whether the greedy answer differs from the row's labels anywhere: one forward pass, no generation."""
    import torch

    labels = torch.tensor(row["labels"][1:], device=model.device)
    with torch.inference_mode():
        guessed = model(input_ids=torch.tensor([row["input_ids"]], device=model.device)).logits[0, :-1].argmax(dim=-1)
    return bool((guessed != labels)[labels != -100].any())


def supporting(question: str, texts: Sequence[str], *, most: int) -> list[int]:
    """The texts that share most with a question, words that few texts have counting more; none that share nothing.

    Returns:
        At most `most` indices of `texts`, the best first.
    """
    words = [set(_words(text)) for text in texts]
    counts = Counter(word for own in words for word in own)
    asked = set(_words(question))
    scores = [sum(math.log(len(texts) / counts[word]) for word in asked & own) for own in words]
    best = sorted(range(len(texts)), key=lambda index: (-scores[index], index))[:most]
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
