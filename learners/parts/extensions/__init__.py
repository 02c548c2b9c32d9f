"""Extensions: modules that are hooked onto a model's forward pass and cannot be merged into its weights.

Owns the folder `extension/` of a version (extension.json: kind and configuration; extension.safetensors: its weights)
and the literal table of kinds. Adapters in parallel to the blocks, prompts chosen for each request and the like learn
and are served through here; a plain model and a LoRA adapter stay what they are. An extension chooses for itself what
a request needs (its router is part of it), so the engine that attaches it needs no task name.

A kind is one module with one class, which hooks itself onto the plain model in `attach` and leaves no trace of itself
in `detach`: the model's outputs are then bit-identical to those before.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar

from peft import PeftModel
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from learners.failures import InvalidInput

if TYPE_CHECKING:
    from torch.utils.hooks import RemovableHandle
    from transformers import PreTrainedModel

__all__ = ["KINDS", "Extension", "attached", "continued", "plain", "read", "write"]

KINDS: Final[dict[str, str]] = {
    "adapter_pool": "learners.parts.extensions.adapter_pool",
    "bottleneck": "learners.parts.extensions.bottleneck",
    "k_adapter": "learners.parts.extensions.k_adapter",
    "memory": "learners.parts.extensions.memory",
    "prompt_pool": "learners.parts.extensions.prompt_pool",
    "prompt_chain": "learners.parts.extensions.prompt_chain",
    "toolken": "learners.parts.extensions.toolken",
}
"""Kind -> its module, which has a class `Kind`."""

_Kind = TypeVar("_Kind", bound="Extension")
_NAME = "cld_extension"  # the submodule under which its weights are trained and checkpointed
_CONFIG, _WEIGHTS = "extension.json", "extension.safetensors"


class Extension(nn.Module, ABC):
    """A module beside a model.

    Attributes:
        kind: its key in `KINDS`.
        routes: whether it looks at a whole prompt before it chooses how the prompt is answered: an engine then reads a
            prompt in one pass, by itself, and what follows it in later ones.
    """

    kind: ClassVar[str]
    routes: ClassVar[bool] = False

    def __init__(self) -> None:
        super().__init__()
        self._handles: list[RemovableHandle] = []
        self._prompts: Tensor | None = None

    @property
    def by_row(self) -> bool:
        """Whether it treats each row of a batch in a way of its own, so that no two rows can share a sequence."""
        return self.routes

    @property
    def words(self) -> Mapping[int, str]:
        """Tokens that it adds beyond the vocabulary, which end an answer, and how each reads."""
        return {}

    def forget(self, texts: Sequence[Sequence[int]]) -> None:
        """Give up what it keeps of these texts (token numbers) word for word; most kinds keep nothing so."""

    def hear(self, prompts: Tensor) -> None:
        """Say which tokens of the next pass are prompts (rows x tokens), where answers follow them in the same pass.

        A kind that chooses by the prompt then chooses as it does when it answers.
        """
        self._prompts = prompts

    def heard(self, mask: Tensor) -> Tensor:
        """Which tokens of this pass a choice goes by: those that were said to be prompts, else `mask`, all of them."""
        told, self._prompts = self._prompts, None
        return mask if told is None else told.to(mask)

    @abstractmethod
    def configuration(self) -> dict[str, Any]:
        """What the constructor needs beside the model, as plain JSON."""

    @abstractmethod
    def hook(self, model: PreTrainedModel) -> list[RemovableHandle]:
        """Register this extension's hooks on a plain model."""

    def attach(self, model: PreTrainedModel) -> None:
        """Hook this extension onto `model`, in its precision and mode, on its device.

        Args:
            model: a plain model or a `PeftModel` over one.

        Raises:
            InvalidInput: the model carries an extension already.
        """
        inner = plain(model)
        if (present := attached(inner)) is not None:
            raise InvalidInput(
                f"the parent carries an extension of kind {present.kind!r} already and cannot take a second; "
                "continue it with its own method, or start from a version without one"
            )
        self.to(device=inner.device, dtype=inner.dtype).train(inner.training)
        self._handles = self.hook(inner)
        inner.add_module(_NAME, self)

    def detach(self, model: PreTrainedModel) -> None:
        """Undo `attach`."""
        for handle in self._handles:
            handle.remove()
        self._handles = []
        delattr(plain(model), _NAME)


def plain(model: PreTrainedModel) -> PreTrainedModel:
    """The model under a LoRA adapter, or the model itself."""
    return model.get_base_model() if isinstance(model, PeftModel) else model  # pyright: ignore


def attached(model: PreTrainedModel) -> Extension | None:
    """The extension of a model, or None."""
    return getattr(plain(model), _NAME, None)


def write(extension: Extension, folder: Path) -> None:
    """Write `extension/` of a version that is being built; equal extensions give equal bytes."""
    folder.mkdir(parents=True)
    content = {"kind": extension.kind, **extension.configuration()}
    (folder / _CONFIG).write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    tensors = {name: value.detach().cpu().contiguous() for name, value in sorted(extension.state_dict().items())}
    save_file(tensors, folder / _WEIGHTS)


def read(folder: Path, model: PreTrainedModel) -> Extension:
    """Read `extension/` of a version; it is not attached yet, and not trained.

    Args:
        folder: of the extension.
        model: it will be attached to; sizes come from its configuration.

    Raises:
        InvalidInput: a kind that this release does not know, or weights of other sizes.
    """
    content: dict[str, Any] = json.loads((folder / _CONFIG).read_bytes())
    kind = content.pop("kind")
    if kind not in KINDS:
        raise InvalidInput(f"{folder} holds an extension of kind {kind!r}; this release knows {', '.join(KINDS)}")
    extension: Extension = import_module(KINDS[kind]).Kind(plain(model).config, **content)
    try:
        extension.load_state_dict(load_file(folder / _WEIGHTS))
    except RuntimeError as error:
        raise InvalidInput(f"the extension in {folder} does not fit its base model: {error}") from error
    return extension.requires_grad_(False)


def continued(folder: Path | None, model: PreTrainedModel, kind: type[_Kind]) -> _Kind | None:
    """Read a parent's extension to train it further; None where the parent has none.

    Raises:
        InvalidInput: the parent's extension is of another kind.
    """
    if folder is None:
        return None
    extension = read(folder, model)
    if not isinstance(extension, kind):
        raise InvalidInput(
            f"the parent carries an extension of kind {extension.kind!r}, which a method of kind {kind.kind!r} cannot "
            "continue; start from a version without an extension"
        )
    return extension
