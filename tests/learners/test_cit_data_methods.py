"""Methods of continual instruction tuning that say which rows are learned, and in which order."""

import random
from types import SimpleNamespace

import pytest
import torch

from learners.methods import dmt, inscl, tapt
from learners.methods.contract import Material
from learners.parts import allocate, tasks
from learners.parts.memory import Remembered, ReplayMemory
from learners.parts.mix import Order, in_turn, plan_batches
from learners.parts.views import rehearsal_rows
from tests.learners.runs import CHATS, same, text, train
from tests.learners.symbol_runs import loss
from tests.symbols import OWN, task
from tests.tiny import KNOWN, chat

ORDER = Order(lengths=[5] * 12, remembered=[5] * 6, batch_size=4, epochs=2, seed=3)


def test_one_turn_of_all_new_rows_is_plain_fine_tuning():
    assert in_turn(ORDER, [(range(12), [])]) == plan_batches(ORDER.lengths, 4, 2, 3)


def test_a_turn_begins_when_all_epochs_of_the_last_are_done():
    batches = in_turn(ORDER, [([0, 1, 2, 3], []), ([4, 5, 0], [5])])
    assert [sorted(batch.new) for batch in batches[:2]] == [[0, 1, 2, 3]] * 2
    assert [(sorted(batch.new), batch.replayed) for batch in batches[2:]] == [([0, 4, 5], (5,))] * 2


# replay, as Continual-T0 does it


def test_a_fraction_of_every_earlier_task_is_learned_again_and_the_same_for_a_seed(base, tmp_path):
    options = {"placement": "fraction", "epochs": 1}
    records = [chat(f"{question} {number}", answer) for number in range(5) for question, answer in KNOWN.items()]
    first = train(tmp_path / "first", base, "cit", "replay", records[:80], replay_share=0, **options)[1]
    second = train(tmp_path / "second", first, "cit", "replay", records[80:], version="v2", replay_share=0, **options)[
        1
    ]
    found = [
        train(tmp_path / name, second, "cit", "replay", CHATS, version="v3", replay_share=0.1, **options)
        for name in ("one", "two")
    ]
    assert {result.replayed_records for result, _ in found} == {
        2 + 8 + 2
    }  # of the base's own answers, and of 80 and 20
    assert same(found[0][1], found[1][1])


@pytest.mark.slow
def test_the_larger_the_fraction_the_less_is_forgotten(learn):
    options = {"placement": "fraction", "memory_records": 480}
    first = learn("replay", 1, replay_share=0, **options)
    found = [loss(learn("replay", 2, first, replay_share=share, **options), 1) for share in (0, 0.01, 0.1)]
    assert found[0] > found[1] > found[2]


# inscl


def vectors(*rows):
    return torch.tensor(rows, dtype=torch.float32)


def test_equal_sets_are_at_no_distance_and_orthogonal_ones_at_one():
    ours = torch.randn(20, 8, generator=torch.Generator().manual_seed(0))
    assert allocate.distance(ours, ours[torch.randperm(20)]) < 1e-9
    assert allocate.distance(vectors([1, 0], [2, 0]), vectors([0, 1], [0, 3], [0, 5])) == pytest.approx(1)


def test_the_distance_is_that_of_the_cheapest_transport_and_not_of_the_nearest_neighbours():
    assert allocate.distance(vectors([1, 0], [0, 1]), vectors([1, 0], [1, 0])) == pytest.approx(0.5)


def test_the_most_similar_task_gets_least_and_the_parts_sum_to_the_budget():
    assert allocate.shared_out([0.04, 0.5, 0.49], 600) == [23, 291, 286]
    assert allocate.shared_out([0, 0, 0], 7) == [3, 2, 2]


def test_every_instruction_gets_a_row_and_where_they_do_not_suffice_the_most_telling_ones_do():
    assert allocate.shared_out([1, 0, 3], 7, least=1) == [2, 1, 4]
    assert allocate.shared_out([1, 0, 3], 2, least=1) == [1, 0, 1]


def test_an_instruction_with_rare_words_is_more_telling():
    rare, common = allocate.information(["translate into dutch", "answer now", "answer briefly", "answer"])[::3]
    assert rare > common


def remembering(model, tokenizer, folder, first, second):
    """A run after two tasks, as inscl sees it."""
    run = SimpleNamespace(
        model=model, tokenizer=tokenizer, memory_folder=folder, seed=1, memory=ReplayMemory(),
        settings=inscl.Settings(rows_for_each=4), records=first,
    )  # fmt: skip
    tasks.write(run)
    run.records = second
    tasks.write(run)
    run.memory = ReplayMemory(items=tuple(Remembered(stage="cit", record=one) for one in (*first, *second)))
    return run


