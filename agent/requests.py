"""What every verb of operators is given and answers with: the types of `agent.operators.verbs` and what it gathers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from agent.config import Config
from agent.root.layout import Layout
from agent.store import Session

__all__ = ["Reply", "Request", "Verb"]


@dataclass(frozen=True)
class Request:
    """What a verb is given: the places, the rules, who asks, and the arguments of the row.

    Attributes:
        target: id of the cycle, version or norm meant, None for the obvious one.
        generation: deployment generation that the operator saw, None for whatever stands.
        args: all arguments of the row, for verbs that have more.
    """

    layout: Layout
    config: Config
    who: str
    why: str
    target: str | None = None
    generation: int | None = None
    args: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class Reply:
    """What a verb did: to what, whether there was anything to do, and one sentence."""

    target: str
    outcome: Literal["applied", "already"]
    message: str
    data: dict[str, Any] = field(default_factory=dict[str, Any])


Verb = Callable[[Session, Request], Reply]
