"""The verbs of operators: what each change means, as a function from a transaction and a request to a reply.

Owns the table `VERBS`. A verb is idempotent: it answers `already` where the world is as asked, raises `Refused` (or
`NotFound`) where a rule forbids it, and leaves the transaction to its caller, `agent.operators.commands`, which
records the answer in it. What takes long (reading the files of a version about to serve) is done before, by `prepare`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, Literal

from agent import disagreement
from agent.errors import DamagedVersion, NotFound, Refused
from agent.forgetting import asking
from agent.operators import norm_verbs
from agent.requests import Reply, Request, Verb
from agent.serving_files import Read, parts_of
from agent.steps.ending import end
from agent.store import Session, Store, control, cycles, decisions, deployment, versions
from agent.trigger import start_cycle, unlearnable

__all__ = ["DAEMON_VERBS", "UNORDERED_VERBS", "VERBS", "Reply", "Request", "Verb", "prepare", "seen"]


def prepare(store: Store, verb: str, request: Request, read: Read, *, keep_findings: bool) -> bool:
    """Check the files of a version that is about to serve, before the transaction: reading them takes seconds.

    Returns:
        False while `read` still reads them: the verb's time has not come.

    Raises:
        NotFound: no such verb or version.
        DamagedVersion: a file is not what was registered; recorded if `keep_findings`.
    """
    if verb not in VERBS:
        raise NotFound(f"{verb!r} is no verb; there are {', '.join(sorted(VERBS))}")
    if verb not in ("promote", "rollback"):
        return True
    with store.read() as tx:
        parts = parts_of(tx, _rollback_target(tx, request) if verb == "rollback" else _promote_target(tx, request))
    found = read(request.layout, parts)
    if found is None:
        return False
    if found.damaged is not None:
        if keep_findings:
            _mark_damaged(store, found.damaged, request.who, found.damage)
        raise DamagedVersion(f"{parts[0].id} cannot serve: {found.damage}")
    return True


def seen(tx: Session, verb: str, args: Mapping[str, Any]) -> dict[str, Any]:
    """What a command that names nothing is about as things stand when it is asked: `target` or `generation`.

    It may be executed later, after another operator's. Two who roll back at once mean one and the same version.
    """
    if args.get("target") is not None:
        return {}
    if verb == "rollback" and args.get("generation") is None:
        now = deployment.find(tx)
        return {"generation": now.generation} if now else {}
    active = cycles.active(tx) if verb in ("approve", "reject", "cycle_abort") else None
    return {"target": active.id} if active else {}


def _mark_damaged(store: Store, version_id: str, who: str, damage: str) -> None:
    """Record the damage; a version that serves keeps its state, since the store lets none but whole ones serve."""
    with store.write() as tx:
        serving, state = deployment.find(tx), versions.get(tx, version_id).state
        if state in ("candidate", "kept") and (serving is None or serving.version != version_id):
            versions.mark(tx, version_id, "damaged", who, damage)


def _pause(tx: Session, request: Request) -> Reply:
    held = [pause for pause in control.pauses(tx) if pause.code == "operator"]
    if held:
        return Reply("daemon", "already", f"paused already: {held[0].reason}; `cld resume` ends it")
    control.pause(tx, request.why, who=request.who, fix="cld resume", code="operator")
    return Reply("daemon", "applied", f"no new step starts ({request.why}); `cld resume` ends it")


def _resume(tx: Session, request: Request) -> Reply:
    lifted = control.resume(tx, request.who, request.why)
    if not lifted:
        return Reply("daemon", "already", "nothing is paused")
    return Reply("daemon", "applied", f"lifted: {'; '.join(pause.reason for pause in lifted)}")


def _approve(tx: Session, request: Request) -> Reply:
    cycle = _addressed(tx, request)
    if cycle.state != "awaiting_approval" or cycle.resume_state is None:
        words = [decision.decision for decision in decisions.of_cycle(tx, cycle.id)]
        if words[-1:] == ["approve"]:
            return Reply(cycle.id, "already", f"{cycle.id} was approved already; it is {cycle.state}")
        raise Refused(f"cycle {cycle.id!r} is {cycle.state}: nothing of it waits for approval{_overrule(cycle)}")
    what = "plan" if cycle.resume_state == "curating" else f"candidate {cycle.candidate}"
    version = None if cycle.resume_state == "curating" else cycle.candidate
    decisions.record(tx, cycle.id, "approve", request.who, request.why, version=version)
    resume_state: cycles.CycleState = cycle.resume_state  # pyright: ignore[reportAssignmentType]
    cycles.transition(tx, cycle.id, "awaiting_approval", resume_state, request.who, request.why)
    return Reply(cycle.id, "applied", f"the {what} of {cycle.id} is approved; it goes on with {resume_state}")


def _reject(tx: Session, request: Request) -> Reply:
    cycle = _addressed(tx, request)
    if cycle.state == "rejected":
        return Reply(cycle.id, "already", f"{cycle.id} was rejected already")
    if cycle.state != "awaiting_approval":
        raise Refused(
            f"cycle {cycle.id!r} is {cycle.state}: nothing of it waits for approval; `cld cycle abort` ends it"
        )
    version = None if cycle.resume_state == "curating" else cycle.candidate
    decisions.record(tx, cycle.id, "reject", request.who, request.why, version=version)
    end(tx, request.config, cycle, "rejected", request.who, request.why)
    return Reply(cycle.id, "applied", f"{cycle.id} is rejected; its records count as refused")


def _promote(tx: Session, request: Request) -> Reply:
    version, now = versions.get(tx, _promote_target(tx, request)), deployment.current(tx)
    if now.version == version.id:
        return Reply(version.id, "already", f"{version.id} serves already, at generation {now.generation}")
    active = cycles.active(tx)
    if active is not None and active.candidate == version.id:
        return _approve(tx, replace(request, target=active.id))
    decisions.record(tx, version.cycle, "approve", request.who, request.why, version=version.id)
    return _move(tx, request, version.id, now, "promote")


def _rollback(tx: Session, request: Request) -> Reply:
    target, now = _rollback_target(tx, request), deployment.current(tx)
    if now.version == target:
        return Reply(target, "already", f"{target} serves already, at generation {now.generation}")
    return _move(tx, request, target, now, "rollback")


def _cycle_run(tx: Session, request: Request) -> Reply:
    if (active := cycles.active(tx)) is not None:
        return Reply(active.id, "already", f"{active.id} is under way ({active.state})")
    if paused := control.paused(tx):
        raise Refused(f"cld is paused ({paused.reason}): {paused.fix} first")
    if deployment.find(tx) is None:
        raise Refused("no version serves yet: `cld start` imports the base model first")
    cycle = start_cycle(tx, request.config, "operator", request.who, request.why, min_records=1)
    if cycle is None:
        empty = "the pool is empty, so there is nothing to learn: put files into the inbox or `cld submit` some"
        raise Refused(unlearnable(tx, request.config) or empty)
    return Reply(cycle.id, "applied", f"{cycle.id} started")


def _cycle_abort(tx: Session, request: Request) -> Reply:
    if request.target is None and cycles.active(tx) is None:
        return Reply("", "already", "no cycle is under way")
    cycle = _addressed(tx, request)
    if not cycle.active:
        return Reply(cycle.id, "already", f"{cycle.id} ended before ({cycle.state})")
    state = cycle.state
    end(tx, request.config, cycle, "aborted", request.who, request.why)
    return Reply(cycle.id, "applied", f"{cycle.id} was aborted while {state}")


def _pin(tx: Session, request: Request) -> Reply:
    version = versions.get(tx, _named(request))
    if version.pinned:
        return Reply(version.id, "already", f"{version.id} is pinned already")
    versions.pin(tx, version.id, request.who, request.why)
    return Reply(version.id, "applied", f"{version.id} is pinned: retention keeps its files")


def _unpin(tx: Session, request: Request) -> Reply:
    version = versions.get(tx, _named(request))
    if not version.pinned:
        return Reply(version.id, "already", f"{version.id} is not pinned")
    versions.unpin(tx, version.id, request.who, request.why)
    return Reply(version.id, "applied", f"{version.id} is no longer pinned")


def _probe_run(tx: Session, request: Request) -> Reply:
    version = versions.get(tx, request.target or deployment.current(tx).version).id
    return Reply(version, "applied", f"{version} is measured on {', '.join(request.config.probes.suites)}")


VERBS: Final[dict[str, Verb]] = {
    "pause": _pause,
    "resume": _resume,
    "approve": _approve,
    "reject": _reject,
    "promote": _promote,
    "rollback": _rollback,
    "cycle_run": _cycle_run,
    "cycle_abort": _cycle_abort,
    "pin": _pin,
    "unpin": _unpin,
    "probe_run": _probe_run,
    "forget": asking.forget,
    "norm_add": norm_verbs.add,
    "norm_revise": norm_verbs.revise,
    "norm_retire": norm_verbs.retire,
    "settle": disagreement.settle,
}
"""Every verb an operator has."""

DAEMON_VERBS: Final = frozenset({"probe_run"})
"""Verbs that need a worker, so that no command line executes them in the daemon's place."""

