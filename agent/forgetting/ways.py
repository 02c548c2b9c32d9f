"""The two ways to forget, as plans: by a method of unlearning, and exactly, by training the lineage again.

Decides nothing: the request says which way, and a person approves the plan. Called by `asking`, inside its transaction;
`preview` shows the same words.
"""

from __future__ import annotations

from collections.abc import Sequence

from agent.config import Config
from agent.errors import InvalidValue, NotFound, Refused
from agent.forgetting.costs import unlearning
from agent.forgetting.lineage import Lineage
from agent.forgetting.replay import METHOD, Exact, exact
from agent.planner.plan import Candidate, Plan
from agent.planner.settings import configured_settings
from agent.requests import Request
from agent.store import Session
from agent.store.pool import PooledRecord
from learners.methods import methods
from learners.nearest import did_you_mean

__all__ = ["method_of", "replay_told", "replayed", "unlearned"]


def method_of(config: Config, named: str | None) -> str:
    """The method that unlearns: the one named, else [forget] method.

    Raises:
        NotFound: there is no such method of unlearning.
    """
    known = [name for name, info in methods().items() if "forget" in info.stages]
    method = named or config.forget.method
    if method not in known:
        hint = did_you_mean(method, known, "none is like it;")
        raise NotFound(f"{method!r} is no method of unlearning; {hint} there are {', '.join(known) or 'none'}")
    return method


def replay_told(whole: Exact) -> str:
    """Exact forgetting in a sentence: what it trains again, or why it cannot be had."""
    if whole.refused:
        return f"exact forgetting cannot be had: {whole.refused}"
    again = ", ".join(one.cycle for one in whole.replay)
    return (
        f"the jobs of {again} are trained again from {whole.start} without the records, {whole.tokens} tokens and "
        f"{whole.seconds:.0f} s of training as they cost before"
    )


def unlearned(tx: Session, request: Request, learned: Sequence[PooledRecord], found: Lineage) -> Plan:
    """The plan of unlearning; that of exact forgetting stands beside it with its cost."""
    method = method_of(request.config, request.args.get("method"))
    cost, whole = unlearning(tx, request.config, method, learned), exact(tx, request.layout, found)
    chosen = Candidate(id=f"forget.{method}", action="train", stage="forget", method=method, cost_tokens=cost.tokens)
    return Plan(
        action="train",
        stage="forget",
        method=method,
        settings=configured_settings(request.config, chosen),
        records=tuple(row.id for row in learned),
        cost_tokens=cost.tokens,
        decided_by=request.who,
        reason=request.why,
        alternatives=(chosen, *([_offered(whole)] if whole else ())),
    )


def replayed(tx: Session, request: Request, learned: Sequence[PooledRecord], found: Lineage) -> Plan:
    """The plan of exact forgetting.

    Raises:
        InvalidValue: a method of unlearning was named beside it.
        Refused: it cannot be had, with the reason.
    """
    if (named := request.args.get("method")) is not None:
        raise InvalidValue(f"--exact trains every job again with its own method, so --method {named} has no part in it")
    whole = exact(tx, request.layout, found)
    if whole is None or whole.refused:
        method = method_of(request.config, None)
        told = replay_told(whole) if whole else "the serving version knows none of the records"
        raise Refused(f"{told}; without --exact they are unlearned with {method}")
    return Plan(
        action="train",
        stage="forget",
        method=METHOD,
        records=tuple(row.id for row in learned),
        cost_tokens=whole.tokens,
        decided_by=request.who,
        reason=request.why,
        alternatives=(_offered(whole),),
        replay_from=whole.start,
        replay=whole.replay,
    )


def _offered(whole: Exact) -> Candidate:
    return Candidate(
        id=f"forget.{METHOD}", action="train", stage="forget", method=METHOD, cost_tokens=whole.tokens,
        refused=replay_told(whole) if whole.refused else None,
    )  # fmt: skip
