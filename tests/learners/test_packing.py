"""Packing: rows of a batch in fewer tokens are read, and train, as each of them would alone."""

from functools import partial
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from trl.trainer.dpo_trainer import DataCollatorForPreference
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

from learners import trainer, weights
from learners.methods.contract import Moment, Step
from learners.parts import pairs
from learners.parts.distill import Distillation, Teacher
from learners.parts.likelihood import nats, negative_log_likelihood, predicted
from learners.parts.packing import allow, arranged, packed
from learners.parts.rows import learned
from learners.parts.views import pair_rows, rehearsal_rows
from tests.learners.runs import CHATS, PREFERENCES, TEXTS, tensors, text, train
from tests.tiny import chat, tiny_weights

LONG = text(" ".join(["Paris is the capital of France."] * 12))
CPT = [LONG, *TEXTS]
TASK = "Answer with one word, and with none other, whatever you are asked. "
TASKS = [chat(TASK + question, answer) for question, answer in (("Two?", "Yes"), ("Red?", "No"), ("Two red?", "Yes"))]
TWICE = [chat(TASK, "Yes"), chat(TASK, "No"), chat(TASK, "No")]
MIXES = {"texts": CPT, "chats": [LONG, *CHATS], "a task": TASKS, "one prompt": TWICE, "all": [*CPT, *TASKS, *TWICE]}


def cost(sequences, tokens):
    return sequences * tokens * (300 + tokens)


def batch_of(tokenizer, records):
    rows = [row for record in records for row in rehearsal_rows(record, tokenizer, 512)]
    return DataCollatorForLanguageModeling(pad_token_id=tokenizer.pad_token_id)(rows)


def allowed(model):
    assert allow(model)
    return model


def loss_and_gradients(model, batch):
    model.zero_grad()
    loss = negative_log_likelihood(model, batch)
    loss.backward()
    return loss.item(), {name: weight.grad.clone() for name, weight in model.named_parameters()}


@pytest.fixture(scope="module")
def tiny_model():
    model = weights.read_weights(tiny_weights() / "weights")
    assert allow(model)
    return model


@given(st.lists(st.tuples(st.integers(1, 60), st.integers(0, 60)), min_size=1, max_size=9))
def test_packing_never_costs_more_than_padding_and_loses_no_row(rows):
    lengths = [length for length, _ in rows]
    alike = [0, *(min(shared, length - 1, own - 1) for (length, shared), (own, _) in pairwise(rows))]
    groups = arranged(lengths, alike, cost)
    assert sorted(index for group in groups for index in group) == list(range(len(rows)))
    sizes = [
        lengths[group[0]] + sum(lengths[own] - min(alike[before + 1 : own + 1]) for before, own in pairwise(group))
        for group in groups
    ]
    assert cost(len(groups), max(sizes)) <= cost(len(rows), max(lengths))


def test_short_rows_stand_together_beside_a_long_one():
    assert sorted(map(sorted, arranged([9, 3, 3, 3], [0] * 4, cost))) == [[0], [1, 2, 3]]


def test_rows_of_equal_length_that_share_nothing_stay_alone():
    assert arranged([5, 5, 5], [0] * 3, cost) == [[0], [1], [2]]


TOKENS = st.lists(st.integers(0, 3), min_size=2, max_size=12)


