"""The verbs that change the registry of values: `norm_add`, `norm_revise`, `norm_retire`.

Owns what an operator may say about a norm and what is checked before `agent.store.norms` keeps it: its name, its dates,
that its suite is there. Changes no weights: what a model follows is changed by a cycle, whose plan waits for a person.
Called through `agent.operators.verbs`.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, Final

from agent.errors import InvalidId, InvalidValue, NotFound, Refused
from agent.reads.values import moment_of
from agent.requests import Reply, Request
from agent.store import Conflict, Session, norms
from agent.store.columns import now

__all__ = ["add", "retire", "revise"]

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_SUITE: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")


def add(tx: Session, request: Request) -> Reply:
    """Register a norm that takes nobody's place."""
    draft = _draft(request, _named(request), now())
    known = norms.find(tx, draft.id)
    norm = norms.add(tx, draft, request.who, request.why)
    return _reply(tx, request, norm, "add", already=known is not None)


def revise(tx: Session, request: Request) -> Reply:
    """Register a norm in the place of one that holds."""
    old = _named(request)
    draft = _draft(request, str(request.args.get("new") or ""), now())
    known = norms.find(tx, draft.id)
    norm = norms.revise(tx, old, draft, request.who, request.why)
    return _reply(tx, request, norm, "revise", already=known is not None)


def retire(tx: Session, request: Request) -> Reply:
    """End a norm without another in its place."""
    norm = norms.get(tx, _named(request))
    if norm.valid_to is not None and norm.id not in norms.heirs(tx):
        return Reply(norm.id, "already", f"norm {norm.id!r} was retired already, on {norm.valid_to.date()}")
    norm = norms.retire(tx, norm.id, _moment(request, now()), request.who, request.why)
    return _reply(tx, request, norm, "retire", already=False)


def _reply(tx: Session, request: Request, norm: norms.Norm, change: norms.NormChangeKind, *, already: bool) -> Reply:
    said = {
        "add": f"norm {norm.id!r} holds from {norm.valid_from.date()}",
        "revise": f"norm {norm.id!r} takes the place of {norm.supersedes!r} from {norm.valid_from.date()}",
        "retire": f"norm {norm.id!r} ends on {norm.valid_to.date() if norm.valid_to else None}; {_let_go(norm)}",
    }[change]
    if already:
        _require_same_date(request, norm)
        return Reply(norm.id, "already", f"{said}; that is registered already")
    changes: tuple[norms.NormChangeKind, ...] = ("retire",) if change == "retire" else ("add", "revise")
    back = norms.put_back(tx, norm.id, changes, request.who, f"norm {norm.id!r}: {change}")
    waited = f"; {back} preference(s) that were set aside for it are back in the pool" if back else ""
    return Reply(norm.id, "applied", f"{said}{waited}", {"put_back": back})


def _let_go(norm: norms.Norm) -> str:
    """What becomes of what the model learned of a norm that ends."""
    if norm.suite is None:
        return "it has no suite, so nobody can tell whether the model follows it still, and nothing is unlearned"
    return "then a cycle looks whether the model follows it still, and asks before anything is unlearned"


def _require_same_date(request: Request, norm: norms.Norm) -> None:
    """A date that was given must be the one that is registered; no date means whatever is."""
    if (given := _moment(request, norm.valid_from)) != norm.valid_from:
        raise Conflict(
            f"norm {norm.id!r} holds from {norm.valid_from.date()} and not from {given.date()}, and that stays: "
            f"`cld values revise {norm.id} NEW STATEMENT` puts another one in its place"
        )


def _named(request: Request) -> str:
    if request.target is None:
        raise Refused("name the norm that is meant; `cld values list` shows those there are")
    return request.target


def _draft(request: Request, norm: str, today: datetime) -> norms.Draft:
    args = request.args
    statement = " ".join(str(args.get("statement") or "").split())
    if not _NAME.fullmatch(norm):
        raise InvalidId(f"norm {norm!r}: a norm's name has 1 to 64 of a-z, 0-9, '_' and '-', and begins with no sign")
    if not statement:
        raise InvalidValue(f"norm {norm!r} says nothing: give its statement in a sentence or two")
    return norms.Draft(
        id=norm,
        statement=statement,
        valid_from=_moment(request, today),
        scope=tuple(args.get("scope") or ()),
        evidence=str(args.get("evidence") or ""),
        suite=_suite(request, args.get("suite")),
    )


def _moment(request: Request, today: datetime) -> datetime:
    """The moment that the row names, else now."""
    given = request.args.get("date")
    return moment_of(str(given)) if given else today


def _suite(request: Request, name: Any) -> str | None:
    """Name of the suite, which its file carries too, so that its measurements are found by it."""
    if name is None:
        return None
    from agent.measured import suite_file
    from monitors.probes.suites import SuiteError, load_suite

    if not _SUITE.fullmatch(str(name)):
        raise InvalidId(f"suite {name!r}: a suite's name has 1 to 64 of a-z, 0-9 and '-'")
    path = suite_file(request.layout, str(name))
    if not path.is_file():
        raise NotFound(f"{name!r} is no suite, and {str(path)!r} is not there; {_shipped(str(name))}")
    try:
        suite = load_suite(path)
    except SuiteError as error:
        raise Refused(f"a norm's suite must be readable: {error}") from error
    if suite.suite != name:
        raise Refused(f"{path.name!r} holds suite {suite.suite!r}: a norm's suite has the name of its file")
    return suite.suite


def _shipped(name: str) -> str:
    from learners.nearest import did_you_mean
    from monitors.probes.suites import shipped_suites

    shipped = [suite for suite in shipped_suites() if suite.startswith("norm-")]
    return did_you_mean(name, shipped, f"shipped for norms are {', '.join(shipped)}")
