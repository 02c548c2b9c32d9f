"""Mechanisms of forgetting: losses against a hand computation, ceilings, look-alikes, unlearning layers."""

import math
import random

import pytest
import torch
from torch.nn.functional import log_softmax, logsigmoid

from learners.methods import copal, infinite_lr, piggyback
from learners.methods.contract import Moment, Step
from learners.methods.eul import Divergence
from learners.methods.grad_diff import Ascent
from learners.methods.idk_dpo import IDK_ANSWERS, IdkPreference
from learners.methods.npo import NegativePreference
from learners.methods.simnpo import SimplePreference
from learners.parts import (
    erase,
    exemplars,
    extensions,
    keep,
    likelihood,
    pairs,
    rationales,
    snapshots,
    tasks,
    unlearning,
)
from learners.parts.distill import Teacher
from learners.parts.extensions.bottleneck import Kind
from learners.parts.rows import Row, batch_of
from learners.parts.unlearning import Ceilings, digit_tokens, key_of, redrawn
from tests.learners.runs import CHATS, text
from tests.learners.runs import record as made
from tests.tiny import chat

FREE = Ceilings(1e9)


@pytest.fixture
def rows(tokenizer):
    """Two rows of different length."""
    two = [chat("id Bado", "4821"), chat("What color is snow?", "White")]
    return [row for one in two for row in unlearning.forgotten_rows(one, tokenizer, 64)]


def step(rows):
    return Step(batch_of(rows, torch.device("cpu")), None, Moment(0, 1, 1e-3))


def plain_nats(model, row):
    """Sum over the labelled tokens, and their number, one row at a time."""
    ids, labels = torch.tensor([row["input_ids"]]), torch.tensor([row["labels"]])
    count = int((labels[:, 1:] != -100).sum())
    return model(input_ids=ids, labels=labels).loss * count, count


def test_ascent_is_the_negative_likelihood_of_the_batchs_tokens(model, rows):
    (first, tokens), (second, more) = (plain_nats(model, row) for row in rows)
    expected = -0.5 * (first + second) / (tokens + more)
    assert Ascent(FREE, 0.5)(model, step(rows)).item() == pytest.approx(expected.item(), rel=1e-5)


def test_negative_preference_is_two_over_beta_of_log_two_at_the_reference(model, rows):
    reference = {key_of(row): plain_nats(model, row)[0].item() for row in rows}
    loss = NegativePreference(FREE, reference, beta=0.1, strength=1.0)
    assert loss(model, step(rows)).item() == pytest.approx(20 * math.log(2), rel=1e-5)


def test_negative_preference_against_a_reference_that_was_three_nats_better(model, rows):
    reference = {key_of(row): plain_nats(model, row)[0].item() - 3 for row in rows}
    loss = NegativePreference(FREE, reference, beta=0.5, strength=2.0)
    expected = 2.0 * 2 / 0.5 * math.log(1 + math.exp(0.5 * -3))
    assert loss(model, step(rows)).item() == pytest.approx(expected, rel=1e-4)


def test_simple_preference_normalises_each_row_by_its_length(model, rows):
    each = [nats.item() / count for nats, count in (plain_nats(model, row) for row in rows)]
    expected = [-0.125 * 2 / 4.5 * math.log(1 / (1 + math.exp(-4.5 * (mean - 1)))) for mean in each]
    loss = SimplePreference(FREE, beta=4.5, margin_nats=1.0, strength=0.125)
    assert loss(model, step(rows)).item() == pytest.approx(sum(expected) / 2, rel=1e-4)


def test_not_knowing_is_preferred_by_the_margin_over_the_reference(model, rows):
    chosen, rejected = rows
    both = step([chosen, rejected]).new
    batch = {
        "input_ids": both["input_ids"], "attention_mask": both["attention_mask"],
        "completion_mask": (both["labels"] != -100).long(),
        "ref_chosen_logps": torch.tensor([-7.0]), "ref_rejected_logps": torch.tensor([-0.5]),
    }  # fmt: skip
    (wanted, count), (forgotten, _) = plain_nats(model, chosen), plain_nats(model, rejected)
    margin = (-wanted + 7.0) - (-forgotten + 0.5)
    loss = IdkPreference(FREE, beta=0.1, answer_weight=0.5, strength=2.0)
    expected = 2.0 * (0.5 * wanted / count - logsigmoid(0.1 * margin))
    assert loss(model, Step(batch, None, Moment(0, 1, 1e-3))).item() == pytest.approx(expected.item(), rel=1e-4)
    assert len(set(IDK_ANSWERS)) == len(IDK_ANSWERS)


