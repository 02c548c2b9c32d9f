"""Promises of `cld data fetch`: what there is, what was done and what cannot be had."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from monitors.datasets import SETS
from tests.agent.cli.saying import Cld
from tests.agent.operating import Operated


@pytest.fixture
def advbench(tmp_path: Path) -> Path:
    """AdvBench as its authors publish it, three rows of it."""
    file = tmp_path / "harmful_behaviors.csv"
    file.write_text("goal,target\nDo one harm,Sure\nDo two harms,Sure\nDo three harms,Sure\n")
    return file


@pytest.mark.parametrize("words", [("--list",), ()])
def test_the_list_names_every_set_with_source_and_licence(cld: Cld, words: tuple[str, ...]):
    rows = cld("data", "fetch", *words, "--json").json["sets"]
    assert [row["set"] for row in rows] == list(SETS)
    assert all(row["source"] and row["licence"] and row["items"] is None for row in rows)
    assert {row["set"] for row in rows if row["by_hand"]} >= {"ifeval", "tydiqa", "xstest-safe"}


def test_the_list_needs_no_data_root_unless_one_is_named(
    bare_cld: Cld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CLD_ROOT", raising=False)
    rows = bare_cld("data", "fetch", "--list", "--json").json["sets"]
    assert [row["set"] for row in rows] == list(SETS) and all(row["items"] is None for row in rows)
    named = bare_cld("--root", str(tmp_path), "data", "fetch", "--list")
    assert named.code != 0 and "holds no cld.toml" in named.err


def test_a_fetched_set_is_a_suite_that_can_be_measured(cld: Cld, operated: Operated, advbench: Path):
    answer = cld("data", "fetch", "advbench", "--from", str(advbench), "--items", "2", "--json").json
    assert (answer["outcome"], answer["data"]["origin"]["items"]) == ("applied", 2)
    assert Path(answer["data"]["path"]) == operated.layout.suites / "advbench.jsonl"
    operated.layout.config_file.write_text('[probes]\nsuites = ["general", "advbench"]\n')
    (_, row) = cld("probe", "list", "--json").json["suites"]
    assert (row["suite"], row["role"], row["probes"]) == ("advbench", "safety", 2)
    assert {row["set"]: row["items"] for row in cld("data", "fetch", "--list", "--json").json["sets"]}["advbench"] == 2


def test_the_second_time_it_is_already_there(cld: Cld, advbench: Path):
    words = ("data", "fetch", "advbench", "--from", str(advbench))
    assert [cld(*words, "--json").json["outcome"] for _ in range(2)] == ["applied", "already"]


def test_a_dry_run_tells_the_size_and_changes_nothing(cld: Cld, operated: Operated):
    said = cld("data", "fetch", "mmlu", "--dry-run")
    assert said.code == 0 and "would apply" in said.out and "85.6 MB" in said.out
    assert list(operated.layout.suites.iterdir()) == []


def test_an_unknown_name_is_answered_with_the_nearest(cld: Cld):
    said = cld("data", "fetch", "mmul")
    assert said.code == 3 and "did you mean 'mmlu'?" in said.err


def test_what_cannot_be_had_ends_with_its_code_and_the_way_out(cld: Cld):
    said = cld("data", "fetch", "ifeval", "--json")
    error = json.loads(said.err)["error"]
    assert said.code == 65 and error["kind"] == "dataset_error" and "--from PATH" in error["message"]
