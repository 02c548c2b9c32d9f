"""A larger vocabulary for a new language or domain: tokens are added, learn first, and then everything learns.

The survey's language expansion, with the vocabulary growth of Cossu et al. 2022 (arXiv:2205.09357). Frequent words of
the new texts that fall into many pieces become tokens; their vectors start as the mean of their pieces, e_new = 1/n
sum_i e_i, and the embeddings learn alone for the first part of the run, so that the rest is not torn by raw rows. Loss:
the plain one. Of the study, which is of encoders, it has the growth alone: which words, where they start and what
learns first are ours.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pydantic import Field

from learners.methods import contract
from learners.methods.contract import Material, Moment, Recipe, Run, Sources
from learners.parts import vocabulary

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["Settings", "compose", "prepare", "wrap"]


class Settings(contract.Settings):
    """A larger vocabulary.

    Attributes:
        full_weights: always; an adapter has no rows for tokens.
        new_tokens: most tokens that are added; 0 is plain fine-tuning of all weights.
        fewest_pieces: a word becomes a token when it falls into at least so many.
        fewest_times: and occurs at least so often in the new records.
        rows_first_share: of the run, in which the embeddings alone learn.
        replay_share: of each batch, on top of the new rows.
    """

    full_weights: bool = True
    new_tokens: int = Field(default=256, ge=0)
    fewest_pieces: int = Field(default=3, ge=2)
    fewest_times: int = Field(default=3, ge=1)
    rows_first_share: float = Field(default=0.3, ge=0, le=1)
    replay_share: float = Field(default=0.0, ge=0, lt=1)


def prepare(sources: Sources) -> Material:
    """Read the records with a tokenizer that knows their words."""
    words = _words(sources)
    if not words:
        return sources.material()
    return sources.material(tokenizer=vocabulary.grown(sources.tokenizer, words))


def _words(sources: Sources) -> dict[str, list[int]]:
    settings: Settings = sources.settings
    if not settings.epochs or not settings.new_tokens:
        return {}
    return vocabulary.words_to_add(
        (str(record.content["text"]) for record in sources.records),
        sources.tokenizer,
        most=settings.new_tokens,
        fewest_pieces=settings.fewest_pieces,
        fewest_times=settings.fewest_times,
    )


def wrap(sources: Sources, material: Material) -> PreTrainedModel:
    """The plain model with a row for every token."""
    from learners import weights

    model = weights.frozen(sources.parent, merge=True).requires_grad_(True)
    words = _words(sources)
    if words:
        tokens: list[int] = material.tokenizer.convert_tokens_to_ids(list(words))  # pyright: ignore
        vocabulary.grow(model, len(material.tokenizer), dict(zip(tokens, words.values(), strict=True)))
    return model


def compose(run: Run) -> Recipe:
    """Hold everything but the embeddings for the first steps, where there are rows that must learn first."""
    from learners.weights import read_tokenizer

    settings: Settings = run.settings
    rehearsed = Recipe(replay_share=settings.replay_share, joined=True)
    if len(run.tokenizer) == len(read_tokenizer(run.parent.weights)):
        return rehearsed
    embeddings = {id(weight) for weight in run.model.get_input_embeddings().parameters()}

    def rows_first(model: PreTrainedModel, moment: Moment) -> None:
        if moment.step < moment.steps * settings.rows_first_share:
            for weight in model.parameters():
                if id(weight) not in embeddings:
                    weight.grad = None

    return replace(rehearsed, before_step=(rows_first,))
