"""A case: everything one judgement rests on, and the comparisons that can be drawn from it.

Owns who is compared with whom on which terms. Called by `judging` and `targets`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from monitors.evidence import Asked, NotComparable, Pairs, pair
from monitors.gate.comparison import Against, SuiteComparison, Terms
from monitors.gate.noise import Noise, spread
from monitors.gate.policy import GatePolicy
from monitors.job import Measurement, Role

__all__ = ["MIN_ITEMS", "Case"]

MIN_ITEMS: Final = 10


@dataclass(frozen=True, slots=True)
class Case:
    """What a judgement rests on: each version's measurements by suite, what was asked, A/A noise, and the policy.

    Attributes:
        adopters: what the version that adopted a suite's norm scored on it, which is a version for each suite.
    """

    candidate: Mapping[str, list[Measurement]]
    parent: Mapping[str, list[Measurement]]
    anchor: Mapping[str, list[Measurement]]
    policy: GatePolicy
    asked: Mapping[str, Asked] = field(default_factory=dict[str, Asked])
    noise: Mapping[tuple[str, str], Noise] = field(default_factory=dict[tuple[str, str], Noise])
    adopters: Mapping[str, list[Measurement]] = field(default_factory=dict[str, list[Measurement]])

    @property
    def suites(self) -> set[str]:
        """Names of all suites that were asked or measured."""
        return {*self.candidate, *self.parent, *self.anchor, *self.asked}

    def role(self, suite: str) -> Role:
        """The role it was asked or measured in; an unmeasured one counts as general."""
        if suite in self.asked:
            return self.asked[suite].role
        sides = (self.candidate, self.parent, self.anchor)
        roles: list[Role] = [side[suite][0].role for side in sides if suite in side]
        return roles[0] if roles else "general"

    def pairs(self, suite: str, against: Against, at_least: int) -> Pairs:
        """The candidate's items of a suite beside a reference's.

        Raises:
            NotComparable: see `evidence.pair`.
        """
        reference = self.parent if against == "parent" else self.anchor
        before, after = reference.get(suite, []), self.candidate.get(suite, [])
        return pair(before, after, at_least=at_least, asked=self.asked.get(suite))

    def since_adoption(self, suite: str) -> Pairs:
        """The candidate's items beside the adopter's, over those that the adopter was measured on.

        Raises:
            NotComparable: see `evidence.pair`.
        """
        before = self.adopters[suite]
        known = {one.probe for one in before}
        after = [one for one in self.candidate.get(suite, []) if one.probe in known]
        return pair(before, after, at_least=MIN_ITEMS, subset=True)

    def terms(self, suite: str, role: Role) -> Terms:
        """On what terms a suite is compared."""
        asked = self.asked.get(suite)
        return Terms(
            tolerance=self.policy.tolerance(role, suite),
            interval=self.policy.interval(self.looks([suite])),
            chance=asked.chance if asked else 0.0,
            spread=spread(self.noise, self.candidate.get(suite, [])),
            by_estimate=self.policy.by_estimate(suite),
        )

    def looks(self, suites: Sequence[str]) -> int:
        """Most looks that one of the suites can have."""
        return max((self.asked[suite].looks for suite in suites if suite in self.asked), default=1)

    def has_reserve(self, suite: str) -> bool:
        """Whether more items of a suite can be measured."""
        return suite in self.asked and self.asked[suite].reserve > 0

    def missing(self, suite: str, role: Role, against: Against, why: NotComparable) -> SuiteComparison:
        """The row of a comparison that cannot be drawn."""
        return SuiteComparison(
            suite=suite,
            role=role,
            against=against,
            items=len(self.candidate.get(suite, [])),
            tolerance=self.policy.tolerance(role, suite),
            outcome="missing",
            note=str(why),
        )
