"""Simulated judgements: what the gate says of a candidate whose true losses are known.

Owns the made-up worlds. A world has a suite of each role and a target that the candidate has clearly won; between two
versions some items flip either way, as they do between real updates that lost nothing (of SmolLM2-135M: 8 to 13 % of
the general items, 14 to 21 % of the instruction items). On one suite the candidate truly loses; the gate judges, and
is given more items for as long as it asks for them, as in a cycle. Every judgement is `monitors.gate.judge` itself.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict

from monitors.evidence import Asked
from monitors.gate import GatePolicy, judge
from monitors.gate.looks import sizes
from monitors.job import Measurement, Role

__all__ = ["EFFECTS", "WORLDS", "Point", "World", "simulate"]

Ending = Literal["promote", "hold", "reject"]

EFFECTS: Final = (0.0, 0.025, 0.05, 0.075, 0.10, 0.125, 0.15, 0.175, 0.20, 0.25, 0.30)
"""True losses of the mean score that are simulated."""

_TARGET: Final = 24
_TARGET_BEFORE, _TARGET_AFTER = 2, 14


@dataclass(frozen=True)
class Part:
    """One suite of a world: how many items, which share of them the parent gets right, which share flips."""

    items: int
    right: float
    flips: float


@dataclass(frozen=True)
class World:
    """What is judged, and the suite on which the candidate loses."""

    name: str
    suites: Mapping[Role, Part]
    loses: Role


def _worlds() -> tuple[World, ...]:
    shipped: dict[Role, Part] = {
        "general": Part(128, 0.72, 0.10),
        "instruction": Part(84, 0.35, 0.15),
        "safety": Part(84, 0.71, 0.05),
        "overrefusal": Part(64, 0.90, 0.05),
    }
    lost: tuple[Role, ...] = ("general", "safety")
    return (
        *(World(f"loss on {role}, {shipped[role].items} items", shipped, role) for role in lost),
        *(
            World(f"loss on {role}, up to 512 items", {**shipped, role: replace(shipped[role], items=512)}, role)
            for role in lost
        ),
    )


WORLDS: Final = _worlds()


class Point(BaseModel):
    """What came of all judgements at one true loss.

    Attributes:
        items: mean number of items of the losing suite that were measured before the verdict.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    world: str
    loss: float
    promote: int
    hold: int
    reject: int
    items: float


def simulate(world: World, loss: float, policy: GatePolicy, judgements: int, seed: int = 0) -> Point:
    """Judge so many candidates that truly lose `loss` on one suite and nothing elsewhere.

    Args:
        loss: of the mean score, in [0, 1].
        judgements: how many candidates.
    """
    draw = random.Random(f"{seed} {world.name} {loss}")  # noqa: S311 - simulation, not secrecy
    table = _Table(world, policy)
    endings: Counter[Ending] = Counter()
    items = 0
    for _ in range(judgements):
        ending, measured = _one(table, policy, {world.loses: loss}, draw)
        endings[ending] += 1
        items += measured
    counts = {ending: endings[ending] for ending in ("promote", "hold", "reject")}
    return Point(world=world.name, loss=loss, items=items / judgements, **counts)


class _Table:
    """What all judgements of a world share: the parent's measurements, and what each look asks."""

    def __init__(self, world: World, policy: GatePolicy) -> None:
        self.world = world
        self.looks: dict[Role, tuple[int, ...]] = {
            role: sizes(part.items, policy.first_items, policy.most_items) for role, part in world.suites.items()
        }
        self.before: dict[Role, list[float]] = {
            role: _scores(part.items, part.right) for role, part in world.suites.items()
        }
        self.parent: dict[Role, list[Measurement]] = {
            role: _rows("parent", role, role, scores) for role, scores in self.before.items()
        }
        self.parent_target = _rows("parent", "target", "target", _scores(_TARGET, _TARGET_BEFORE / _TARGET))
        self.target = _rows("candidate", "target", "target", _scores(_TARGET, _TARGET_AFTER / _TARGET))
        self.right = {role: _rows("candidate", role, role, [1.0] * len(own)) for role, own in self.before.items()}
        self.wrong = {role: _rows("candidate", role, role, [0.0] * len(own)) for role, own in self.before.items()}
        self.asked = {
            (role, number): Asked(
                suite=role, digest="d", role=role, reserve=counts[-1] - count, looks=len(counts),
                probes=tuple(row.probe for row in self.parent[role][:count]),
            )
            for role, counts in self.looks.items()
            for number, count in enumerate(counts)
        }  # fmt: skip

    def candidate(self, role: Role, scores: Sequence[float]) -> list[Measurement]:
        """A candidate's measurements of a suite; the objects are made once."""
        sides = zip(scores, self.right[role], self.wrong[role], strict=True)
        return [right if score else wrong for score, right, wrong in sides]


def _one(table: _Table, policy: GatePolicy, losses: Mapping[Role, float], draw: random.Random) -> tuple[Ending, int]:
    """The last verdict on one candidate, and how many items of the losing suite were measured for it."""
    candidate = {
        role: table.candidate(role, _changed(table.before[role], part, losses.get(role, 0.0), draw))
        for role, part in table.world.suites.items()
    }
    look = dict.fromkeys(table.world.suites, 0)
    while True:
        asked = [table.asked[role, number] for role, number in look.items()]
        new, old = (
            [row for one in asked for row in side[one.role][: len(one.probes)]] for side in (candidate, table.parent)
        )
        old += table.parent_target
        verdict = judge([*new, *table.target], old, old, ["target"], policy, asked=asked)
        if not verdict.more:
            return verdict.verdict, len(table.asked[table.world.loses, look[table.world.loses]].probes)
        look |= {role: look[role] + 1 for role in look if role in verdict.more}


def _scores(items: int, right: float) -> list[float]:
    """Right and wrong items, spread evenly, so that every first part of them is alike."""
    return [float(int((number + 1) * right) > int(number * right)) for number in range(items)]


def _changed(before: Sequence[float], part: Part, loss: float, draw: random.Random) -> list[float]:
    """Scores of which the part's share flips, with a mean loss; where so few can be lost, all of them are."""
    flips = max(part.flips, loss)
    lost = min(1.0, (flips + loss) / 2 / part.right)
    won = (flips - loss) / 2 / (1 - part.right)
    return [1.0 - score if draw.random() < (lost if score else won) else score for score in before]


def _rows(version: str, suite: str, role: Role, scores: Sequence[float]) -> list[Measurement]:
    return [
        Measurement.model_construct(
            version=version, suite=suite, suite_digest="d", role=role, probe=f"{suite}-{number:04}", slice="all",
            scorer="match", score=score, margin=None, output="", engine="e",
        )
        for number, score in enumerate(scores)
    ]  # fmt: skip
