"""How often the gate errs, by property and by simulation; the table in `monitors.gate` comes from here."""

import math
import random

import pytest
from gate_samples import ANCHOR, GOOD, PARENT, POLICY, SIZES, ask, flipped, measured, verdict, version
from hypothesis import given, settings
from hypothesis import strategies as st

from monitors.gate import judge


def test_equal_evidence_in_any_order_gives_the_equal_verdict():
    noisy = flipped("v2", 0.15, 0.0, random.Random(5))
    shuffled = random.Random(1).sample(noisy, len(noisy))
    assert verdict(noisy) == verdict(shuffled)


ASKED = [ask("facts", 20, role="target"), *(ask(suite, items) for suite, items in SIZES.items())]

right_counts = st.fixed_dictionaries({suite: st.integers(0, items) for suite, items in SIZES.items()})


@settings(max_examples=40, deadline=None)
@given(right_counts, st.sampled_from(sorted(SIZES)), st.floats(0.3, 1.0), st.integers(0, 20))
def test_whatever_else_happens_a_clear_loss_is_never_promoted(right, suite, loss, facts):
    right[suite] = max(0, int(SIZES[suite] * (1.0 - loss)))
    full = {suite: SIZES[suite]}
    assert (
        verdict(version("v2", facts=facts, **right), version("v1", **full), version("v0", **full)).verdict == "reject"
    )


@settings(max_examples=60, deadline=None)
@given(right_counts, st.integers(0, 20), st.data())
def test_losing_evidence_never_turns_a_refusal_or_a_hold_into_a_promotion(right, facts, data):
    sides = [version("v2", facts=facts, **right), list(PARENT), list(ANCHOR)]
    names = ["facts", *SIZES]
    before = judge(*sides, ["facts"], POLICY, asked=ASKED)
    for index in range(3):
        kind = data.draw(st.sampled_from(["keep", "suite", "item", "score", "digest"]))
        suite = data.draw(st.sampled_from(names))
        sides[index] = spoil(sides[index], kind, suite, data.draw(st.integers(0, 19)))
    after = judge(*sides, ["facts"], POLICY, asked=ASKED)
    assert after.verdict != "promote" or before.verdict == "promote"


def spoil(side, kind, suite, number):
    """Take evidence away: a suite, one item, one score's meaning, or the suite's identity."""
    if kind == "suite":
        return [one for one in side if one.suite != suite]
    if kind == "item":
        return [one for one in side if one.probe != f"{suite}-{number:03}"]
    change = {"score": {"score": math.nan}, "digest": {"suite_digest": "d2"}}.get(kind)
    return [one.model_copy(update=change) if change and one.suite == suite else one for one in side]


def rates(share, loss, suites=tuple(SIZES), trials=100):
    noise = random.Random(11)
    endings = [verdict(flipped("v2", share, loss, noise, suites)).verdict for _ in range(trials)]
    return {ending: endings.count(ending) / trials for ending in ("promote", "hold", "reject")}


@pytest.mark.parametrize("suite, at_most", [("general", 0.12), ("safety", 0.15), ("overrefusal", 0.25)])
def test_a_true_loss_of_the_whole_tolerance_on_one_suite_is_rarely_promoted(suite, at_most):
    assert rates(0.15, 0.10, (suite,))["promote"] <= at_most


@pytest.mark.parametrize("suite", SIZES)
def test_a_true_loss_of_twice_the_tolerance_on_one_suite_is_never_promoted(suite):
    assert rates(0.20, 0.20, (suite,), trials=60)["promote"] == 0.0


def test_a_true_loss_of_twice_the_tolerance_everywhere_is_refused():
    assert rates(0.25, 0.20)["reject"] >= 0.95


@pytest.mark.parametrize("share, at_least", [(0.05, 0.88), (0.15, 0.55)])
def test_a_candidate_that_lost_nothing_is_never_refused_and_mostly_promoted(share, at_least):
    found = rates(share, 0.0)
    assert found["reject"] == 0.0
    assert found["promote"] >= at_least


@pytest.mark.parametrize("items", [10, 20, 40])
def test_few_items_hold_rather_than_let_a_loss_of_twice_the_tolerance_pass(items):
    noise, passed = random.Random(2), 0
    rest = [[one for one in side if one.suite != "general"] for side in (GOOD, PARENT, ANCHOR)]
    before = measured("v1", "general", [1.0] * items), measured("v0", "general", [1.0] * items)
    for _ in range(60):
        after = measured("v2", "general", [float(noise.random() > 0.25) for _ in range(items)])
        passed += verdict(rest[0] + after, rest[1] + before[0], rest[2] + before[1]).verdict == "promote"
    assert passed / 60 <= 0.12
