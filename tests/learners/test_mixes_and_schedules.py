"""Who is in each batch, the course of the learning rate, and what of a step is applied."""

import random
from collections import Counter
from itertools import pairwise
from math import sqrt

import pytest
import torch

from learners.methods.contract import Moment
from learners.parts.mix import Order, by_task, plan_batches, reviewed, weighted, weights_of, within
from learners.parts.penalties import trainable_copy
from learners.parts.schedule import infinite, rewarm_redecay
from learners.parts.updates import Recall, Scale


def order(new=37, remembered=50, *, batch_size=8, epochs=3, seed=5):
    draw = random.Random(0)
    lengths = [draw.randrange(5, 200) for _ in range(new + remembered)]
    return Order(lengths[:new], lengths[new:], batch_size, epochs, seed)


def plain(asked):
    return plan_batches(asked.lengths, asked.batch_size, asked.epochs, asked.seed)


MIXES = [
    lambda asked: within(asked, 0.0),
    lambda asked: reviewed(asked, 0.0, 0.7),
    lambda asked: by_task(asked, [range(10)], 0.0),
    lambda asked: weighted(asked, {"a": range(len(asked.lengths))}, {}, 0.0),
]


@pytest.mark.parametrize("mix", MIXES)
def test_a_mix_of_nothing_is_the_plain_plan(mix):
    assert mix(order()) == plain(order())


@pytest.mark.parametrize("share", [0.05, 0.25, 0.5, 0.9])
def test_compute_equivalent_replay_keeps_number_and_size_of_the_batches(share):
    batches = within(order(new=200, remembered=300), share)
    sizes = [len(batch.new) + len(batch.replayed) for batch in batches]
    assert sizes == [len(batch.new) for batch in plain(order(new=200, remembered=300))]
    assert sum(len(batch.replayed) for batch in batches) / sum(sizes) == pytest.approx(share, abs=0.01)
    assert all(abs(len(batch.replayed) - share * size) < 1.01 for batch, size in zip(batches, sizes, strict=True))


