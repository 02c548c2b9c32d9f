"""Routers: which slots of a pool of adapters answer a request, and with what weight.

Owns the literal table of routers and what each of them is: a query, read from the prompt of a request, and weights of
the slots, computed from the query. A router never sees an answer. One file a router; called by
`learners.parts.extensions.adapter_pool` for every request, and by the method that trains it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, Final

from torch import Tensor, nn

from learners.failures import InvalidInput

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["ROUTERS", "Router", "router_of"]

ROUTERS: Final[dict[str, str]] = {
    "attention": "learners.parts.extensions.routers.attention",
    "grouped_keys": "learners.parts.extensions.routers.grouped_keys",
    "nearest": "learners.parts.extensions.routers.nearest",
    "selector": "learners.parts.extensions.routers.selector",
}
"""Router -> its module, which has a class `Chooser`."""


class Router(nn.Module, ABC):
    """What chooses.

    Attributes:
        kind: its key in `ROUTERS`.
    """

    kind: ClassVar[str]

    @abstractmethod
    def configuration(self) -> dict[str, Any]:
        """What the constructor needs beside the width and the slots, as plain JSON."""

    @abstractmethod
    def query(self, model: PreTrainedModel, ids: Tensor, prompt: Tensor) -> Tensor:
        """What is known of each request (requests x width), without gradient.

        Args:
            model: the model below; no slot answers while it is asked.
            ids: (requests, tokens).
            prompt: of the same shape, true for the tokens that may be read.
        """

    @abstractmethod
    def weights(self, query: Tensor, first: int = 0) -> Tensor:
        """Weights of the slots from number `first` on (requests x slots), not negative; 0 leaves a slot out."""


def router_of(width: int, slots: list[int], content: Mapping[str, Any]) -> Router:
    """Build a router.

    Args:
        width: of the model's hidden states.
        slots: how many each version brought to the pool.
        content: its `kind`, and its configuration.

    Raises:
        InvalidInput: a kind that this release does not know.
    """
    options = dict(content)
    kind = options.pop("kind")
    if kind not in ROUTERS:
        raise InvalidInput(f"a pool of adapters asks for router {kind!r}; this release knows {', '.join(ROUTERS)}")
    return import_module(ROUTERS[kind]).Chooser(width, slots, **options)
