"""Promises of the tally: what groups judge in opposite ways is found, and nothing else is."""

from __future__ import annotations

import pytest
from scipy.stats import fisher_exact

from learners.parts.judgements import judgements
from monitors.disagreement import Tally, dispute_id
from tests.thumbs import pair, thumb

ASK = "May I say du?"


def test_a_thumb_up_of_one_group_and_a_thumb_down_of_another_are_a_dispute():
    (found,) = Tally([thumb(ASK, "Sure.", True, "us"), thumb(ASK, "Sure.", False, "de")]).disputes()
    (answer,) = found.answers
    assert (found.prompt, found.groups, answer.text) == (ASK, ("de", "us"), "Sure.")
    assert {side.group: (side.wanted, side.judged) for side in answer.sides} == {"us": (1, 1), "de": (0, 1)}


@pytest.mark.parametrize("asked", ["may i say DU", " May  I say du ?!", "May I, say du"])
def test_prompts_that_say_the_same_are_one(asked: str):
    assert Tally([thumb(ASK, "Sure.", True, "us"), thumb(asked, " Sure. ", False, "de")]).disputed()


@pytest.mark.parametrize(
    "others",
    [
        [thumb(ASK, "Sure.", True, "de")],
        [thumb(ASK, "Sure", False, "de")],
        [thumb("May I say Sie?", "Sure.", False, "de")],
        [thumb(ASK, "Sure.", False, "us")],
        [thumb(ASK, "Sure.", False)],
        [thumb(ASK, "Sure.", False, "de"), pair(ASK, "Sure.", "No.", "de")],
    ],
    ids=["same side", "other answer", "other prompt", "same group", "no group", "even group"],
)
def test_nothing_else_is_a_dispute(others: list[object]):
    assert not Tally([thumb(ASK, "Sure.", True, "us"), *others]).disputed()  # pyright: ignore[reportArgumentType]


def test_pairs_dispute_with_pairs_and_with_thumbs():
    preferred = pair(ASK, "Sure.", "No.", "us")
    (both,) = Tally([preferred, pair(ASK, "No.", "Sure.", "de")]).disputes()
    assert {answer.text for answer in both.answers} == {"Sure.", "No."}
    assert Tally([preferred, thumb(ASK, "No.", True, "de")]).disputed()


def test_the_majority_of_a_group_is_its_side_and_the_numbers_are_told():
    rows = [pair(ASK, "Sure.", other, "us") for other in ("a", "b", "c")]
    rows += [pair(ASK, other, "Sure.", "de") for other in ("d", "e", "f")] + [thumb(ASK, "Sure.", True, "de")]
    (answer,) = Tally(rows).disputes()[0].answers
    de, us = answer.sides
    assert (us.wanted, us.judged, de.wanted, de.judged) == (3, 3, 1, 4)
    assert us.low == pytest.approx(0.025 ** (1 / 3)) and us.high == 1.0
    assert answer.p_value == pytest.approx(fisher_exact([[1, 3], [3, 0]]).pvalue)


def test_with_more_than_two_groups_the_least_p_value_pays_for_all_that_were_looked_at():
    rows = [thumb(ASK, "Sure.", True, "us"), thumb(ASK, "Sure.", False, "fr")]
    rows += [pair(ASK, "Sure.", f"u{n}", "us") for n in range(5)]
    rows += [pair(ASK, f"d{n}", "Sure.", "de") for n in range(6)]
    (answer,) = Tally(rows).disputes()[0].answers
    assert answer.p_value == pytest.approx(3 * fisher_exact([[6, 0], [0, 6]]).pvalue)
    few = [thumb(ASK, "Sure.", wanted, group) for wanted, group in ((True, "us"), (False, "de"), (False, "fr"))]
    assert Tally(few).disputes()[0].answers[0].p_value == 1.0


def test_a_prompt_has_one_id_wherever_it_is_asked():
    first, second = thumb(ASK, "a", True), pair("may i say du", "b", "c", "de")
    assert dispute_id(judgements(first)[0].prompt) == dispute_id(judgements(second)[0].prompt)
