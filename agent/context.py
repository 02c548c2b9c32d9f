"""What every step of the loop is given: the places, the rules, the truth, the workers and the log.

Owns nothing itself. `agent.daemon.loop` builds one context at start; steps, planner and history read it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from agent.config import Config
from agent.root.layout import Layout
from agent.serving_files import Reader
from agent.store import Store
from agent.work.jobs import JobRunner

__all__ = ["DAEMON", "Context", "Log"]

DAEMON = "daemon"
"""`who` of everything that the daemon does by itself."""


class Log(Protocol):
    """The part of a structlog logger that the loop uses: an event is a human sentence, `action` is for machines."""

    def info(self, event: str, **fields: object) -> object: ...

    def warning(self, event: str, **fields: object) -> object: ...

    def error(self, event: str, **fields: object) -> object: ...


@dataclass(frozen=True)
class Context:
    """Arguments of every step: where things lie, the configuration, the database, the workers, the log.

    Attributes:
        reader: reads what is about to serve while the loop goes on.
    """

    layout: Layout
    config: Config
    store: Store
    jobs: JobRunner
    log: Log
    reader: Reader = field(default_factory=Reader)