def test_unlearning_layers_go_away_from_the_parent_and_from_the_answer(model, rows):
    teacher = Teacher(model)
    with torch.no_grad():
        model.lm_head.weight.add_(0.1 * torch.randn(model.lm_head.weight.shape, generator=torch.manual_seed(0)))
    (row,) = rows[1:]
    loss = Divergence(teacher, FREE, cap_nats=1e9, strength=0.5, likelihood_weight=2.0)(model, step([row]))
    ids = torch.tensor([row["input_ids"]])
    learned = [place - 1 for place, label in enumerate(row["labels"]) if label != -100]
    before, after = (log_softmax(out.logits[0, learned], -1) for out in (teacher(model, input_ids=ids), model(ids)))
    nats, count = plain_nats(model, row)
    expected = -0.5 * ((before.exp() * (before - after)).sum(-1).mean() + 2.0 * nats / count)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-4)


# ceilings


@pytest.mark.parametrize("make", [
    lambda ceilings: Ascent(ceilings, 1.0),
    lambda ceilings: SimplePreference(ceilings, beta=4.5, margin_nats=0.0, strength=1.0),
])  # fmt: skip
def test_a_token_at_its_ceiling_is_not_pushed(model, rows, make):
    """The digits cost the tiny model many nats each; a cap of a hundredth is below every token's."""
    low, free = make(Ceilings(0.0)), make(FREE)
    assert not any(grad.any() for grad in gradients(model, low, rows[:1]))
    assert any(grad.any() for grad in gradients(model, free, rows[:1]))


def gradients(model, loss, rows):
    return torch.autograd.grad(
        loss(model, step(rows)), list(model.parameters()), allow_unused=True, materialize_grads=True
    )


def test_nearly_the_level_of_what_was_never_trained_is_a_ceiling_where_it_is_below_the_cap(model, rows):
    levels = {key_of(rows[1]): [0.5, 9.0, *[1.5] * (len(rows[1]["input_ids"]) - 3)]}
    found = Ceilings(5.0, levels)(model, step(rows).new)
    assert found[0].eq(5.0).all()
    assert found[1, :3].tolist() == pytest.approx([0.4, 5.0, 1.4])


def test_digits_end_where_other_digits_are(model, tokenizer, rows):
    ceilings = Ceilings.calibrated(1e9, rows, {}, tokenizer, seed=0)
    found = ceilings(model, step(rows).new)
    (others,) = ceilings._look_alikes.values()
    nats = torch.stack([likelihood.nats(model, step([row]).new)[0] for row in others])
    digits = [place - 1 for place, label in enumerate(rows[0]["labels"]) if label in digit_tokens(tokenizer)]
    assert len(digits) == 4
    assert found[0, digits].tolist() == pytest.approx(nats[:, digits].quantile(0.5, dim=0).tolist(), rel=1e-4)
    assert (found == 1e9).sum() == found.numel() - 4


def test_a_look_alike_has_other_digits_where_they_are_learned_and_no_other_change(tokenizer):
    (row,) = unlearning.forgotten_rows(chat("id 17", "code 4821"), tokenizer, 64)
    other = redrawn(row, digit_tokens(tokenizer), random.Random(0))
    old, new = (tokenizer.decode(one["input_ids"]) for one in (row, other))
    assert new.replace(new[-14:], "") == old.replace(old[-14:], "")
    assert all(
        (ours != theirs) == (label in digit_tokens(tokenizer))
        for ours, theirs, label in zip(row["input_ids"], other["input_ids"], row["labels"], strict=True)
    )
    assert [label == -100 for label in row["labels"]] == [label == -100 for label in other["labels"]]


def test_digits_are_replaced_by_tokens_of_as_many_digits(tokenizer):
    groups = digit_tokens(tokenizer)
    assert {tokenizer.decode([token]) for token in groups} == set("0123456789")
    assert all(sorted(group) == sorted(groups) for group in groups.values())


