"""How records are forgotten on request, and what the proof of it must show: [forget]."""

from __future__ import annotations

from pydantic import Field, field_validator

from agent.config.section import Section
from learners.nearest import did_you_mean

__all__ = ["Forget"]


class Forget(Section):
    """How `cld forget` unlearns, and what its proof must show before the version may serve."""

    method: str = Field(
        default="grad_diff",
        description="Method of unlearning, by the names of `cld methods list`; `--method` wins over it.",
    )
    retain_records: int = Field(
        default=256,
        ge=0,
        description="Learned records nearest to the forgotten ones that training keeps, beside the replay memory.",
    )
    neighbours: int = Field(
        default=16,
        ge=1,
        description="Nearest learned records that the proof asks about, at least; as many as are forgotten if more.",
    )
    most_records: int = Field(default=64, ge=2, description="Most forgotten records, and neighbours, the proof asks.")
    fills: int = Field(
        default=63, ge=31, le=4095, description="Random fills that each secret of a forgotten record is ranked among."
    )
    exposure_bits: float = Field(
        default=1.5,
        ge=0,
        description="Most bits of exposure, and of suppression, over the never-trained level, mean over the records; "
        "two standard errors where these are wider.",
    )
    extraction_rate: float = Field(
        default=0.0, ge=0, le=1, description="Share of the forgotten records that greedy decoding may still tell."
    )
    membership_auc: float = Field(
        default=0.2,
        ge=0,
        le=0.5,
        description="Most distance of the membership AUC from 0.5; two standard errors where these are wider.",
    )
    neighbour_recall: float = Field(default=0.1, ge=0, le=1, description="Most loss of the neighbours' recall.")
    neighbour_nats: float = Field(
        default=0.5, ge=0, description="Most loss of the neighbours' mean log-likelihood, in nats per token."
    )

    @field_validator("method")
    @classmethod
    def _known(cls, name: str) -> str:
        from learners.methods import methods

        known = [known for known, info in methods().items() if "forget" in info.stages]
        if known and name not in known:
            hint = did_you_mean(name, known, f"there are {', '.join(known)}")
            raise ValueError(f"{name!r} is no method of unlearning; {hint}")
        return name
