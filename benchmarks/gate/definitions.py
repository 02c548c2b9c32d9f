"""Pairs of versions of which it is known beforehand what a gate should say, one JSON file each in `pairs/`.

Owns their shape and the order in which they can be worked on. Trains and judges nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from benchmarks.lab import BASE
from learners.job import Stage

__all__ = ["FOLDER", "Data", "Expected", "Pair", "Recipe", "in_order", "load", "only"]

FOLDER = Path(__file__).parent / "pairs"

Expected = Literal["promote", "refuse", "same"]
"""`promote`: it learned and lost nothing. `refuse`: it must not serve. `same`: the parent's own weights, once more."""

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,40}$")]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Data(_Frozen):
    """What is learned, and what the target suite asks.

    Attributes:
        kind: key of `benchmarks.gate.material.KINDS`.
        source: what that kind reads: a folder of the shared data, or a file of the demo's stream.
        train, test: most examples learned, and most items of the target suite.
        shuffled: whether the answers of the training examples are exchanged at random.
        longest_characters: longer examples are left out.
    """

    kind: Literal["task", "demo", "preferences", "alpaca", "identity_shift"]
    source: str
    train: int = Field(default=64, ge=1)
    test: int = Field(default=48, ge=0)
    shuffled: bool = False
    longest_characters: int = Field(default=600, ge=20)


class Recipe(_Frozen):
    """How a candidate is trained from its parent."""

    stage: Stage
    method: str
    data: Data
    settings: dict[str, Any] = Field(default_factory=dict)
    seed: int = 0


class Pair(_Frozen):
    """A candidate and the version it would replace; the anchor is always the base model.

    Attributes:
        parent: `v0`, the base model, or the name of the pair whose candidate it is.
        recipe: how the candidate is made, or
        candidate: a version that another pair made (or `v0`); neither of both for expected `same`.
        why: what makes the expectation true, for people.
    """

    name: Name
    expected: Expected
    why: str
    parent: str = BASE
    recipe: Recipe | None = None
    candidate: str | None = None

    @model_validator(mode="after")
    def _has_one_candidate(self) -> Self:
        given = (self.recipe is not None) + (self.candidate is not None)
        if given != (self.expected != "same"):
            raise ValueError(f"{self.name!r}: a pair has a recipe or a candidate; one of expected 'same' has neither")
        return self

    @property
    def version(self) -> str:
        """Id of the candidate's version."""
        return self.name if self.recipe else self.candidate or self.parent

    @property
    def needs(self) -> tuple[str, ...]:
        """Versions that must be there first."""
        return (self.parent, *((self.candidate,) if self.candidate else ()))


def load(folder: Path = FOLDER) -> list[Pair]:
    """All pairs of a folder, in an order in which each finds the versions it needs.

    Raises:
        ValueError: a file's name is not its pair's, or a pair needs a version that none makes.
    """
    pairs: list[Pair] = []
    for path in sorted(folder.glob("*.json")):
        pair = Pair.model_validate_json(path.read_bytes())
        if pair.name != path.stem:
            raise ValueError(f"{path.name} holds the pair {pair.name!r}; a pair's file bears its name")
        pairs.append(pair)
    return in_order(pairs)


def only(pairs: Sequence[Pair], names: Sequence[str]) -> list[Pair]:
    """The named pairs with those that make what they need; all where none is named.

    Raises:
        ValueError: a name is no pair's.
    """
    known = {pair.name: pair for pair in pairs}
    if unknown := set(names) - known.keys():
        raise ValueError(f"{sorted(unknown)!r}: no such pair; there are {', '.join(known)}")
    wanted, waiting = set[str](), list(names)
    while waiting:
        name = waiting.pop()
        wanted.add(name)
        waiting += [need for need in known[name].needs if need != BASE and need not in wanted]
    return [pair for pair in pairs if not names or pair.name in wanted]


def in_order(pairs: Iterable[Pair]) -> list[Pair]:
    """Pairs so that each stands behind those whose versions it needs.

    Raises:
        ValueError: a pair needs a version that none makes.
    """
    waiting, found, made = list(pairs), list[Pair](), {BASE}
    while waiting:
        ready = [pair for pair in waiting if made.issuperset(pair.needs)]
        if not ready:
            raise ValueError(f"no pair makes what is needed by {_names(waiting)}")
        found += ready
        made |= {pair.name for pair in ready if pair.recipe}
        waiting = [pair for pair in waiting if pair not in ready]
    return found


def _names(pairs: Sequence[Pair]) -> str:
    return ", ".join(repr(pair.name) for pair in pairs)