def test_more_is_rehearsed_of_the_task_that_is_less_like_the_new_one(model, tokenizer, tmp_path):
    known = [chat(question, answer) for question, answer in KNOWN.items()]
    capitals, others = known[:7], known[-8:]
    run = remembering(model, tokenizer, tmp_path, capitals, others)
    run.records = [chat("What is the capital of Zorbia?", "Kelmar"), chat("What is the capital of Cuba?", "Havana")]
    drawn = inscl._drawn(run, list(tasks.remembered_by_task(run).values()))
    assert len(set(drawn)) == 8 or sum(row >= 7 for row in drawn) == 8
    assert sum(row >= 7 for row in drawn) > 5 > sum(row < 7 for row in drawn)


@pytest.mark.slow
def test_inscl_keeps_an_earlier_task(learn):
    first = learn("inscl", 1, memory_records=64)
    second = learn("inscl", 2, first, memory_records=64, rows_for_each=64)
    assert loss(second, 1) < 0.5
    assert loss(second, 2) < 0.3


# dmt


def test_special_rows_come_first_and_a_few_of_them_again_among_the_general_ones(tokenizer):
    run = SimpleNamespace(
        tokenizer=tokenizer, seed=1, memory=ReplayMemory(), records=[one.model_copy(update={"source": source})
        for one, source in zip(CHATS, ("code", "talk", "code", "talk"), strict=True)],
        settings=dmt.Settings(general_sources=("talk",), special_share=0.5, fewest_rows=0),
    )  # fmt: skip
    batches = dmt.compose(run).plan(Order([5] * 4, [], batch_size=4, epochs=1, seed=1))
    assert set(batches[0].new) == {0, 2}
    assert set(batches[1].new) in ({0, 1, 3}, {1, 2, 3})


@pytest.mark.slow
def test_what_was_special_survives_the_general_stage_the_better_the_more_of_it_is_mixed_in(learn, symbols):
    talk = [one.model_copy(update={"source": "talk"}) for one in task(2, 480, symbols=OWN[2], seed=1)]
    found = []
    for count in (0, 16, 96):
        options = {"general_sources": ("talk",), "special_share": 0, "fewest_rows": count}
        version = learn("dmt", 1, symbols, more=talk, **options)
        found.append(loss(version, 1))
        assert loss(version, 2) < 0.3
    assert found[0] > found[1] > found[2]


# tapt


def stating(word, count):
    draw = random.Random(word)
    return [text(f"the {word} of {draw.random()} is in {draw.random()}") for _ in range(count)]


def prepared(tokenizer, records, others, **settings):
    sources = SimpleNamespace(
        settings=tapt.Settings(**settings), records=records, others=others, tokenizer=tokenizer, seed=1,
        material=lambda: Material(
            records=records, rows=[row for one in records for row in rehearsal_rows(one, tokenizer, 64)],
            form="rows", remembered=[], tokenizer=tokenizer,
        ),
    )  # fmt: skip
    return tapt.prepare(sources)


RELEVANT, BESIDE = stating("capital", 10), [one for word in ("weather", "goal", "song") for one in stating(word, 30)]


def share_relevant(material):
    pool = [one for one in material.records if one.kind == "text"]
    return sum(one in RELEVANT for one in pool) / len(pool)


def test_the_nearest_texts_are_those_of_the_task_and_drawn_ones_are_not(tokenizer):
    near = prepared(tokenizer, CHATS[:2], [*BESIDE, *RELEVANT], neighbours=5)
    drawn = prepared(tokenizer, CHATS[:2], [*BESIDE, *RELEVANT], neighbours=5, selection="random")
    assert share_relevant(near) > 0.9
    assert share_relevant(drawn) < 0.5
    assert len(near.records) == len(drawn.records)


def test_the_order_of_the_pool_does_not_matter(tokenizer):
    one = prepared(tokenizer, CHATS[:2], [*BESIDE, *RELEVANT], neighbours=3)
    assert one == prepared(tokenizer, CHATS[:2], [*RELEVANT, *reversed(BESIDE)], neighbours=3)


def test_without_neighbours_the_own_questions_are_read_and_texts_come_before_answers(base, tmp_path, tokenizer):
    material = prepared(tokenizer, CHATS[:2], RELEVANT, neighbours=0)
    assert [tokenizer.decode(row["input_ids"][1:-1]) for row in material.rows[2:]] == [
        one.content["messages"][0]["content"] for one in CHATS[:2]
    ]
    run = SimpleNamespace(tokenizer=tokenizer, records=material.records, settings=tapt.Settings())
    batches = tapt.compose(run).plan(Order([5] * 4, [], batch_size=2, epochs=1, seed=1))
    assert [set(batch.new) for batch in batches] == [{2, 3}, {0, 1}]
    result, _ = train(tmp_path / "tapt", base, "cit", "tapt", [*CHATS, *BESIDE, *RELEVANT], neighbours=2, epochs=1)
    assert result.records > len(CHATS)
