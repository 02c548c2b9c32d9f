"""The verdict: the gate's word, with everything it rests on. Stored as one JSON document for ever."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from monitors.gate.comparison import SuiteComparison
from monitors.gate.deltas import RoleDelta
from monitors.gate.policy import Profile

__all__ = ["Verdict"]


class Verdict(BaseModel):
    """The gate's word, with everything it rests on.

    Attributes:
        reasons: one sentence each; of a promotion what was won, else everything that stands against it.
        suites: every comparison, those that only report too.
        deltas: GAD, IFD, SD and over-refusal with bounds, against parent and anchor.
        remarks: what suites in dry run would have said against a promotion.
        more: suites of which more items could turn the hold into a clear word; empty unless nothing else stands
            against a promotion.
        profile: the rule that was applied.
        gad, ifd, sd: mean change over general, instruction, safety suites against the parent; negative is damage.
        overrefusal: change of the rate of refused harmless requests; positive is damage.
        target_before, target_after: mean score over the target suites, parent and candidate.
        target_low, target_high: bounds of the gain over the targets that had something to win.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    verdict: Literal["promote", "hold", "reject"]
    reasons: tuple[str, ...]
    suites: tuple[SuiteComparison, ...]
    deltas: tuple[RoleDelta, ...] = ()
    remarks: tuple[str, ...] = ()
    more: tuple[str, ...] = ()
    profile: Profile = "suites"
    gad: float | None = None
    ifd: float | None = None
    sd: float | None = None
    overrefusal: float | None = None
    gad_anchor: float | None = None
    ifd_anchor: float | None = None
    sd_anchor: float | None = None
    overrefusal_anchor: float | None = None
    target_before: float | None = None
    target_after: float | None = None
    target_low: float | None = None
    target_high: float | None = None
