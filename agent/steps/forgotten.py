"""What the proof of a cycle that forgets says at judging.

Owns the link between [forget], the answer of the `prove` job and the gate; the rule itself is
`monitors.gate.forgotten`. Called by the step `judging`; reads the store alone.
"""

from __future__ import annotations

from agent.config import Config
from agent.context import Context
from agent.forgetting.closing import proof_of
from agent.forgetting.replay import METHOD
from agent.store.cycles import Cycle
from monitors.forgetting_job import ProveResult
from monitors.gate import forgotten
from monitors.gate.forgotten import ForgetPolicy, shown

__all__ = ["against", "forget_policy", "won"]


def against(context: Context, cycle: Cycle) -> tuple[str, ...]:
    """What the proof holds a candidate back for; nothing of a cycle that learns."""
    if cycle.stage != "forget":
        return ()
    exact = cycle.method == METHOD
    return forgotten.against(_proof(context, cycle), forget_policy(context.config), exact=exact)


def won(context: Context, cycle: Cycle) -> str:
    """What a cycle did that no suite asks: the proof in a sentence, of one that forgets."""
    if cycle.stage != "forget":
        return ""
    found = _proof(context, cycle)
    return f"forgotten: {shown(found)}" if found else "forgotten: not proven"


def forget_policy(config: Config) -> ForgetPolicy:
    """The proof's thresholds from [forget]."""
    return ForgetPolicy.model_validate(config.forget.model_dump(include=set(ForgetPolicy.model_fields)))


def _proof(context: Context, cycle: Cycle) -> ProveResult | None:
    with context.store.read() as tx:
        return proof_of(tx, cycle.id)
