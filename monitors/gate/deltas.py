"""GAD, IFD, SD and the over-refusal delta of one candidate, with bounds: the mean change over the suites of a role.

TRACE (Wang 2023, 2310.06762) defines the first three against the initial model and divides by the number of suites, not
of tasks trained on. Here each is computed against the parent (what did this update do) and against the anchor (what
did all of them do; the paper's, while the anchor is the base model). Suites that are blind or only report stand in
none. Decides what a delta's outcome is by the must-hold rule; whether it counts is `judging`'s, by the profile.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict

from monitors.evidence import Pairs
from monitors.gate.bounds import is_binary, no_closer
from monitors.gate.comparison import Against, Outcome, SuiteComparison, must_hold
from monitors.gate.policy import GatePolicy
from monitors.job import Role

__all__ = ["DELTAS", "TRACE_DELTAS", "DeltaName", "Held", "RoleDelta", "delta_sentence", "role_delta"]

DeltaName = Literal["gad", "ifd", "sd", "overrefusal"]

DELTAS: Final[dict[DeltaName, Role]] = {
    "gad": "general",
    "ifd": "instruction",
    "sd": "safety",
    "overrefusal": "overrefusal",
}
TRACE_DELTAS: Final[tuple[DeltaName, ...]] = ("gad", "ifd", "sd")
"""The three of the paper; over-refusal is ours."""


@dataclass(frozen=True, slots=True)
class Held:
    """A suite that must hold: its comparison, the pairs it rests on (None where it is missing) and how many looks."""

    row: SuiteComparison
    pairs: Pairs | None
    looks: int = 1


class RoleDelta(BaseModel):
    """The mean change over a role's suites.

    Attributes:
        suites: names of the suites that it averages.
        delta, low, high: change of the mean score, negative is damage (over-refusal suites score answering); None
            where a suite is missing or all are blind.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: DeltaName
    role: Role
    against: Against
    suites: tuple[str, ...]
    delta: float | None = None
    low: float | None = None
    high: float | None = None
    tolerance: float
    outcome: Outcome


def role_delta(name: DeltaName, against: Against, held: Sequence[Held], policy: GatePolicy) -> RoleDelta:
    """Average the change over the suites of the delta's role.

    Args:
        held: all suites that must hold; those of other roles, against another reference or in dry run are passed over.
    """
    role = DELTAS[name]
    own = [one for one in held if one.row.role == role and one.row.against == against and not one.row.dry_run]
    seen = [(one, one.pairs) for one in own if one.row.score_delta is not None and one.pairs is not None]
    told = RoleDelta(
        name=name,
        role=role,
        against=against,
        suites=tuple(one.row.suite for one, _ in seen),
        tolerance=policy.tolerance(role),
        outcome="missing",
    )
    if not own or any(one.pairs is None for one in own):
        return told
    if not seen:
        return told.model_copy(update={"outcome": "blind"})
    groups = [pairs.differences for _, pairs in seen]
    binary = all(is_binary(pairs.before, pairs.after) for _, pairs in seen)
    delta = sum(sum(group) / len(group) for group in groups) / len(groups)
    bounds = policy.interval(max(one.looks for one, _ in seen)).of(groups, f"{name} {against}", binary=binary)
    low, high = no_closer(bounds, delta, [one.row.floor for one, _ in seen])
    outcome = must_hold(delta, low, high, told.tolerance)
    return told.model_copy(update={"delta": delta, "low": low, "high": high, "outcome": outcome})


def delta_sentence(delta: RoleDelta) -> str:
    """One sentence on a delta that did not pass."""
    name = f"{delta.name.upper()} against the {delta.against}"
    if delta.outcome == "missing":
        return f"{name}: not every suite of role {delta.role!r} could be compared, or there is none"
    if delta.outcome == "blind":
        return f"{name}: every suite of role {delta.role!r} is blind"
    numbers = (
        f"{name}: {delta.delta:+.2f} (between {delta.low:+.2f} and {delta.high:+.2f}, {len(delta.suites)} suite(s))"
    )
    if delta.outcome == "fail":
        return f"{numbers}; it lost more than {delta.tolerance:.2f}"
    return f"{numbers}; whether it lost more than {delta.tolerance:.2f} is unclear: more items would tell"
