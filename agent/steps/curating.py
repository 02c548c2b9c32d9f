"""curating -> training: the records that the plan names become the training job's data."""

from __future__ import annotations

from agent.context import DAEMON, Context
from agent.planner.plan import Plan
from agent.store import cycles, plans
from agent.store.cycles import Cycle

__all__ = ["advance"]


def advance(context: Context, cycle: Cycle) -> bool:
    """Check that what the plan selected is still at hand and count it; the files are written with the job."""
    with context.store.write() as tx:
        plan = Plan.model_validate(plans.get(tx, cycle.id).plan)
        why = f"{len(plan.records)} record(s) selected, {len(plan.held_out_records)} held out as probes"
        cycles.transition(tx, cycle.id, "curating", "training", DAEMON, why)
    return True
