"""What comes in: the watched places ([sources]) and how their files become records ([intake])."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from agent.config.section import Section

__all__ = ["Intake", "Source"]


class Source(Section):
    """A place that is watched for data; the table's name is the source's name."""

    kind: Literal["folder"] = Field(default="folder", description="What the source is: a watched folder.")
    path: Path = Field(default=Path("inbox"), description="The folder; relative to the data root unless absolute.")
    trust: Literal["trusted", "untrusted"] = Field(
        default="trusted",
        description="Records of an untrusted source are learned only in plans that a person approves.",
    )
    cap_records_per_cycle: int = Field(
        default=2000,
        ge=1,
        description="Most records of this source in one cycle, so that one source cannot flood the model.",
    )


class Intake(Section):
    """How files become records."""

    settle_seconds: float = Field(
        default=2.0, ge=0, le=3600, description="A file is read once its size and time have not changed for this long."
    )
    max_line_bytes: int = Field(
        default=1_000_000, ge=1_000, description="A longer line is quarantined, with the reason."
    )
    max_file_bytes: int = Field(
        default=50_000_000, ge=1_000, description="A larger file is quarantined, with the reason."
    )
