"""Promises of `cld plan views`: the worker's rows for people and as JSON, and a reason where there are none."""

from __future__ import annotations

import shutil

import pytest

from agent.cli import console, plan_rows
from agent.planner.plan import Plan
from agent.store import cycles, plans
from tests.agent.cli.saying import Cld
from tests.agent.operating import Operated
from tests.tiny import tiny_base

FOUND = {
    "cycle": "c1", "stage": "cit", "method": "replay", "rows": 7, "remembered": 3, "tokens": 70, "learned_tokens": 20,
    "overlap": 0.125, "warnings": ["a strong shift"],
    "views": [
        {"role": "new", "tokens": 5, "learned_tokens": 2, "pieces": [
            {"text": "Question? \x1b[31m", "token_ids": [1, 2, 3], "learned": False},
            {"text": "Answer", "token_ids": [4, 5], "learned": True},
        ]},
    ],
}  # fmt: skip


def planned(operated: Operated, **plan: object) -> str:
    cycle = operated.cycle_in("planning", "curating", "training", "measuring")
    document = Plan.model_validate({"action": "train", "decided_by": "rules", "reason": "it fits", **plan})
    with operated.store.write() as tx:
        plans.save(tx, cycle, document.model_dump(mode="json"), "rules", "it fits")
        assert cycles.get(tx, cycle).parent == "v0"
    return cycle


def test_what_is_learned_stands_in_brackets_and_escapes_do_not_reach_the_terminal(capsys: pytest.CaptureFixture[str]):
    plan_rows.rows(FOUND)
    out = capsys.readouterr().out
    assert "plan of c1, cit with replay" in out
    assert "Question? \u27e6Answer\u27e7" in out and "2 of 5 tokens learned" in out and "\x1b" not in out


def test_what_is_to_be_expected_of_the_texts_stands_above_the_rows(capsys: pytest.CaptureFixture[str]):
    plan_rows.rows(FOUND)
    told, rows = capsys.readouterr().out.split("\n1. ")
    assert "12%" in told and "warning: a strong shift" in told and "warning" not in rows


def test_what_a_plan_warns_of_is_shown_with_the_plan(operated: Operated, cld: Cld):
    planned(operated, stage="cpt", method="finetune", warnings=("0.5 MB of text for 7.0 billion parameters",))
    assert "  warning: 0.5 MB of text for 7.0 billion parameters\n" in cld("plan", "show").out


def test_on_a_terminal_what_is_learned_has_a_colour(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(console.sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.delenv("NO_COLOR", raising=False)
    console.marked([("read ", False), ("learned", True)])
    assert capsys.readouterr().out == "read \x1b[32m\u27e6learned\u27e7\x1b[0m\n"


def test_a_plan_that_trains_nothing_has_no_rows(operated: Operated, cld: Cld):
    cycle = planned(operated, action="do_nothing")
    said = cld("plan", "views", cycle)
    assert said.code == 3 and "trains nothing" in said.err and "do_nothing" in said.err


def test_a_cycle_without_a_plan_is_not_found(operated: Operated, cld: Cld):
    assert cld("plan", "views", "c99").code == 3


@pytest.mark.slow
def test_the_rows_of_a_plan_come_from_a_worker_with_the_tokenizer(operated: Operated, cld: Cld):
    shutil.rmtree(operated.layout.version("v0"))
    tiny_base(operated.layout.versions)
    records = operated.fill_pool(3)
    cycle = planned(operated, stage="cpt", method="finetune", records=tuple(records))
    said = cld("plan", "views", cycle, "--limit", "2", "--json")
    assert said.code == 0, said.err
    found = said.json["views"]
    assert (found["stage"], found["method"]) == ("cpt", "finetune")
    assert found["rows"] == 3 and [view["role"] for view in found["views"]].count("new") == 2
    assert found["views"][0]["pieces"][1]["text"].startswith("fact ")
