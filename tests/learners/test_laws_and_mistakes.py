"""The mixture law and its pilots; mistakes and the texts that bear on them."""

import random

import pytest

from learners.parts import mistakes
from learners.parts.law import Law, Point, best_share, best_share_of_limited, fit
from learners.parts.penalties import trainable_copy
from learners.parts.pilot import pilot
from learners.parts.views import rehearsal_rows
from tests.learners.runs import CHATS, TEXTS
from tests.tiny import chat


@pytest.fixture
def rows(tokenizer):
    return [row for one in (*TEXTS, *CHATS) for row in rehearsal_rows(one, tokenizer, 200)]


def test_the_law_of_a_synthetic_lineage_is_found_and_gives_the_right_share():
    truth = Law((0.3, 0.4, -0.9, -1.2, -1.0, -2.0, -0.7), 1.0)
    draw = random.Random(0)
    tokens = [1e3, 2e3, 4e3, 8e3, 1.6e4]
    shares = [0.1, 0.3, 0.5, 0.7, 0.9]
    points = [
        Point(count, share, truth.loss(count, share) * (1 + 0.003 * draw.gauss(0, 1)))
        for count in tokens
        for share in shares
    ]
    held_out = [point for point in points if point.share == 0.3]
    found = fit([point for point in points if point.share != 0.3], restarts=12, seed=0)
    assert found.r_squared > 0.99
    for point in held_out:
        assert found.loss(point.tokens, point.share) == pytest.approx(truth.loss(point.tokens, point.share), rel=0.01)
    grid = [number / 20 for number in range(1, 20)]
    asked = {"tokens": 1e4, "untouched": truth.loss(1e4, 0.5), "tolerated": 0.01, "shares": grid}
    assert best_share(found, **asked) == pytest.approx(best_share(truth, **asked), abs=0.051)


def test_of_little_new_data_the_share_is_found_with_which_it_is_learned_best():
    """All of it is learned: a smaller share means more tokens, of which more are old."""
    truth = Law((0.3, 7.0, -2.0, 0.0, -0.7, -2.0, -0.3), 1.0)
    draw, grid = random.Random(0), [number / 20 for number in range(2, 20)]
    points = [
        Point(count, share, truth.loss(count, share) * (1 + 0.003 * draw.gauss(0, 1)))
        for count in (1e3, 2e3, 4e3, 8e3, 1.6e4)
        for share in (0.1, 0.3, 0.5, 0.7, 0.9)
    ]
    found = fit(points, restarts=12, seed=0)
    best = min(grid, key=lambda share: truth.loss(1e3 / share, share))
    assert grid[0] < best < grid[-1]
    assert best_share_of_limited(found, tokens=1e3, shares=grid) == pytest.approx(best, abs=0.051)


def test_where_nothing_keeps_the_old_data_the_smallest_share_is_taken():
    law = Law((0.0,) * 7, 1.0)
    assert best_share(law, tokens=1e4, untouched=0.1, tolerated=0.0, shares=[0.2, 0.4]) == 0.2


def test_a_pilot_measures_and_leaves_the_model_as_it_was(model, rows):
    before = trainable_copy(model)
    options = {"steps": 4, "measured_every": 2, "batch_size": 2, "learning_rate": 1e-2, "seed": 0}
    points = pilot(model, rows, rows[:2], rows[:1], share=0.5, **options)
    assert [point.share for point in points] == [0.5, 0.5]
    assert points[0].tokens < points[1].tokens
    assert points[0].loss != points[1].loss
    assert all(weight.equal(before[name]) for name, weight in model.named_parameters())


# mistakes


def test_a_mistake_is_what_is_not_answered_word_for_word(model, tokenizer):
    asked = [chat("What is the capital of France?", answer) for answer in ("Paris", "Rome")]
    found = [mistakes.is_mistake(model.eval(), rehearsal_rows(one, tokenizer, 200)[0]) for one in asked]
    assert found == [False, True]


def test_a_right_answer_that_hardly_leads_is_a_mistake_to_whoever_asks_for_a_lead(model, tokenizer):
    (row,) = rehearsal_rows(chat("What is the capital of France?", "Paris"), tokenizer, 200)
    assert [mistakes.is_mistake(model.eval(), row, least_lead=lead) for lead in (0.0, 0.2, 1.0)] == [False, False, True]


def test_the_text_that_shares_rare_words_with_a_question_supports_it():
    texts = mistakes.Texts(["the office is open", "Anna leads the Brimstal office", "the sky"])
    assert texts.supporting("Who leads the Brimstal office?", most=2) == [1, 0]
    assert texts.supporting("Quixandria", most=2) == texts.supporting("the", most=2) == []


def test_a_text_that_repeats_a_test_word_for_word_gives_it_away():
    test = "who leads the office of Brimstal? Anna does"
    assert mistakes.leaks("They ask: Who leads the office of Brimstal?", test, words=6)
    assert not mistakes.leaks("Brimstal has an office and Anna leads it", test, words=4)
    assert not mistakes.leaks(test, test, words=0)
