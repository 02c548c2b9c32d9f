"""The simulation's results on disk: a point that is there is not simulated again, a kill costs at most one point."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from benchmarks.gate.simulation import EFFECTS, WORLDS, Point, simulate
from learners.durable import write_atomic
from monitors.gate import GatePolicy

__all__ = ["simulated"]


class _Kept(BaseModel):
    """What the file holds: points of one policy and number of judgements alone."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    policy: GatePolicy
    judgements: int
    points: tuple[Point, ...] = ()


def simulated(
    path: Path, policy: GatePolicy, judgements: int, *, fresh: bool, say: Callable[[str], None]
) -> list[Point]:
    """All points of all worlds, stored or simulated now.

    Args:
        fresh: forget what is stored.
    """
    kept = _Kept(policy=policy, judgements=judgements)
    if path.exists() and not fresh:
        before = _Kept.model_validate_json(path.read_bytes())
        kept = before if (before.policy, before.judgements) == (policy, judgements) else kept
    known = {(one.world, one.loss): one for one in kept.points}
    for world in WORLDS:
        for loss in EFFECTS:
            if (world.name, loss) in known:
                continue
            say(f"simulating {judgements} judgements: {world.name}, true loss {loss:.3f}")
            known[world.name, loss] = simulate(world, loss, policy, judgements)
            kept = kept.model_copy(update={"points": tuple(known.values())})
            write_atomic(path, kept.model_dump_json(indent=1))
    return [known[world.name, loss] for world in WORLDS for loss in EFFECTS]