def test_mix_review_shrinks_by_its_decay_from_epoch_to_epoch():
    asked = order(new=40, remembered=500)
    counts = [int(40 * 4 * 0.7**epoch) for epoch in range(asked.epochs)]
    batches = reviewed(asked, 4.0, 0.7)
    steps = [-(-(40 + count) // asked.batch_size) for count in counts]
    found, start = [], 0
    for length in steps:
        epoch = batches[start : start + length]
        assert sorted(index for batch in epoch for index in batch.new) == list(range(40))
        found.append(sum(len(batch.replayed) for batch in epoch))
        start += length
    assert found == counts == [160, 112, 78]


def test_a_review_takes_no_remembered_row_twice_before_every_other_once():
    drawn = [index for batch in reviewed(order(new=10, epochs=1), 4.0, 1.0) for index in batch.replayed]
    assert len(set(drawn)) == len(drawn) == 40


@pytest.mark.parametrize("share", [0.25, 0.75])
def test_earlier_tasks_get_their_share_of_whole_batches(share):
    tasks = [list(range(20)), list(range(20, 50))]
    batches = by_task(order(new=800, epochs=2), tasks, share)
    old = [batch for batch in batches if batch.replayed]
    assert [batch for batch in batches if batch.new] == plain(order(new=800, epochs=2))
    assert all(not batch.new and ({index < 20 for index in batch.replayed} in ({True}, {False})) for batch in old)
    spread = 3 * sqrt(share * (1 - share) / len(batches))
    assert len(old) / len(batches) == pytest.approx(share, abs=spread)
    first = sum(batch.replayed[0] < 20 for batch in old)
    assert first / len(old) == pytest.approx(0.5, abs=3 * sqrt(0.25 / len(old)))


def test_sources_get_the_shares_of_their_weights():
    groups = {"web": range(30), "code": range(30, 40), "mail": range(40, 60)}
    batches = weighted(order(new=60, epochs=10), groups, {"web": 1, "code": 3}, 0.0)
    rows = Counter(
        next(name for name, own in groups.items() if index in own) for batch in batches for index in batch.new
    )
    # mail is not named: 20 rows at the mean weight of a named one, (1 + 3) / 40
    assert rows == {"web": 100, "code": 300, "mail": 200}


def test_a_source_of_weight_zero_is_left_out_and_the_others_weigh_as_many_rows_as_they_have():
    groups = {"web": range(30), "noise": range(30, 40), "mail": range(40, 60)}
    assert weights_of(groups, {"noise": 0}) == {"web": 30, "noise": 0, "mail": 20}
    assert weights_of(groups, {"noise": 0, "web": 3}) == pytest.approx({"web": 3, "noise": 0, "mail": 2})
    assert weights_of(groups, {"absent": 9, "web": 3}) == pytest.approx({"web": 3, "noise": 1, "mail": 2})
    learned = {index for batch in weighted(order(new=60), groups, {"noise": 0}, 0.0) for index in batch.new}
    assert learned == {*range(30), *range(40, 60)}


# the learning rate


@pytest.mark.parametrize("steps", [1, 2, 10, 100, 1000])
def test_a_rewarmed_rate_peaks_after_the_warm_up_and_ends_at_its_floor(steps):
    factor = rewarm_redecay(steps, warm_share=0.05, floor=0.1)
    factors = [factor(step) for step in range(steps)]
    assert max(factors) == pytest.approx(1.0, abs=0.6 / steps)
    assert factors[-1] == pytest.approx(0.1 if steps > 1 else 1.0)
    falling = factors[factors.index(max(factors)) :]
    assert falling == sorted(falling, reverse=True)
    assert all(one - other < 2 / steps for one, other in pairwise(falling))


PHASES = {"warm_share": 0.05, "cool_share": 0.3, "anneal_share": 0.2, "constant": 0.55, "floor": 0.1}


def test_the_infinite_rate_passes_through_the_ends_of_its_phases():
    factor = infinite(1000, first=True, **PHASES)
    assert [factor(step) for step in (0, 49, 349, 500, 799, 999)] == pytest.approx([0.02, 1.0, 0.55, 0.55, 0.55, 0.1])
    steps = [factor(step) for step in range(1000)]
    assert max(abs(one - other) for one, other in pairwise(steps)) < 0.021


def test_a_later_stage_of_the_infinite_rate_neither_warms_up_nor_cools_down():
    factor = infinite(1000, first=False, **PHASES)
    assert {factor(step) for step in range(800)} == {0.55}
    assert factor(999) == pytest.approx(0.1)


# what of a step is applied


def trained(transform=None, *, scaled_gradients=None, steps=10):
    """Weights of a small layer after AdamW, with what happens before and after each step."""
    torch.manual_seed(0)
    layer, inputs, target = torch.nn.Linear(6, 4), torch.randn(32, 6), torch.randn(32, 4)
    optimizer = torch.optim.AdamW(layer.parameters(), lr=0.05, weight_decay=0.0)
    for step in range(steps):
        optimizer.zero_grad()
        torch.nn.functional.mse_loss(layer(inputs), target).backward()
        moment = Moment(step, steps, 0.05)
        if scaled_gradients:
            scaled_gradients.scale_gradients(layer, moment)
        if transform:
            transform.remember(layer, moment)
        optimizer.step()
        if transform:
            transform.apply(layer, moment)
    return layer.weight.detach()


def test_a_row_that_keeps_nothing_of_its_steps_never_moves_and_one_that_keeps_all_is_untouched():
    start, free = trained(steps=0), trained()
    kept = torch.tensor([[0.0], [1.0], [1.0], [0.5]])
    held = trained(Scale({"weight": kept}))
    assert held[0].equal(start[0])
    assert not held[3].allclose(free[3])
    assert trained(Scale({"weight": torch.ones(4, 1)})).equal(free)


def test_a_constant_factor_on_gradients_is_undone_by_adam():
    start, free = trained(steps=0), trained()
    scale = Scale({"weight": torch.full((4, 1), 0.3)})
    by_gradient, by_update = trained(scaled_gradients=scale), trained(scale)
    moved = [(weight - start).norm() / (free - start).norm() for weight in (by_gradient, by_update)]
    assert moved[0] == pytest.approx(1.0, abs=0.02)
    assert moved[1] < 0.6


def recall(anchor, **changes):
    return Recall(anchor, **({"pull": 100.0, "midpoint": 0.25, "steepness": 20.0, "strength": 1.0} | changes))


def test_recall_gives_the_new_task_more_of_each_step_as_the_run_goes_on():
    shares = [recall({}).share_of_new(Moment(step, 100, 0.1)) for step in (0, 25, 100)]
    assert shares == pytest.approx([0.0067, 0.5, 1.0], abs=1e-3)
    assert recall({}, strength=0.0).share_of_new(Moment(0, 100, 0.1)) == 1.0


def test_a_pull_that_would_overshoot_ends_at_the_anchor():
    layer = torch.nn.Linear(3, 2)
    anchor = trainable_copy(layer)
    with torch.no_grad():
        layer.weight.add_(1.0)
    strong = recall(anchor, pull=1e9)
    strong.remember(layer, Moment(0, 100, 0.1))
    strong.apply(layer, Moment(0, 100, 0.1))
    torch.testing.assert_close(layer.weight.detach(), anchor["weight"])


def test_recalled_weights_stay_nearer_to_their_anchor():
    start = trained(steps=0)
    torch.manual_seed(0)
    anchor = trainable_copy(torch.nn.Linear(6, 4))
    assert (trained(recall(anchor)) - start).norm() < 0.9 * (trained() - start).norm()
