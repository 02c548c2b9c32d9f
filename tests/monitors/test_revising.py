"""Drafts are looked up and revised: evidence is found by the draft, and the reviser sees all there is."""

import json

import numpy as np
import pytest

from monitors.engines import EngineError, Prompt, Turn, in_order, open_engines
from monitors.engines.revising import Revising, search_in
from monitors.engines.scripted import Answers, ScriptedEngine
from monitors.job import EngineSettings, ReviseSettings, VersionRef

QUESTION = "How long may I keep it?"
DRAFT = "Thirty days, says the returns policy."
PASSAGES = ["Returns: the policy grants 45 days.", "The canteen opens at noon.", "Parking costs two marks."]


class Reviser:
    """Answers with what it was asked."""

    def __init__(self):
        self.asked = []

    def generate(self, prompts, max_new_tokens):
        self.asked += [prompt.turns[-1].content for prompt in prompts]
        yield from ((index, "45 days") for index in range(len(prompts)))


def words(texts):
    """One dimension a word: texts that share words are near."""
    known = sorted({word.strip(".,?:").lower() for text in [*PASSAGES, DRAFT, QUESTION] for word in text.split()})
    rows = [[float(word in {one.strip(".,?:").lower() for one in text.split()}) for word in known] for text in texts]
    vectors = np.array(rows, dtype=np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def asked(text=QUESTION, **options):
    return [Prompt((Turn("user", text),), **options)]


@pytest.fixture
def drafter():
    return ScriptedEngine(Answers(answers={QUESTION: DRAFT}, default="none"))


def test_evidence_is_looked_up_by_the_draft_and_not_by_the_question(drafter):
    keys = []

    def search(texts):
        keys.extend(texts)
        return [PASSAGES[:1] for _ in texts]

    assert in_order(Revising(drafter, Reviser(), search).generate(asked(), [9]), 1) == ["45 days"]
    assert keys == [DRAFT]


def test_the_reviser_sees_question_draft_and_evidence(drafter):
    reviser = Reviser()
    in_order(Revising(drafter, reviser, search_in(PASSAGES, 1, words)).generate(asked(), [9]), 1)
    (seen,) = reviser.asked
    assert QUESTION in seen and DRAFT in seen and PASSAGES[0] in seen and PASSAGES[1] not in seen


def test_without_a_search_the_draft_is_the_answer(drafter):
    assert in_order(Revising(drafter, Reviser(), None).generate(asked(), [9]), 1) == [DRAFT]


def test_what_is_no_chat_is_not_revised():
    plain = ScriptedEngine(Answers(answers={"The sky is": "blue"}))
    revising = Revising(plain, Reviser(), search_in(PASSAGES, 1, words))
    assert in_order(revising.generate([Prompt(text="The sky is")], [9]), 1) == ["blue"]


def test_there_are_never_more_passages_than_there_are():
    found = search_in(PASSAGES, 9, words)([DRAFT, "canteen"])
    assert [len(row) for row in found] == [3, 3]
    assert (found[0][0], found[1][0]) == (PASSAGES[0], PASSAGES[1])


@pytest.fixture
def settings(tmp_path):
    (tmp_path / "passages.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in PASSAGES))
    (tmp_path / "script.json").write_text(json.dumps({"answers": {QUESTION: DRAFT}, "default": "as it was"}))
    own = EngineSettings(kind="scripted", script=tmp_path / "script.json")
    return own.model_copy(update={"revise": ReviseSettings(passages=tmp_path / "passages.jsonl", count=1)})


def test_settings_that_name_passages_open_engines_that_revise(settings, tmp_path):
    engine = open_engines(settings)(VersionRef(id="v0", path=tmp_path))
    assert in_order(engine.generate(asked(), [9]), 1) == ["as it was"]


def test_passages_that_cannot_be_read_are_refused_by_name(settings, tmp_path):
    (tmp_path / "passages.jsonl").write_text('{"words": "none"}\n')
    with pytest.raises(EngineError, match=r"passages\.jsonl.*text"):
        open_engines(settings)
    (tmp_path / "passages.jsonl").write_text("")
    with pytest.raises(EngineError, match="are none"):
        open_engines(settings)


def test_revision_is_another_engine_setting_and_its_absence_changes_none(settings):
    plain = settings.model_copy(update={"revise": None})
    assert settings.digest() != plain.digest()
    assert EngineSettings().digest() == "e43f84294891"
    assert EngineSettings(judge=EngineSettings()).digest() == "a12c106dacfb"
