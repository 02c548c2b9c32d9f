"""Promises of `agent.config` and of how `agent.root` reads and writes it: one source of truth for every key."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path

import pytest
from pydantic import BaseModel

from agent.config import Config
from agent.errors import ConfigError
from agent.measured import engine_settings
from agent.root.layout import Layout
from agent.root.settings import load, parse_flags, show
from agent.root.settings_text import reference, template
from monitors.gate import GatePolicy
from monitors.job import EngineSettings
from monitors.precision import native_dtype


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.upper().startswith("CLD_")]:
        monkeypatch.delenv(name)


def read(folder: Path, text: str = "", *flags: str) -> Config:
    (folder / "cld.toml").write_text(text)
    return load(Layout(folder), parse_flags(flags))


def problems(folder: Path, text: str = "", *flags: str) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        read(folder, text, *flags)
    return caught.value.problems


def test_an_empty_file_means_the_defaults(tmp_path: Path):
    config = read(tmp_path)
    assert config.cycle.min_records == 8 and list(config.sources) == ["inbox"]


def test_the_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CLD_CYCLE__MIN_RECORDS", "20")
    assert read(tmp_path, "[cycle]\nmin_records = 3\nquiet_seconds = 1.0").cycle.min_records == 20


def test_a_flag_wins_over_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CLD_CYCLE__MIN_RECORDS", "20")
    assert read(tmp_path, "", "cycle.min_records=30").cycle.min_records == 30


def test_keys_that_nobody_overrides_keep_the_files_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CLD_CYCLE__MIN_RECORDS", "20")
    assert read(tmp_path, "[cycle]\nmax_records = 50", "cycle.quiet_seconds=1").cycle.max_records == 50


def test_a_stage_keeps_its_other_defaults_when_one_key_is_set(tmp_path: Path):
    alignment = read(tmp_path, "[training.ca]\nepochs = 5").training.ca
    assert (alignment.epochs, alignment.learning_rate) == (5, Config.model_fields["training"].default.ca.learning_rate)


def test_an_unknown_key_is_refused_with_its_line_and_the_nearest_name(tmp_path: Path):
    (problem,) = problems(tmp_path, "# head\n[cycle]\nmin_recrods = 3\n")
    assert problem == "cld.toml line 3: 'cycle.min_recrods' is no key of cld; did you mean 'cycle.min_records'?"


def test_a_key_in_the_wrong_section_is_sent_to_its_own(tmp_path: Path):
    (problem,) = problems(tmp_path, "[cycle]\nlora_rank = 8\n")
    assert "did you mean 'training.lora_rank'?" in problem


def test_an_unknown_section_is_refused_with_the_nearest_name(tmp_path: Path):
    (problem,) = problems(tmp_path, "[gaet]\nresamples = 1000\n")
    assert "line 1" in problem and "did you mean 'gate'?" in problem


def test_an_unknown_section_in_the_environment_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CLD_CYCEL__MIN_RECORDS", "3")
    (problem,) = problems(tmp_path)
    assert problem.startswith("environment CLD_CYCEL__MIN_RECORDS") and "did you mean 'cycle'?" in problem


def test_an_unknown_key_in_the_environment_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CLD_LIMITS__THREDS", "3")
    (problem,) = problems(tmp_path)
    assert problem.startswith("environment CLD_LIMITS__THREDS") and "did you mean 'limits.threads'?" in problem


def test_all_problems_are_reported_together_each_with_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CLD_LIMITS__THREADS", "0")
    found = problems(tmp_path, "[cycle]\nmax_records = 0\nx = 1\n[energy]\ncountry = 'de'", "gate.recheck=perhaps")
    places = {problem.split(":")[0] for problem in found}
    lines = {f"cld.toml line {number}" for number in (2, 3, 5)}
    assert places == lines | {"environment CLD_LIMITS__THREADS", "--set gate.recheck"}


def test_a_problem_shows_the_value_and_the_rule(tmp_path: Path):
    (problem,) = problems(tmp_path, "[limits]\nthreads = 0\n")
    assert problem == "cld.toml line 2: limits.threads = 0: input should be greater than or equal to 1"


def test_a_file_that_is_no_toml_is_named_with_the_line(tmp_path: Path):
    (problem,) = problems(tmp_path, "[cycle]\nmin_records = \n")
    assert "cld.toml" in problem and "line 2" in problem and "cld config check" in problem


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("[cycle]\ncron = '0 3 * *'", "five fields"),
        ("[cycle]\ncron = '61 3 * * *'", "cycle.cron"),
        ("[cycle]\nquiet_hours = 'at night'", "22:00-06:00"),
        ("[cycle]\nquiet_hours = '08:00-08:00'", "same minute"),
        ("[cycle]\nmin_records = 9\nmax_records = 8", "above max_records"),
        ("[planner]\nbackend = 'openai'", "needs endpoint and model"),
        ("[planner]\nendpoint = 'file:///etc/passwd'", "begins with http"),
        ("[planner]\napi_key_env = 'sk-secret'", "match pattern"),
        ("[probes]\nsuites = ['../x']", "match pattern"),
        ("[sources.'../x']\npath = 'x'", "match pattern"),
        ("[sources.inbox]\nkind = 'exec'", "'folder'"),
        ("[model]\nbase = ''", "at least 1 character"),
    ],
)
def test_a_value_that_breaks_a_rule_is_refused(tmp_path: Path, text: str, rule: str):
    assert rule in " ".join(problems(tmp_path, text))


@pytest.mark.parametrize("flag", ["cycle.min_records", "min_records=3", "=3", "cycle..x=1"])
def test_a_flag_that_is_no_key_and_value_is_refused(flag: str):
    with pytest.raises(ConfigError, match=r"section\.key=value"):
        parse_flags([flag])


def test_flags_are_read_as_toml_where_they_are_and_as_text_where_not():
    assert parse_flags(["a.b=3", "a.c=[1]", "a.d=text", "a.e=true"]) == {
        "a.b": 3,
        "a.c": [1],
        "a.d": "text",
        "a.e": True,
    }


def test_the_configuration_cannot_be_changed_once_read(tmp_path: Path):
    with pytest.raises(ValueError, match="frozen"):
        read(tmp_path).limits.threads = 9  # pyright: ignore[reportAttributeAccessIssue]


def all_fields(model: type[BaseModel], prefix: str = "") -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for name, field in model.model_fields.items():
        default = field.get_default()
        if isinstance(default, BaseModel):
            found |= all_fields(type(default), f"{prefix}{name}.")
        elif name != "sources":
            found[f"{prefix}{name}"] = field.description
    return found


def test_every_key_has_a_description():
    assert all(all_fields(Config).values())


def test_the_template_names_every_key_and_is_the_default_configuration(tmp_path: Path):
    text = template()
    assert show(read(tmp_path, text)) == show(read(tmp_path))
    assert not [key for key in all_fields(Config) if f"\n#{key.rpartition('.')[2]} = " not in text]


def test_every_default_in_the_template_may_be_uncommented(tmp_path: Path):
    lines = [re.sub(r"^#(?=[a-z_]+ = (?!\(unset\)))", "", line) for line in template().splitlines()]
    assert len(tomllib.loads("\n".join(lines))["limits"]) > 5
    assert show(read(tmp_path, "\n".join(lines))) == show(read(tmp_path))


def test_the_reference_page_names_every_key():
    page = reference()
    assert not [key for key in all_fields(Config) if f"| `{key.rpartition('.')[2]}` |" not in page]


def test_the_engine_section_has_the_defaults_of_the_engine_that_it_configures():
    engine, settings = Config.model_fields["engine"].get_default(), EngineSettings()
    shared = set(type(engine).model_fields) & set(EngineSettings.model_fields) - {"dtype"}
    assert len(shared) >= 3
    assert all(getattr(settings, name) == getattr(engine, name) for name in shared)


def test_auto_is_resolved_before_a_worker_is_told_of_it():
    assert engine_settings(Config()).dtype == native_dtype()


def test_a_suite_may_differ_by_name_and_an_unknown_key_of_it_is_refused_with_a_suggestion(tmp_path: Path):
    config = read(tmp_path, "[gate.suites.mine]\nloss = 0.02\n[gate.suites.extra]\ndry_run = true")
    assert config.gate.suites["mine"].loss == 0.02 and config.gate.suites["extra"].dry_run
    (problem,) = problems(tmp_path, "[gate.suites.mine]\nlos = 0.02")
    assert "line 2" in problem and "did you mean 'gate.suites.mine.loss'?" in problem


def test_the_first_look_is_no_larger_than_the_budget(tmp_path: Path):
    (problem,) = problems(tmp_path, "[gate]\nfirst_items = 600")
    assert "first_items (600) is above most_items (512)" in problem


def test_the_gate_section_has_the_defaults_of_the_gate_that_it_configures():
    gate, policy = Config.model_fields["gate"].get_default(), GatePolicy()
    assert all(getattr(policy, name) == getattr(gate, name) for name in GatePolicy.model_fields)


def test_a_method_that_nobody_knows_is_refused_with_the_nearest(tmp_path: Path):
    with pytest.raises(ConfigError, match="did you mean 'replay'"):
        read(tmp_path, '[planner]\nmethods = ["reply"]\n')


def test_a_method_that_forgets_is_no_plan_of_the_planner(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"method 'npo' forgets.*ask for it with `cld forget`"):
        read(tmp_path, '[planner]\nmethods = ["replay", "npo"]\n')


def test_forgetting_keeps_its_own_defaults_where_one_key_is_named(tmp_path: Path):
    asked = read(tmp_path, "[training.forget]\nepochs = 5\n").training.forget
    assert (asked.epochs, asked.replay_share, asked.replay_weight) == (5, 0.75, 4.0)


def test_revision_is_off_unless_passages_are_named(tmp_path: Path):
    assert engine_settings(read(tmp_path)).revise is None
    passages = tmp_path / "passages.jsonl"
    own = engine_settings(read(tmp_path, f'[revise]\npassages = "{passages}"\ncount = 3')).revise
    assert own is not None and (own.passages, own.count, own.reviser) == (passages, 3, None)
    other = f'[revise]\npassages = "{passages}"\nendpoint = "http://127.0.0.1:8000/v1"\nmodel = "large"'
    found = engine_settings(read(tmp_path, other)).revise
    assert found is not None and found.reviser is not None and found.reviser.model == "large"


@pytest.mark.parametrize(
    ("text", "rule"), [('passages = "here.jsonl"', "absolute path"), ('model = "large"', "both endpoint and model")]
)
def test_a_revision_that_cannot_be_done_is_refused(tmp_path: Path, text: str, rule: str):
    assert any(rule in problem for problem in problems(tmp_path, f"[revise]\n{text}"))
