"""What `cld start` and `cld stop` do, between the command line and `agent.daemon.background`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from agent.cli.place import Place

__all__ = ["start_background", "start_foreground", "stop_daemon"]

Result = tuple[str, str, str, dict[str, Any]]
"""Target, outcome, message, data."""


def start_foreground(place: Place, overrides: Sequence[str]) -> int:
    """Be the daemon until a signal ends it; returns the exit code."""
    from agent.daemon.loop import run
    from agent.root.settings import parse_flags

    place.flags = parse_flags(overrides)
    return run(place.layout, place.config)


def start_background(place: Place, overrides: Sequence[str], *, dry_run: bool) -> Result:
    """Start a detached daemon after its configuration was found right."""
    from agent.daemon import background
    from agent.root.lock import daemon_alive
    from agent.root.settings import parse_flags

    place.flags = parse_flags(overrides)
    place.config  # noqa: B018 - a wrong cld.toml is named here, not in a log  # pyright: ignore[reportUnusedExpression]
    root = str(place.layout.root)
    if dry_run and daemon_alive(place.layout) is None:
        return root, "would_apply", "the daemon would start", {}
    holder, started = background.start(place.layout, overrides)
    data = {"pid": holder.pid, "since": datetime.fromtimestamp(holder.since, UTC).isoformat(timespec="seconds")}
    if not started:
        return root, "already", f"the daemon runs already (pid {holder.pid})", data
    return root, "applied", f"the daemon runs (pid {holder.pid}); see `cld status` and `cld logs --follow`", data


def stop_daemon(place: Place, *, now: bool, dry_run: bool) -> Result:
    """End the daemon and wait until it has ended."""
    from agent.daemon import background
    from agent.root.lock import daemon_alive

    root, holder = str(place.layout.root), daemon_alive(place.layout)
    if holder is None:
        return root, "already", "no daemon runs", {}
    if dry_run:
        return root, "would_apply", f"the daemon (pid {holder.pid}) would end", {"pid": holder.pid}
    background.stop(place.layout, now=now)
    return root, "applied", f"the daemon (pid {holder.pid}) ended", {"pid": holder.pid}
