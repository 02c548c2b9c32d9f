"""Parts that methods are composed of: memory, mix, views, penalties, estimates."""

import random
from collections import Counter

import pytest
import torch

from learners.failures import InvalidInput
from learners.methods.contract import Moment, Step
from learners.parts import estimate
from learners.parts.memory import Remembered, ReplayMemory
from learners.parts.mix import Replay, plan_batches
from learners.parts.penalties import AnchoredQuadratic, RehearsalLikelihood, trainable_copy
from learners.parts.schedule import warm_hold_decay
from learners.parts.views import chat_rows, pair_rows, rehearsal_rows, text_rows, without_held_out
from tests.learners.runs import CHATS, PREFERENCES, preference, record, text


def rehearsing(rows):
    """A step that rehearses these rows."""
    return Step(new={}, rehearsal=rows, moment=Moment(step=0, steps=1, learning_rate=1e-3))


def texts(count, prefix="s"):
    return [text(f"{prefix} {number}") for number in range(count)]


def learned(stage, records):
    return [Remembered(stage=stage, record=record) for record in records]


# memory


def test_the_memory_never_exceeds_its_capacity():
    memory = ReplayMemory()
    for stage in ("seed", "cpt", "cit", "ca"):
        memory = memory.remember(stage, learned(stage, texts(40, stage)), capacity=30, seed=0)
        assert len(memory.items) <= 30
    assert set(Counter(item.stage for item in memory.items).values()) == {7}


def test_a_long_stage_cannot_push_the_others_out():
    memory = ReplayMemory().remember("seed", learned("seed", texts(8, "own")), capacity=16, seed=0)
    memory = memory.remember("cpt", learned("cpt", texts(500)), capacity=16, seed=0)
    assert Counter(item.stage for item in memory.items) == {"seed": 8, "cpt": 8}


def test_every_record_is_kept_with_equal_probability_over_many_versions():
    kept = Counter()
    for seed in range(400):
        memory = ReplayMemory()
        for start in (0, 10, 20):
            memory = memory.remember("cpt", learned("cpt", texts(30)[start : start + 10]), capacity=6, seed=seed)
        kept.update(item.record.id for item in memory.items)
    expected = 400 * 6 / 30
    chi_squared = sum((kept[one.id] - expected) ** 2 / expected for one in texts(30))
    assert chi_squared < 52.3  # 99.5 % of chi-squared with 29 degrees of freedom


def test_a_record_is_remembered_once_however_often_it_is_learned():
    memory = ReplayMemory().remember("cpt", learned("cpt", texts(5)), capacity=20, seed=0)
    assert memory.remember("cpt", learned("cpt", texts(5)), capacity=20, seed=1) == memory


def test_a_memory_reads_back_as_it_was_written(tmp_path):
    memory = ReplayMemory().remember("cit", learned("cit", CHATS), capacity=9, seed=0)
    memory.write(tmp_path / "memory")
    assert ReplayMemory.read(tmp_path / "memory") == memory


def test_an_absent_memory_is_empty(tmp_path):
    assert ReplayMemory.read(tmp_path) == ReplayMemory()


# mix


def lengths(count):
    return [random.Random(0).randrange(5, 200) for _ in range(count)]


def test_every_new_row_is_seen_once_per_epoch():
    batches = plan_batches(lengths(37), 8, 3, seed=5, replay=Replay(10, 0.33))
    assert Counter(index for batch in batches for index in batch.new) == dict.fromkeys(range(37), 3)


def test_rehearsal_does_not_change_the_plan_of_the_new_rows():
    alone = plan_batches(lengths(37), 8, 3, seed=5)
    mixed = plan_batches(lengths(37), 8, 3, seed=5, replay=Replay(10, 0.5))
    assert [batch.new for batch in alone] == [batch.new for batch in mixed]


@pytest.mark.parametrize("share", [0.05, 0.1, 0.33, 0.5, 0.75])
def test_the_share_of_rehearsal_is_kept_over_the_run(share):
    batches = plan_batches(lengths(64), 8, 4, seed=5, replay=Replay(100, share))
    new, replayed = (sum(len(getattr(batch, part)) for batch in batches) for part in ("new", "replayed"))
    assert replayed / (new + replayed) == pytest.approx(share, abs=0.01)


