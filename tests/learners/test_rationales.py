"""Learning from reasons: whose count, who writes them, and the views of a record that they make."""

import json

import pytest
import torch

from learners.methods import rationale_cl
from learners.methods.contract import Step
from learners.parts import exemplars, rationales
from learners.parts.likelihood import negative_log_likelihood
from learners.parts.views import chat_rows
from learners.parts.weighted_views import ViewLikelihood
from tests.learners.runs import CHATS, train
from tests.learners.symbol_runs import loss
from tests.learners.view_runs import batch_of, carrying, rows_of
from tests.tiny import chat

WHY = "Zorbia is a land, and Kelmar is where it is ruled."


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
