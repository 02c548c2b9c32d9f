"""Promises of norms in a cycle: only what is registered is learned, a person always decides, and others' norms hold."""

from __future__ import annotations

import pytest

from agent.config import Source
from agent.planner.plan import Plan
from agent.steps import norms as steps
from agent.steps import planning
from agent.store import decisions, norms, plans, pool, verdicts
from agent.trigger import start_cycle
from monitors.gate import GatePolicy
from tests.agent.steps.cycle_world import Play, Scores
from tests.agent.steps.norm_world import approve, prefer, register


def planned(play: Play) -> Plan:
    with play.world.store.read() as tx:
        return Plan.model_validate(plans.get(tx, play.newest().id).plan)


def states(play: Play, ids: list[str]) -> list[str]:
    with play.world.store.read() as tx:
        return [row.state for row in pool.get(tx, ids)]


def verdict(play: Play) -> dict[str, object]:
    with play.world.store.read() as tx:
        found = verdicts.get(tx, play.newest().id)
    assert found is not None
    return found.verdict


@pytest.fixture
def open_house(play: Play) -> Play:
    """A root whose configuration asks nobody: its source is trusted, and plans of no stage wait."""
    play.configure(approval={"stages": ()}, sources={"inbox": Source(trust="trusted")})
    return play


@pytest.fixture
def revised(open_house: Play) -> Play:
    """`polite` held and `warm` took its place; `brief` holds beside it. A cycle learns `warm`, approved."""
    register(open_house, "polite", days_ago=20)
    register(open_house, "brief", days_ago=20)
    register(open_house, "warm", old="polite", days_ago=5)
    prefer(open_house, *[("warm", "revise")] * 8)
    open_house.until("awaiting_approval")
    approve(open_house)
    return open_house


def test_preferences_that_name_an_unknown_norm_are_set_aside_with_the_command_that_adds_it(open_house: Play):
    ids = prefer(open_house, ("warm", "add"), ("warm", "add"))
    ended = open_house.until("no_action")
    assert "nobody registered norm 'warm'; `cld values add warm STATEMENT`" in (ended.reason or "")
    assert states(open_house, ids) == ["set_aside"] * 2
    assert open_house.jobs.specs == {}


def test_a_misspelt_norm_is_answered_with_the_nearest(open_house: Play):
    register(open_house, "polite")
    prefer(open_house, ("pollite", "add"))
    assert "did you mean 'polite'?" in (open_house.until("no_action").reason or "")


def test_what_names_a_known_norm_goes_on_without_what_does_not(open_house: Play):
    register(open_house, "polite")
    ids = prefer(open_house, ("polite", "add"), ("warm", "add"), ("polite", "add"))
    open_house.until("awaiting_approval")
    assert planned(open_house).records == (ids[0], ids[2])
    assert states(open_house, ids) == ["claimed", "set_aside", "claimed"]


def test_registering_the_norm_brings_back_what_waited_for_it(open_house: Play):
    from agent.operators.commands import ask

    ids = prefer(open_house, ("warm", "add"))
    open_house.until("no_action")
    world = open_house.world
    said = ask(world.store, world.layout, world.config, "norm_add", {"target": "warm", "statement": "Be warm."}, "ada")
    assert (said.outcome, said.data["put_back"]) == ("applied", 1)
    assert states(open_house, ids) == ["waiting"]


@pytest.mark.parametrize(
    ("norm", "change", "told"),
    [("polite", "add", "'warm' took its place"), ("warm", "retire", "`cld values retire warm`")],
)
def test_preferences_that_contradict_the_registry_are_set_aside(open_house: Play, norm: str, change: str, told: str):
    register(open_house, "polite", days_ago=20)
    register(open_house, "warm", old="polite", days_ago=5)
    prefer(open_house, (norm, change))
    assert told in (open_house.until("no_action").reason or "")


def test_a_plan_that_touches_a_norm_waits_whatever_is_configured(open_house: Play):
    register(open_house, "polite")
    prefer(open_house, *[("polite", "add")] * 8)
    cycle = open_house.until("awaiting_approval")
    assert (cycle.resume_state, cycle.method) == ("curating", "value_revision")
    assert "a change of a norm always waits for a person: 8 preference(s) add 'polite' (Answers are polite.)" in (
        cycle.reason or ""
    )


def test_the_person_sees_what_is_superseded_and_the_probes(open_house: Play):
    register(open_house, "polite", days_ago=20)
    register(open_house, "warm", old="polite", days_ago=5)
    prefer(open_house, *[("warm", "revise")] * 8)
    reason = open_house.until("awaiting_approval").reason or ""
    assert "in place of 'polite' (Answers are polite.), 12 probes (norm-warm)" in reason
    (norm,) = planned(open_house).norms
    assert (norm.supersedes, norm.superseded_statement, norm.examples[0]) == ("polite", "Answers are polite.", "0?")
    assert planned(open_house).settings["superseded"] == {"warm": ["polite"]}


