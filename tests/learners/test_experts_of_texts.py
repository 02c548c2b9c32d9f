"""`elm` on texts: every update's texts are an expert, which questions about them find by themselves.

Measured on the model that copies symbols, two updates of 16 texts: 31 of 32 questions find their expert.
"""

import pytest
import torch

from learners import weights
from learners.parts import extensions
from tests.learners.runs import tensors, text, train
from tests.symbols import OWN, task

QUICK = {"learning_rate": 2e-3, "epochs": 1, "batch_size": 8, "memory_records": 0}


def turns(number, count, seed):
    """What is asked and answered in a task of its own symbols."""
    asked = task(number, count, symbols=OWN[number], seed=seed)
    return [[turn["content"] for turn in one.content["messages"]] for one in asked]


@pytest.fixture(scope="module")
def versions(symbols, tmp_path_factory):
    folder = tmp_path_factory.mktemp("experts")
    learned, parent = [], symbols
    for number in (1, 2):
        texts = [text(" ".join(one)) for one in turns(number, 16, seed=1)]
        parent = train(folder / str(number), parent, "cpt", "elm", texts, version=f"v{number}", **QUICK)[1]
        learned.append(parent)
    return learned


def experts_of(version, number):
    """Weights of all experts for questions that no text holds (questions x experts)."""
    loaded = weights.load(version, verify=False)
    pool = extensions.attached(loaded.model)
    found = []
    for question, _ in turns(number, 16, seed=9):
        ids = torch.tensor([loaded.tokenizer(question)["input_ids"]])
        with torch.inference_mode():
            found.append(pool.route(loaded.model, ids, torch.ones_like(ids).bool()))
    return torch.cat(found)


@pytest.mark.parametrize("number", [1, 2])
def test_questions_find_the_expert_of_the_texts_that_they_are_about(versions, number):
    assert experts_of(versions[1], number)[:, number - 1].mean() > 0.9


def test_texts_are_stored_whole_and_not_by_their_first_word(versions):
    stored = tensors(versions[0])["router.examples"]
    assert len(stored) == 16 == len(stored.unique(dim=0))


def test_a_later_text_leaves_earlier_experts_bit_for_bit(versions):
    first, second = (tensors(version) for version in versions)
    assert all(second[name].equal(value) for name, value in first.items() if name.startswith("added.0."))
