"""What the model would say by itself: texts sampled from it, to rehearse where no old data is kept.

Sun et al. 2020, LAMOL (arXiv:1909.03329), and Shin et al. 2017, Deep Generative Replay (arXiv:1705.08690): generator
and solver are the same network. Samples that are too short, go round, or repeat another are left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from learners.parts.rows import Row
from learners.parts.views import separator
from learners.seeding import loops

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = ["sampled_rows"]

_BATCH = 16
_FEWEST_TOKENS = 4
_ATTEMPTS = 3  # times the wanted number: of a model that mostly repeats itself fewer rows come back


def sampled_rows(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    count: int,
    *,
    max_tokens: int,
    temperature: float,
    top_k: int,
    seed: int,
) -> list[Row]:
    """Sample documents from the model, each from the separator that begins one to the one that ends it.

    Args:
        model: in evaluation mode.
        count: most rows; equal arguments give equal rows on one machine.
        max_tokens: longest row.
    """
    import torch

    start = separator(tokenizer)
    torch.manual_seed(seed)
    rows: list[Row] = []
    seen: set[tuple[int, ...]] = set()
    for _ in range(-(-count * _ATTEMPTS // _BATCH)):
        begin = torch.full((_BATCH, 1), start, device=model.device)
        sampler: Any = model
        sampled = sampler.generate(
            begin, attention_mask=torch.ones_like(begin), do_sample=True, temperature=temperature, top_k=top_k,
            top_p=1.0, max_new_tokens=max_tokens - 2, eos_token_id=start, pad_token_id=start,
        )  # fmt: skip
        for ids in sampled.tolist():
            row = _document(ids, start)
            if row not in seen and _worth_keeping(tokenizer, row):
                seen.add(row)
                rows.append(Row(input_ids=list(row), labels=list(row)))
            if len(rows) == count:
                return rows
    return rows


def _document(ids: list[int], separator: int) -> tuple[int, ...]:
    """The first document of a sample: up to its second separator, or cut short without one."""
    end = ids.index(separator, 1) + 1 if separator in ids[1:] else len(ids)
    return tuple(ids[:end])


def _worth_keeping(tokenizer: PreTrainedTokenizerBase, row: tuple[int, ...]) -> bool:
    return len(row) >= _FEWEST_TOKENS and not loops(str(tokenizer.decode(list(row), skip_special_tokens=True)))
