"""Profiles: ready-made sets of suites whose changes against the initial model make named deltas.

A profile is one YAML file here. Owns the file format; what the deltas are is `monitors.gate.deltas`'. Called by
`agent.probing.profiles`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field

from monitors.gate.deltas import DELTAS, DeltaName
from monitors.job import Role

__all__ = ["Profile", "ProfileDelta", "load_profile", "profiles"]


class ProfileDelta(BaseModel):
    """One delta of a profile: the mean change over its suites, which have the role that the delta is about."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: DeltaName
    suites: tuple[str, ...] = Field(min_length=1)

    @property
    def role(self) -> Role:
        """The role that its suites must have."""
        return DELTAS[self.name]


class Profile(BaseModel):
    """A ready-made measurement."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    profile: str
    about: str
    paper: str
    deltas: tuple[ProfileDelta, ...] = Field(min_length=1)

    @property
    def suites(self) -> tuple[str, ...]:
        """Names of all suites, in order."""
        return tuple(suite for delta in self.deltas for suite in delta.suites)


def profiles() -> dict[str, Path]:
    """The files of the profiles that come with cld, by name."""
    return {path.stem: path for path in sorted(Path(__file__).parent.glob("*.yaml"))}


def load_profile(name: str) -> Profile:
    """One shipped profile.

    Raises:
        KeyError: there is none of that name.
    """
    content: Any = yaml.safe_load(profiles()[name].read_text(encoding="utf-8"))
    return Profile.model_validate(content)
