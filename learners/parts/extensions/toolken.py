"""Toolkens: one output row for each tool beside the model's vocabulary; when it wins, the model calls that tool.

logits = [h W_vocab^T ; h W_tool^T + bias], the second part in float32. Rows are output-only: a toolken ends an answer,
as an end-of-sequence token does, and reads as `CALL name`; whoever answers the call then asks for its arguments in
plain text (`monitors.tools.loop`), so no toolken is ever an input. The logits of the vocabulary are untouched, bit for
bit. Hao et al. 2023, ToolkenGPT (arXiv:2305.11554).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from learners.failures import InvalidInput
from learners.parts.calls import marker
from learners.parts.extensions import Extension, plain

if TYPE_CHECKING:
    from torch.utils.hooks import RemovableHandle
    from transformers import PretrainedConfig, PreTrainedModel

__all__ = ["Kind", "taught"]


def taught(folder: Path | None) -> list[str]:
    """Names of the tools that a parent's extension has rows for, in the order of their rows."""
    if folder is None:
        return []
    content: dict[str, Any] = json.loads((folder / "extension.json").read_bytes())
    return list(content.get("tools", []))


class Kind(Extension):
    """The rows.

    Args:
        config: of the model.
        tools: their names, in the order in which they were learned.
        bias: added to the rows' logits in evaluation mode.
    """

    kind = "toolken"

    def __init__(self, config: PretrainedConfig, *, tools: list[str], bias: float) -> None:
        super().__init__()
        text = config.get_text_config()
        self._tools, self.bias = list(tools), bias
        self._first, self._width = int(text.vocab_size), int(text.hidden_size)
        self.rows = nn.ParameterList([nn.Parameter(torch.zeros(self._width)) for _ in tools])
        self._hidden: torch.Tensor | None = None
        self._ends: int | list[int] | None = None

    def configuration(self) -> dict[str, Any]:
        """Names and bias."""
        return {"tools": self._tools, "bias": self.bias}

    @property
    def words(self) -> Mapping[int, str]:
        """Token of each row -> the beginning of a call."""
        return {self._first + number: marker(name) for number, name in enumerate(self._tools)}

    def learn(self, names: Collection[str]) -> None:
        """Let the rows of these tools learn, and no other."""
        for name, row in zip(self._tools, self.rows, strict=True):
            row.requires_grad_(name in names)

    def add(self, name: str, row: torch.Tensor) -> None:
        """Add a tool.

        Args:
            row: what its row starts as (width,).
        """
        self._tools.append(name)
        self.rows.append(nn.Parameter(row.detach().cpu().float().clone()))

    def attach(self, model: PreTrainedModel) -> None:
        """See `Extension.attach`; toolkens end an answer from now on."""
        super().attach(model)
        generation: Any = plain(model).generation_config
        self._ends = generation.eos_token_id
        known = self._ends if isinstance(self._ends, list) else [] if self._ends is None else [self._ends]
        generation.eos_token_id = [*known, *self.words]

    def detach(self, model: PreTrainedModel) -> None:
        """See `Extension.detach`."""
        super().detach(model)
        generation: Any = plain(model).generation_config
        generation.eos_token_id = self._ends

    def hook(self, model: PreTrainedModel) -> list[RemovableHandle]:
        """Listen to what goes into the output layer, and widen what comes out of the model."""
        entry: Any = model.get_input_embeddings()
        output: Any = model.get_output_embeddings()
        return [
            entry.register_forward_pre_hook(self._refuse),
            output.register_forward_pre_hook(self._listen),
            model.register_forward_hook(self._widen),
        ]

    def _refuse(self, layer: Any, arguments: tuple[torch.Tensor, ...]) -> None:
        if bool((arguments[0] >= self._first).any()):
            raise InvalidInput(
                "a toolken ends an answer and was read on as a word: what generates here does not end at the model's "
                "own end-of-sequence tokens; use a parent without a toolken extension for it"
            )

    def _listen(self, layer: Any, arguments: tuple[torch.Tensor, ...]) -> None:
        self._hidden = arguments[0]

    def _widen(self, model: Any, arguments: Any, output: Any) -> Any:
        hidden, self._hidden = self._hidden, None
        if hidden is not None and output.logits is not None:
            # Row by row: a tool's logits then do not depend on how many tools there are, to the last bit.
            called = torch.stack([hidden.float() @ row.float() for row in self.rows], dim=-1)
            called = called if self.training else called + self.bias
            output.logits = torch.cat([output.logits, called.to(output.logits.dtype)], dim=-1)
        return output
