"""curating -> training: the records that the plan names become the training job's data.

The last look before anything is trained: a plan that touches a norm goes no further without a person's word on it.
"""

from __future__ import annotations

from agent.context import DAEMON, Context
from agent.planner.plan import Plan
from agent.steps.ending import end
from agent.store import cycles, decisions, plans
from agent.store.cycles import Cycle

__all__ = ["advance"]


def advance(context: Context, cycle: Cycle) -> bool:
    """Check that what the plan selected is still at hand and count it; the files are written with the job."""
    with context.store.write() as tx:
        plan = Plan.model_validate(plans.get(tx, cycle.id).plan)
        if plan.norms and not any(word.decision == "approve" for word in decisions.of_cycle(tx, cycle.id)):
            named = ", ".join(repr(norm.norm) for norm in plan.norms)
            end(tx, context.config, cycle, "failed", DAEMON, f"its plan touches norm(s) {named} and nobody approved it")
            return True
        why = f"{len(plan.records)} record(s) selected, {len(plan.held_out_records)} held out as probes"
        cycles.transition(tx, cycle.id, "curating", "training", DAEMON, why)
    return True