def test_a_chooser_that_names_another_method_does_not_get_past_the_person(open_house: Play):
    register(open_house, "polite")
    open_house.configure(planner={"methods": ("dpo",), "backend": "rules"})
    prefer(open_house, *[("polite", "add")] * 8)
    assert open_house.until("awaiting_approval").method == "dpo"


def test_a_planted_plan_that_asked_nobody_is_not_trained(open_house: Play, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(planning, "_approval_reason", lambda *_: None)
    register(open_house, "polite")
    ids = prefer(open_house, *[("polite", "add")] * 8)
    failed = open_house.until("failed")
    assert "touches norm(s) 'polite' and nobody approved it" in (failed.reason or "")
    assert states(open_house, ids) == ["waiting"] * 8 and "c1-training" not in open_house.jobs.specs


def test_an_approved_change_is_learned_on_that_persons_word(revised: Play):
    revised.until("watching")
    with revised.world.store.read() as tx:
        assert [(word.who, word.decision) for word in decisions.of_cycle(tx, "c1")] == [("ada", "approve")]


def test_the_superseded_norm_may_fall_and_is_reported(revised: Play):
    revised.scores = {"norm-polite": Scores(after=0.0), "norm-warm": Scores(before=0.0)}
    revised.until("watching")
    found = verdict(revised)
    assert found["verdict"] == "promote" and any("norm-polite" in remark for remark in found["remarks"])  # pyright: ignore[reportGeneralTypeIssues]


def test_a_superseded_norm_that_was_guarded_still_would_block_its_own_revision(
    revised: Play, monkeypatch: pytest.MonkeyPatch
):
    """The fault that the rule above is for, planted."""
    everything_holds = staticmethod(lambda tx, at: {norm.suite: True for norm in norms.listing(tx)})
    monkeypatch.setattr(steps.norms, "standing", everything_holds)
    revised.scores = {"norm-polite": Scores(after=0.0), "norm-warm": Scores(before=0.0)}
    assert "norm-polite" in (revised.until("rejected").reason or "")


def test_another_norm_in_force_must_hold_while_one_is_revised(revised: Play):
    revised.scores = {"norm-brief": Scores(after=0.5), "norm-warm": Scores(before=0.0)}
    assert "norm-brief" in (revised.until("rejected").reason or "")


def test_the_norm_that_is_learned_is_among_the_targets(revised: Play):
    revised.scores = {"norm-warm": Scores(before=1.0, after=0.0)}
    assert "norm-warm" in (revised.until("rejected").reason or "")


def test_a_cycle_of_other_things_need_not_win_a_norm_that_nobody_learned_yet(open_house: Play):
    register(open_house, "polite")
    open_house.scores = {"norm-polite": Scores(before=0.0, after=0.0)}
    open_house.until("watching")
    assert "norm-polite" in {row["suite"] for row in verdict(open_house)["suites"]}  # pyright: ignore[reportGeneralTypeIssues]


def test_a_cycle_of_other_things_must_not_lose_a_norm_in_force(open_house: Play):
    register(open_house, "polite")
    open_house.scores = {"norm-polite": Scores(after=0.5)}
    assert "norm-polite" in (open_house.until("rejected").reason or "")


def test_the_tolerance_of_norms_is_configured_and_a_suites_own_stands(open_house: Play):
    register(open_house, "polite")
    register(open_house, "brief")
    open_house.configure(gate={"norm_loss": 0.2, "suites": {"norm-brief": {"loss": 0.3}}})
    policy = GatePolicy.model_validate({"suites": {"norm-brief": {"loss": 0.3}}})
    open_house.until("curating")
    with open_house.world.store.read() as tx:
        found = steps.guarded(tx, open_house.newest(), policy, open_house.context.config)
    assert {name: one.loss for name, one in found.suites.items()} == {"norm-polite": 0.2, "norm-brief": 0.3}


def test_what_names_norms_waits_in_a_cycle_of_its_own(open_house: Play):
    register(open_house, "polite")
    named = prefer(open_house, ("polite", "add"))
    world = open_house.world
    plain = world.fill_pool(3, "preference")
    with world.store.write() as tx:
        pool.release(tx, open_house.newest().id, "test")
        from agent.store import cycles

        cycles.transition(tx, "c1", "diagnosing", "aborted", "ada", "test")
        started = start_cycle(tx, world.config, "operator", "ada", "test", 1)
        assert started is not None
        claimed = [row.id for row in pool.records_of(tx, started.id)]
    assert claimed in (named, plain)
