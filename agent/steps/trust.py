"""Trust: which sources of a cycle's records nobody vouches for. Shared by the steps `planning` and `judging`."""

from __future__ import annotations

from agent.context import Context
from agent.store import pool
from agent.store.cycles import Cycle

__all__ = ["untrusted_sources"]


def untrusted_sources(context: Context, cycle: Cycle) -> list[str]:
    """Names of the untrusted sources of a cycle's records, sorted.

    A source that is not configured any more is not trusted any more.
    """
    with context.store.read() as tx:
        sources = {row.source for row in pool.records_of(tx, cycle.id)}
    known = context.config.sources
    return sorted(name for name in sources if name not in known or known[name].trust == "untrusted")
