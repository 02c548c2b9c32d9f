"""Commands: what operators ask of the daemon. Each is a row, consumed once by its id."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from agent.errors import NotFound
from agent.store import events
from agent.store.errors import Conflict
from agent.store.tables import Command, now

__all__ = ["Command", "Outcome", "answer", "get", "pending", "submit"]

Outcome = Literal["applied", "refused", "already"]

_SEEN: Final = "seen"


def submit(
    tx: Session,
    verb: str,
    args: Mapping[str, Any],
    who: str,
    key: str | None = None,
    seen: Mapping[str, Any] | None = None,
) -> Command:
    """Ask for something; with a `key`, asking again returns the first row.

    Args:
        seen: what stood when it was asked, kept in the row's `args` as `seen`; asking again may see something else.

    Raises:
        Conflict: that key was used for another command.
    """
    if key is not None and (found := tx.scalar(select(Command).where(Command.key == key))) is not None:
        asked = {name: value for name, value in found.args.items() if name != _SEEN}
        if (found.verb, asked) != (verb, dict(args)):
            raise Conflict(f"key {key!r} belongs to {found.verb!r} {found.args!r}: use another key for {verb!r}")
        return found
    command = Command(verb=verb, args={**args, **({_SEEN: dict(seen)} if seen else {})}, who=who, key=key)
    tx.add(command)
    tx.flush()
    events.record(tx, "command.submitted", str(command.id), who, verb, args=dict(args))
    return command


def get(tx: Session, command_id: int) -> Command:
    """One command, with its answer once there is one.

    Raises:
        NotFound: no such command.
    """
    command = tx.get(Command, command_id, populate_existing=True)
    if command is None:
        raise NotFound(f"there is no command {command_id!r}")
    return command


def pending(tx: Session) -> list[Command]:
    """Commands without an answer, oldest first."""
    return list(tx.scalars(select(Command).where(Command.outcome.is_(None)).order_by(Command.id)))


def answer(
    tx: Session,
    command_id: int,
    outcome: Outcome,
    message: str,
    data: Mapping[str, Any] | None = None,
    who: str = "daemon",
) -> Command:
    """Answer a command. The first answer stands; a second call changes nothing."""
    command = get(tx, command_id)
    if command.outcome is not None:
        return command
    values = {"outcome": outcome, "message": message, "data": dict(data or {}), "answered_at": now()}
    tx.execute(update(Command).where(Command.id == command_id).values(**values))
    events.record(tx, "command.answered", str(command_id), who, message, outcome=outcome)
    return get(tx, command_id)
