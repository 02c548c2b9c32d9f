"""What a proof of forgetting holds a candidate back for: a trace above the never-trained level, or below it, or a loss.

Owns that rule and what a person is told; pure functions of a `prove` job's answer. The level is what chance expects or
what the version showed before it learned the records, whichever lies nearer: a fact that anybody can guess cannot fall
below guessing. It is two-sided: what a version has been driven to avoid is known of it as well. Bounds of the tests are
those of the few records there are: two standard errors where these are wider than the tolerance. Called by the judging
step.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from monitors.forgetting_job import ByVersion, ProveResult

__all__ = ["ForgetPolicy", "against", "shown"]

_ERRORS = 2.0
_WIDEST_ROOM = 0.5


class _Remedies(NamedTuple):
    """What helps against a trace above the never-trained level, one below it, and a loss of what must be kept."""

    stronger: str
    weaker: str
    lost: str


_UNLEARNED: Final = _Remedies(
    stronger="forget with more epochs or another method ([training.forget], `cld forget --method`), or `--exact`",
    weaker="forget with fewer epochs or a lower strength ([training.forget]), or `--exact`",
    lost="forget fewer records at once, with more rehearsal ([training.forget] replay_share), another method or "
    "`--exact`",
)
_REPLAYED: Final = _Remedies(
    stronger="another record says the same, for none of these was trained on: `cld forget --dry-run` names those that "
    "do, so ask for them too",
    weaker="training without the records came out so, and a person may let it serve",
    lost="the jobs were trained again without the records and came out so, and a person may let it serve",
)


class ForgetPolicy(BaseModel):
    """How far from the never-trained level a forgotten record may lie, and how much its neighbours may lose.

    Attributes:
        exposure_bits: above or below the level, mean over the records.
        extraction_rate: share of the secrets that may still be said.
        membership_auc: distance of the AUC from 0.5.
        neighbour_recall: most loss of the neighbours' recall.
        neighbour_nats: most loss of the neighbours' mean log-likelihood, per token.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    exposure_bits: float = Field(default=1.5, ge=0)
    extraction_rate: float = Field(default=0.0, ge=0, le=1)
    membership_auc: float = Field(default=0.2, ge=0, le=0.5)
    neighbour_recall: float = Field(default=0.1, ge=0, le=1)
    neighbour_nats: float = Field(default=0.5, ge=0)


def against(found: ProveResult | None, policy: ForgetPolicy, *, exact: bool = False) -> tuple[str, ...]:
    """What stands against saying that the records are forgotten, a sentence each.

    Args:
        found: what was measured; None where it could not be, and then that stands against it.
        exact: whether the lineage was trained again without the records, which is held to the same and helped by other
            means.
    """
    if found is None:
        return (
            "forgetting: the proof is missing, so nothing shows that the records are forgotten; `cld logs` says why",
        )
    helps = _REPLAYED if exact else _UNLEARNED
    return tuple(reason for rule in (_traces, _extracted, _members, _lost) for reason in rule(found, policy, helps))


def shown(found: ProveResult) -> str:
    """The numbers of a proof in one sentence."""
    said, by_chance = found.extraction.said, f"{found.expected_bits:.1f} by chance"
    parts = [
        _of("exposure", found.exposure, by_chance),
        _of("suppression", found.suppression, by_chance),
        f"{said.after:.0f} of {found.extraction.tested} secrets said ({said.before:.0f} before)",
    ]
    if found.membership:
        area = found.membership
        parts.append(f"membership AUC {area.after:.2f} ({area.before:.2f} before, 0.50 is no trace)")
    if found.neighbours:
        kept = found.neighbours
        parts.append(
            f"{kept.records} neighbours: recall {kept.recall.before:.2f} to {kept.recall.after:.2f}, "
            f"{kept.loglikelihood.before:.2f} to {kept.loglikelihood.after:.2f} nats per token"
        )
    return "; ".join(part for part in parts if part)


def _of(name: str, found: ByVersion | None, chance: str) -> str:
    if found is None:
        return ""
    clean = "" if found.clean is None else f"{found.clean:.1f} never trained, "
    return f"{name} {found.after:.1f} bits ({clean}{found.before:.1f} before, {chance})"


def _traces(found: ProveResult, policy: ForgetPolicy, helps: _Remedies) -> Iterator[str]:
    if found.exposure is None or found.suppression is None:
        yield (
            "forgetting: the records hold nothing that could be said otherwise (no number, no name, no word), so no "
            "test can tell; a person has to decide"
        )
        return
    told = found.records - found.silent
    room = max(policy.exposure_bits, _ERRORS * found.deviation_bits / math.sqrt(told))
    most = math.log2(found.fills + 1)
    words = (("exposure", found.exposure, "still remembered", helps.stronger),
             ("suppression", found.suppression, "avoided, which is a trace of them too", helps.weaker))  # fmt: skip
    for name, bits, what, remedy in words:
        limit = max(found.expected_bits, bits.clean or 0.0) + room
        if limit >= most and _membership_room(found, policy) >= _WIDEST_ROOM:
            yield (
                f"forgetting: {name} cannot tell, since a version that never learned the records shows as much, and "
                f"{told} record(s) are too few for a membership test; a person has to decide"
            )
        if bits.after > limit:
            yield (
                f"forgetting: the records are {what}: {bits.after:.1f} bits of {name} ({bits.before:.1f} before), and "
                f"the never-trained level is at most {limit:.1f}: {remedy}"
            )


def _extracted(found: ProveResult, policy: ForgetPolicy, helps: _Remedies) -> Iterator[str]:
    count, tested = len(found.extraction.records), found.records - found.silent
    if tested and count / tested > policy.extraction_rate:
        ids = ", ".join(record[:12] for record in found.extraction.records[:3])
        yield f"forgetting: greedy decoding still says what {count} of {tested} records hold ({ids}): {helps.stronger}"


def _membership_room(found: ProveResult, policy: ForgetPolicy) -> float:
    """How far from 0.5 the AUC may lie; from `_WIDEST_ROOM` on none could be too far, and the test tells nothing."""
    if found.membership is None:
        return _WIDEST_ROOM
    return max(policy.membership_auc, _ERRORS * found.membership.error)


def _members(found: ProveResult, policy: ForgetPolicy, helps: _Remedies) -> Iterator[str]:
    if found.membership is None:
        return
    room = _membership_room(found, policy)
    if abs(found.membership.after - 0.5) > room:
        side, remedy = ("above", helps.stronger) if found.membership.after > 0.5 else ("below", helps.weaker)
        yield (
            f"forgetting: the records can be told from look-alikes that nobody was trained on: membership AUC "
            f"{found.membership.after:.2f}, {side} 0.50 by more than {room:.2f}: {remedy}"
        )


def _lost(found: ProveResult, policy: ForgetPolicy, helps: _Remedies) -> Iterator[str]:
    kept = found.neighbours
    if kept is None:
        return
    recall, nats = kept.recall.before - kept.recall.after, kept.loglikelihood.before - kept.loglikelihood.after
    if recall > policy.neighbour_recall:
        yield (
            f"forgetting: {kept.records} neighbours that must be kept lost {recall:.2f} of their recall "
            f"({kept.recall.before:.2f} to {kept.recall.after:.2f}), {policy.neighbour_recall:.2f} is allowed: "
            f"{helps.lost}"
        )
    if nats > policy.neighbour_nats:
        yield (
            f"forgetting: {kept.records} neighbours that must be kept became less likely by {nats:.2f} nats per token, "
            f"{policy.neighbour_nats:.2f} is allowed: {helps.lost}"
        )