@given(rows=st.lists(st.tuples(TOKENS, st.integers(0, 11)), min_size=1, max_size=6))
def test_a_token_sees_its_own_row_and_nothing_else(tiny_model, rows):
    labels = [[-100] * min(start, len(ids)) + ids[start:] for ids, start in rows]
    batch = DataCollatorForLanguageModeling(pad_token_id=0)(
        [{"input_ids": ids, "labels": own} for (ids, _), own in zip(rows, labels, strict=True)]
    )
    found = packed(tiny_model, batch)
    if found is None:
        return
    width = found.batch["input_ids"].shape[1]
    assert int((found.batch["labels"][:, 1:] != -100).sum()) == int(learned(batch).sum())
    for row, (ids, _) in enumerate(rows):
        places = found.places[row, : len(ids)]
        (sequence,) = set((places // width).tolist())
        at = places % width
        assert found.batch["input_ids"][sequence, at].tolist() == ids
        assert found.batch["position_ids"][sequence, at].tolist() == list(range(len(ids)))
        seen = found.batch["attention_mask"][sequence, 0, at]
        assert seen[:, at].equal(torch.ones(len(ids), len(ids), dtype=torch.bool).tril())
        assert seen.sum(dim=1).tolist() == list(range(1, len(ids) + 1))
        for place in range(1, len(ids)):
            if labels[row][place] != -100:
                assert found.batch["labels"][sequence, at[place]] == labels[row][place]
                assert at[place] == at[place - 1] + 1


@pytest.mark.parametrize("mix", MIXES)
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_a_packed_batch_has_the_loss_and_the_gradients_of_its_rows(model, tokenizer, mix, attention):
    model.set_attn_implementation(attention)
    batch = batch_of(tokenizer, MIXES[mix])
    loss, gradients = loss_and_gradients(model, batch)
    fewer = packed(allowed(model), batch)
    assert fewer.batch["input_ids"].numel() < batch["input_ids"].numel()
    other_loss, others = loss_and_gradients(model, batch)
    assert other_loss == pytest.approx(loss, abs=1e-5)
    for name, gradient in gradients.items():
        assert torch.allclose(others[name], gradient, atol=1e-5), name


@pytest.mark.parametrize("mix", MIXES)
def test_every_token_of_a_row_reads_as_it_does_alone(model, tokenizer, mix):
    batch = batch_of(tokenizer, MIXES[mix])
    with torch.no_grad():
        alone = nats(model, batch), predicted(model, batch)
        allow(model)
        together = nats(model, batch), predicted(model, batch)
    assert not alone[1].equal(together[1]), "nothing was packed"
    for one, other in zip(alone, together, strict=True):
        torch.testing.assert_close(other, one, atol=1e-4, rtol=1e-4)


def test_both_answers_to_a_prompt_read_it_once(model, tokenizer, monkeypatch):
    rows = [row for one in PREFERENCES for row in pair_rows(one, tokenizer, 200)]
    batch = DataCollatorForPreference(pad_token_id=tokenizer.pad_token_id)(rows)
    counts = []
    model.register_forward_pre_hook(lambda _, __, kwargs: counts.append(kwargs["input_ids"].numel()), with_kwargs=True)
    with torch.no_grad():
        alone = pairs.answer_nats(model, batch)
        padded = sum(counts)
        allow(model)
        counts.clear()
        together = pairs.answer_nats(model, batch)
    assert sum(counts) < 0.7 * padded
    torch.testing.assert_close(torch.cat(together), torch.cat(alone), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("fault", ["running positions", "no mask between rows"])
def test_without_borders_the_loss_is_another_one(model, tokenizer, fault, monkeypatch):
    batch = batch_of(tokenizer, TASKS)
    loss = negative_log_likelihood(model, batch).item()
    fewer = packed(allowed(model), batch)
    tokens = fewer.batch["input_ids"].shape
    if fault == "running positions":
        fewer.batch["position_ids"][:] = torch.arange(tokens[1])
    else:
        fewer.batch["attention_mask"][:] = torch.ones(tokens[1], tokens[1], dtype=torch.bool).tril()
    monkeypatch.setattr("learners.parts.likelihood.packed", lambda model, rows: fewer)
    assert abs(negative_log_likelihood(model, batch).item() - loss) > 1e-3


@pytest.mark.parametrize(("stage", "records"), [("cpt", CPT), ("cit", TASKS), ("ca", PREFERENCES)])
def test_a_packed_run_ends_where_the_plain_one_does(base, tmp_path, stage, records):
    method = "dpo" if stage == "ca" else "finetune"
    runs = [
        train(tmp_path / f"packed-{packing}", base, stage, method, records, epochs=2, batch_size=5, packing=packing)
        for packing in (False, True)
    ]
    (plain, one), (packed_run, other) = runs
    assert packed_run.last_loss == pytest.approx(plain.last_loss, abs=1e-4)
    assert packed_run.tokens == plain.tokens
    left, right = tensors(one), tensors(other)
    assert all(torch.allclose(left[name], right[name], atol=1e-4) for name in left)
    assert any(not left[name].equal(right[name]) for name in left), "nothing was packed"


@pytest.mark.parametrize(
    ("method", "options"), [("elm", {}), ("conpet", {"mode": "dynamic"}), ("k_adapter", {}), ("plug_lm", {})]
)
def test_an_extension_that_treats_all_rows_alike_is_packed(base, tmp_path, method, options):
    runs = [
        train(tmp_path / f"packed-{packing}", base, "cit", method, TASKS, epochs=2, packing=packing, **options)
        for packing in (False, True)
    ]
    (plain, one), (packed_run, other) = runs
    assert packed_run.last_loss == pytest.approx(plain.last_loss, abs=1e-4)
    left, right = tensors(one), tensors(other)
    assert all(torch.allclose(left[name], right[name], atol=1e-4) for name in left)
    assert any(not left[name].equal(right[name]) for name in left), "nothing was packed"


@pytest.mark.parametrize("method", ["slm", "sapt", "progressive_prompts", "prompt_pool"])
def test_an_extension_that_routes_row_by_row_reads_row_by_row(base, tmp_path, method):
    stage, records = ("cpt", CPT) if method == "prompt_pool" else ("cit", TASKS)
    left, right = (
        tensors(train(tmp_path / f"packed-{packing}", base, stage, method, records, epochs=1, packing=packing)[1])
        for packing in (False, True)
    )
    assert all(left[name].equal(right[name]) for name in left)


def test_trls_loss_which_a_gpu_takes_is_that_of_the_rows_too(base, tmp_path, monkeypatch):
    options = {"epochs": 2, "batch_size": 5}
    plain, one = train(tmp_path / "plain", base, "cit", "finetune", TASKS, packing=False, **options)
    monkeypatch.setattr(trainer._RowTrainer, "_stage_loss", trainer._RowTrainer._trls_loss)
    result, other = train(tmp_path / "packed", base, "cit", "finetune", TASKS, **options)
    assert result.last_loss == pytest.approx(plain.last_loss, abs=1e-4)
    left, right = tensors(one), tensors(other)
    assert all(torch.allclose(left[name], right[name], atol=1e-4) for name in left)


def test_what_a_method_adds_sees_the_rows(base, tmp_path):
    """Distillation reads the attention mask of the new rows, which is another one when they are packed."""
    options = {"epochs": 1, "batch_size": 5, "distance": "hidden"}
    plain, _ = train(tmp_path / "plain", base, "cpt", "distill", CPT, packing=False, **options)
    result, _ = train(tmp_path / "packed", base, "cpt", "distill", CPT, **options)
    assert result.first_loss == pytest.approx(plain.first_loss, abs=1e-5)


def test_a_teacher_of_answers_reads_the_packed_batch_as_the_student_does(model, tokenizer):
    term = Distillation(Teacher(model), distance="logits", source="new", weight=1.0, temperature=2.0)
    draw = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.05 * torch.randn(weight.shape, generator=draw))
    step = Step(batch_of(tokenizer, TASKS), None, Moment(0, 1, 1e-3))
    counts = []
    model.register_forward_pre_hook(lambda _, __, kwargs: counts.append(kwargs["input_ids"].numel()), with_kwargs=True)
    with torch.no_grad():
        alone, padded = float(term(model, step)), sum(counts)
        allow(model)
        counts.clear()
        together = float(term(model, step))
    assert len(counts) == 2
    assert sum(counts) < 0.7 * padded
    assert together == pytest.approx(alone, rel=1e-4)
    assert alone > 1e-3


def test_rows_of_a_model_that_sees_the_neighbour_are_left_alone(base, tmp_path, monkeypatch):
    read = weights.read_weights

    def blind(folder, dtype="float32"):
        model = read(folder, dtype)
        whole = model.forward
        model.forward = partial(_without_positions, whole)
        return model

    options = {"epochs": 1, "batch_size": 5, "full_weights": True}
    _, plain = train(tmp_path / "plain", base, "cpt", "finetune", CPT, packing=False, **options)
    monkeypatch.setattr(weights, "read_weights", blind)
    _, version = train(tmp_path / "blind", base, "cpt", "finetune", CPT, **options)
    left, right = tensors(plain), tensors(version)
    assert all(left[name].equal(right[name]) for name in left)


def _without_positions(whole, *args, position_ids=None, **kwargs):
    return whole(*args, **kwargs)


def test_a_row_that_is_longer_than_attention_reaches_is_not_packed(model, tokenizer):
    batch = batch_of(tokenizer, TASKS)
    assert packed(allowed(model), batch)
    model.config.sliding_window = batch["input_ids"].shape[1] - 1
    assert packed(model, batch) is None


def test_a_model_that_was_not_asked_is_not_packed(model, tokenizer):
    assert packed(model, batch_of(tokenizer, TASKS)) is None
