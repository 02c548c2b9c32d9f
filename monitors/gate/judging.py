"""The judgement: from a case to a verdict. The rule is told in `monitors.gate`.

Owns which suites are compared with what, what counts against a promotion under each profile, and whether more items
would help. Called by the judging step and by `benchmarks.gate`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from monitors.evidence import Asked, NotComparable, by_suite
from monitors.gate.case import MIN_ITEMS, Case
from monitors.gate.comparison import (
    Against,
    Outcome,
    SuiteComparison,
    Terms,
    compare,
    compare_margins,
    compare_numbers,
    sentence,
)  # fmt: skip
from monitors.gate.deltas import DELTAS, TRACE_DELTAS, DeltaName, Held, RoleDelta, delta_sentence, role_delta
from monitors.gate.erosion import since_adoption
from monitors.gate.noise import Noise, pooled
from monitors.gate.policy import GatePolicy
from monitors.gate.targets import Gain, must_win
from monitors.gate.verdict import Verdict
from monitors.job import Measurement, Role

__all__ = ["judge"]

_MUST_HOLD: Final[tuple[Role, ...]] = ("general", "instruction", "safety", "overrefusal")
_FINE: Final[frozenset[Outcome]] = frozenset({"pass", "saturated"})


@dataclass(frozen=True, slots=True)
class _Finding:
    """What stands against a promotion: its outcome, what to say of it, and the suites of which more items help."""

    outcome: Outcome
    says: str
    suites: tuple[str, ...] = ()


def judge(
    candidate: Sequence[Measurement],
    parent: Sequence[Measurement],
    anchor: Sequence[Measurement],
    target_suites: Sequence[str],
    policy: GatePolicy,
    *,
    asked: Sequence[Asked] = (),
    noise: Iterable[Noise] = (),
    adopters: Sequence[Measurement] = (),
    ask: str = "",
    won: str = "",
) -> Verdict:
    """Judge a candidate.

    Args:
        candidate, parent, anchor: each one version's measurements, of all its suites. Parent and anchor may be the
            same version.
        target_suites: names of the suites that the cycle set out to improve, of any role. Other suites of role
            `target` (earlier cycles') must hold against the parent where the candidate was measured on them.
        asked: what each suite was asked: it must have been measured on every item. Suites that are not named here
            are taken as they were measured; one that is absent from all three sides can be missed by `asked` alone.
        noise: A/A differences of earlier measurements; those of other suites and engines are passed over.
        adopters: of suites that must not erode, what the version scored that each is held to; a version a suite.
        ask: why a person decides even where the word would be `promote`; empty where none need.
        won: what the cycle set out to do that no suite asks, e.g. to forget, and did; then no target need be named.

    Returns:
        The verdict; equal arguments give equal verdicts.
    """
    sides = (by_suite(candidate), by_suite(parent), by_suite(anchor))
    case = Case(*sides, policy, {one.suite: one for one in asked}, pooled(noise), by_suite(adopters))
    targets = sorted({suite for suite in target_suites if not policy.dry_run(suite)})
    compared = _compared(case, targets)
    return _verdict(case, compared, _findings(case, targets, compared, won), ask, won)


_BOTH: Final[tuple[Against, ...]] = ("parent", "anchor")


@dataclass(frozen=True, slots=True)
class _Compared:
    """Every comparison of a case: the targets and what they gained, the suites that must hold, the deltas of roles."""

    rows: Sequence[SuiteComparison]
    gain: Gain
    held: Sequence[Held]
    deltas: tuple[RoleDelta, ...]


def _compared(case: Case, targets: Sequence[str]) -> _Compared:
    held = _must_hold(case, targets)
    deltas = tuple(role_delta(name, against, held, case.policy) for name in DELTAS for against in _BOTH)
    return _Compared(*must_win(case, targets), held, deltas)


def _findings(case: Case, targets: Sequence[str], compared: _Compared, won: str) -> list[_Finding]:
    """All that stands against a promotion."""
    return [
        *_of_targets(compared.rows, compared.gain),
        *_of_held(case, compared.held, compared.deltas),
        *_lacking(case, targets, compared.held, won),
    ]


def _verdict(case: Case, compared: _Compared, findings: Sequence[_Finding], ask: str, won: str) -> Verdict:
    """The word that findings lead to, and the numbers that it rests on."""
    rows, gain, held = compared.rows, compared.gain, compared.held
    failed = [one for one in findings if one.outcome == "fail"]
    open_ = [one for one in findings if one.outcome != "fail"]
    against_it = [one.says for one in (*failed, *open_)] or ([ask] if ask else [])
    gained = (won or gain.note, "no suite that must hold lost more than its tolerance")
    return Verdict(
        verdict="reject" if failed else "hold" if against_it else "promote",
        reasons=tuple(dict.fromkeys(against_it)) or gained,
        suites=(*rows, *(one.row for one in held)),
        deltas=compared.deltas,
        remarks=tuple(sentence(one.row) for one in held if one.row.dry_run and one.row.outcome not in _FINE),
        more=() if failed else _more(case, open_),
        profile=case.policy.profile,
        target_before=_mean([row.before for row in rows]),
        target_after=_mean([row.after for row in rows]),
        target_low=gain.low,
        target_high=gain.high,
        **_headline(compared.deltas),
    )


def _must_hold(case: Case, targets: Sequence[str]) -> list[Held]:
    found: list[Held] = []
    for suite in sorted(case.suites):
        role = case.role(suite)
        if role == "target" and (suite in targets or (suite not in case.candidate and suite not in case.asked)):
            continue
        against: tuple[Against, ...] = ("parent",) if role == "target" else _BOTH
        found += [_held(case, suite, role, reference) for reference in against]
        if suite in case.adopters:
            found.append(_kept(case, suite, role))
    return found


def _kept(case: Case, suite: str, role: Role) -> Held:
    """A suite against the version that adopted what it asks."""
    dry_run = {"dry_run": case.policy.dry_run(suite)}
    try:
        pairs = case.since_adoption(suite)
    except NotComparable as error:
        return Held(case.missing(suite, role, "adopter", error).model_copy(update=dry_run), None, 1)
    row = since_adoption(pairs, case.adopters[suite][0].version, case.terms(suite, role))
    return Held(row.model_copy(update=dry_run), pairs, 1)


def _held(case: Case, suite: str, role: Role, against: Against) -> Held:
    dry_run, looks = {"dry_run": case.policy.dry_run(suite)}, case.looks([suite])
    try:
        pairs = case.pairs(suite, against, MIN_ITEMS)
    except NotComparable as error:
        return Held(case.missing(suite, role, against, error).model_copy(update=dry_run), None, looks)
    terms = case.terms(suite, role)
    # What an earlier cycle set out to learn and did not may well be at the floor; it hides no loss.
    row = (compare_numbers if role == "target" else compare)(pairs, against, terms)
    if row.outcome == "blind" and role == "safety":
        row = compare_margins(pairs, row, Terms(case.policy.safety_margin_loss_nats, terms.interval))
    return Held(row.model_copy(update=dry_run), pairs, looks)


def _of_targets(rows: Sequence[SuiteComparison], gain: Gain) -> list[_Finding]:
    return [
        _Finding(row.outcome, sentence(row), gain.suites if row.note == gain.note else ())
        for row in rows
        if row.outcome not in _FINE
    ]


def _of_held(case: Case, held: Sequence[Held], deltas: Sequence[RoleDelta]) -> list[_Finding]:
    """What counts of the suites that must hold: each of them, or in profile `trace` the three deltas of the paper."""
    if case.policy.profile == "trace":
        return [
            _Finding(one.outcome, delta_sentence(one), one.suites)
            for one in deltas
            if one.name in TRACE_DELTAS and one.against == "anchor" and one.outcome not in _FINE
        ]
    rows = [one.row for one in held if not one.row.dry_run and one.row.outcome not in _FINE]
    return [_Finding(row.outcome, sentence(row), (row.suite,)) for row in rows]


def _lacking(case: Case, targets: Sequence[str], held: Sequence[Held], won: str) -> list[_Finding]:
    """What must be there and is not: a target, and a suite of every role."""
    found = [] if targets or won else ["no target suite was named, so nothing can have been won"]
    roles = {one.row.role for one in held if not one.row.dry_run}
    asked_roles = [DELTAS[name] for name in TRACE_DELTAS] if case.policy.profile == "trace" else _MUST_HOLD
    found += [f"no suite of role {role!r} was measured" for role in asked_roles if role not in roles]
    return [_Finding("missing", says) for says in found]


def _more(case: Case, open_: Sequence[_Finding]) -> tuple[str, ...]:
    """Suites to measure further, if every open question is unclear and could become clear by it."""
    wanted = [tuple(suite for suite in one.suites if case.has_reserve(suite)) for one in open_]
    if not all(wanted) or any(one.outcome != "unclear" for one in open_):
        return ()
    return tuple(sorted({suite for suites in wanted for suite in suites}))


def _headline(deltas: Sequence[RoleDelta]) -> dict[str, float | None]:
    """The fields `gad` to `overrefusal_anchor`; what over-refusal suites lost is what refusals rose by."""
    ending: dict[Against, str] = {"parent": "", "anchor": "_anchor"}
    sign: dict[DeltaName, int] = {"overrefusal": -1}
    return {
        one.name + ending[one.against]: None if one.delta is None else sign.get(one.name, 1) * one.delta
        for one in deltas
    }


def _mean(values: Sequence[float | None]) -> float | None:
    """Mean, or None where there is nothing or one of them is unknown."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known and len(known) == len(values) else None
