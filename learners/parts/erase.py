"""What methods keep of records beside the replay memory, erased with the records that are to be forgotten.

Owns no file: knows those in a version's `memory/` that hold words of records or their ids, and those that hold whole
weights from before. Tensors that were made of records (importances, embedded prompts that a router goes by) and
definitions of tasks stay. Called while a version is built; texts in an extension are its own to forget.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from pathlib import Path
from typing import TypeVar

from learners.parts import exemplars, pairs, rationales, snapshots, tasks

__all__ = ["records", "weights"]

_WEIGHTS = ("backbone", "before_anneal", "dense", "mask-*")
"""Of `piggyback`, `infinite_lr` and `copal`, which go on from them; a parent of another method is started from anew."""

_Value = TypeVar("_Value")


def records(folder: Path, ids: Container[str], documents: Container[str | None] = ()) -> None:
    """Erase records from a `memory/` folder that is being built; a file that does not name them stays as it is.

    Args:
        ids: of the records.
        documents: their keys, see `learners.parts.snapshots.key_of`.
    """
    _rewrite(folder, rationales.read(folder), rationales.write, ids)
    _rewrite(folder, pairs.read(folder), lambda to, kept: pairs.write(to, kept.values()), ids)
    _rewrite(folder, tasks.read(folder), tasks.put, ids)
    _rewrite(folder, snapshots.read(folder), snapshots.write, documents)
    groups = exemplars.read(folder)
    left = {name: [record for record in group if record.id not in ids] for name, group in groups.items()}
    if left != groups:
        exemplars.write(folder, left)


def weights(folder: Path) -> None:
    """Remove weights of earlier versions from a `memory/` folder that is being built: they know what is forgotten."""
    for pattern in _WEIGHTS:
        for file in folder.glob(f"{pattern}.safetensors"):
            file.unlink()


def _rewrite(
    folder: Path, found: dict[str, _Value], write: Callable[[Path, dict[str, _Value]], None], gone: Container[str]
) -> None:
    kept = {name: value for name, value in found.items() if name not in gone}
    if len(kept) < len(found):
        write(folder, kept)
