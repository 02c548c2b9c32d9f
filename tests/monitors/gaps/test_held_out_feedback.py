"""Promises of probes made from judged answers: whole prompts are held out, and both verdicts count."""

from __future__ import annotations

import math
from collections import Counter

import pytest

from monitors.engines import Likelihood
from monitors.gaps.held_out import hold_out, probe_item
from monitors.probes.probe import Answers
from monitors.probes.suites import read_probe
from tests.thumbs import pair, thumb

LABELS = [thumb(f"Question {number}?", f"Answer {number}.", number % 2 == 0) for number in range(24)]


def test_no_more_than_half_of_either_verdict_is_held_out():
    held = hold_out(LABELS, 0.2, seed=0)
    assert Counter(record.content["label"] for record in held) == {True: 6, False: 6}
    rare = [thumb("A?", "yes", True), *(thumb(f"{n}?", "no", False) for n in range(20))]
    assert all(record.content["label"] is False for record in hold_out(rare, 0.2, seed=0))


def test_all_answers_to_a_prompt_are_held_out_together():
    both = [thumb(f"Question {number % 8}", f"Answer {number}.", number >= 8) for number in range(16)]
    held = hold_out(both, 0.5, seed=0)
    prompts = Counter(record.content["prompt"][0]["content"] for record in held)
    assert prompts and set(prompts.values()) == {2}


def test_two_prompts_always_stay():
    few = [thumb(question, answer, answer == "yes") for question in ("a", "b") for answer in ("yes", "no")]
    assert hold_out(few, 0.5, seed=0) == []


def test_a_prompt_that_a_pair_is_about_too_is_no_probe_of_its_labels():
    pairs = [pair(f"question {number}", "a", "b") for number in range(24)]
    assert not any(record.kind == "feedback" for record in hold_out([*LABELS, *pairs], 0.2, seed=0))


@pytest.mark.parametrize(
    ("wanted", "mean", "score"),
    [(True, -3.0, 0.5), (False, -3.0, 0.5), (True, -3.0 - math.log(3), 0.25), (False, -3.0 - math.log(3), 0.75)],
)
def test_an_approved_answer_must_be_likely_and_a_disapproved_one_unlikely(wanted: bool, mean: float, score: float):
    item = probe_item(thumb("Question?", "Some answer.", wanted), [], seed=0)
    probe = read_probe(item)
    assert (probe.scorer, probe.continuations()) == ("approval", ("Some answer.",))
    found = probe.score(Answers(likelihoods=(Likelihood(2 * mean, 2),)))
    assert (found.score, found.margin) == pytest.approx((score, mean if wanted else -mean))


def test_what_a_small_kind_cannot_give_the_greater_one_does():
    held = hold_out([*LABELS, pair("x?", "a", "b"), pair("y?", "a", "b")], 0.2, seed=0)
    assert Counter(record.kind for record in held) == {"feedback": 11, "preference": 1}
