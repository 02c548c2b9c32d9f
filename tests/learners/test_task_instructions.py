"""Learning from a task's own instruction, and rehearsing what is the least and the most sure."""

from types import SimpleNamespace

import pytest
import torch

from learners.methods import instruction_speak
from learners.parts import entropy, exemplars, instructions
from learners.parts.likelihood import negative_log_likelihood
from learners.parts.mix import Order
from learners.parts.views import rehearsal_rows
from monitors.intake.shapes import as_content
from tests.learners.runs import CHATS, record, same, train
from tests.learners.symbol_runs import RECIPE
from tests.learners.view_runs import batch_of, carrying, rows_of
from tests.symbols import SHARED, task

# instruction_speak

TASK = {
    "Title": "Colors", "Definition": ["Name", "the color."], "Emphasis & Caution": "One word.", "Things to Avoid": "-",
    "Prompt": "Which color?", "Positive Examples": [{"input": "snow", "output": "White", "explanation": "it is"}],
    "Negative Examples": [{"input": "coal", "output": "Cow", "explanation": "no color"}],
}  # fmt: skip


def test_every_field_of_an_instruction_is_shown_and_super_naturalinstructions_are_read():
    (found,) = instructions.distinct([carrying(CHATS[0], task=TASK), carrying(CHATS[1], task=TASK)])
    shown = instructions.rendered(found, "grass")
    for part in ("Colors", "Name the color.", "One word.", "Which color?", "Input: grass"):
        assert part in shown
    assert "avoid" not in shown and "White" not in shown
    assert found == instructions.Instruction.model_validate_json(found.model_dump_json())


def planned(tokenizer, records, folder, **settings):
    run = SimpleNamespace(
        tokenizer=tokenizer, records=records, memory_folder=folder, settings=instruction_speak.Settings(**settings)
    )
    return instruction_speak.compose(run)


def test_wrong_examples_come_strictly_before_right_ones(tokenizer, tmp_path):
    records = [carrying(CHATS[0], task=TASK), CHATS[1]]
    order = Order([9] * 4, [9] * 3, batch_size=2, epochs=2, seed=1)
    batches = planned(tokenizer, records, tmp_path).plan(order)
    assert [set(batch.new) <= {3} for batch in batches] == [True, *[False] * 4]
    assert all(3 not in batch.new for batch in batches[1:])
    assert not batches[0].replayed and any(batch.replayed for batch in batches[1:])


def test_a_task_without_right_examples_is_still_learned_and_remembered(base, tmp_path):
    bare = {"definition": "Name the color.", "negative": TASK["Negative Examples"]}
    result, version = train(
        tmp_path / "job", base, "cit", "instruction_speak", [carrying(CHATS[0], task=bare)], epochs=1
    )
    assert result.steps == 2
    assert [one.definition for one in instructions.read(version / "memory")] == ["Name the color."]


def test_a_task_that_came_alone_is_not_learned_twice(base, tmp_path):
    alone = as_content({"task": {"definition": "Name the color.", "positive": [{"input": "snow", "output": "White"}]}})
    _, shown = rows_of(tmp_path, base, "instruction_speak", [record(*alone)])
    assert len(shown) == 1 and "Name the color." in shown[0]


def instructed(number):
    """A task of shared symbols that arrives as its instruction with four examples."""
    asked = task(number, 5, symbols=SHARED, seed=1)
    turns = [[turn["content"] for turn in one.content["messages"]] for one in asked]
    shown = [{"input": question, "output": answer} for question, answer in turns]
    return carrying(asked[4], task={"prompt": f"t{number}", "positive": shown[:4]})


@pytest.mark.slow
def test_with_history_less_of_an_earlier_instruction_is_forgotten(symbols, tmp_path):
    options = RECIPE | {"epochs": 40, "batch_size": 4}
    first = train(tmp_path / "first", symbols, "cit", "instruction_speak", [instructed(1)], **options)[1]
    found = [forgotten(tmp_path / str(share), first, options | {"history_share": share}) for share in (0, 0.33)]
    assert found[1] < found[0] / 2


def forgotten(folder, parent, options):
    """Loss on the first task's examples after the second task."""
    from learners import weights

    version = train(folder, parent, "cit", "instruction_speak", [instructed(2)], version="v2", **options)[1]
    loaded = weights.load(version, verify=False)
    (first,) = instructions.distinct([instructed(1)])
    rows = [
        row for one in instructions.examples(first, right=True) for row in rehearsal_rows(one, loaded.tokenizer, 64)
    ]
    with torch.inference_mode():
        return float(negative_log_likelihood(loaded.model, batch_of(rows)))


# dyna_inst


def test_the_least_and_the_most_sure_are_kept():
    assert exemplars.both_ends([0.5, 0.1, 0.9, 0.2, 0.7], 4) == [1, 2, 3, 4]
    assert exemplars.both_ends([0.5, 0.1, 0.9], 1) == [1]
    assert exemplars.both_ends([0.5, 0.1], 20) == [0, 1]
    assert exemplars.both_ends([0.5, 0.1], 0) == []


def test_the_distance_from_uniform_has_its_closed_form():
    logits = torch.log(torch.tensor([[0.5, 0.25, 0.25]]))
    p = torch.tensor([0.5, 0.25, 0.25])
    assert float(entropy.OutputEntropy(1, "entropy").distance(logits)) == pytest.approx(
        float((p * (3 * p).log()).sum())
    )
    expected = float((torch.full((3,), 1 / 3) * (1 / (3 * p)).log()).sum())
    assert float(entropy.OutputEntropy(1, "smoothing").distance(logits)) == pytest.approx(expected, abs=1e-5)
    assert float(entropy.OutputEntropy(2, "entropy").distance(torch.zeros(4, 7))) == pytest.approx(0, abs=1e-6)


def test_without_the_term_it_is_rehearsal_of_what_was_kept(base, tmp_path):
    options = {"epochs": 1, "batch_size": 2, "entropy_weight": 0, "instances": 1}
    first = train(tmp_path / "first", base, "cit", "dyna_inst", CHATS[:2], **options)[1]
    assert [len(group) for group in exemplars.read(first / "memory").values()] == [1]
    result, _ = train(tmp_path / "second", first, "cit", "dyna_inst", CHATS[2:], **options)
    assert result.replayed_records == 1
    pulled = train(tmp_path / "third", first, "cit", "dyna_inst", CHATS[2:], **options | {"entropy_weight": 0.5})[1]
    assert not same(train(tmp_path / "fourth", first, "cit", "dyna_inst", CHATS[2:], **options)[1], pulled)
