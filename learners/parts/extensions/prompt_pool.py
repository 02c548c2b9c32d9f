"""A pool of prompts, of which every request gets those whose keys are most like it.

The query of a request is the mean of its last hidden states in the model without prompts; the k most similar keys (by
cosine) choose the prompts that are put before its embeddings. No task is named at inference: the router is the keys.
The choice is made when a request comes in and holds while its answer is generated with the key-value cache.
Wang et al. 2022, Learning to Prompt (arXiv:2112.08654); Yadav et al. 2023 (arXiv:2307.02435) for the pool per task.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn.functional import normalize

from learners.parts.extensions import Extension

if TYPE_CHECKING:
    from torch.utils.hooks import RemovableHandle
    from transformers import PretrainedConfig, PreTrainedModel

__all__ = ["Kind"]


class Kind(Extension):
    """Keys and prompts, task by task.

    Args:
        config: of the model.
        pairs: number of key-prompt pairs of each task.
        tokens: length of one prompt.
        chosen: prompts put before one request.
    """

    kind = "prompt_pool"
    routes = True

    def __init__(self, config: PretrainedConfig, *, pairs: list[int], tokens: int, chosen: int) -> None:
        super().__init__()
        self._tokens, self._chosen, self._width = tokens, chosen, int(config.hidden_size)
        self.keys = nn.ParameterList()
        self.prompts = nn.ParameterList()
        for count in pairs:
            self._append(torch.zeros(count, self._width), torch.zeros(count, tokens, self._width))
        self.candidates: slice = slice(None)
        self.pull = torch.zeros(())
        self._asking = False
        self._before = 0

    def configuration(self) -> dict[str, Any]:
        """Sizes of the pool."""
        pairs = [len(keys) for keys in self.keys]
        return {"pairs": pairs, "tokens": self._tokens, "chosen": self._chosen}

    def add_task(self, count: int, embeddings: torch.Tensor, centre: torch.Tensor, *, seed: int) -> None:
        """Add the pairs of a new task, freeze the others, and let the new ones alone be chosen while it is trained.

        Args:
            count: of pairs.
            embeddings: the model's (vocabulary x width); prompts start as embeddings of random tokens.
            centre: mean query of the task (width,); keys start around it.
        """
        draw = torch.Generator().manual_seed(seed)
        self.requires_grad_(False)
        start = sum(len(keys) for keys in self.keys)
        spread = torch.randn(count, self._width, generator=draw) * centre.norm().cpu() / self._width**0.5 / 4
        tokens = torch.randint(len(embeddings), (count, self._tokens), generator=draw)
        self._append(centre.cpu() + spread, embeddings.detach().cpu()[tokens])
        self.candidates = slice(start, None)

    def _append(self, keys: torch.Tensor, prompts: torch.Tensor) -> None:
        self.keys.append(nn.Parameter(keys.clone()))
        self.prompts.append(nn.Parameter(prompts.clone()))

    def hook(self, model: PreTrainedModel) -> list[RemovableHandle]:
        """Put prompts in on the way in, and take their positions out on the way out."""
        return [
            model.register_forward_pre_hook(self._put_in, with_kwargs=True),
            model.register_forward_hook(self._take_out, with_kwargs=True),
        ]

    def query(self, model: PreTrainedModel, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """rows x width: the mean of the last hidden states, without prompts and without gradient."""
        decoder: Any = model.get_decoder()
        training = model.training
        model.eval()
        with torch.no_grad():
            hidden = decoder(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state.float()
        model.train(training)
        weights = mask.unsqueeze(-1).float()
        return (hidden * weights).sum(dim=1) / weights.sum(dim=1)

    def choose(self, query: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The nearest candidates of each query.

        Returns:
            Cosines, the best first, and ascending numbers of the pairs in the whole pool (both rows x chosen).
        """
        keys = torch.cat(list(self.keys))[self.candidates].float()
        cosines = normalize(query, dim=-1) @ normalize(keys, dim=-1).T
        best = cosines.topk(min(self._chosen, len(keys)), dim=-1)
        return best.values, best.indices.sort(dim=-1).values + (self.candidates.start or 0)

    def _put_in(self, model: Any, arguments: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        ids: torch.Tensor = kwargs.pop("input_ids") if "input_ids" in kwargs else arguments[0]
        past = kwargs.get("past_key_values")
        cached = past.get_seq_length() if past is not None else 0
        mask = kwargs.get("attention_mask")
        if mask is None:
            seen = max(0, cached - self._before) + ids.shape[1]
            mask = torch.ones(len(ids), seen, dtype=torch.long, device=ids.device)
        if cached:
            self._make_room(kwargs, mask, ids.shape[1])
            return (), {**kwargs, "input_ids": ids}
        cosines, pairs = self.choose(self.query(model, ids, mask))
        self.pull = (1 - cosines).mean()
        prompts = torch.cat(list(self.prompts))[pairs].flatten(1, 2)
        self._before = prompts.shape[1]
        embedded = model.get_input_embeddings()(ids)
        self._make_room(kwargs, mask, self._before + ids.shape[1])
        return (), {**kwargs, "inputs_embeds": torch.cat([prompts.to(embedded.dtype), embedded], dim=1)}

    def _make_room(self, kwargs: dict[str, Any], mask: torch.Tensor, entering: int) -> None:
        """Count the prompts wherever positions are counted; `entering` of them go through the model now."""
        ones = torch.ones(len(mask), self._before, dtype=mask.dtype, device=mask.device)
        extended = torch.cat([ones, mask], dim=1)
        kwargs["attention_mask"] = extended
        kwargs["position_ids"] = (extended.cumsum(dim=1) - 1).clamp(min=0)[:, -entering:]
        kept, labels = kwargs.get("logits_to_keep", 0), kwargs.get("labels")
        if isinstance(kept, torch.Tensor):
            kwargs["logits_to_keep"] = kept + self._before
        if labels is not None:
            kwargs["labels"] = torch.cat([ones.to(labels) * -100, labels], dim=1)

    def _take_out(self, model: Any, arguments: Any, kwargs: dict[str, Any], output: Any) -> Any:
        kept = kwargs.get("logits_to_keep", 0)
        if "inputs_embeds" in kwargs and not isinstance(kept, torch.Tensor) and kept == 0:
            output.logits = output.logits[:, self._before :]
        return output
