"""A suite: a named set of probes with a role, and the error of a file that is none.

Owns what a suite is, whatever it was read from; reads nothing. `monitors.probes.suites` reads and writes its files, and
`monitors.probes.harness_suite` is the kind whose items only a worker can load.
"""

from __future__ import annotations

import hashlib
import json
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, SerializeAsAny, model_validator

from monitors.job import Role
from monitors.probes.probe import Entry, Probe

__all__ = ["Suite", "SuiteError"]


class SuiteError(ValueError):
    """A suite file cannot be used; the message names file, item, key and rule of every problem (the first ten)."""


class Suite(BaseModel, frozen=True):
    """A named set of probes.

    Attributes:
        suite: its name.
        role: what the gate uses it for.
        items: its probes; ids are unique.
    """

    model_config = ConfigDict(extra="forbid")

    suite: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")
    role: Role
    description: str = ""
    items: tuple[SerializeAsAny[Probe], ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _ids_are_unique(self) -> Self:
        seen: set[str] = set()
        for probe in self.items:
            if probe.id in seen:
                raise ValueError(f"two items have the id {probe.id!r}; results are kept per id, so each needs its own")
            seen.add(probe.id)
        return self

    @property
    def entries(self) -> tuple[Entry, ...]:
        """What is known of its items before they are asked."""
        return tuple(probe.entry for probe in self.items)

    @property
    def digest(self) -> str:
        """First 16 hex digits of the SHA-256 of name, role and items: layout, comments and defaults do not count."""
        facts = self.model_dump(mode="json", exclude={"description"}, exclude_defaults=True)
        for fact, probe in zip(facts["items"], self.items, strict=True):
            fact["scorer"] = probe.scorer
        canonical = json.dumps(facts, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]