UNORDERED_VERBS: Final = frozenset({"pause", "resume"})
"""Verbs that mean the same before and after the others, so that they need not wait until files are read."""


def _move(
    tx: Session, request: Request, to: str, now: deployment.Deployment, cause: Literal["promote", "rollback"]
) -> Reply:
    seen = now.generation if request.generation is None else request.generation
    moved = deployment.move(tx, to, seen, request.who, request.why, cause=cause)
    message = f"{to} serves now, at generation {moved.generation}; before it {now.version} did"
    return Reply(to, "applied", message, {"generation": moved.generation, "previous": now.version})


def _named(request: Request) -> str:
    if request.target is None:
        raise Refused("name the version that is meant; `cld history list` shows those there are")
    return request.target


def _addressed(tx: Session, request: Request) -> cycles.Cycle:
    """The cycle named, else the one under way."""
    if request.target is not None:
        return cycles.get(tx, request.target)
    if (active := cycles.active(tx)) is None:
        raise Refused("no cycle is under way; `cld cycle list` shows those that were")
    return active


def _promote_target(tx: Session, request: Request) -> str:
    """The version named, else the candidate of the cycle that waits."""
    if request.target is not None:
        return request.target
    active = cycles.active(tx)
    if active is None or active.candidate is None:
        raise Refused("no candidate waits: name a version; `cld history list` shows those there are")
    return active.candidate


def _rollback_target(tx: Session, request: Request) -> str:
    """The version named, else the parent of the one that serves: what it was before it learned last."""
    if request.target is not None:
        return request.target
    serving = deployment.current(tx).version
    parent = versions.get(tx, serving).parent
    if parent is None:
        raise Refused(f"{serving!r} is the base model: there is nothing before it")
    return parent


def _overrule(cycle: cycles.Cycle) -> str:
    if cycle.active or cycle.candidate is None:
        return ""
    return f"; `cld promote {cycle.candidate}` lets its candidate serve on your word"
