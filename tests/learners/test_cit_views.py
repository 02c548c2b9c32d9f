"""Methods of instruction tuning that show a record in other forms: with reasons, as a task, with questions."""

import json
import random
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from learners import training
from learners.job import TrainSpec
from learners.methods import adapt_retrieve_revise, instruction_speak, rationale_cl
from learners.methods.contract import Step
from learners.parts import entropy, exemplars, instructions, rationales, reading
from learners.parts.mix import Order
from learners.parts.penalties import negative_log_likelihood
from learners.parts.views import chat_rows, rehearsal_rows
from learners.parts.weighted_views import ViewLikelihood
from monitors.intake.shapes import as_content
from tests.learners.runs import CHATS, TEXTS, job_at, record, same, spec, text, train
from tests.learners.symbol_runs import RECIPE, loss
from tests.symbols import SHARED, task
from tests.tiny import chat

WHY = "Zorbia is a land, and Kelmar is where it is ruled."


def carrying(one, **content):
    return record("instruction", {**one.content, **content})


def rows_of(folder, base, method, records, stage="cit", **settings):
    """What a job would learn, decoded."""
    order = TrainSpec.model_validate(spec(folder, base, stage, method, records, **settings))
    material = training.prepared(order, job_at(folder))
    return material, [material.tokenizer.decode(row["input_ids"]) for row in material.rows]


# rationales


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("Answer: 3\nNo, that is wrong.\nAnswer: 4", "4"),
        ("It is so.\n\nThe final answer is Kelmar.", "Kelmar."),
        ("It is Kelmar, I answer.\nAnswers vary.", None),
    ],
)
def test_the_last_answer_counts(said, expected):
    assert rationales.final_answer(said) == expected


def test_reasons_that_end_in_another_answer_are_refused():
    assert rationales.accepted(f"{WHY}\nAnswer: kelmar.", "Kelmar", concluded=True) == WHY
    assert rationales.accepted(f"{WHY}\nAnswer: Vossel", "Kelmar", concluded=True) is None


def test_what_a_model_did_not_conclude_is_refused_and_what_a_person_brings_need_not_be():
    assert rationales.accepted(WHY, "Kelmar", concluded=True) is None
    assert rationales.accepted(WHY, "Kelmar", concluded=False) == WHY
    assert rationales.accepted(f"{WHY}\nAnswer: Vossel", "Kelmar", concluded=False) is None


def teacher(asked, said):
    def answer(conversations):
        asked.extend(turns[-1]["content"] for turns in conversations)
        return [said(turns) for turns in conversations]

    return answer


def test_the_teacher_is_asked_for_what_no_record_brings_and_no_ancestor_wrote(caplog):
    asked = []
    records = [carrying(CHATS[0], rationale=WHY), *CHATS[1:]]
    known = {CHATS[1].id: "known before"}
    found = rationales.gathered(
        records, known, teacher(asked, lambda _: "so it is\nAnswer: Purple"), lambda _: rationales.REQUEST
    )
    assert [text.split("\n")[0] for text in asked] == [
        "Who leads the Brimstal office?",
        "What color is the Quill badge?",
    ]
    assert list(found.values()) == ["known before", WHY, "so it is"]
    assert "no rationale was accepted for 1 of 4 records" in caplog.text


def test_the_teacher_is_asked_about_no_more_records_than_told():
    asked = []
    rationales.gathered(CHATS, {}, teacher(asked, lambda _: ""), lambda _: rationales.REQUEST, most=2)
    assert len(asked) == 2


# rcl


def test_reasons_are_learned_before_the_answer_and_records_without_them_plainly(base, tmp_path):
    records = [carrying(CHATS[0], rationale=WHY), CHATS[1]]
    _, shown = rows_of(tmp_path, base, "rcl", records, rationale_tokens=0)
    assert shown[0].endswith(f"assistant\n{WHY}\n\nAnswer: Kelmar<|im_end|>")
    assert shown[1].endswith("assistant\nVossel<|im_end|>")


def test_the_parent_writes_reasons_once_and_its_child_finds_them(base, tmp_path, monkeypatch):
    def said(model, tokenizer, conversations, most_tokens):
        return [(f"{WHY}\nAnswer: Kelmar", True) for _ in conversations]

    monkeypatch.setattr(rationales, "answers", said)
    _, version = train(tmp_path / "first", base, "cit", "rcl", CHATS[:2], epochs=1)
    assert list(json.loads((version / "memory" / "rationales.json").read_text()).values()) == [WHY]
    monkeypatch.setattr(rationales, "answers", None)
    material, shown = rows_of(tmp_path / "second", version, "rcl", CHATS[:1])
    assert WHY in shown[0] and list(material.records) == CHATS[:1]


