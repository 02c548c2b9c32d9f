"""judging -> promoting | awaiting_approval | rejected | measuring: the gate reads stored measurements, nothing else.

A canary that was planted once and that the audit found exposed holds what the gate would promote
(`agent.steps.canaries`); so does the proof of a cycle that forgets (`agent.steps.forgotten`).

Where nothing but too few items stands against a promotion, the cycle goes back to measure more of the suites in
question; how often it can is fixed by the policy and the suites' sizes (`monitors.gate.looks`).
"""

from __future__ import annotations

from agent import measured, set_aside
from agent.config import Config
from agent.context import DAEMON, Context
from agent.steps import adoption, canaries, forgotten, letting_go, looks, norms
from agent.steps.ending import end
from agent.steps.trust import untrusted_sources
from agent.store import cycles, verdicts
from agent.store.cycles import Cycle
from monitors.gate import GatePolicy, Noise, Verdict, judge
from monitors.gate.withheld import withheld

__all__ = ["advance", "gate_policy", "policy_of", "verdict_of"]


def advance(context: Context, cycle: Cycle) -> bool:
    """Judge the candidate and move on by the verdict; a hold waits for a person."""
    number = looks.newest(context, cycle)
    verdict = verdict_of(context, cycle, number)
    if verdict.more:
        _look_again(context, cycle, number + 1, verdict)
        return True
    why = f"{verdict.verdict}: {'; '.join(verdict.reasons)}"
    context.log.info(f"cycle {cycle.id}: {why}", action="cycle.judged", cycle=cycle.id, verdict=verdict.verdict)
    with context.store.write() as tx:
        verdicts.save(tx, cycle.id, verdict.model_dump(mode="json"), who=DAEMON, why=why)
        if verdict.verdict == "reject":
            end(tx, context.config, cycle, "rejected", DAEMON, why)
        elif verdict.verdict == "hold":
            cycles.transition(
                tx, cycle.id, "judging", "awaiting_approval", DAEMON, why, resume_state="promoting", reason=why
            )
        else:
            cycles.transition(tx, cycle.id, "judging", "promoting", DAEMON, why)
    return True


def gate_policy(config: Config) -> GatePolicy:
    """The gate's thresholds from [gate]."""
    return GatePolicy.model_validate(config.gate.model_dump(include=set(GatePolicy.model_fields)))


def policy_of(context: Context, cycle: Cycle) -> GatePolicy:
    """The policy for one cycle: norms in force must hold, and what came from an untrusted source may lose less."""
    with context.store.read() as tx:
        policy = norms.guarded(tx, cycle, gate_policy(context.config), context.config)
    untrusted = untrusted_sources(context, cycle)
    return policy.stricter(context.config.gate.untrusted_loss_share) if untrusted else policy


def verdict_of(context: Context, cycle: Cycle, number: int) -> Verdict:
    """What the gate makes of the measurements up to a look. Equal stores give equal verdicts."""
    suites, asked = looks.suites(context, cycle), looks.asked(context, cycle, number)
    engine = looks.first(context, cycle).engine.digest()
    with context.store.read() as tx:
        aside, targets = set_aside.of_cycle(tx, cycle), norms.targets(tx, cycle, suites)
        adopters = adoption.adopters(tx, cycle, suites, engine)
    candidate, parent, anchor = (
        aside.without(measured.stored(context, version, suites, engine)) if version else []
        for version in (cycle.candidate, cycle.parent, cycle.anchor)
    )
    verdict = judge(
        candidate,
        parent,
        anchor,
        [] if cycle.stage == "forget" else targets,
        policy_of(context, cycle),
        asked=aside.narrowed(asked),
        noise=_noise(context),
        adopters=aside.without(adopters),
        ask=_ask(context, cycle),
        won=forgotten.won(context, cycle) or letting_go.won(context, cycle),
    )
    against = (
        *canaries.against(context, cycle),
        *forgotten.against(context, cycle),
        *letting_go.against(context, cycle),
    )
    return withheld(aside.remarked(verdict), against)


def _look_again(context: Context, cycle: Cycle, number: int, verdict: Verdict) -> None:
    """Back to measuring; the row of the next look's job, in the same transaction, says which look it is."""
    why = f"look {number}: {', '.join(verdict.more)} may become clear with more items: {'; '.join(verdict.reasons)}"
    with context.store.write() as tx:
        context.jobs.open(tx, looks.job_id(cycle, number), "monitors", "measure", cycle=cycle.id, step=looks.STEP)
        cycles.transition(tx, cycle.id, "judging", "measuring", DAEMON, why)
    context.log.info(f"cycle {cycle.id}: {why}", action="cycle.looks_again", cycle=cycle.id)


def _noise(context: Context) -> list[Noise]:
    """What every re-check so far found between two measurements of the same version."""
    with context.store.read() as tx:
        rows = verdicts.listing(tx, phase="watching")
    return [Noise.model_validate(one) for row in rows for one in row.verdict.get("noise", ())]


def _ask(context: Context, cycle: Cycle) -> str:
    untrusted = untrusted_sources(context, cycle) if context.config.gate.untrusted_asks else []
    if not untrusted:
        return ""
    return (
        f"it learned from untrusted source(s) {', '.join(untrusted)}, and [gate] untrusted_asks wants a person's word"
    )
