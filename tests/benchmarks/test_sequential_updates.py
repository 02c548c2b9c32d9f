"""Promises of `benchmarks.sequential_updates`."""

import pytest

from benchmarks import lab, sequential_updates
from benchmarks.sequential_updates import kept_share, passages, updated
from monitors.metrics import ScoreMatrix


def test_the_kept_share_is_of_what_the_own_update_left():
    r = ScoreMatrix([[0.1, 0.1], [0.8, 0.1], [0.6, 0.9]])
    assert kept_share(r) == pytest.approx(0.75) and kept_share(r, 2) == 1.0


def test_nothing_learned_has_no_kept_share():
    assert kept_share(ScoreMatrix([[0.0], [0.0]])) is None


def test_a_passage_is_learned_as_a_whole_and_sentence_by_sentence(shared):
    first = passages(2, 3, seed=0)[0]
    texts = [record.content["text"] for record in first.records]
    assert len(texts) == 3 and texts[0].endswith("A week has seven days.")
    assert all(text.startswith("Paper ") for text in texts[1:])


def test_a_question_is_asked_without_the_passage_and_told_from_its_other_answers(shared):
    probe = passages(2, 3, seed=0)[0].suites["choice"].items[0]
    assert "seven days" not in probe.prompt and probe.prompt.endswith("\nAnswer:")
    assert len(probe.choices) == 3 and probe.template == "plain"


def test_passages_come_from_different_articles_in_an_order_that_the_seed_decides(shared):
    orders = {tuple(one.records[0].content["title"] for one in passages(3, 3, seed)) for seed in range(6)}
    assert len(orders) > 1 and all(len(set(titles)) == 3 for titles in orders)


def test_too_few_articles_are_refused(shared):
    with pytest.raises(ValueError, match="9 passages are asked for and 3 articles"):
        passages(9, 3, seed=0)


@pytest.mark.slow
def test_every_passage_is_measured_before_and_after_every_update(shared, base, tmp_path, monkeypatch):
    learned = passages(2, 3, seed=0)
    settings = {"epochs": 12, "learning_rate": 3e-3}
    found = updated("finetune", learned, base, tmp_path / "run", settings, seed=0)
    for rows in found.scores.values():
        assert len(rows) == 3 and {len(row) for row in rows} == {2}
    choice = ScoreMatrix(found.scores["choice"])
    assert choice[1, 1] >= choice[0, 1] and found.tokens > 0
    monkeypatch.setattr(lab.Lab, "over", None)
    assert updated("finetune", learned, base, tmp_path / "run", settings, seed=0) == found


def test_the_table_says_where_the_goal_is_missed():
    lost = sequential_updates.Updates(
        method="finetune", scores={"choice": ((0.1, 0.1), (0.8, 0.1), (0.4, 0.9))}, tokens=1, seconds=1.0
    )
    assert "50% (goal 95%)" in sequential_updates._rows([lost])[0]
