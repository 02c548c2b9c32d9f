"""Version folders: what they hold and whether they are whole.

Owns `VersionSpec` (version.json) and the layout of a version folder. Never loads weights (`learners.weights` does) and
imports no torch, so the daemon reads versions with it. A folder is written once, by `learners.training` or
`learners.models`, and never changed afterwards:

    versions/v3/
        version.json    `VersionSpec`
        weights/        full-weight versions only: safetensors, configuration, tokenizer
        adapter/        adapter versions only: one LoRA adapter over the weights of `base`
        extension/      where the method needs one: a module hooked onto the model, see `learners.parts.extensions`
        memory/         what the method keeps of the past: replay.jsonl, fisher.safetensors, ...
        data.jsonl      id, kind and source of every record learned in this version
        forgotten.jsonl where some were: the same of every record that this version was trained to forget
        manifest.json   sizes and SHA-256 of all of the above, written last
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from learners import durable
from learners.failures import InvalidInput
from learners.job import Stage
from learners.records import Record

__all__ = [
    "InvalidVersion",
    "Version",
    "VersionId",
    "VersionSpec",
    "parameters",
    "read_version",
    "write_data",
    "write_spec",
]

VersionId = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,64}$")]


class InvalidVersion(InvalidInput):
    """A folder that is whole but is not a version: no version.json, or not the weights that it promises."""


class VersionSpec(BaseModel):
    """version.json: where a version comes from.

    Attributes:
        parent: the version that training started from; None for an imported model.
        base: the full-weight version under this version's adapter or extension, a sibling folder; None when it has its
            own weights.
        extension: kind of this version's extension, None without one.
        stage, method, settings: how it was trained; settings are complete, defaults included.
        created_by: id of the job that wrote it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: VersionId
    parent: VersionId | None = None
    base: VersionId | None = None
    extension: str | None = None
    stage: Stage | None = None
    method: str | None = None
    settings: dict[str, Any] = Field(default_factory=dict)
    created_by: str = ""


@dataclass(frozen=True)
class Version:
    """A version folder whose content was checked when it was read."""

    spec: VersionSpec
    folder: Path

    @property
    def weights(self) -> Path:
        """Folder of the full weights and tokenizer: its own, or those of the base version beside it."""
        return (self.folder.parent / self.spec.base if self.spec.base else self.folder) / "weights"

    @property
    def adapter(self) -> Path | None:
        """Folder of the LoRA adapter, or None; an extension over a base may do without one."""
        folder = self.folder / "adapter"
        return folder if self.spec.base and (self.spec.extension is None or folder.is_dir()) else None

    @property
    def extension(self) -> Path | None:
        """Folder of the extension, or None."""
        return self.folder / "extension" if self.spec.extension else None

    @property
    def memory(self) -> Path:
        """Folder of the method memory; it may be empty or absent."""
        return self.folder / "memory"


def read_version(folder: Path, *, verify: bool = True) -> Version:
    """Read a version folder.

    Args:
        folder: `versions/<id>`, or `output/version` of a training job.
        verify: hash every file of the folder, and of its base version, against their manifests.

    Raises:
        learners.durable.IncompleteFolder: no valid manifest.
        learners.durable.DamagedFolder: a file differs from the manifest.
        InvalidVersion: version.json is missing or wrong, or the weights it promises are not there.
    """
    if verify:
        durable.verify(folder)
    version = Version(_read_spec(folder), folder)
    own = version.weights if version.spec.base is None else version.adapter
    for promised in (own, version.extension):
        if promised is None or promised.is_dir():
            continue
        raise InvalidVersion(
            f"version {version.spec.id!r} has no {promised.name}/ folder in {folder}; restore the folder from a backup"
        )
    if version.spec.base:
        _read_base(version, verify)
    return version


def parameters(weights: Path) -> int:
    """How many numbers a folder of safetensors weights holds, from the headers of its files; 0 where none are there."""
    from safetensors import safe_open

    total = 0
    for file in sorted(weights.glob("*.safetensors")):
        with safe_open(file, framework="np") as tensors:
            total += sum(prod(tensors.get_slice(name).get_shape()) for name in tensors.keys())  # noqa: SIM118 - no dict
    return total


def _read_base(version: Version, verify: bool) -> None:
    base = version.weights.parent
    if not base.is_dir():
        raise InvalidVersion(
            f"version {version.spec.id!r} is an adapter over {version.spec.base!r}, which is not at {base}; "
            "both must lie in one versions folder"
        )
    if read_version(base, verify=verify).spec.base:
        raise InvalidVersion(f"{version.spec.base!r} is an adapter itself and cannot be the base of another version")


def _read_spec(folder: Path) -> VersionSpec:
    try:
        return VersionSpec.model_validate_json((folder / "version.json").read_bytes())
    except FileNotFoundError:
        raise InvalidVersion(f"no version.json in {folder}: this is not a version folder") from None
    except ValidationError as error:
        raise InvalidVersion(f"version.json in {folder} is not valid: {error}") from error


def write_spec(folder: Path, spec: VersionSpec) -> None:
    """Write version.json into a version folder that is being built."""
    (folder / "version.json").write_text(spec.model_dump_json(indent=2) + "\n", encoding="utf-8")


def write_data(folder: Path, records: Iterable[Record], *, forgotten: Sequence[Record] = ()) -> None:
    """Write data.jsonl: which records this version learned; and forgotten.jsonl. Both without their content."""
    (folder / "data.jsonl").write_text(_listed(records), encoding="utf-8")
    if forgotten:
        (folder / "forgotten.jsonl").write_text(_listed(forgotten), encoding="utf-8")


def _listed(records: Iterable[Record]) -> str:
    found = [{"id": record.id, "kind": record.kind, "source": record.source} for record in records]
    return "".join(json.dumps(one) + "\n" for one in found)
