"""The choose job: advice comes back valid, or not at all."""

from __future__ import annotations

import json

import pytest

from learners.failures import InvalidInput
from learners.job import JobRequest
from learners.worker import Job
from monitors.choose import choose
from monitors.job import ChooseSpec, EngineSettings, VersionRef
from tests.tiny import tiny_base


@pytest.fixture
def job(tmp_path):
    return Job(tmp_path, JobRequest(job_id="c1-planning", kind="choose", spec={}))


def scripted(folder, answer, **changes):
    (folder / "script.json").write_text(json.dumps({"default": answer}))
    settings = EngineSettings(kind="scripted", script=folder / "script.json")
    spec = {"version": None, "engine": settings, "prompt": "Which?", "options": ("a", "b"), "reason_characters": 60}
    return ChooseSpec(**{**spec, **changes}).model_dump(mode="json")


def test_a_real_model_chooses_one_of_the_options(job, tmp_path):
    version = VersionRef(id="v0", path=tiny_base(tmp_path / "versions"))
    spec = ChooseSpec(version=version, prompt="Which animal says meow?", options=("Cat", "Dog"), reason_characters=60)
    answer = choose(spec.model_dump(mode="json"), job)
    assert answer.choice in spec.options
    assert 15 <= len(answer.reason) <= 60


def test_a_valid_answer_is_returned(job, tmp_path):
    assert choose(scripted(tmp_path, '{"choice": "b", "reason": "cheaper"}'), job).choice == "b"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ('{"choice": "c", "reason": ""}', "none of a, b"),
        ('{"choice": "a", "reason": "' + "x" * 61 + '"}', "at most 60"),
        ('{"choice": "a", "reas', "no JSON"),
        ('{"choice": "a", "reason": "", "run": "rm"}', "no JSON"),
        ('{"choice": "a", "reason": 3}', "no JSON"),
        ("I choose a.", "no JSON"),
    ],
)
def test_an_invalid_answer_is_refused_with_the_reason(job, tmp_path, answer, expected):
    with pytest.raises(InvalidInput, match=expected):
        choose(scripted(tmp_path, answer), job)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"options": ()}, "at least one"),
        ({"options": ("a", "a")}, "different"),
        ({"prompt": "x" * 50_000}, "characters"),
        ({"engine": EngineSettings()}, "needs `version`"),
    ],
)
def test_a_request_that_cannot_be_answered_is_refused(job, tmp_path, changes, expected):
    with pytest.raises(InvalidInput, match=expected):
        choose(scripted(tmp_path, "{}", **changes), job)
