"""How an operator's change is asked for and answered: a row in the store, executed once.

    ask      the side of the CLI and the API: submit the row, then wait for the daemon's answer. With no daemon, the
             caller takes the daemon's lock and executes the row itself, so nothing waits for ever.
    execute  one row: its verb and its answer in one transaction; a refused change leaves nothing but the answer.

Owns the envelope `Answer`; what a verb does is `agent.operators.verbs`'. `probe_run` needs a worker, so its row stays
pending until the daemon has measured (`agent.probing.sweep`).
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from agent.config import Config
from agent.errors import AlreadyRunning, CldError, StoreError, error_kind, exit_code
from agent.operators.verbs import DAEMON_VERBS, UNORDERED_VERBS, VERBS, Reply, Request, prepare, seen
from agent.root.layout import Layout
from agent.root.lock import daemon_alive, lock
from agent.serving_files import Read, Reader, read_now
from agent.store import Store, commands
from agent.store.commands import Command

if TYPE_CHECKING:
    from agent.context import Context

__all__ = ["Answer", "Outcome", "ask", "execute", "execute_pending", "refuse"]

Outcome = Literal["applied", "would_apply", "already", "refused", "queued"]

_POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Answer:
    """The envelope of every change, the same from every verb."""

    verb: str
    target: str
    outcome: Outcome
    message: str
    data: dict[str, Any] = field(default_factory=dict[str, Any])

    def as_dict(self) -> dict[str, Any]:
        """The answer as JSON values."""
        return asdict(self)


def ask(
    store: Store,
    layout: Layout,
    config: Config,
    verb: str,
    args: Mapping[str, Any],
    who: str,
    *,
    dry_run: bool = False,
    key: str | None = None,
    wait_seconds: float = 15.0,
) -> Answer:
    """Ask for a change and return its answer.

    Args:
        args: `target`, `why`, `generation`, each optional, and what else the verb takes.
        dry_run: say what would happen; nothing is written.
        key: idempotency key; the same key again returns the first answer.
        wait_seconds: how long to wait for a busy daemon before answering `queued`.

    Raises:
        StoreError: the database cannot be used.
    """
    if dry_run:
        return _rehearse(store, layout, config, verb, args, who)
    if verb in DAEMON_VERBS:  # what it would refuse is not kept for it
        rehearsed = _rehearse(store, layout, config, verb, args, who)
        if rehearsed.outcome == "refused":
            return rehearsed
    with store.write() as tx:
        row = commands.submit(tx, verb, args, who, key or uuid.uuid4().hex, seen(tx, verb, args))
    return _wait(store, layout, config, row, wait_seconds)


def _wait(store: Store, layout: Layout, config: Config, row: Command, wait_seconds: float) -> Answer:
    """The answer to a row: the daemon's, or that of whoever holds its lock while it is down."""
    until = time.monotonic() + wait_seconds
    while row.outcome is None and time.monotonic() < until:
        if daemon_alive(layout) is None:
            if row.verb in DAEMON_VERBS:
                return _queued(row, "the daemon is down: `cld start` runs it")
            _execute_here(store, layout, config)
        with store.read() as tx:
            row = commands.get(tx, row.id)
        time.sleep(0.0 if row.outcome else _POLL_SECONDS)
    return _queued(row, "the daemon is busy and will take it up") if row.outcome is None else _answer_of(row)


def execute(store: Store, layout: Layout, config: Config, command: Command, read: Read = read_now) -> Answer | None:
    """Execute one row and record its answer in the same transaction; a row that is answered stays as it is.

    A fault of cld is answered, too, and then raised.

    Args:
        read: reads the files of a version that is about to serve.

    Returns:
        The answer; None while `read` still reads, and the row stays pending.

    Raises:
        StoreError: the database cannot be used; the row stays pending.
    """
    request = _request(layout, config, command.args, command.who)
    try:
        if not prepare(store, command.verb, request, read, keep_findings=True):
            return None
        with store.write() as tx:
            current = commands.get(tx, command.id)
            if current.outcome is None:
                reply = VERBS[command.verb](tx, request)
                data = {"target": reply.target, **reply.data}
                current = commands.answer(tx, command.id, reply.outcome, reply.message, data, who=command.who)
    except StoreError:
        raise
    except Exception as error:
        current = refuse(store, command, error)
        if exit_code(error) is None:
            raise
    return _answer_of(current)


