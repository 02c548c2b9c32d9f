"""Promises of planning: who decided stands in the record, and what a person must see waits for one."""

from __future__ import annotations

from typing import Any

import pytest

from agent.config import Source
from agent.planner.plan import Plan
from agent.steps import planning
from agent.store import plans
from learners.parts.memory import Remembered, ReplayMemory
from tests.agent.fake_jobs import BROKEN
from tests.agent.steps.cycle_world import Play
from tests.tiny import chat


def planned(play: Play) -> Plan:
    with play.world.store.read() as tx:
        return Plan.model_validate(plans.get(tx, play.newest().id).plan)


def remembering(play: Play) -> None:
    """Give `v0` a replay memory, so that there is more than one thing to choose from."""
    one = Remembered(stage="seed", record=chat("What is the capital of France?", "Paris"))
    ReplayMemory(items=(one,)).write(play.world.layout.version("v0") / "memory")


@pytest.fixture
def chooser(play: Play) -> Play:
    """A root whose planner asks the model."""
    remembering(play)
    play.configure(planner={"backend": "model"})
    return play


def test_rules_decide_where_they_are_configured_and_the_plan_says_so(play: Play):
    play.until("curating")
    assert planned(play).decided_by == "rules"
    assert "backend is rules" in planned(play).reason


def test_a_models_feasible_choice_stands_under_its_name(chooser: Play):
    chooser.choice = "cpt.replay"
    chooser.until("curating")
    plan = planned(chooser)
    assert (plan.name, plan.decided_by, plan.reason) == ("cpt.replay", "v0", "it looked best")


def test_a_chooser_that_fails_leaves_the_choice_to_the_rules_and_that_is_said(chooser: Play):
    chooser.jobs.work["planning"] = BROKEN
    chooser.until("curating")
    plan = planned(chooser)
    assert plan.decided_by == "rules"
    assert "v0 could not be asked: planted" in plan.reason


def test_the_record_names_the_version_that_chose_even_if_an_endpoint_is_configured_too(chooser: Play):
    chooser.configure(planner={"backend": "model", "model": "big"})
    chooser.choice = "cpt.replay"
    chooser.until("curating")
    assert planned(chooser).decided_by == "v0"


def test_an_endpoint_is_asked_without_a_version_and_its_key_is_only_named(chooser: Play):
    chooser.configure(
        planner={"backend": "openai", "endpoint": "http://127.0.0.1:1/v1", "model": "big", "api_key_env": "BIG_KEY"}
    )
    chooser.choice = "cpt.replay"
    chooser.until("curating")
    spec = chooser.jobs.specs["c1-planning"]
    assert (spec.version, spec.engine.kind, spec.engine.api_key_env) == (None, "openai", "BIG_KEY")
    assert planned(chooser).decided_by == "big"


def test_records_held_out_are_not_in_the_plan(play: Play):
    play.holding_out = 3
    play.until("curating")
    plan = planned(play)
    assert (len(plan.records), len(plan.held_out_records)) == (5, 3)
    assert not set(plan.records) & set(plan.held_out_records)
    assert plan.held_out == ("a held-out sentence",)


def test_a_plan_of_an_approval_stage_waits_for_a_person(play: Play):
    play.configure(approval={"stages": ("cpt",)})
    cycle = play.until("awaiting_approval")
    assert (cycle.resume_state, cycle.stage) == ("curating", "cpt")
    assert "stage cpt" in (cycle.reason or "")


@pytest.mark.parametrize(
    ("sources", "waits"),
    [
        ({"inbox": Source(trust="untrusted")}, True),
        ({"another": Source()}, True),
        ({"inbox": Source(), "another": Source(trust="untrusted")}, False),
    ],
    ids=["untrusted", "configured no more", "trusted"],
)
def test_a_plan_waits_if_its_records_come_from_a_source_that_is_not_trusted(
    play: Play, sources: dict[str, Any], waits: bool
):
    play.configure(sources=sources)
    cycle = play.until("awaiting_approval" if waits else "curating")
    assert ("inbox" in (cycle.reason or "") and "untrusted" in (cycle.reason or "")) is waits


def test_nothing_feasible_ends_the_cycle_and_sets_its_records_aside(play: Play):
    play.information_kind = "value"
    ended = play.until("no_action")
    assert "nothing is feasible" in (ended.reason or "")
    assert play.records() == {"set_aside"}


def test_a_spent_budget_refuses_what_costs_tokens(play: Play):
    play.configure(limits={"monthly_train_tokens": 1})
    play.until("no_action")
    refused = {option.id: option.refused or "" for option in planned(play).alternatives}
    assert "monthly_train_tokens" in refused["cpt.finetune"]


def test_a_plan_warns_of_few_texts_for_a_big_model_and_trains_nevertheless(play: Play, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(planning, "parameters", lambda weights: 7_000_000_000)
    play.until("curating")
    (warning,) = planned(play).warnings
    assert "0.0 MB of text for 7.0 billion parameters" in warning


def test_a_plan_for_a_small_model_warns_of_nothing(play: Play):
    play.until("curating")
    assert planned(play).warnings == ()