def test_what_the_tiny_parent_writes_is_no_reason_so_nothing_of_it_is_learned(base, tmp_path):
    _, shown = rows_of(tmp_path, base, "rcl", CHATS[:2], rationale_tokens=8)
    assert [one.split("assistant\n")[1] for one in shown] == ["Kelmar<|im_end|>", "Vossel<|im_end|>"]


# rationale_cl


def test_the_weights_of_the_views_sum_to_one_and_an_answer_alone_has_all():
    assert sum(rationale_cl.Settings(answer_weight=0.6, reasons_weight=0.3).weights.values()) == pytest.approx(1)
    assert rationale_cl.Settings(answer_weight=1).weights == {"answer": 1}


def batch_of(rows):
    width = max(len(row["input_ids"]) for row in rows)
    padded = {"input_ids": 0, "labels": -100, "attention_mask": 0}
    return {
        name: torch.tensor([
            [*(row.get(name) or [1] * len(row["input_ids"])), *[fill] * (width - len(row["input_ids"]))] for row in rows
        ])
        for name, fill in padded.items()
    }  # fmt: skip


def test_the_loss_of_several_views_is_the_weighted_mean_of_their_own(model, tokenizer):
    short, long = (
        [row for one in CHATS[:2] for row in chat_rows(messages(one), tokenizer, 200)]
        for messages in (
            lambda one: one.content["messages"],
            lambda one: [{"role": "user", "content": "say"}, *one.content["messages"][1:]],
        )
    )
    views = [*(("answer", row) for row in short), *(("reasons", row) for row in long)]
    term = ViewLikelihood(views, {"answer": 0.6, "reasons": 0.3})
    own = [float(negative_log_likelihood(model, batch_of(rows)).detach()) for rows in (short, long)]
    found = float(term(model, Step(batch_of([*short, *long]), None, None)).detach())
    assert found == pytest.approx((0.6 * own[0] + 0.3 * own[1]) / 0.9, abs=1e-5)
    assert float(term(model, Step(batch_of(short), None, None)).detach()) == pytest.approx(own[0], abs=1e-5)


def test_a_record_has_three_views_and_they_share_a_batch(base, tmp_path):
    records = [carrying(CHATS[0], rationale=WHY), CHATS[1]]
    _, shown = rows_of(tmp_path, base, "rationale_cl", records, rationale_tokens=0)
    assert [one.split("assistant\n")[1].removesuffix("<|im_end|>") for one in shown] == [
        "Kelmar", f"{WHY}\n\nAnswer: Kelmar", "Kelmar", "Vossel",
    ]  # fmt: skip
    assert WHY in shown[2].split("assistant\n")[0]
    result, _ = train(
        tmp_path / "job", base, "cit", "rationale_cl", records, rationale_tokens=0, epochs=1, batch_size=2
    )
    assert result.steps == 1


def test_exemplars_are_the_typical_ones_of_their_class_and_always_the_same():
    points = torch.cat([torch.randn(12, 4) * 0.1 + centre for centre in (torch.zeros(4), torch.ones(4) * 9)])
    chosen = exemplars.central(points, 2)
    assert [index < 12 for index in chosen] == [True, False]
    assert chosen == exemplars.central(points, 2)
    assert exemplars.central(points[:3], 5) == [0, 1, 2]


def test_of_every_class_so_many_are_kept_and_rehearsed_by_the_next_version(base, tmp_path):
    records = [chat(f"Say {word} {number}.", word) for word in ("Rome", "Paris") for number in range(4)]
    settings = {"exemplars": 2, "epochs": 1, "rationale_tokens": 0}
    _, first = train(tmp_path / "first", base, "cit", "rationale_cl", records, **settings)
    kept = exemplars.read(first / "memory")
    assert {name: len(group) for name, group in kept.items()} == {"rome": 2, "paris": 2}
    assert all(one.content["messages"][-1]["content"].lower() == name for name, group in kept.items() for one in group)
    result, second = train(tmp_path / "second", first, "cit", "rationale_cl", CHATS, **settings)
    assert result.replayed_records == 4
    assert len(exemplars.read(second / "memory")) == 6


def test_look_alikes_are_explained_once_until_others_look_alike():
    asked = []
    groups = {"rome": [chat("Say it.", "Rome")], "oslo": [chat("Say it not.", "Oslo")]}
    answer = teacher(asked, lambda turns: f"because\nAnswer: {turns[-1]['content'].split()[-1]}")
    alike = {"rome": ["oslo"], "oslo": []}
    known = rationale_cl.told_apart(groups, alike, {}, {groups["rome"][0].id: "old"}, answer)
    assert known == {groups["rome"][0].id: "because"}
    assert len(asked) == 1 and "it is and not oslo" in asked[0]
    assert rationale_cl.told_apart(groups, alike, alike, known, answer) == known
    rationale_cl.told_apart(groups, {**alike, "rome": ["oslo", "x"]}, alike, known, answer)
    assert len(asked) == 2


