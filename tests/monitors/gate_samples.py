"""Measurements made up for the tests of the gate."""

from functools import cache

from monitors.gate import Asked, GatePolicy, Verdict, judge
from monitors.gate.comparison import SuiteComparison
from monitors.job import Measurement

SIZES = {"general": 120, "instruction": 80, "safety": 80, "overrefusal": 60}
POLICY = GatePolicy(resamples=200)


def measured(version, suite, scores, *, role=None, margins=None, **fields):
    """One suite's measurements; every tenth item makes a slice of its own."""
    role, digest, engine = role or suite, fields.get("digest", "d1"), fields.get("engine", "e1")
    return [
        _item(version, suite, role, number, score, None if margins is None else margins[number], digest, engine)
        for number, score in enumerate(scores)
    ]


@cache
def _item(version, suite, role, number, score, margin, digest, engine):
    """One measurement; frozen, and simulations ask for the same ones thousands of times."""
    return Measurement.model_construct(
        version=version, suite=suite, suite_digest=digest, role=role, probe=f"{suite}-{number:03}",
        slice=f"s{number // 10}", scorer="match", score=score, margin=margin, output="", engine=engine,
    )  # fmt: skip


def scores(right, items):
    return [1.0] * right + [0.0] * (items - right)


def version(name, *, facts=2, leave_out=(), **right):
    """A whole version's measurements; `right` says how many items of a suite it gets right (70 % by default)."""
    found = measured(name, "facts", scores(facts, 20), role="target")
    for suite, items in SIZES.items():
        if suite not in leave_out:
            found += measured(name, suite, scores(right.get(suite, items * 7 // 10), items))
    return found


PARENT, ANCHOR = version("v1"), version("v0")
GOOD = version("v2", facts=16)


def ask(suite, items=10, *, role=None, **fields):
    """What a suite was asked, by its name alone."""
    probes = tuple(f"{suite}-{number:03}" for number in range(items))
    return Asked(suite=suite, digest=fields.pop("digest", "d1"), role=role or suite, probes=probes, **fields)


def verdict(candidate=GOOD, parent=PARENT, anchor=ANCHOR, targets=("facts",), **keys) -> Verdict:
    return judge(candidate, parent, anchor, targets, POLICY, **keys)


def row(found: Verdict, suite, against="parent", role=None) -> SuiteComparison:
    return next(
        one for one in found.suites if one.suite == suite and one.against == against and role in (None, one.role)
    )


def flipped(name, share, loss, noise, suites=tuple(SIZES)):
    """A candidate that learned its target and on which `share` of items flip, with a mean loss on `suites`."""
    found = measured(name, "facts", scores(16, 20), role="target")
    for suite, items in SIZES.items():
        own_loss = loss if suite in suites else 0.0
        found += measured(name, suite, flipped_items(scores(items * 7 // 10, items), share, own_loss, noise))
    return found


def flipped_items(before, share, loss, noise):
    """Scores of which `share` flip, with a mean loss. 70 % are right before: of those so many turn wrong, of the
    others so many right, that the sum is `share`."""
    lost, gained = (share + loss) / 2 / 0.7, max(0.0, (share - loss) / 2 / 0.3)
    return [1 - score if noise.random() < (lost if score else gained) else score for score in before]