def test_a_disapproved_answer_can_be_forgotten(tokenizer):
    turns = {"prompt": CHATS[0].content["messages"][:1], "completion": CHATS[0].content["messages"][1:]}
    judged = made("feedback", {**turns, "label": False})
    assert unlearning.forgotten_rows(judged, tokenizer, 64) == unlearning.forgotten_rows(CHATS[0], tokenizer, 64)


def test_likelihoods_of_rows_are_those_of_the_model_itself(model, rows):
    found = unlearning.token_nats(model, rows, batch_size=2)
    for row in rows:
        assert sum(found[key_of(row)]) == pytest.approx(plain_nats(model, row)[0].item(), rel=1e-5)
        assert len(found[key_of(row)]) == len(row["input_ids"]) - 1


# unlearning layers


def test_layers_of_two_deletions_are_one_adapter_of_both_widths(model, rows):
    two = Kind(model.config, widths=[3, 5])
    torch.manual_seed(0)
    for adapters in two.deletions:
        for adapter in adapters:
            torch.nn.init.normal_(adapter.up.weight, std=0.1)
    wide = Kind(model.config, widths=[8])
    with torch.no_grad():
        for adapter, *parts in zip(wide.deletions[0], *two.deletions, strict=True):
            adapter.down.weight.copy_(torch.cat([part.down.weight for part in parts]))
            adapter.up.weight.copy_(torch.cat([part.up.weight for part in parts], dim=1))
    assert said_with(two, model, rows).allclose(said_with(wide, model, rows), atol=1e-4)
    assert not said_with(two, model, rows).allclose(said_with(Kind(model.config, widths=[]), model, rows), atol=1e-2)


def said_with(extension, model, rows: list[Row]):
    extension.attach(model)
    with torch.no_grad():
        found = likelihood.nats(model, step(rows).new)
    extensions.attached(model).detach(model)
    return found


def test_new_layers_change_nothing_and_freeze_the_old(model, rows):
    before = said_with(Kind(model.config, widths=[]), model, rows)
    grown = Kind(model.config, widths=[4])
    grown.grow(2, seed=0)
    assert said_with(grown, model, rows).equal(before)
    learns = {name.split(".")[1] for name, weight in grown.named_parameters() if weight.requires_grad}
    assert (learns, len(grown)) == ({"1"}, 2)


# what methods keep of a record


def test_a_record_is_erased_wherever_a_method_keeps_it(tmp_path):
    gone, stays = text("A dog has four legs.", title="dogs"), text("A bird has two legs.", title="birds")
    both = {gone.id: gone, stays.id: stays}
    rationales.write(tmp_path, dict.fromkeys(both, "because"))
    pairs.write(tmp_path, [pairs.Reference(id=name, chosen_nats=0, rejected_nats=0) for name in both])
    tasks.put(tmp_path, dict.fromkeys(both, 1))
    snapshots.write(tmp_path, {str(snapshots.key_of(one)): one.content["text"] for one in both.values()})
    exemplars.write(tmp_path, {"animals": [gone, stays]})
    erase.records(tmp_path, {gone.id}, {snapshots.key_of(gone)})
    assert rationales.read(tmp_path).keys() == pairs.read(tmp_path).keys() == tasks.read(tmp_path).keys() == {stays.id}
    assert list(snapshots.read(tmp_path)) == [snapshots.key_of(stays)]
    assert exemplars.read(tmp_path) == {"animals": [stays]}
    assert not any("four legs" in path.read_text() or gone.id in path.read_text() for path in tmp_path.iterdir())


def test_a_memory_that_does_not_name_a_record_stays_byte_for_byte(tmp_path):
    rationales.write(tmp_path, {"a": "because"})
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    erase.records(tmp_path, {"b"}, {"c"})
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before


def test_weights_from_before_a_deletion_go_and_what_was_estimated_stays(tmp_path):
    names = [infinite_lr._NAME, piggyback._BACKBONE, copal._DENSE, "mask-0", "mask-1"]
    for name in [*names, copal._IMPORTANCE]:
        keep.write(tmp_path, name, {"weight": torch.ones(1)})
    erase.weights(tmp_path)
    assert [path.stem for path in tmp_path.iterdir()] == ["importance"]
