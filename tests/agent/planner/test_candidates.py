"""Promises of the planner's candidates: what is infeasible is refused with its reason, and lessons move predictions."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.planner.candidates import STAGES_OF, Outcome, Situation, propose
from learners.records import Record, record_id
from monitors.job import Gap


def record(kind="text", text="The kettle holds 2 liters."):
    content = {"text": text} if kind == "text" else {"messages": [{"role": "user", "content": text}]}
    return Record(id=record_id(kind, content), source="inbox", kind=kind, content=content)


def gap(kind="fact", severity=1.0, records=("r1",)):
    return Gap(
        id="g1", topic="kettle", information_kind=kind, severity=severity, evidence=("p1",), records=tuple(records)
    )


def situation(**changes):
    known = Situation(
        gaps=[gap()],
        records=[record()],
        tokens=1000,
        epochs={"cpt": 4, "cit": 3, "ca": 2},
        replayable=64,
        tokens_left=None,
        tolerated_loss=0.10,
    )
    return replace(known, **changes)


def by_id(candidates):
    return {candidate.id: candidate for candidate in candidates}


def test_a_fact_is_learned_in_pre_training_only():
    trained = [c for c in propose(situation()) if c.action == "train" and c.refused is None]
    assert {candidate.stage for candidate in trained} == {"cpt"}


@pytest.mark.parametrize("kind", STAGES_OF)
def test_no_stage_outside_table_2_is_ever_feasible(kind):
    everything = [record(k) for k in ("text", "instruction", "preference")]
    found = propose(situation(gaps=[gap(kind)], records=everything))
    stages = {candidate.stage for candidate in found if candidate.action == "train" and candidate.refused is None}
    assert stages <= set(STAGES_OF[kind])
    assert stages


def test_rehearsal_needs_a_memory():
    found = by_id(propose(situation(replayable=0)))
    assert "holds no replay memory" in (found["cpt.replay"].refused or "")


def test_a_plan_over_the_months_tokens_is_refused_with_both_numbers():
    found = by_id(propose(situation(tokens_left=10)))
    assert "exceed the 10 left" in (found["cpt.replay"].refused or "")


def test_a_method_that_would_lose_more_than_the_gate_tolerates_is_refused():
    found = by_id(propose(situation(tolerated_loss=0.05)))
    assert "exceeds the gate's tolerance" in (found["cpt.finetune"].refused or "")
    assert found["cpt.replay"].refused is None


def test_doing_nothing_is_feasible_only_without_a_gap():
    assert by_id(propose(situation()))["do_nothing"].refused is not None
    assert by_id(propose(situation(gaps=[])))["do_nothing"].refused is None


def test_a_gap_without_records_asks_for_data():
    found = by_id(propose(situation(gaps=[gap(records=())], records=[])))
    assert found["ask_for_data"].refused is None
    assert all(candidate.refused for candidate in found.values() if candidate.action == "train")


def test_a_method_that_lost_much_before_is_predicted_to_lose_more():
    before = by_id(propose(situation()))["cpt.replay"]
    bad = [Outcome("cpt", "replay", gain=0.1, loss=0.3)] * 3
    after = by_id(propose(situation(outcomes=bad)))["cpt.replay"]
    assert after.predicted_loss > before.predicted_loss
    assert after.predicted_gain < before.predicted_gain


def test_what_another_beats_in_everything_is_refused_until_lessons_say_otherwise():
    named = ("l2", "ewc", "replay")  # ewc costs more than l2 and is expected to forget as much
    before = by_id(propose(situation(named=named)))
    assert (before["cpt.ewc"].refused or "").startswith("cpt.l2 is predicted to gain no less")
    assert before["cpt.l2"].refused is None is before["cpt.replay"].refused  # cheaper, and forgets less
    better = [Outcome("cpt", "ewc", gain=0.9, loss=0.0)] * 3
    assert by_id(propose(situation(named=named, outcomes=better)))["cpt.ewc"].refused is None


def test_only_named_methods_are_proposed_where_some_are_named():
    trained = {c.method for c in propose(situation(named=("l2", "replay"))) if c.action == "train"}
    assert trained == {"l2", "replay"}


def test_an_unproven_method_is_not_proposed_unasked():
    assert "l2" not in {candidate.method for candidate in propose(situation())}


def test_forgetting_is_never_proposed_even_where_it_is_named():
    everything = [record(kind) for kind in ("text", "instruction", "preference")]
    found = propose(situation(records=everything, named=("npo", "grad_diff")))
    assert {candidate.action for candidate in found} == {"do_nothing", "ask_for_data"}