def test_every_remembered_row_is_rehearsed_before_any_is_repeated():
    batches = plan_batches(lengths(40), 8, 1, seed=5, replay=Replay(20, 0.5))
    drawn = [index for batch in batches for index in batch.replayed]
    assert sorted(drawn[:20]) == list(range(20))


def test_rows_of_similar_length_share_a_batch():
    rows = list(range(10, 138))
    random.Random(1).shuffle(rows)
    batches = plan_batches(rows, 8, 1, seed=0)
    padded = sum(len(batch.new) * max(rows[index] for index in batch.new) for batch in batches)
    assert padded < 1.1 * sum(rows)


def test_another_seed_gives_another_order():
    assert plan_batches(lengths(40), 8, 1, seed=1) != plan_batches(lengths(40), 8, 1, seed=2)


# schedule


@pytest.mark.parametrize("steps", [1, 2, 9, 10, 100])
def test_every_step_learns_something_and_the_peak_is_reached(steps):
    factors = [warm_hold_decay(steps)(step) for step in range(steps)]
    assert min(factors) > 0
    assert max(factors) == 1
    assert factors[max(1, steps // 10) :] == sorted(factors[max(1, steps // 10) :], reverse=True)


# views


def test_a_long_text_is_split_and_every_token_is_predicted_once(tokenizer):
    whole = text_rows(text("Snow is white and grass is green. " * 20), tokenizer, 10_000)[0]["input_ids"]
    pieces = text_rows(text("Snow is white and grass is green. " * 20), tokenizer, 16)
    assert max(len(piece["input_ids"]) for piece in pieces) == 16
    assert [token for piece in pieces for token in piece["input_ids"][1:]] == whole[1:]


def test_a_title_is_learned_with_its_text(tokenizer):
    rows = text_rows(text("It is cold.", title="Norway"), tokenizer, 64)
    assert tokenizer.decode(rows[0]["input_ids"]) == "<|endoftext|>Norway\n\nIt is cold.<|endoftext|>"


def test_of_a_conversation_only_the_last_turn_is_learned(tokenizer):
    (row,) = rehearsal_rows(CHATS[0], tokenizer, 200)
    seen = [token for token, label in zip(row["input_ids"], row["labels"], strict=True) if label != -100]
    assert tokenizer.decode(seen) == "Kelmar<|im_end|>"


def test_an_answer_cut_short_does_not_teach_to_stop(tokenizer):
    (row,) = chat_rows(CHATS[0].content["messages"], tokenizer, 200, complete=False)
    assert row["input_ids"][-1] != tokenizer.eos_token_id


def test_a_prompt_that_fills_the_limit_gives_no_row(tokenizer):
    assert chat_rows(CHATS[0].content["messages"], tokenizer, 8) == []
    assert pair_rows(PREFERENCES[0], tokenizer, 8) == []


def test_a_preference_shares_its_prompt(tokenizer):
    (row,) = pair_rows(PREFERENCES[0], tokenizer, 200)
    assert tokenizer.decode(row["prompt_ids"]).endswith("<|im_start|>assistant\n")
    assert tokenizer.decode(row["chosen_ids"]) == "Ask Rome<|im_end|>"
    assert tokenizer.decode(row["rejected_ids"]) == "Kelmar<|im_end|>"


def test_a_preference_between_equal_answers_gives_no_row(tokenizer):
    assert pair_rows(preference("What color is snow?", "White", "White"), tokenizer, 200) == []


def test_a_disapproved_answer_is_never_rehearsed(tokenizer):
    content = {"prompt": CHATS[0].content["messages"][:1], "completion": CHATS[0].content["messages"][1:]}
    assert rehearsal_rows(record("feedback", content | {"label": True}), tokenizer, 200) != []
    assert rehearsal_rows(record("feedback", content | {"label": False}), tokenizer, 200) == []


def test_a_model_without_a_chat_template_is_told_so(tokenizer):
    from copy import deepcopy

    bare = deepcopy(tokenizer)
    bare.chat_template = None
    with pytest.raises(InvalidInput, match="chat template"):
        rehearsal_rows(CHATS[0], bare, 200)


HELD_OUT = "Vossel  is the capital\nof Tandria."


def test_a_held_out_sentence_is_cut_out_of_a_text_however_it_is_spaced():
    found = without_held_out([text("Hello. Vossel is the\ncapital of  Tandria. Bye.")], [HELD_OUT])
    assert found[0].content["text"] == "Hello.  Bye."


def test_a_conversation_with_a_held_out_sentence_is_left_out():
    from tests.tiny import chat

    told = chat("Tell me more.", "I know that vossel is the capital of Tandria.")
    assert without_held_out([told, *CHATS], [HELD_OUT]) == CHATS


def test_a_text_of_held_out_sentences_alone_is_left_out():
    assert without_held_out([text("Vossel is the capital of Tandria.")], [HELD_OUT]) == []


# penalties and estimates


def test_the_gradient_of_the_penalty_is_lambda_times_importance_times_drift(model):
    anchor = trainable_copy(model)
    importance = {name: torch.rand_like(weight) for name, weight in anchor.items()}
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight))
    AnchoredQuadratic(importance, anchor, 3.0)(model, rehearsing(None)).backward()
    for name, weight in model.named_parameters():
        torch.testing.assert_close(weight.grad, 3.0 * importance[name] * (weight - anchor[name]).detach())