def refuse(store: Store, command: Command, error: Exception) -> Command:
    """Answer a row with the error that it met; one left pending would end every turn to come, and be tried again."""
    fault = "" if exit_code(error) else f"a fault of cld, `cld logs` tells more: {type(error).__name__}: "
    data = {"target": command.args.get("target") or "", "kind": error_kind(error)}
    with store.write() as tx:
        return commands.answer(tx, command.id, "refused", f"{fault}{error}", data, who=command.who)


def execute_pending(context: Context) -> bool:
    """The daemon's side: execute what operators asked; True if anything was answered."""
    answered = False
    for answer in _execute_all(context.store, context.layout, context.config, context.reader):
        answered = True
        context.log.info(f"{answer.verb}: {answer.message}", action="command.answered", outcome=answer.outcome)
        if answer.verb == "cycle_abort" and answer.outcome == "applied":
            context.jobs.abandon(answer.target, answer.message)
    return answered


def _execute_here(store: Store, layout: Layout, config: Config) -> None:
    """Execute pending rows under the daemon's lock; whoever holds it instead does it."""
    with suppress(AlreadyRunning), lock(layout, "command"):
        list(_execute_all(store, layout, config))


def _execute_all(store: Store, layout: Layout, config: Config, reader: Reader | None = None) -> Iterator[Answer]:
    """Execute what is pending in its order; behind a row whose files are still read only what needs no order.

    Each answer is given before the next row is tried, so that what follows from it is done whatever that one meets.
    """
    with store.read() as tx:
        rows = [row for row in commands.pending(tx) if row.verb not in DAEMON_VERBS]
    waits = False
    for row in rows:
        if not waits or row.verb in UNORDERED_VERBS:
            read = partial(reader.ask, f"command {row.id}") if reader else read_now
            answer = execute(store, layout, config, row, read)
            waits = waits or answer is None
            if answer is not None:
                yield answer


class _RehearsedError(Exception):
    """Carries a reply out of a transaction that must leave no trace."""

    def __init__(self, reply: Reply) -> None:
        super().__init__()
        self.reply = reply


def _rehearse(store: Store, layout: Layout, config: Config, verb: str, args: Mapping[str, Any], who: str) -> Answer:
    request = _request(layout, config, args, who)
    try:
        prepare(store, verb, request, read_now, keep_findings=False)
        with store.write() as tx:
            raise _RehearsedError(VERBS[verb](tx, request))
    except _RehearsedError as rehearsed:
        reply = rehearsed.reply
        outcome = "would_apply" if reply.outcome == "applied" else reply.outcome
        return Answer(verb, reply.target, outcome, reply.message, reply.data)
    except StoreError:
        raise
    except CldError as refusal:
        return Answer(verb, request.target or "", "refused", str(refusal), {"kind": error_kind(refusal)})


def _request(layout: Layout, config: Config, args: Mapping[str, Any], who: str) -> Request:
    named = {name: args[name] for name in ("target", "generation") if args.get(name) is not None}
    meant = {**args.get("seen", {}), **named}
    why = args.get("why") or "asked for"
    return Request(layout, config, who, why, meant.get("target"), meant.get("generation"), args)


def _answer_of(row: Command) -> Answer:
    data = dict(row.data or {})
    outcome: Outcome = row.outcome or "queued"  # pyright: ignore[reportAssignmentType]
    return Answer(row.verb, data.pop("target", ""), outcome, row.message or "", data)


def _queued(row: Command, why: str) -> Answer:
    target = row.args.get("target") or ""
    return Answer(row.verb, target, "queued", f"kept as command {row.id}; {why}", {"command": row.id})