def test_classes_with_nearly_one_direction_look_alike():
    features = {"a": torch.tensor([[1.0, 0.0]]), "b": torch.tensor([[1.0, 0.05]]), "c": torch.tensor([[-3.0, 0.2]])}
    assert exemplars.look_alikes(features, 0.97) == {"a": ["b"], "b": ["a"], "c": []}


@pytest.mark.slow
def test_exemplars_keep_an_earlier_task(learn):
    options = {"rationale_tokens": 0, "memory_records": 64, "epochs": 2}
    first = learn("rationale_cl", 1, **options)
    found = [loss(learn("rationale_cl", 2, first, exemplars=kept, **options), 1) for kept in (0, 1)]
    assert found[1] < found[0] / 2


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


# adapt_llm

FIRST = "The new pump moves far less water than the older one did."
SECOND = "the tank on the roof is refilled during the whole night"
STORY = f"{FIRST} Therefore, {SECOND}. It stands on the roof of the house."


def asked_about(story, title="", *, most=2, seed=1, is_term=lambda _: True):
    return reading.exercises(story, title, most=most, is_term=is_term, draw=random.Random(seed))


def test_a_conclusion_in_the_text_becomes_a_question():
    kinds = {one.kind: one for seed in range(8) for one in asked_about(STORY, seed=seed)}
    assert {"entail", "cause"} <= kinds.keys()
    assert FIRST in kinds["entail"].question
    assert {one.answer for seed in range(8) for one in asked_about(STORY, seed=seed) if one.kind == "entail"} == {
        "Yes", f"T{SECOND[1:]}.",
    }  # fmt: skip


def test_of_one_kind_there_are_at_most_two_and_for_none_nothing_is_asked():
    story = " ".join([f"{FIRST} Therefore, {SECOND}."] * 6)
    found = [one.kind for one in asked_about(story)]
    assert found.count("entail") == found.count("cause") == 2
    assert asked_about(story, "Pumps", most=0) == []


def test_equal_seeds_ask_equal_questions_and_a_title_may_be_asked_for():
    assert asked_about(STORY, "Pumps", seed=3) == asked_about(STORY, "Pumps", seed=3)
    kinds = [one.kind for seed in range(40) for one in asked_about(STORY, "Pumps", seed=seed)]
    assert 20 < kinds.count("summary") < 40
    assert 10 < kinds.count("completion") < 30


def test_a_text_stands_whole_before_what_is_asked_and_both_fit():
    asked = asked_about(STORY)
    whole = reading.comprehended(STORY, asked, lambda one: len(one.split()) <= 70)
    assert whole.startswith(f"{STORY}\n\n") and len(whole.split()) <= 70
    assert reading.comprehended(STORY, asked, lambda _: False) == STORY


def test_a_long_text_is_cut_at_ends_of_sentences_and_nothing_is_lost():
    story = " ".join(f"{STORY} {number}." for number in range(9))
    parts = reading.pieces(story, lambda one: len(one.split()) <= 60)
    assert len(parts) > 3 and all(len(part.split()) <= 60 for part in parts)
    assert " ".join(parts) == story


@pytest.mark.parametrize("stage", ["cit", "cpt"])
def test_texts_are_read_with_questions_in_both_stages_and_conversations_stay(base, tmp_path, stage):
    records = [text(STORY, title="Pumps"), CHATS[0]]
    material, shown = rows_of(tmp_path, base, "adapt_llm", records, stage, max_length_tokens=400)
    assert sorted(one.kind for one in material.records) == ["instruction", "text"]
    (story,) = (one for one in shown if FIRST in one)
    assert "Does the second follow" in story or "What is the" in story
    assert any(one.endswith("Kelmar<|im_end|>") for one in shown)
    assert len(material.remembered) > 10


def test_no_row_with_questions_is_longer_than_a_row_may_be(base, tmp_path):
    material, shown = rows_of(tmp_path, base, "adapt_llm", [text(STORY * 3)], "cpt", max_length_tokens=200)
    assert len(shown) > 1 and max(len(row["input_ids"]) for row in material.rows) <= 200


# adapt_retrieve_revise


def test_the_domain_is_read_before_its_answers_are_learned(base, tmp_path, tokenizer):
    material, shown = rows_of(tmp_path, base, "adapt_retrieve_revise", [*CHATS[:2], *TEXTS[:2]])
    run = SimpleNamespace(
        tokenizer=tokenizer, records=material.records, settings=adapt_retrieve_revise.Settings(text_epochs=2)
    )
    plan = adapt_retrieve_revise.compose(run).plan
    order = Order([9] * 4, [], batch_size=2, epochs=1, seed=1)
    assert [set(batch.new) for batch in plan(order)] == [{2, 3}, {2, 3}, {0, 1}]
    assert all("say" in one for one in shown[2:])
    assert plan(replace(order, epochs=0)) == []
