"""Reports over measurements: what is not measured yet is asked of the daemon first, once.

Owns the order of events of every `cld probe` that shows a report: read, ask for what it lacks, read again. Shows no
report itself. Called by `hidden_view` and `profile_view`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar

from agent.cli.changes import finish
from agent.cli.place import Place
from agent.operators.commands import ask
from agent.store import commands

__all__ = ["Report", "measured"]


class Report(Protocol):
    """What is read of the store."""

    @property
    def version(self) -> str:
        """The version that it is about."""
        ...

    @property
    def unmeasured(self) -> int:
        """Measurements that it lacks."""
        ...

    def as_dict(self) -> dict[str, Any]:
        """It as plain JSON."""
        ...


_Report = TypeVar("_Report", bound=Report)


def measured(
    place: Place, read: Callable[[], _Report], args: Callable[[_Report], Mapping[str, Any]], *,
    what: Callable[[_Report], str], then: str, why: str, dry_run: bool, as_json: bool,
) -> _Report | None:  # fmt: skip
    """The report with everything measured; None where it is not yet, which is then said.

    Args:
        read: the report as the store has it.
        args: of the command `probe_run` that measures what it lacks; `what` says it in words, e.g. `v3 and v0`.
        then: what the same words show later.
    """
    found = read()
    if not found.unmeasured:
        return found
    wanted = f"{found.unmeasured} measurements of {what(found)} would be made"
    outcome, message = ("would_apply", wanted) if dry_run else _asked(place, found.version, args(found), why, then)
    if outcome == "applied":
        return read()
    return finish("probe_run", found.version, outcome, message, found.as_dict(), as_json=as_json)


def _asked(place: Place, version: str, more: Mapping[str, Any], why: str, then: str) -> tuple[str, str]:
    """Ask the daemon, unless the same was asked and waits already; returns outcome and message."""
    args = {"target": version, **more}
    with place.store.read() as tx:
        waiting = [row.id for row in commands.pending(tx) if args.items() <= row.args.items()]
    if waiting:
        return "queued", f"command {waiting[0]} measures it; then the same words show {then}"
    reply = ask(place.store, place.layout, place.config, "probe_run", {**args, "why": why}, place.who)
    later = f"; then the same words show {then}" if reply.outcome == "queued" else ""
    return reply.outcome, f"{reply.message}{later}"
