"""What cld takes from the machine and leaves on it: [store], [limits], [workers], [retention], [energy], [log]."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from agent.config.section import Section

__all__ = ["Energy", "Limits", "Log", "Retention", "Store", "Workers"]


class Store(Section):
    """Where state is kept."""

    url: str | None = Field(
        default=None, description="SQLAlchemy URL of the database; cld.db in the data root when unset."
    )


class Limits(Section):
    """What cld may take from the machine, per job and per month."""

    wall_seconds: float = Field(default=3600.0, gt=0, description="Longest time of one job.")
    memory_bytes: int = Field(default=8 * 2**30, ge=2**28, description="Most memory of one job, with its children.")
    disk_bytes: int = Field(default=4 * 2**30, ge=2**20, description="Most disk space of one job's folder.")
    disk_reserve_bytes: int = Field(
        default=2**30, ge=0, description="cld pauses when less than this is free, and resumes when it is free again."
    )
    attempts: int = Field(default=3, ge=1, le=20, description="Attempts at a job before its cycle fails.")
    backoff_seconds: float = Field(
        default=2.0, ge=0, description="Wait before the second attempt; doubled for each one after."
    )
    lease_seconds: float = Field(
        default=30.0, ge=2, description="A worker that is silent for this long is ended as hung."
    )
    threads: int = Field(default=2, ge=1, description="Threads of one job.")
    monthly_energy_kwh: float | None = Field(
        default=None, gt=0, description="Estimated energy per month, above which cld pauses."
    )
    monthly_train_tokens: int | None = Field(
        default=None, ge=1, description="Trained tokens per month, above which cld pauses."
    )


class Workers(Section):
    """How worker processes are started."""

    accelerate_config: Path | None = Field(
        default=None,
        description="File of `accelerate config` that says on how many GPUs of this machine training runs, a process "
        "each; relative to the data root unless absolute. One process when unset.",
    )


class Retention(Section):
    """What is kept. Current, previous, pinned, anchor and referenced versions always are."""

    keep_versions: int = Field(default=5, ge=2, description="Newest versions kept.")
    keep_jobs: int = Field(default=20, ge=1, description="Newest finished job folders kept.")


class Energy(Section):
    """Estimation of energy, by codecarbon's offline tracker."""

    enabled: bool = Field(default=True, description="Estimate the energy of each job.")
    country: str = Field(
        default="DEU", pattern=r"^[A-Z]{3}$", description="Three-letter country code of the power grid."
    )


class Log(Section):
    """The daemon's log, logs/daemon.jsonl."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least severity that is written."
    )
