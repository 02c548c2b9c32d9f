"""Progressive Prompts: the model is frozen; each task learns a prompt, in front of the frozen ones of tasks before.

Razdaibiedina et al. 2023 (arXiv:2301.12314). Later tasks never touch earlier ones: asked for what it learned, a version
answers bit for bit as it did. No task is named at inference; a request goes to the task whose mean query is nearest
(`learners.parts.extensions.prompt_chain`).

A version is no prompt adapter of peft's: such an adapter puts one prompt before every request. Of several tasks the
choice among them would be lost, and requests would be answered otherwise than was measured; and what serves adapters
takes LoRA alone (vLLM has had no prompt adapters since its version 0.10).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from learners.methods import contract
from learners.methods.contract import Material, Recipe, Run, Sources
from learners.parts.penalties import new_likelihood
from learners.parts.rows import IGNORED, Row

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

__all__ = ["Settings", "compose", "wrap"]

_QUERY_ROWS = 32


class Settings(contract.Settings):
    """Progressive Prompts.

    Attributes:
        prompt_tokens: of the task's prompt; the paper's.
        chain: `progressive` puts earlier prompts behind the new one; `own` does not, and learns tasks that contradict
            each other far better. That of a lineage's first version holds.
    """

    learning_rate: float = Field(default=3e-2, gt=0)
    epochs: int = Field(default=10, ge=0)
    prompt_tokens: int = Field(default=10, ge=1)
    chain: Literal["progressive", "own"] = "progressive"


def wrap(sources: Sources, material: Material) -> PreTrainedModel:
    """The parent, frozen, with its prompts and that of this task; without an epoch nothing is added."""
    import torch

    from learners import weights
    from learners.parts import extensions
    from learners.parts.extensions.prompt_chain import Kind

    settings: Settings = sources.settings
    model = weights.frozen(sources.parent)
    inner = extensions.plain(model)
    chain = extensions.continued(sources.parent.extension, model, Kind)
    chain = chain or Kind(inner.config, tokens=[], chain=settings.chain)
    if settings.epochs:
        asked = [torch.tensor([_asked(row)]) for row in material.rows[:_QUERY_ROWS]]  # pyright: ignore
        queries = torch.cat([chain.query(inner, ids, torch.ones_like(ids)) for ids in asked])
        matrix: torch.Tensor = inner.get_input_embeddings().weight  # pyright: ignore
        chain.add_task(settings.prompt_tokens, matrix, queries.mean(dim=0), seed=sources.seed)
    if len(chain.prompts):
        chain.attach(model)
    return model


def _asked(row: Row) -> list[int]:
    """What of a row is there when it has to be answered: its prompt, or all of a text."""
    read = [token for token, label in zip(row["input_ids"], row["labels"], strict=True) if label == IGNORED]
    return read or row["input_ids"]


def compose(run: Run) -> Recipe:
    """The likelihood of the stage's rows behind the prompts."""
    return Recipe(stage_loss=new_likelihood)
