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

from learners.parts.extensions.before import Before
from learners.parts.extensions.routers.queries import mean_state

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel

__all__ = ["Kind"]


class Kind(Before):
    """Keys and prompts, task by task.

    Args:
        config: of the model.
        pairs: number of key-prompt pairs of each task.
        tokens: length of one prompt.
        chosen: prompts put before one request.

    Attributes:
        pull: of each request of the last pass, how far its query is from the keys that it chose: mean of 1 - cosine.
    """

    kind = "prompt_pool"

    def __init__(self, config: PretrainedConfig, *, pairs: list[int], tokens: int, chosen: int) -> None:
        super().__init__()
        self._tokens, self._chosen, self._width = tokens, chosen, int(config.hidden_size)
        self.keys = nn.ParameterList()
        self.prompts = nn.ParameterList()
        for count in pairs:
            self._append(torch.zeros(count, self._width), torch.zeros(count, tokens, self._width))
        self.candidates: slice = slice(None)
        self.pull = torch.zeros(0)

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

    def query(self, model: PreTrainedModel, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """rows x width: the mean of the last hidden states, without prompts and without gradient."""
        return mean_state(model, ids, mask)

    def choose(self, query: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The nearest candidates of each query.

        Returns:
            Cosines, the best first, and ascending numbers of the pairs in the whole pool (both rows x chosen).
        """
        keys = torch.cat(list(self.keys))[self.candidates].float()
        cosines = normalize(query, dim=-1) @ normalize(keys, dim=-1).T
        best = cosines.topk(min(self._chosen, len(keys)), dim=-1)
        return best.values, best.indices.sort(dim=-1).values + (self.candidates.start or 0)

    def prompts_for(self, query: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """See `Before.prompts_for`; every request gets equally many."""
        cosines, pairs = self.choose(query)
        self.pull = (1 - cosines).mean(dim=-1)
        prompts = torch.cat(list(self.prompts))[pairs].flatten(1, 2)
        return prompts, torch.ones(prompts.shape[:2], dtype=torch.long, device=query.device)
