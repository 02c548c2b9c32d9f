"""A chain of prompts, one link for each task; a request gets the links of its task and of those before it.

[P_i, P_(i-1), ..., P_1, x]: the newest first, earlier ones frozen, so that what came later cannot touch what task i
answers. The task is not named: a request's query is the mean of its input embeddings, which no adapter moves, and its
task the one whose mean query is nearest. Razdaibiedina et al. 2023, Progressive Prompts (arXiv:2301.12314).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import nn
from torch.nn.functional import pad

from learners.parts.extensions.before import Before

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel

__all__ = ["Kind"]


class Kind(Before):
    """Prompts and mean queries, task by task.

    Args:
        config: of the model.
        tokens: length of each task's prompt.
        chain: `progressive` puts the prompts of earlier tasks behind a task's own; `own` leaves them out.
    """

    kind = "prompt_chain"

    def __init__(self, config: PretrainedConfig, *, tokens: list[int], chain: Literal["progressive", "own"]) -> None:
        super().__init__()
        self._chain = chain
        self._width = int(config.get_text_config().hidden_size)
        self.prompts = nn.ParameterList([nn.Parameter(torch.zeros(count, self._width)) for count in tokens])
        self.register_buffer("centres", torch.zeros(len(tokens), self._width))
        self.task: int | None = None  # that every request gets in place of the nearest one: the one in training

    def configuration(self) -> dict[str, Any]:
        """Lengths and the kind of chain."""
        return {"tokens": [len(prompt) for prompt in self.prompts], "chain": self._chain}

    def add_task(self, count: int, embeddings: torch.Tensor, centre: torch.Tensor, *, seed: int) -> None:
        """Add the prompt of a new task, freeze the others, and answer everything with it while it is trained.

        Args:
            count: of its tokens.
            embeddings: the model's (vocabulary x width); it starts as embeddings of random tokens.
            centre: mean query of the task (width,).
        """
        draw = torch.Generator().manual_seed(seed)
        self.requires_grad_(False)
        tokens = torch.randint(len(embeddings), (count,), generator=draw)
        self.prompts.append(nn.Parameter(embeddings.detach().cpu()[tokens].clone()))
        self.centres = torch.cat([self.centres, centre.detach().cpu().float()[None]])
        self.task = len(self.prompts) - 1

    def query(self, model: PreTrainedModel, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """See `Before.query`."""
        with torch.no_grad():
            embedded: torch.Tensor = model.get_input_embeddings()(ids).float()  # pyright: ignore
        shares = mask.unsqueeze(-1) / mask.sum(dim=1)[:, None, None]
        return (embedded * shares).sum(dim=1)

    def nearest(self, query: torch.Tensor) -> torch.Tensor:
        """Number of the task of each query (rows x width)."""
        return torch.cdist(query.float(), self.centres.float()).argmin(dim=-1)

    def prompts_for(self, query: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """See `Before.prompts_for`."""
        tasks = self.nearest(query).tolist() if self.task is None else [self.task] * len(query)
        chains = [self._links(task) for task in tasks]
        longest = max(map(len, chains))
        padded = torch.stack([pad(chain, (0, 0, longest - len(chain), 0)) for chain in chains])
        places = torch.arange(longest, device=query.device)
        missing = torch.tensor([longest - len(chain) for chain in chains], device=query.device)
        return padded, (places >= missing[:, None]).long()

    def _links(self, task: int) -> torch.Tensor:
        """Prompt tokens before a request of a task, the newest first."""
        if self._chain == "own":
            return self.prompts[task]
        return torch.cat([self.prompts[number] for number in range(task, -1, -1)])
