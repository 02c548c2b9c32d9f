"""Candidates: every stage that learns x method for the gaps at hand, feasible or refused with the reason.

Rules of feasibility, in order: Table 2 of Wu et al. 2024 (which kind of information which stage can update), the
data at hand (a method learns all of a selection, so pairs beside judged answers go to one that learns both), what the
method needs, the limits, the gate (a plan whose predicted loss the gate would reject is not worth its energy), and that
no other of its stage is predicted to do better in something and worse in nothing. Only methods marked `planned` are
proposed; where what speaks for one is a run or two, `MethodInfo.planned_on` says so. The others train where an operator
or a benchmark names them. Predictions start from the method table's priors and move with the lessons of past cycles;
costs start from `agent.planner.costs` and move with what training jobs took of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from agent.errors import ConfigError
from agent.planner.plan import Candidate
from learners.job import Stage
from learners.methods import MethodInfo, methods
from learners.parts.judgements import lacking
from learners.records import Kind, Record
from learners.stages import stage_info
from monitors.job import Gap, InformationKind

__all__ = ["STAGES_OF", "STAGE_OF_KIND", "Outcome", "Situation", "propose"]

STAGES_OF: Final[dict[InformationKind, tuple[Stage, ...]]] = {
    "fact": ("cpt",),
    "domain": ("cpt", "cit"),
    "language": ("cpt",),
    "task": ("cit",),
    "skill": ("cit",),
    "value": ("ca",),
    "preference": ("ca",),
}
"""Table 2 of the survey (Wu et al. 2024, Continual Learning for Large Language Models)."""

STAGE_OF_KIND: Final[dict[Kind, Stage]] = {
    "text": "cpt",
    "instruction": "cit",
    "tool": "cit",
    "preference": "ca",
    "feedback": "ca",
}
"""The stage that learns each kind of record; a cycle takes records of one stage."""
_UNTREATED_LOSS: Final[dict[Stage, float]] = {"cpt": 0.12, "cit": 0.10, "ca": 0.12}
"""General ability that plain fine-tuning of a 135M model lost on first trials; lessons correct it."""

_PRIOR_WEIGHT = 2.0
"""How many observed cycles the prior counts for."""


@dataclass(frozen=True)
class Outcome:
    """What a past cycle of a stage and method did.

    Attributes:
        gain, loss: rise of its target, fall of the general suites.
        cost: tokens that its training took for each that was estimated; None where that is not known.
    """

    stage: str
    method: str
    gain: float
    loss: float
    cost: float | None = None


@dataclass(frozen=True)
class Situation:
    """What the planner knows.

    Attributes:
        tokens: training tokens in one pass over `records`.
        epochs: passes per stage, from the configuration.
        replayable: how many records the parent's replay memory holds.
        tokens_left: what this month's budget still allows; None: no limit.
        tolerated_loss: the gate's tolerance on the general suites.
        named: the methods that may be proposed; empty: those marked `planned`.
        counted: (stage, method) -> tokens of the methods whose rows can be counted; of the others None.
    """

    gaps: Sequence[Gap]
    records: Sequence[Record]
    tokens: int
    epochs: Mapping[Stage, float]
    replayable: int
    tokens_left: int | None
    tolerated_loss: float
    outcomes: Sequence[Outcome] = ()
    named: Sequence[str] = ()
    counted: Callable[[Stage, str], float | None] = lambda stage, method: None


def propose(situation: Situation) -> tuple[Candidate, ...]:
    """Every candidate, best predicted value first; `do_nothing` and `ask_for_data` are always among them."""
    trained = [
        _candidate(situation, stage, name, method)
        for stage in _UNTREATED_LOSS  # the stages that learn: what is forgotten, a person asks for
        for name, method in methods().items()
        if stage in method.stages and (name in situation.named if situation.named else method.planned)
    ]
    idle = (_do_nothing(situation), _ask_for_data(situation))
    candidates = (*(_beaten(one, trained) for one in trained), *idle)
    return tuple(sorted(candidates, key=lambda candidate: candidate.value, reverse=True))


def _beaten(one: Candidate, others: Sequence[Candidate]) -> Candidate:
    """The candidate; refused where another of its stage is predicted to do no worse in anything, and better in some."""
    for other in others:
        if other.stage == one.stage and not one.refused and not other.refused and _dominates(other, one):
            why = f"{other.id} is predicted to gain no less, to lose no more and to cost no more"
            return one.model_copy(update={"refused": why})
    return one


def _dominates(one: Candidate, other: Candidate) -> bool:
    ours = (one.predicted_gain, -one.predicted_loss, -one.cost_tokens)
    theirs = (other.predicted_gain, -other.predicted_loss, -other.cost_tokens)
    return ours != theirs and all(mine >= its for mine, its in zip(ours, theirs, strict=True))


def _candidate(situation: Situation, stage: Stage, name: str, method: MethodInfo) -> Candidate:
    severity = max((gap.severity for gap in situation.gaps), default=0.0)
    seen = [outcome for outcome in situation.outcomes if (outcome.stage, outcome.method) == (stage, name)]
    gain, loss = _expected(seen, 0.6 * severity, _UNTREATED_LOSS[stage] * method.relative_forgetting)
    estimated, wrong = _estimated(situation, stage, name, method)
    cost_tokens = round(estimated * _taken(situation.outcomes, stage, name))
    return Candidate(
        id=f"{stage}.{name}",
        action="train",
        stage=stage,
        method=name,
        predicted_gain=round(gain, 3),
        predicted_loss=round(loss, 3),
        cost_tokens=cost_tokens,
        estimated_tokens=round(estimated),
        refused=wrong or _refusal(situation, stage, method, loss, cost_tokens),
    )


def _estimated(situation: Situation, stage: Stage, name: str, method: MethodInfo) -> tuple[float, str | None]:
    """Tokens that training would take, and why the method cannot be had with the configuration at all."""
    by_table = situation.tokens * situation.epochs[stage] * method.relative_cost
    try:
        counted = situation.counted(stage, name)
    except ConfigError as wrong:
        return by_table, str(wrong)
    return by_table if counted is None else counted, None


def _expected(seen: Sequence[Outcome], gain: float, loss: float) -> tuple[float, float]:
    """Posterior means of gain and loss: the prior counts for two cycles, each past cycle for one."""
    weight = _PRIOR_WEIGHT + len(seen)
    return (
        (_PRIOR_WEIGHT * gain + sum(outcome.gain for outcome in seen)) / weight,
        (_PRIOR_WEIGHT * loss + sum(outcome.loss for outcome in seen)) / weight,
    )


def _taken(outcomes: Sequence[Outcome], stage: Stage, method: str) -> float:
    """Tokens that training takes for each that is estimated: as often as the method was seen, beside its stage once.

    What they have in common is the model, whose tokens are longer or shorter than the guess.
    """
    known = [(outcome.method, outcome.cost) for outcome in outcomes if outcome.stage == stage and outcome.cost]
    if not known:
        return 1.0
    common = sum(cost for _, cost in known) / len(known)
    own = [cost for name, cost in known if name == method]
    return (common + sum(own)) / (1 + len(own))


def _refusal(situation: Situation, stage: Stage, method: MethodInfo, loss: float, cost_tokens: int) -> str | None:
    kinds: set[InformationKind] = {gap.information_kind for gap in situation.gaps}
    if not any(stage in STAGES_OF[kind] and kind in method.information_kinds for kind in kinds):
        return f"{stage} with this method does not update {', '.join(sorted(kinds)) or 'what is known'} (Table 2)"
    if not any(STAGE_OF_KIND[record.kind] == stage for record in situation.records):
        return f"no record at hand can be trained on in {stage}"
    if unfit := _unlearned(situation, stage, method) or _foreign_to_norms(situation, method):
        return unfit
    if "memory" in method.needs and situation.replayable == 0:
        return "the parent version holds no replay memory"
    return _too_dear(situation, loss, cost_tokens)


def _too_dear(situation: Situation, loss: float, cost_tokens: int) -> str | None:
    """Why the limits or the gate would not have it."""
    if situation.tokens_left is not None and cost_tokens > situation.tokens_left:
        return f"{cost_tokens} tokens exceed the {situation.tokens_left} left this month (limits.monthly_train_tokens)"
    if loss > situation.tolerated_loss:
        return f"predicted loss {loss:.3f} exceeds the gate's tolerance {situation.tolerated_loss:.3f}"
    return None


def _unlearned(situation: Situation, stage: Stage, method: MethodInfo) -> str | None:
    """Why records at hand would be consumed without being learned."""
    mine = [record for record in situation.records if STAGE_OF_KIND[record.kind] == stage]
    kinds = method.kinds or stage_info(stage).kinds
    left = [record for record in mine if record.kind not in kinds]
    if left:
        others = ", ".join(sorted({record.kind for record in left}))
        return f"it learns from {', '.join(kinds)}: {len(left)} of {len(mine)} records ({others}) would stay unlearned"
    return lacking(mine)


def _foreign_to_norms(situation: Situation, method: MethodInfo) -> str | None:
    """Preferences that name norms, and only they, go to the methods that know what a change of a norm is.

    Where an operator names the methods, theirs is the choice.
    """
    named = any("norm" in record.content for record in situation.records)
    if "norms" in method.needs:
        return None if named else "no preference at hand names a norm"
    return "it does not know norms, which the preferences at hand name" if named and not situation.named else None


def _do_nothing(situation: Situation) -> Candidate:
    known = f"{len(situation.gaps)} gap(s) are supported by data at hand" if situation.gaps else None
    return Candidate(id="do_nothing", action="do_nothing", refused=lacking(situation.records) or known)


def _ask_for_data(situation: Situation) -> Candidate:
    asks = lacking(situation.records)
    unsupported = bool(situation.gaps) and not any(gap.records for gap in situation.gaps)
    reason = None if asks or unsupported else "every gap has records that bear on it, or there is no gap"
    return Candidate(id="ask_for_data", action="ask_for_data", refused=reason, asks=asks)
