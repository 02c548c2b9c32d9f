"""Replay memory: the sample kept of what was learned, versioned with the weights.

Owns `memory/replay.jsonl` and `memory/replay.json` of a version folder. Reservoir sampling with one quota per stage, so
that a long stage cannot push the others out. Used by `learners.training`, which updates it after every stage, and by
the methods that rehearse from it. Reads records, never tokens, so a memory outlives a change of tokenizer.

Source: Chaudhry et al. 2019, "On Tiny Episodic Memories in Continual Learning" (reservoir and ring policies).
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Container, Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from learners.records import Record

__all__ = ["Origin", "Remembered", "ReplayMemory"]

Origin = Literal["seed", "cpt", "cit", "ca"]


class Remembered(BaseModel):
    """One remembered record.

    Attributes:
        stage: the stage that learned it, or `seed` for the base model's own answers.
        complete: whether its last turn is finished; an answer cut short must not teach the model to stop there.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    stage: Origin
    record: Record
    complete: bool = True


class ReplayMemory(BaseModel):
    """What is remembered.

    Attributes:
        items: the sample.
        seen: how many records each stage has offered so far; the reservoir needs it to stay uniform.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    items: tuple[Remembered, ...] = ()
    seen: dict[Origin, int] = Field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path) -> ReplayMemory:
        """Read the memory of a version's `memory/` folder; an absent one is empty."""
        path = folder / "replay.jsonl"
        if not path.exists():
            return cls()
        with path.open(encoding="utf-8") as lines:
            items = tuple(Remembered.model_validate_json(line) for line in lines)
        return cls(items=items, seen=json.loads((folder / "replay.json").read_bytes())["seen"])

    def write(self, folder: Path) -> None:
        """Write the memory into a `memory/` folder that is being built."""
        folder.mkdir(parents=True, exist_ok=True)
        lines = "".join(item.model_dump_json() + "\n" for item in self.items)
        (folder / "replay.jsonl").write_text(lines, encoding="utf-8")
        (folder / "replay.json").write_text(json.dumps({"seen": self.seen}, sort_keys=True) + "\n", encoding="utf-8")

    def without(self, ids: Container[str]) -> ReplayMemory:
        """The memory without some records, as if they and the part of the stream that they stand for were never seen.

        So the room that they leave is filled before anything else makes way.
        """
        kept = tuple(item for item in self.items if item.record.id not in ids)
        before, after = (Counter(item.stage for item in items) for items in (self.items, kept))
        seen: dict[Origin, int] = {
            name: round(count * after[name] / before[name]) if before[name] else count
            for name, count in self.seen.items()
        }
        return ReplayMemory(items=kept, seen=seen)

    def remember(self, stage: Origin, new: Sequence[Remembered], *, capacity: int, seed: int) -> ReplayMemory:
        """Offer what a stage has learned; return the new memory.

        Args:
            stage: stage of all of `new`.
            new: what was learned, in the order it was read.
            capacity: most items kept in all; each stage that has something to keep gets an equal share.
            seed: two equal calls keep the same items.
        """
        known = {item.record.id for item in self.items}
        fresh = [item for item in new if item.record.id not in known]
        stages: list[Origin] = sorted({item.stage for item in (*self.items, *fresh)})
        if not stages:
            return self
        quota = capacity // len(stages)
        kept: list[Remembered] = []
        for name in stages:
            own = [item for item in self.items if item.stage == name]
            offered = fresh if name == stage else []
            draw = random.Random(f"{seed}:{name}:{self.seen.get(name, 0)}")  # noqa: S311 - sampling, not secrecy
            kept += _reservoir(own, offered, self.seen.get(name, 0), quota, draw)
        seen: dict[Origin, int] = {**self.seen, stage: self.seen.get(stage, 0) + len(fresh)}
        return ReplayMemory(items=tuple(kept), seen=seen)


def _reservoir(
    own: list[Remembered], offered: Sequence[Remembered], seen: int, quota: int, draw: random.Random
) -> list[Remembered]:
    """Uniform sample of at most `quota` of the `seen` earlier items (of which `own` is left) and the `offered` ones."""
    kept = own if len(own) <= quota else [own[i] for i in sorted(draw.sample(range(len(own)), quota))]
    kept = list(kept)
    for position, item in enumerate(offered, start=seen):
        if len(kept) < quota and len(kept) >= position:
            kept.append(item)
        elif (slot := draw.randrange(position + 1)) < quota:
            kept[slot : slot + 1] = [item]
    return kept
