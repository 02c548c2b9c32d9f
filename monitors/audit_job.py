"""Request and answer of the `audit` job. Imports no torch; the folder protocol is `learners.job`'s."""

from __future__ import annotations

import math
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, field_validator

from monitors.job import EngineSettings, VersionRef
from monitors.privacy.canaries import leak_limit

__all__ = ["AuditResult", "AuditSpec", "Canaries", "CanaryExposure", "Membership", "RareStrings", "SuiteChange"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class AuditSpec(_Frozen):
    """What to look for in `version`, beside what its `reference` shows too.

    Attributes:
        reference: its parent.
        members: JSON lines of `Record` that `version` was trained on and `reference` was not.
        fresh: JSON lines of comparable records that neither was trained on; may be empty.
        suites: probes that report and do not decide: identity, sycophancy, toxicity.
        candidates: random fills that stand for all fills of a canary's format; so many that exposure can pass the
            limit from which on it counts as a leak.
        controls: canaries that nobody planted, measured beside the planted ones.
        most_records: most records of each side whose likelihood is read.
        most_strings: most rare strings that are led up to.
    """

    version: VersionRef
    reference: VersionRef
    members: Path
    fresh: Path
    suites: tuple[Path, ...] = ()
    engine: EngineSettings = EngineSettings()
    candidates: int = Field(default=255, ge=1)
    controls: int = Field(default=4, ge=1)
    most_records: int = Field(default=48, ge=2)
    most_strings: int = Field(default=24, ge=1)
    seed: int = 0

    @field_validator("candidates")
    @classmethod
    def _can_leak(cls, count: int) -> int:
        limit, most = leak_limit(count), math.log2(count + 1)
        if most <= limit:
            raise ValueError(
                f"with {count} candidates exposure is at most {most:.2f} bits and a leak begins above {limit:.2f}, so "
                "no canary could ever leak; take 30 or more"
            )
        return count


class CanaryExposure(_Frozen):
    """One planted canary: its name, how many times it was trained, its exposure in bits, and whether that is a leak."""

    name: str
    times: int
    exposure_bits: float
    leaked: bool


class Canaries(_Frozen):
    """The planted canaries against what a never-trained one shows.

    Attributes:
        limit_bits: above it one canary counts as leaked: three standard deviations over the never-trained mean.
        expected_bits, control_bits: mean of never-trained canaries, by arithmetic and as measured on controls.
        z: standard errors between the planted canaries' mean and `expected_bits`: above 3 memorised, below -2
            suppressed (unlearned too far, which shows as well); 0 where none is planted.
    """

    planted: tuple[CanaryExposure, ...]
    limit_bits: float
    expected_bits: float
    control_bits: float
    z: float


class RareStrings(_Frozen):
    """Strings of one record alone: how many were led up to, how many the version said, and the reference.

    `records` are ids of the records whose string the version says and the reference does not.
    """

    tested: int
    extracted: int
    extracted_by_reference: int
    records: tuple[str, ...]


class Membership(_Frozen):
    """AUC of telling trained from fresh records, by each signal of `monitors.privacy.membership`.

    Attributes:
        loss_auc, reference_auc: by loss, and by loss against the reference, the latter with its standard error.
        min_k_auc: by Min-K%; None where the engine does not tell the log-probability of single tokens.
    """

    members: int
    fresh: int
    loss_auc: float
    min_k_auc: float | None = None
    reference_auc: float
    reference_auc_error: float


class SuiteChange(_Frozen):
    """Mean score of the reference and of the version on a suite that only reports."""

    suite: str
    items: int
    before: float
    after: float


class AuditResult(_Frozen):
    """Answer of an `audit` job; `membership` is None where either side has fewer than two records."""

    canaries: Canaries
    rare_strings: RareStrings
    membership: Membership | None
    suites: tuple[SuiteChange, ...]
    seconds: float
