"""Promises of `learners.viewing`: what is shown is what training gets, token by token."""

import pytest

from learners import training, versions, weights
from learners.job import TrainSpec
from learners.viewing import views
from tests.learners.runs import CHATS, PREFERENCES, TEXTS, job_at, spec, text


@pytest.fixture
def shown(tmp_path, base):
    def ask(stage, records, limit=5, method="finetune", **settings):
        asked = spec(tmp_path / "spec", base, stage, method, records, **settings)
        return views({**asked, "limit": limit}, job_at(tmp_path / "views", "views"))

    return ask


def test_the_tokens_shown_are_the_rows_that_training_gets(shown, tmp_path, base):
    found = [view for view in shown("cit", CHATS).views if view.role == "new"]
    order = TrainSpec.model_validate(spec(tmp_path / "again", base, "cit", "finetune", CHATS))
    rows = training.prepared(order, job_at(tmp_path / "prepared")).rows
    assert [[token for piece in view.pieces for token in piece.token_ids] for view in found] == [
        row["input_ids"] for row in rows
    ]


def test_of_a_conversation_the_answer_and_its_end_alone_are_learned(shown):
    read, learned = shown("cit", CHATS[:1]).views[0].pieces
    assert not read.learned and read.text.endswith("<|im_start|>assistant\n")
    assert learned.learned and learned.text == "Kelmar<|im_end|>"


def test_of_a_text_all_but_the_first_token_is_learned_for_nothing_predicts_it(shown):
    view = shown("cpt", TEXTS[:1]).views[0]
    assert [piece.learned for piece in view.pieces] == [False, True]
    assert view.pieces[0].text == "<|endoftext|>" and view.learned_tokens == view.tokens - 1


def test_a_preference_shows_both_sides_of_one_prompt(shown):
    chosen, rejected = (view for view in shown("ca", PREFERENCES[:1], method="dpo_replay").views[:2])
    assert (chosen.role, rejected.role) == ("chosen", "rejected")
    assert chosen.pieces[0] == rejected.pieces[0] and chosen.pieces[1].text != rejected.pieces[1].text


def test_judged_answers_and_prompts_are_shown_as_what_they_are(shown):
    approved, disapproved = shown("ca", PREFERENCES[:1], method="kto").views[:2]
    assert (approved.role, disapproved.role) == ("approved", "disapproved")
    assert approved.pieces[1].text == "Ask Rome<|im_end|>" and approved.pieces[1].learned
    prompt = shown("ca", PREFERENCES[:1], method="ppo").views[0]
    assert (prompt.role, prompt.learned_tokens, prompt.pieces) == ("prompt", 0, approved.pieces[:1])


def test_what_is_forgotten_is_not_shown_as_new(shown):
    found = shown("forget", CHATS[:1], limit=1, method="npo")
    assert [view.role for view in found.views] == ["forgotten", "rehearsed"]
    assert found.views[0].pieces[1].text == "Kelmar<|im_end|>"


def test_rehearsed_rows_stand_beside_the_new_ones(shown):
    found = shown("cit", CHATS, limit=2, method="replay")
    assert [view.role for view in found.views] == ["new", "new", "rehearsed", "rehearsed"]
    assert found.rows == len(CHATS) and found.remembered > 2


def test_the_totals_are_of_all_rows_whatever_is_shown(shown):
    some, every = (shown("cit", CHATS, limit=limit) for limit in (1, 50))
    new = [view for view in every.views if view.role == "new"]
    assert some.tokens == every.tokens == sum(view.tokens for view in new)
    assert some.learned_tokens == sum(view.learned_tokens for view in new)


def test_texts_in_a_foreign_language_are_foreseen_to_make_the_model_forget(shown):
    (warning,) = shown("cpt", [text("Qui trop embrasse mal étreint, dit on ici.")]).warnings
    assert "strong shift" in warning and "rewarm_replay" in warning
    known = shown("cpt", TEXTS)
    assert known.overlap > 0.3 and known.warnings == ()


def test_a_small_corpus_for_a_big_model_is_warned_of(shown, monkeypatch):
    monkeypatch.setattr(versions, "parameters", lambda folder: 7_000_000_000)
    assert "7.0 billion parameters" in shown("cpt", TEXTS).warnings[0]


def test_instructions_are_foreseen_nothing_of(shown):
    found = shown("cit", CHATS)
    assert found.overlap is None and found.warnings == ()


def test_nothing_is_trained(shown, tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "trainable", None)
    monkeypatch.setattr(weights, "read_weights", None)
    assert shown("cit", CHATS).rows == len(CHATS)
    assert not (tmp_path / "views" / "output" / "version" / "manifest.json").exists()
