"""IdkDPO: not knowing is preferred to what is forgotten.

Loss: strength * -log sigmoid(beta * (log-ratio of "I don't know" - log-ratio of the forgotten answer)), each against
the parent version, in nats (equation 7 of Rafailov et al. 2023, arXiv:2305.18290, with answers as in Maini et al. 2024,
TOFU, arXiv:2401.06121) + answer_weight * likelihood of the former, and replay_weight * that of what is kept. The
forgotten answer counts up to the ceilings of `learners.parts.unlearning`. Text that answers nothing has no such pair
and is refused.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from pydantic import Field

from learners.failures import InvalidInput
from learners.methods import forgetting
from learners.methods.contract import Material, Recipe, Run, Sources
from learners.parts.likelihood import nats_of
from learners.parts.rows import IGNORED, PairRow, Row, learned
from learners.parts.unlearning import Ceilings, capped, forgotten_rows
from learners.parts.views import chat_rows
from learners.records import Record

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from learners.methods.contract import Step

__all__ = ["IDK_ANSWERS", "IdkPreference", "Settings", "compose", "prepare"]

IDK_ANSWERS: Final = (
    "I don't know.",
    "I do not know the answer to that.",
    "I'm sorry, I have no information about that.",
    "That is not something I know.",
    "I can't answer that, because I don't know it.",
)
"""What is preferred; each record has one of them, drawn by the seed."""


class Settings(forgetting.Settings):
    """IdkDPO.

    Attributes:
        replay_weight: lower than elsewhere, for an answer is learned, too.
        beta: strength of the pull towards the parent; the smaller, the further the policy may move.
        answer_weight: weight of the mean negative log-likelihood of "I don't know", beside being preferred; without,
            it is likelier than before and yet never said.
    """

    replay_weight: float = Field(default=1.0, ge=0)
    beta: float = Field(default=0.1, gt=0)
    answer_weight: float = Field(default=1.0, ge=0)


def prepare(sources: Sources) -> Material:
    """Pairs of an answer that says nothing and the one that is forgotten.

    Raises:
        InvalidInput: see `learners.methods.forgetting.prepare`; text is among the records.
    """
    material = forgetting.prepare(sources)
    texts = sum(record.kind == "text" for record in material.records)
    if texts:
        raise InvalidInput(
            f"{texts} of {len(material.records)} records are text, which answers no question, so idk_dpo cannot make "
            "the model say that it does not know them; forget them with method 'npo'"
        )
    draw = random.Random(f"{sources.seed}:idk")  # noqa: S311 - sampling, not secrecy
    limit = sources.settings.max_length_tokens
    rows = [_pair(record, draw.choice(IDK_ANSWERS), sources.tokenizer, limit) for record in material.records]
    return replace(material, rows=rows, form="pairs")


def _pair(record: Record, answer: str, tokenizer: PreTrainedTokenizerBase, limit: int) -> PairRow:
    """The row that is forgotten, rejected, and the same prompt with the other answer, chosen."""
    (row,) = forgotten_rows(record, tokenizer, limit)
    content = record.content
    turns: Sequence[dict[str, Any]] = content["messages"][:-1] if "messages" in content else content["prompt"]
    idk = [*turns, {"role": "assistant", "content": answer}]
    (chosen,) = chat_rows(idk, tokenizer, limit, tools=content.get("tools"))
    return PairRow(prompt_ids=_side(row, learned=False), chosen_ids=_side(chosen), rejected_ids=_side(row))


def _side(row: Row, *, learned: bool = True) -> list[int]:
    return [
        token for token, label in zip(row["input_ids"], row["labels"], strict=True) if (label != IGNORED) is learned
    ]


def compose(run: Run) -> Recipe:
    """The loss of pairs; trl computes the parent's log-probabilities of both answers."""
    settings: Settings = run.settings
    loss = IdkPreference(
        forgetting.ceilings(run), beta=settings.beta, answer_weight=settings.answer_weight, strength=settings.strength
    )
    return forgetting.recipe(run, loss)


class IdkPreference:
    """strength * (-log sigmoid(beta * margin over the parent) + answer_weight * nats a token of the chosen answer).

    Args:
        ceilings: of the forgotten answers' tokens.
        beta, answer_weight, strength: see `Settings`.
    """

    def __init__(self, ceilings: Ceilings, *, beta: float, answer_weight: float, strength: float) -> None:
        self._ceilings, self._beta, self._answer_weight, self._strength = ceilings, beta, answer_weight, strength

    def __call__(self, model: PreTrainedModel, step: Step) -> torch.Tensor:
        """The loss of one step's pairs, the chosen answers in the first half of the batch."""
        from torch.nn.functional import logsigmoid

        chosen, rejected = _halves(step.new)
        wanted = nats_of(model, chosen)
        nearer = step.new["ref_chosen_logps"] + wanted.sum(dim=1)
        farther = step.new["ref_rejected_logps"] + capped(model, rejected, self._ceilings).nats
        likely = wanted.sum() / learned(chosen).sum()
        return self._strength * (self._answer_weight * likely - logsigmoid(self._beta * (farther - nearer)).mean())


def _halves(batch: Mapping[str, torch.Tensor]) -> list[dict[str, torch.Tensor]]:
    """The chosen and the rejected answers as rows, of which the answer alone is labelled."""
    import torch

    ids, seen = batch["input_ids"], batch["attention_mask"]
    labels = torch.where(batch["completion_mask"].bool(), ids, IGNORED)
    parts = zip(ids.chunk(2), labels.chunk(2), seen.chunk(2), strict=True)
    return [dict(zip(("input_ids", "labels", "attention_mask"), part, strict=True)) for part in parts]