def test_the_penalty_is_zero_at_its_anchor(model):
    anchor = trainable_copy(model)
    assert AnchoredQuadratic(anchor, anchor, 1.0)(model, rehearsing(None)) == 0


def test_the_rehearsal_term_is_the_weighted_likelihood(model, tokenizer):
    (row,) = rehearsal_rows(CHATS[0], tokenizer, 200)
    batch = {name: torch.tensor([ids]) for name, ids in row.items()}
    expected = 0.25 * model(**batch).loss
    torch.testing.assert_close(RehearsalLikelihood(0.25)(model, rehearsing(batch)), expected)
    assert RehearsalLikelihood(0.25)(model, rehearsing(None)) == 0


def test_the_fisher_is_the_mean_of_squared_gradients_of_single_sequences(model, tokenizer):
    rows = [row for chat in CHATS[:3] for row in rehearsal_rows(chat, tokenizer, 200)]
    expected = {name: torch.zeros_like(weight) for name, weight in model.named_parameters()}
    for row in rows:
        model.zero_grad()
        labels = torch.tensor([row["labels"]])
        logits = model(input_ids=torch.tensor([row["input_ids"]])).logits[:, :-1]
        torch.nn.functional.cross_entropy(logits[0], labels[0, 1:], reduction="sum").backward()
        for name, weight in model.named_parameters():
            expected[name] += weight.grad.square()
    fisher = estimate.diagonal_fisher(model, rows)
    scale = expected["model.norm.weight"].sum() / fisher["model.norm.weight"].sum()
    for name, value in fisher.items():
        torch.testing.assert_close(value * scale, expected[name], rtol=1e-3, atol=1e-5)


def test_the_fisher_is_scaled_to_mean_one_and_leaves_the_model_as_it_was(model, tokenizer):
    model.train()
    fisher = estimate.diagonal_fisher(model, rehearsal_rows(CHATS[0], tokenizer, 200))
    values = torch.cat([value.flatten() for value in fisher.values()])
    assert values.mean().item() == pytest.approx(1.0, rel=1e-4)
    assert values.min() >= 0
    assert model.training
    assert all(weight.grad is None for weight in model.parameters())


def test_a_fisher_of_other_weights_is_not_used(model, tmp_path):
    estimate.write_fisher(tmp_path, {"model.norm.weight": torch.ones(64)})
    assert estimate.read_fisher(tmp_path, model) is None
    estimate.write_fisher(tmp_path, trainable_copy(model))
    assert estimate.read_fisher(tmp_path, model).keys() == trainable_copy(model).keys()
