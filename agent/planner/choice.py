"""Who decides: the language model where its answer stands, the rules where it does not. The record says which.

A model's answer stands if it names a feasible candidate whose predicted value is within `_CRITIC_MARGIN` of the best:
the critic objects to a choice that gives away more than that, because its reason is text and the numbers are not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agent.planner.plan import Candidate
from monitors.job import ChooseResult

__all__ = ["Decision", "decide", "feasible", "rules"]

_CRITIC_MARGIN = 0.05


@dataclass(frozen=True)
class Decision:
    """The chosen candidate, who chose it, and the chooser's reason."""

    candidate: Candidate
    decided_by: str
    reason: str


def feasible(candidates: Sequence[Candidate]) -> list[Candidate]:
    """The candidates that nothing refuses, in their order."""
    return [candidate for candidate in candidates if candidate.refused is None]


def rules(candidates: Sequence[Candidate], because: str = "") -> Decision:
    """The feasible candidate with the best predicted value, then the cheapest; doing nothing if there is none."""
    options = feasible(candidates)
    if not options:
        nothing = Candidate(id="do_nothing", action="do_nothing")
        refusals = "; ".join(f"{candidate.id}: {candidate.refused}" for candidate in candidates)
        return Decision(nothing, "rules", f"nothing is feasible: {refusals}")
    best = max(options, key=lambda option: (option.value, -option.cost_tokens))
    numbers = best.asks or f"best predicted value {best.value:+.2f} of {len(options)} feasible option(s)"
    return Decision(best, "rules", f"{numbers}; {because}" if because else numbers)


def decide(candidates: Sequence[Candidate], answer: ChooseResult | None, chooser: str, why_none: str = "") -> Decision:
    """Let the model's `answer` stand, or let the rules decide and say why.

    Args:
        answer: None if there was nothing to choose or the model could not be asked; then `why_none` says so.
        chooser: name of the model, as the record will show it.
    """
    if answer is None:
        return rules(candidates, why_none)
    options = {option.id: option for option in feasible(candidates)}
    chosen = options.get(answer.choice)
    if chosen is None:
        return rules(candidates, f"{chooser} answered {answer.choice!r}, which is not feasible")
    best = max(option.value for option in options.values())
    if best - chosen.value > _CRITIC_MARGIN:
        return rules(
            candidates,
            f"{chooser} chose {chosen.id}, whose predicted value is {best - chosen.value:.2f} below the best",
        )
    return Decision(chosen, chooser, answer.reason)
