"""[engine] and the tasks among [probes] suites: what is refused, and what workers are told."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from agent.config import Config
from agent.measured import engine_settings, suite_file
from agent.root.layout import Layout
from monitors.probes.suites import load_suite


@pytest.mark.parametrize(
    ("engine", "expected"),
    [
        ({"kind": "openai"}, "needs endpoint"),
        ({"kind": "vllm", "python": "venv/bin/python"}, "absolute path"),
        ({"kind": "scripted"}, "Input should be"),
        ({"kind": "openai", "endpoint": "file:///etc/passwd"}, "begins with http"),
    ],
)
def test_an_engine_that_cannot_work_is_refused(engine, expected):
    with pytest.raises(ValidationError, match=expected):
        Config.model_validate({"engine": engine})


def test_workers_are_told_of_the_endpoint_and_not_of_the_interpreter():
    remote = {"kind": "openai", "endpoint": "http://127.0.0.1:8000/v1", "dtype": "float32"}
    settings = engine_settings(Config.model_validate({"engine": remote}))
    assert (settings.kind, settings.endpoint) == ("openai", "http://127.0.0.1:8000/v1")
    moved = Config.model_validate({"engine": {**remote, "python": "/opt/other/bin/python"}})
    assert engine_settings(moved).digest() == settings.digest()


def test_a_task_of_the_harness_becomes_a_suite_file_of_the_data_root(tmp_path):
    pytest.importorskip("lm_eval", reason="the extra lm-eval is not installed")
    layout = Layout(tmp_path)
    layout.create()
    config = Config.model_validate({"probes": {"suites": ["general", "lm_eval: arc_easy"]}})
    path = suite_file(layout, config.probes.suites[1])
    assert path == layout.suites / "lm-eval-arc-easy.yaml"
    assert load_suite(path).role == "general"


@pytest.mark.parametrize("entry", ["lm_eval: ../evil", "lm_eval:gsm8k", "lm_eval: ", "lm_eval: a b"])
def test_an_entry_that_names_no_task_is_refused(entry):
    with pytest.raises(ValidationError, match="pattern"):
        Config.model_validate({"probes": {"suites": [entry]}})
