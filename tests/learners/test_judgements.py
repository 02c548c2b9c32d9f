"""Promises of judgements: what they say, and when there are too few to learn from."""

from __future__ import annotations

from learners.parts.judgements import judgements, lacking, prompt_key
from learners.records import Record
from tests.thumbs import pair, thumb

UP, DOWN = thumb("a?", "yes", True), thumb("b?", "no", False)


def test_a_preference_wants_one_answer_and_not_the_other():
    assert [(one.wanted, one.group) for one in judgements(pair("a?", "yes", "no", "de"))] == [
        (True, "de"),
        (False, "de"),
    ]
    assert [one.wanted for one in judgements(DOWN)] == [False]
    text = Record(id="0", source="inbox", kind="text", content={"text": "a"})
    assert judgements(text) == ()


def test_disapproval_alone_asks_for_approved_answers():
    assert "all 2 judged answers are disapproved" in (lacking([DOWN, thumb("c?", "no", False)]) or "")


def test_one_prompt_alone_asks_for_another():
    assert "all 2 judged answers are to one prompt" in (lacking([UP, thumb("A ?", "no", False)]) or "")


def test_approval_both_verdicts_and_pairs_can_be_learned():
    assert lacking([UP, thumb("b?", "yes", True)]) is None
    assert lacking([UP, DOWN]) is None
    assert lacking([DOWN, pair("a?", "yes", "no")]) is None
    assert lacking([pair("a?", "yes", "no")]) is None
    assert lacking([]) is None


def test_a_prompt_of_signs_alone_is_still_one_of_its_own():
    ask = [{"role": "user", "content": "?!"}]
    assert prompt_key(ask) != prompt_key([{"role": "user", "content": "!!"}])
    assert prompt_key(ask) != prompt_key([{"role": "system", "content": "?!"}])
