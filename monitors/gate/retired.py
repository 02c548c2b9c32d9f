"""A retired norm: how much more it is followed than by a version that never learned it, and what a cycle made of that.

Owns two rules over the items of the norm's suite, in its scope and just outside it (`monitors.metrics.NEAR_MISS`); pure
functions of measurements. The mirror of "must win": what is let go falls by `least` or more, and not by chance.

- *Followed still* (`reading`): the version follows the norm more often than one that never learned it, by at least
  `least`, and the lower bound of the paired difference is above zero. That is a gap; anything less cannot be told from
  a model without the norm, and nothing is trained for it.
- *Let go* (`against`): the candidate follows it clearly less than its parent, and neither more nor clearly less than
  the version without it, for what is avoided was not let go. Its near misses are no further from that version's than
  `near_misses`, or than the parent's were.

Whatever stands against it holds the candidate for a person. Called by the diagnosis and the step `judging`.
"""

from __future__ import annotations

from collections.abc import Sequence

from monitors.evidence import NotComparable, Pairs, pair
from monitors.gate.bounds import Interval, is_binary
from monitors.gate.case import MIN_ITEMS
from monitors.job import Followed, Measurement, RetirementPolicy
from monitors.metrics.norms import NEAR_MISS, norm_overgeneralisation, norm_residual

__all__ = ["against", "followed_still", "reading", "shown", "told"]

Rows = Sequence[Measurement]

_STRONGER = "retire it with more epochs or a higher learning rate ([training.ca])"
_WEAKER = "retire it with fewer epochs or a lower learning rate ([training.ca])"


def reading(norm: str, now: Rows, without: Rows, policy: RetirementPolicy) -> Followed:
    """How a norm is followed by one version, beside one that never learned it.

    Args:
        now, without: what each scored on the norm's suite.

    Raises:
        NotComparable: see `monitors.evidence.pair`; fewer than 10 items are in scope.
    """
    scope = _part(without, now, near=False)
    low, high = _bounds(scope, policy)
    return Followed(
        norm=norm,
        suite=scope.suite,
        without=without[0].version,
        items=len(scope.probes),
        residual=norm_residual(scope.after),
        level=norm_residual(scope.before),
        low=low,
        high=high,
        near_miss_change=_near(without, now),
    )


def followed_still(found: Followed, policy: RetirementPolicy) -> bool:
    """Whether a retired norm is still to be taken out of the weights."""
    return found.residual - found.level >= policy.least and found.low > 0


def told(found: Followed) -> str:
    """The reading in half a sentence."""
    near = "" if found.near_miss_change is None else f", near misses {found.near_miss_change:.2f} apart"
    return (
        f"norm {found.norm!r} is retired and followed in {found.residual:.2f} of {found.items} items, "
        f"{found.level:.2f} by {found.without}, which never learned it{near}"
    )


def shown(norm: str, now: Rows, without: Rows, policy: RetirementPolicy) -> str:
    """`told` of what can be told."""
    try:
        return told(reading(norm, now, without, policy))
    except NotComparable as error:
        return f"norm {norm!r} is retired, and nothing shows how it is followed: {error}"


def against(norm: str, before: Rows, after: Rows, without: Rows, policy: RetirementPolicy) -> tuple[str, ...]:
    """What stands against saying that a cycle let a norm go, a sentence each.

    Args:
        before, after: the parent's and the candidate's scores on the norm's suite.
    """
    try:
        had, has = (reading(norm, rows, without, policy) for rows in (before, after))
        fall = _part(after, before, near=False)
    except NotComparable as error:
        return (f"retiring {norm!r}: nothing shows whether it is let go: {error}",)
    return (*_fallen(had, has, _bounds(fall, policy), policy), *_left(has, policy), *_moved(had, has, policy))


def _fallen(had: Followed, has: Followed, bounds: tuple[float, float], policy: RetirementPolicy) -> tuple[str, ...]:
    fall = had.residual - has.residual
    if fall >= policy.least and bounds[0] > 0:
        return ()
    return (
        f"retiring {had.norm!r}: it is followed in {has.residual:.2f} of {has.items} items instead of "
        f"{had.residual:.2f} (it fell by {fall:.2f}, between {bounds[0]:+.2f} and {bounds[1]:+.2f}), and "
        f"{policy.least:.2f} and a lower bound above 0 are asked: {_STRONGER}",
    )


def _left(has: Followed, policy: RetirementPolicy) -> tuple[str, ...]:
    beside = f"{has.residual:.2f} of {has.items} items, {has.level:.2f} by {has.without}, which never learned it"
    if followed_still(has, policy):
        return (f"retiring {has.norm!r}: it is followed still, in {beside}: {_STRONGER}",)
    if has.level - has.residual >= policy.least and has.high < 0:
        return (f"retiring {has.norm!r}: it is avoided now, which is no letting go: {beside}: {_WEAKER}",)
    return ()


def _moved(had: Followed, has: Followed, policy: RetirementPolicy) -> tuple[str, ...]:
    """Near misses: what lies just outside the scope was nobody's business when the norm was learned or let go."""
    now, most = has.near_miss_change or 0.0, max(policy.near_misses, had.near_miss_change or 0.0)
    if now <= most:
        return ()
    return (
        f"retiring {has.norm!r}: near misses are {now:.2f} from where {has.without} has them, {most:.2f} is allowed: "
        f"{_WEAKER}",
    )


def _part(before: Rows, after: Rows, *, near: bool) -> Pairs:
    """The pairs of the near misses, or of all other items."""
    sides = ([one for one in rows if (one.slice == NEAR_MISS) is near] for rows in (before, after))
    return pair(*sides, at_least=1 if near else MIN_ITEMS)


def _near(without: Rows, now: Rows) -> float | None:
    if not any(one.slice == NEAR_MISS for one in now):
        return None
    found = _part(without, now, near=True)
    return norm_overgeneralisation(found.after, found.before)


def _bounds(pairs: Pairs, policy: RetirementPolicy) -> tuple[float, float]:
    interval = Interval(confidence=policy.confidence, resamples=policy.resamples)
    return interval.of([pairs.differences], f"{pairs.suite} retired", binary=is_binary(pairs.before, pairs.after))
