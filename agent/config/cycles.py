"""When a cycle runs, who chooses its plan and what waits for a person: [cycle], [planner], [approval]."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from agent.config.notations import Cron, Endpoint, Hours
from agent.config.section import Section
from learners.nearest import did_you_mean

__all__ = ["Approval", "Cycle", "Planner"]


Stage = Literal["cpt", "cit", "ca", "forget"]


class Cycle(Section):
    """When a cycle starts and when cycles stop."""

    min_records: int = Field(
        default=8, ge=1, description="A cycle starts by itself once the pool holds this many records."
    )
    max_records: int = Field(default=2000, ge=1, description="Most records that one cycle learns from.")
    quiet_seconds: float = Field(default=5.0, ge=0, description="A cycle waits until no new file came for this long.")
    cron: Cron | None = Field(
        default=None,
        description="Calendar time (five cron fields, local time) at which a cycle starts too, e.g. '0 3 * * *'.",
    )
    quiet_hours: Hours | None = Field(
        default=None, description="Local hours in which no cycle starts, e.g. '08:00-18:00'; one that runs goes on."
    )
    breaker_after: int = Field(
        default=3,
        ge=1,
        description="This many rejected, failed or rolled-back cycles in a row pause cld until `cld resume`.",
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min_records > self.max_records:
            raise ValueError(f"min_records ({self.min_records}) is above max_records ({self.max_records})")
        return self


class Planner(Section):
    """Who chooses among the feasible plans. Rules decide wherever the choice is missing or invalid."""

    backend: Literal["model", "openai", "rules"] = Field(
        default="model", description="The current version itself, an OpenAI-compatible endpoint, or rules alone."
    )
    endpoint: Endpoint | None = Field(
        default=None, description="Base URL for backend = 'openai', e.g. 'http://127.0.0.1:8000/v1'."
    )
    model: str | None = Field(default=None, description="Model name that the endpoint knows.")
    api_key_env: str | None = Field(
        default=None, pattern=r"^[A-Z_][A-Z0-9_]*$", description="Name of the variable that holds the endpoint's key."
    )

    methods: tuple[str, ...] = Field(
        default=(),
        description="The only methods that may be proposed, by the names of `cld methods list`; when empty, those that "
        "are proven in whole cycles.",
    )

    @field_validator("methods")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        from learners.methods import methods

        known = methods()
        for name in names:
            if name not in known:
                hint = did_you_mean(name, known, "`cld methods list` shows all")
                raise ValueError(f"unknown method {name!r}; {hint}")
            if known[name].stages == ("forget",):
                raise ValueError(f"method {name!r} forgets, which no plan proposes; ask for it with `cld forget`")
        return names

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.backend == "openai" and not (self.endpoint and self.model):
            raise ValueError("backend = 'openai' needs endpoint and model")
        return self


class Approval(Section):
    """What waits for a person."""

    stages: tuple[Stage, ...] = Field(
        default=("ca",), description="Plans of these stages wait for `cld approve` before training."
    )
