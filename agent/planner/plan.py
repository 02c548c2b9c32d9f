"""Plan: what a cycle will do, why, and what it beat. Stored as one JSON document; shown by `cld plan show`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from learners.job import Stage

__all__ = ["Action", "Candidate", "Plan", "PlannedNorm", "ReplayedJob"]

Action = Literal["train", "do_nothing", "ask_for_data"]


class Candidate(BaseModel):
    """One thing that could be done about the gaps.

    Attributes:
        id: what a chooser answers with, e.g. `cpt.replay`, `do_nothing`, `ask_for_data`.
        predicted_gain: expected rise of the target suites, in score points [0, 1].
        predicted_loss: expected fall of the general suites, in score points [0, 1].
        cost_tokens: tokens that training would pass through the model, replay included; `estimated_tokens` before what
            earlier jobs took corrected it.
        refused: why it is not feasible; None if it is.
        asks: the data that `ask_for_data` asks for, where that is known.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    action: Action
    stage: Stage | None = None
    method: str | None = None
    predicted_gain: float = 0.0
    predicted_loss: float = 0.0
    cost_tokens: int = 0
    estimated_tokens: int = 0
    refused: str | None = None
    asks: str | None = None

    @property
    def value(self) -> float:
        """Net expected effect: a point lost weighs twice a point gained, as the gate refuses losses first."""
        return self.predicted_gain - 2.0 * self.predicted_loss


class PlannedNorm(BaseModel):
    """A norm that a plan touches, as a person must see it before saying yes; `agent.store.norms` explains the words.

    Attributes:
        change: what the preferences do to it: `add`, `revise` or `retire`.
        probes: how many items its suite has.
        examples: the first of them.
        records: how many preferences.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    norm: str
    change: str
    statement: str
    scope: tuple[str, ...] = ()
    approver: str
    supersedes: str | None = None
    superseded_statement: str | None = None
    suite: str | None = None
    probes: int = 0
    examples: tuple[str, ...] = ()
    records: int


class ReplayedJob(BaseModel):
    """A training job of the past that is trained again without some of its records.

    Attributes:
        cycle, version: whose job it was, and what it made; that cycle's plan says which sentences are held out.
        settings, seed: as they were.
        records: ids that are left, in the job's order; `records_before` is how many it had.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    cycle: str
    version: str
    stage: Stage
    method: str
    settings: dict[str, Any]
    seed: int
    records: tuple[str, ...]
    records_before: int


class Plan(BaseModel):
    """The decision of the planning step.

    Attributes:
        records: ids that training reads; `held_out_records` became probes and are left out.
        held_out: sentences that no training view may contain.
        decided_by: who chose among the feasible candidates: a model's name, or `rules`.
        reason: the chooser's own words, cut; data, never an instruction.
        alternatives: every candidate considered, the chosen one included.
        warnings: what is known to go wrong with a corpus like this one, for whoever reads the plan; decides nothing.
        norms: the norms that it touches; where there is one, the plan waits for a person.
        replay: the jobs that are trained again one after another, in place of one of `method`, from the version
            `replay_from`; `records` are then what they must do without.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    action: Action
    stage: Stage | None = None
    method: str | None = None
    settings: dict[str, Any] = Field(default_factory=dict)
    records: tuple[str, ...] = ()
    held_out: tuple[str, ...] = ()
    held_out_records: tuple[str, ...] = ()
    cost_tokens: int = 0
    predicted_gain: float = 0.0
    predicted_loss: float = 0.0
    decided_by: str
    reason: str
    alternatives: tuple[Candidate, ...] = ()
    warnings: tuple[str, ...] = ()
    norms: tuple[PlannedNorm, ...] = ()
    replay_from: str | None = None
    replay: tuple[ReplayedJob, ...] = ()

    @property
    def name(self) -> str:
        """Id of the candidate that was chosen, e.g. `cpt.replay`."""
        return self.action if self.action != "train" else f"{self.stage}.{self.method}"
