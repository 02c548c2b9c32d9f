"""A pool of low-rank adapters beside the linear layers of a frozen model, and the router that mixes them.

y = W x + (alpha / rank) * sum over slots j of w[b, j] * B_j A_j x, with the same weights w for every layer. The router
reads the prompt of each request b before the first forward pass, and the weights hold while the answer is generated:
they travel with the request in its key-value cache. Only slots that some request of the batch uses are computed; where
none is used, the model below answers, bit for bit. A version brings slots of its own, and those of earlier ones never
learn again. The routers are in `learners.parts.extensions.routers`.

Zhao et al. 2024, SAPT (arXiv:2401.08295); Peng et al. 2024, SLM (arXiv:2404.07470); Jang et al. 2023, ELM
(arXiv:2302.03202); Song et al. 2023, ConPET (arXiv:2309.14763).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from learners.failures import InvalidInput
from learners.parts.extensions import Extension, along
from learners.parts.extensions.routers import router_of
from learners.parts.linears import linears
from learners.parts.rows import IGNORED, asked
from learners.parts.targets import LoraTargets, target_modules

if TYPE_CHECKING:
    from torch.utils.hooks import RemovableHandle
    from transformers import PretrainedConfig, PreTrainedModel

__all__ = ["Kind", "layers", "prompt_tokens"]


def layers(model: PreTrainedModel, targets: LoraTargets) -> dict[str, list[int]]:
    """Linear layers by their path in the plain model: name -> [inputs, outputs].

    Args:
        model: a plain model, with or without adapters in it.
        targets: see `learners.parts.targets`.

    Raises:
        InvalidInput: no linear layer is called so.
    """
    with torch.device("meta"):  # the paths of the model as it was read, without what an adapter adds to them
        bare: PreTrainedModel = type(model)(model.config)  # pyright: ignore[reportArgumentType]
    asked, found = target_modules(bare, targets), linears(bare)
    if not isinstance(asked, str):
        found = {name: at for name, at in found.items() if any(f".{name}".endswith(f".{one}") for one in asked)}
    if not found:
        raise InvalidInput(
            f"{type(model).__name__} has no linear layer among lora_targets = {targets!r}, so it cannot carry a pool "
            "of adapters; use a model of the Llama family"
        )
    return {name: [at.in_features, at.out_features] for name, at in found.items()}


def prompt_tokens(labels: Tensor, mask: Tensor) -> Tensor:
    """Which tokens a router may read (rows x tokens): those before the first label; of plain text the first token."""
    before = mask.bool() & ((labels != IGNORED).cumsum(dim=1) == 0)
    first = mask.bool() & (mask.cumsum(dim=1) == 1)
    return torch.where(before.any(dim=1, keepdim=True), before, first)


@dataclass(frozen=True)
class _Route:
    """What was chosen for the requests of a batch.

    Attributes:
        weights: (requests, slots).
        slots: numbers of those that some request uses, ascending.
        used: their weights (requests, slots used).
        factors: A and B of these slots by layer, put together once; empty while gradients are computed.
    """

    weights: Tensor
    slots: tuple[int, ...]
    used: Tensor
    factors: dict[int, tuple[Tensor, Tensor]]


def _used(weights: Tensor, before: _Route | None = None) -> _Route:
    """The route that these weights are; one of the same slots before it has put their factors together already."""
    at = (weights > 0).any(dim=0).nonzero().flatten()
    slots = tuple(at.tolist())
    factors = before.factors if before is not None and before.slots == slots else {}
    return _Route(weights, slots, weights[:, at], factors)


class _Slots(nn.Module):
    """The slots that one version brought: A (slots x rank x inputs) and B (slots x outputs x rank) of each layer."""

    def __init__(self, sizes: list[list[int]], count: int, rank: int) -> None:
        super().__init__()
        self.down = nn.ParameterList([torch.zeros(count, rank, inputs) for inputs, _ in sizes])
        self.up = nn.ParameterList([torch.zeros(count, outputs, rank) for _, outputs in sizes])


class Kind(Extension):
    """Slots and their router.

    Args:
        config: of the model.
        layers: see `layers`; which of them the adapters stand on.
        rank, alpha: of every slot.
        slots: how many each version brought.
        router: its kind and what else its constructor takes, see `learners.parts.extensions.routers`.

    Attributes:
        forced: the slot that every request gets, whatever the router says, while it is trained; None for its choice.
        first: slots before this one cannot be chosen, while later ones are trained.
    """

    kind = "adapter_pool"
    routes = True

    def __init__(
        self,
        config: PretrainedConfig,
        *,
        layers: Mapping[str, list[int]],
        rank: int,
        alpha: int,
        slots: list[int],
        router: Mapping[str, Any],
    ) -> None:
        super().__init__()
        self._layers, self._rank, self._alpha = dict(sorted(layers.items())), rank, alpha
        self.added = nn.ModuleList()
        self._places: list[tuple[int, int]] = []
        for count in slots:
            self._add(count)
        self.router = router_of(int(config.hidden_size), slots, router)
        self.forced: int | None = None
        self.first = 0
        self._route: _Route | None = None
        self._told: _Route | None = None
        self._sends = False

    def configuration(self) -> dict[str, Any]:
        """Layers, sizes, slots of each version, and the router's own."""
        return {
            "layers": self._layers,
            "rank": self._rank,
            "alpha": self._alpha,
            "slots": [len(slots.down[0]) for slots in self._slots()],
            "router": {"kind": self.router.kind, **self.router.configuration()},
        }

    def __len__(self) -> int:
        """Number of slots."""
        return len(self._places)

    @property
    def by_row(self) -> bool:
        """See `Extension.by_row`; a forced slot is every row's."""
        return self.forced is None

    def grow(self, count: int, *, seed: int) -> None:
        """Add slots, which change nothing until they learn, and freeze all others and the router."""
        self.requires_grad_(False)
        draw = torch.Generator().manual_seed(seed)
        slots = self._add(count)
        with torch.no_grad():
            for down in slots.down:  # as a LoRA adapter begins: kaiming_uniform_ with a = sqrt(5)
                down.uniform_(-1, 1, generator=draw).mul_(down.shape[-1] ** -0.5)

    def _add(self, count: int) -> _Slots:
        self._places += [(len(self.added), number) for number in range(count)]
        slots = _Slots(list(self._layers.values()), count, self._rank)
        self.added.append(slots)
        return slots

    def _slots(self) -> list[_Slots]:
        return list(self.added)  # pyright: ignore[reportReturnType]

    def hook(self, model: PreTrainedModel) -> list[RemovableHandle]:
        """Route on the way in, mix at every layer, and keep the route with the cache on the way out.

        Raises:
            InvalidInput: the model has no such layers.
        """
        try:
            at = [model.get_submodule(name) for name in self._layers]
        except AttributeError as error:
            raise InvalidInput(f"the adapters of this pool stand on layers of another model: {error}") from error
        return [
            model.register_forward_pre_hook(self._enter, with_kwargs=True),
            *(layer.register_forward_hook(self._mix(number)) for number, layer in enumerate(at)),
            model.register_forward_hook(self._leave, with_kwargs=True),
        ]

    def route(self, model: PreTrainedModel, ids: Tensor, prompt: Tensor) -> Tensor:
        """Choose for the requests of the next forward pass.

        Args:
            model: the plain model.
            ids: (requests, tokens).
            prompt: of the same shape: the tokens that the router may read.

        Returns:
            The weights of all slots (requests, slots).
        """
        self._told = None
        weights = self._weights(model, ids, prompt)
        self._told = _used(weights)
        return weights

    def _weights(self, model: PreTrainedModel, ids: Tensor, prompt: Tensor) -> Tensor:
        if self.forced is not None:
            weights = torch.zeros(len(ids), len(self), device=ids.device)
            weights[:, self.forced] = 1
            return weights
        self._route = None  # the router looks at the model below
        own = self.router.weights(self.router.query(model, ids, prompt), self.first)
        return nn.functional.pad(own, (self.first, 0))

    def _enter(self, model: Any, arguments: Any, kwargs: dict[str, Any]) -> None:
        past = kwargs.get("past_key_values")
        if past is not None and past.get_seq_length():
            self._route = _used(along.chosen(past), self._route)
            return
        ids: Tensor = kwargs["input_ids"] if "input_ids" in kwargs else arguments[0]
        mask, labels = kwargs.get("attention_mask"), kwargs.get("labels")
        mask = torch.ones_like(ids) if mask is None else mask
        prompts = self.heard(mask.bool() if labels is None else asked(labels, mask))
        if self._told is None:
            self.route(model, ids, prompts)
        self._route, self._told = self._told, None
        self._sends = True

    def _leave(self, model: Any, arguments: Any, kwargs: dict[str, Any], output: Any) -> None:
        past = output.get("past_key_values")  # of which trl's fused head has none
        if self._sends and self._route is not None and past is not None:
            along.send(past, self._route.weights)
        self._sends = False

    def _mix(self, number: int) -> Callable[[Any, tuple[Tensor, ...], Tensor], Tensor | None]:
        scale = self._alpha / self._rank

        def add(module: Any, arguments: tuple[Tensor, ...], output: Tensor) -> Tensor | None:
            route = self._route
            if route is None or not route.slots:
                return None
            inputs = arguments[0]
            if inputs.dim() != 3 or len(inputs) != len(route.used):
                raise RuntimeError(
                    f"layer {list(self._layers)[number]!r} got an input of shape {tuple(inputs.shape)} for "
                    f"{len(route.weights)} requests; a pool of adapters needs (requests, tokens, width)"
                )
            down, up = self._factors(route, number)
            mixed = linear(inputs.to(down.dtype), down)
            weights = route.used.to(mixed.dtype).repeat_interleave(self._rank, dim=1)
            return output + (linear(mixed * weights[:, None], up) * scale).to(output.dtype)

        return add

    def _factors(self, route: _Route, number: int) -> tuple[Tensor, Tensor]:
        """A (slots used * rank x inputs) and B (outputs x slots used * rank) of a layer."""
        if number in route.factors:
            return route.factors[number]
        slots = [(self._slots()[task], place) for task, place in (self._places[slot] for slot in route.slots)]
        downs = [own.down[number][place] for own, place in slots]
        ups = [own.up[number][place] for own, place in slots]
        found = (downs[0], ups[0]) if len(slots) == 1 else (torch.cat(downs), torch.cat(ups, dim=1))
        if not torch.is_grad_enabled():
            route.factors[number] = found
        return found
