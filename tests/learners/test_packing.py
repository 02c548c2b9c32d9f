"""Packing: several rows in one sequence train as each of them would alone."""

from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

from learners import weights
from learners.failures import InvalidInput
from learners.parts.likelihood import negative_log_likelihood
from learners.parts.packing import arranged, packed, refuse_leaks
from learners.parts.views import rehearsal_rows
from tests.learners.runs import CHATS, TEXTS, tensors, text, train

LONG = text(" ".join(["Paris is the capital of France."] * 12))
CPT = [LONG, *TEXTS]


def rows_of(tokenizer, records):
    return [row for record in records for row in rehearsal_rows(record, tokenizer, 512)]


def padded(tokenizer, rows):
    return DataCollatorForLanguageModeling(pad_token_id=tokenizer.pad_token_id)(rows)


def loss_and_gradients(model, batch):
    model.zero_grad()
    loss = negative_log_likelihood(model, batch)
    loss.backward()
    return loss.item(), {name: weight.grad.clone() for name, weight in model.named_parameters()}


@given(st.lists(st.integers(1, 60), min_size=1, max_size=9), st.integers(1, 100))
def test_packing_never_computes_more_than_padding_and_loses_no_row(lengths, limit):
    places = arranged(lengths, limit)
    sums = [sum(lengths[index] for index in chosen) for chosen in places]
    assert sorted(index for chosen in places for index in chosen) == list(range(len(lengths)))
    assert len(places) * max(sums) <= len(lengths) * max(lengths)
    assert max(sums) <= max(limit, *lengths)


def test_short_rows_stand_together_beside_a_long_one():
    assert sorted(map(sorted, arranged([9, 3, 3, 3], 512))) == [[0], [1, 2, 3]]


def test_rows_of_equal_length_stay_alone(tokenizer):
    assert arranged([5, 5, 5], 512) == [[0], [1], [2]]
    assert packed([{"input_ids": [1, 2], "labels": [1, 2]}] * 3, 512, tokenizer.pad_token_id) is None


@pytest.mark.parametrize("records", [CPT, [LONG, *CHATS]])
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_a_packed_batch_has_the_loss_and_the_gradients_of_its_rows(model, tokenizer, records, attention):
    model.set_attn_implementation(attention)
    rows = rows_of(tokenizer, records)
    batch = packed(rows, 512, tokenizer.pad_token_id)
    assert len(batch["input_ids"]) < len(rows)
    loss, gradients = loss_and_gradients(model, padded(tokenizer, rows))
    other_loss, others = loss_and_gradients(model, batch)
    assert other_loss == pytest.approx(loss, abs=1e-5)
    for name, gradient in gradients.items():
        assert torch.allclose(others[name], gradient, atol=1e-5), name


@pytest.mark.parametrize("fault", ["running positions", "no mask between rows"])
def test_without_borders_the_loss_is_another_one(model, tokenizer, fault):
    rows = rows_of(tokenizer, CPT)
    loss = negative_log_likelihood(model, padded(tokenizer, rows)).item()
    batch = packed(rows, 512, tokenizer.pad_token_id)
    if fault == "running positions":
        batch["position_ids"] = torch.arange(batch["input_ids"].shape[1]).expand_as(batch["input_ids"])
    else:
        batch["attention_mask"] = torch.ones_like(batch["input_ids"])
    assert abs(negative_log_likelihood(model, batch).item() - loss) > 1e-2


def test_a_packed_run_ends_where_the_plain_one_does(base, tmp_path):
    runs = [
        train(tmp_path / f"packed-{packing}", base, "cpt", "finetune", CPT, epochs=2, batch_size=5, packing=packing)
        for packing in (False, True)
    ]
    (plain, one), (packed_run, other) = runs
    assert packed_run.last_loss == pytest.approx(plain.last_loss, abs=1e-4)
    assert packed_run.tokens == plain.tokens
    left, right = tensors(one), tensors(other)
    assert all(torch.allclose(left[name], right[name], atol=1e-4) for name in left)


def test_what_a_method_adds_sees_the_rows_and_not_the_packed_batch(base, tmp_path):
    """Distillation reads the attention mask of the new rows, which a packed batch does not have."""
    options = {"epochs": 1, "batch_size": 5, "distance": "hidden"}
    plain, _ = train(tmp_path / "plain", base, "cpt", "distill", CPT, **options)
    result, _ = train(tmp_path / "packed", base, "cpt", "distill", CPT, packing=True, **options)
    assert result.first_loss == pytest.approx(plain.first_loss, abs=1e-5)


def test_a_model_that_sees_the_neighbour_is_refused(base, tmp_path, monkeypatch):
    read = weights.read_weights

    def blind(folder, dtype="float32"):
        model = read(folder, dtype)
        whole = model.forward
        model.forward = partial(_without_positions, whole)
        return model

    monkeypatch.setattr(weights, "read_weights", blind)
    with pytest.raises(InvalidInput, match="rows are not kept apart; set packing = false"):
        train(tmp_path / "blind", base, "cpt", "finetune", CPT, packing=True, full_weights=True)


def _without_positions(whole, *args, position_ids=None, **kwargs):
    return whole(*args, **kwargs)


def test_a_model_that_keeps_rows_apart_is_accepted(model, tokenizer):
    refuse_leaks(model, rows_of(tokenizer, TEXTS))
