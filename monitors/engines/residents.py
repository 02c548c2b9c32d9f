"""Which weights are in memory: one base model, and over it the adapter of the version that is measured.

Owns the exchange of adapters. Versions of one base differ by an adapter only, so the base is read once and an adapter
is merged into its weights while its version is measured: merged weights compute faster than a separate adapter. The
weights underneath are kept as they were read and copied back, never recomputed, so no rounding piles up.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from peft import PeftModel
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from learners.parts import extensions
from learners.versions import Version, read_version
from learners.weights import best_device, read_tokenizer, read_weights

__all__ = ["Resident", "Residents"]


@dataclass(slots=True)
class Resident:
    """A base model in memory; `underneath` holds the weights that the present adapter was merged into."""

    weights: Path
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    underneath: list[tuple[Tensor, Tensor]] = field(default_factory=list[tuple[Tensor, Tensor]])


class Residents:
    """Brings versions into memory, one at a time."""

    def __init__(self, dtype: Literal["float32", "bfloat16"] = "float32") -> None:
        self._dtype: Literal["float32", "bfloat16"] = dtype
        self._resident: Resident | None = None

    def bring(self, folder: Path) -> Resident:
        """Verify a version folder against its manifest and have its weights in memory; the version before is gone.

        Raises:
            IncompleteFolder, DamagedFolder, InvalidVersion: see `learners.versions.read_version`.
        """
        version = read_version(folder)
        weights = version.weights.resolve()
        if self._resident is None or self._resident.weights != weights:
            self._resident = None
            model = read_weights(weights, self._dtype).to(best_device()).eval()  # pyright: ignore
            self._resident = Resident(weights, model, read_tokenizer(weights))
        _take_off(self._resident)
        _lay_on(self._resident, version)
        if version.extension:
            extensions.read(version.extension, self._resident.model).attach(self._resident.model)
        # Torch picks its CPU kernel by this flag, which peft switches off: equal flags give equal bits, and the kernel
        # for weights without gradients read prompts in bfloat16 at a third of the speed (torch 2.13, Zen 4).
        self._resident.model.requires_grad_(True)
        return self._resident


def _take_off(resident: Resident) -> None:
    if extension := extensions.attached(resident.model):
        extension.detach(resident.model)
    for weight, original in resident.underneath:
        weight.copy_(original)
    resident.underneath.clear()


def _lay_on(resident: Resident, version: Version) -> None:
    if version.adapter is None:
        return
    adapted: Any = PeftModel.from_pretrained(resident.model, str(version.adapter), local_files_only=True)
    for module in adapted.modules():
        if isinstance(module, BaseTunerLayer):
            layer: Any = module.get_base_layer()
            resident.underneath.append((layer.weight.data, layer.weight.data.clone()))
    resident.model = adapted.merge_and_unload().eval()
