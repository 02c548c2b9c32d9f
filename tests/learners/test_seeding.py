"""Promises of the first memory: its prompts are nobody's probes, and circling answers are not rehearsed."""

from __future__ import annotations

import pytest

from learners import seeding
from monitors.probes.suites import load_suite, shipped_suites


def test_no_seed_prompt_is_an_item_of_a_shipped_suite():
    asked = {probe.text.strip().lower() for path in shipped_suites().values() for probe in load_suite(path).items}
    assert not asked & {prompt.strip().lower() for prompt in seeding.prompts()}


def test_seed_prompts_are_many_and_different():
    assert len(set(seeding.prompts())) == len(seeding.prompts()) >= 64


@pytest.mark.parametrize(
    ("answer", "goes_round"),
    [
        ("A dog is a loyal animal that likes to run and play with people.", False),
        ("It has a red door, a red door, a red door, a red door, a red door, a red door.", True),
        ("Yes.", False),
    ],
)
def test_an_answer_that_goes_in_circles_is_left_out(answer, goes_round):
    assert seeding.loops(answer) is goes_round
