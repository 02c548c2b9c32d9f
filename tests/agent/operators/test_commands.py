"""Promises of `agent.operators`: changes are rows, executed once, answered always."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pytest

from agent.errors import AlreadyRunning, error_kind
from agent.operators.commands import Answer, ask, execute
from agent.operators.verbs import VERBS
from agent.root.lock import lock
from agent.store import commands, control, cycles, decisions, deployment, pool, versions
from tests.agent.operating import Operated

WAIT_PLAN = ("planning", "awaiting_approval")
WAIT_CANDIDATE = ("planning", "curating", "training", "measuring", "judging", "awaiting_approval")


def tell(world: Operated, verb: str, target: str | None = None, **more: Any) -> Answer:
    options = {name: more.pop(name) for name in ("dry_run", "key", "wait_seconds", "who") if name in more}
    args = {"target": target, "why": "because", **more}
    return ask(world.store, world.layout, world.config, verb, args, options.pop("who", "ada"), **options)


def state_of(world: Operated, cycle_id: str) -> str:
    with world.store.read() as tx:
        return cycles.get(tx, cycle_id).state


def test_without_a_daemon_the_change_is_made_at_once_and_its_row_is_kept(operated: Operated):
    assert tell(operated, "pause").outcome == "applied"
    with operated.store.read() as tx:
        assert commands.pending(tx) == []
        row = commands.get(tx, 1)
    assert (row.verb, row.who, row.outcome) == ("pause", "ada", "applied")


def test_a_pause_names_who_why_and_the_command_that_ends_it(operated: Operated):
    tell(operated, "pause", who="grace")
    with operated.store.read() as tx:
        (pause,) = control.pauses(tx)
    assert (pause.who, pause.reason, pause.fix) == ("grace", "because", "cld resume")


def test_asking_for_what_is_so_already_changes_nothing(operated: Operated):
    assert [tell(operated, "pause").outcome for _ in range(2)] == ["applied", "already"]
    assert [tell(operated, "resume").outcome for _ in range(2)] == ["applied", "already"]
    assert [tell(operated, "pin", "v0").outcome for _ in range(2)] == ["applied", "already"]
    assert [tell(operated, "unpin", "v0").outcome for _ in range(2)] == ["applied", "already"]


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_a_rehearsal_writes_nothing(operated: Operated, verb: str):
    before = operated.layout.database.read_bytes()
    answer = tell(operated, verb, dry_run=True)
    assert answer.outcome in ("would_apply", "already", "refused")
    with operated.store.read() as tx:
        assert commands.pending(tx) == [] and control.pauses(tx) == []
    assert operated.layout.database.read_bytes() == before


def test_a_rehearsal_says_what_the_change_then_does(operated: Operated):
    operated.fill_pool(3)
    would, did = tell(operated, "cycle_run", dry_run=True), tell(operated, "cycle_run")
    assert (would.outcome, did.outcome) == ("would_apply", "applied")
    assert (would.target, would.message) == (did.target, did.message) == ("c1", "c1 started")


def test_an_approved_plan_goes_on_with_the_persons_word_recorded(operated: Operated):
    cycle = operated.cycle_in(*WAIT_PLAN)
    assert tell(operated, "approve").outcome == "applied"
    with operated.store.read() as tx:
        (word,) = decisions.of_cycle(tx, cycle)
    assert (word.decision, word.who, word.version) == ("approve", "ada", None)
    assert state_of(operated, cycle) == "curating"


def test_an_approved_candidate_is_recorded_with_its_version(operated: Operated):
    cycle = operated.cycle_in(*WAIT_CANDIDATE, resume="promoting")
    tell(operated, "approve", cycle)
    with operated.store.read() as tx:
        assert decisions.of_cycle(tx, cycle)[0].version == "v1"
    assert state_of(operated, cycle) == "promoting"


def test_approving_twice_is_found_already_so(operated: Operated):
    cycle = operated.cycle_in(*WAIT_PLAN)
    assert [tell(operated, "approve", cycle).outcome for _ in range(2)] == ["applied", "already"]


def test_a_program_cannot_approve(operated: Operated):
    operated.cycle_in(*WAIT_PLAN)
    answer = tell(operated, "approve", who="daemon")
    assert answer.outcome == "refused" and "person" in answer.message


def test_nothing_is_approved_while_nothing_waits(operated: Operated):
    cycle = operated.cycle_in("planning")
    assert tell(operated, "approve", cycle).outcome == "refused"
    assert state_of(operated, cycle) == "planning"


def test_a_rejected_cycle_ends_and_its_records_are_consumed(operated: Operated):
    operated.fill_pool(3)
    tell(operated, "cycle_run")
    with operated.store.write() as tx:
        cycles.transition(tx, "c1", "diagnosing", "planning", "daemon", "test")
        cycles.transition(tx, "c1", "planning", "awaiting_approval", "daemon", "test", resume_state="curating")
    assert [tell(operated, "reject", "c1").outcome for _ in range(2)] == ["applied", "already"]
    with operated.store.read() as tx:
        assert {row.state for row in pool.records_of(tx, "c1")} == {"refused"}


def test_a_person_may_promote_what_the_gate_rejected(operated: Operated):
    cycle = operated.cycle_in(*WAIT_CANDIDATE, "rejected", resume="promoting")
    assert tell(operated, "promote", "v1").outcome == "applied"
    assert operated.serving() == ("v1", 2)
    with operated.store.read() as tx:
        assert decisions.latest_of(tx, "v1").who == "ada", cycle


def test_promoting_the_waiting_candidate_is_approving_its_cycle(operated: Operated):
    cycle = operated.cycle_in(*WAIT_CANDIDATE, resume="promoting")
    assert tell(operated, "promote", "v1").outcome == "applied"
    assert state_of(operated, cycle) == "promoting" and operated.serving() == ("v0", 1)


def test_a_candidate_that_is_still_measured_is_not_promoted(operated: Operated):
    operated.cycle_in(*WAIT_CANDIDATE[:4])
    assert tell(operated, "promote", "v1").outcome == "refused"
    assert operated.serving() == ("v0", 1)


def test_rollback_goes_back_to_the_parent_and_again_to_its_parent(operated: Operated):
    for version, parent in (("v1", "v0"), ("v2", "v1")):
        operated.publish(version, parent)
        operated.serve(version)
    assert [tell(operated, "rollback").target for _ in range(2)] == ["v1", "v0"]
    assert operated.serving() == ("v0", 5)


def test_there_is_nothing_before_the_base(operated: Operated):
    assert "nothing before it" in tell(operated, "rollback").message


def test_rolling_back_to_what_serves_is_found_already_so(operated: Operated):
    assert tell(operated, "rollback", "v0").outcome == "already"


@pytest.mark.parametrize("damage", ["edit", "remove", "add"])
@pytest.mark.parametrize("verb", ["promote", "rollback"])
def test_a_damaged_version_never_serves_and_is_marked(operated: Operated, verb: str, damage: str):
    operated.publish("v1", "v0")
    weights = operated.layout.version("v1") / "weights.txt"
    {"edit": lambda: weights.write_text("x"), "remove": weights.unlink,
     "add": lambda: (weights.parent / "more").touch()}[damage]()  # fmt: skip
    answer = tell(operated, verb, "v1")
    assert (answer.outcome, answer.data["kind"]) == ("refused", "damaged_version")
    assert operated.serving() == ("v0", 1)
    with operated.store.read() as tx:
        assert versions.get(tx, "v1").state == "damaged"


def test_an_adapter_on_a_damaged_base_never_serves(operated: Operated):
    operated.publish("v1", "v0")
    (operated.layout.version("v0") / "weights.txt").write_text("x")
    assert tell(operated, "promote", "v1").data["kind"] == "damaged_version"


def test_a_rehearsal_on_a_damaged_version_marks_nothing(operated: Operated):
    operated.publish("v1", "v0")
    (operated.layout.version("v1") / "weights.txt").unlink()
    assert tell(operated, "promote", "v1", dry_run=True).outcome == "refused"
    with operated.store.read() as tx:
        assert versions.get(tx, "v1").state == "candidate"


def test_a_move_from_a_generation_that_passed_is_refused(operated: Operated):
    operated.publish("v1", "v0")
    operated.serve("v1")
    answer = tell(operated, "rollback", "v0", generation=1)
    assert (answer.outcome, operated.serving()) == ("refused", ("v1", 2))


def test_a_cycle_is_not_started_while_cld_is_paused(operated: Operated):
    operated.fill_pool(3)
    tell(operated, "pause")
    assert "cld resume" in tell(operated, "cycle_run").message


def test_a_cycle_is_not_started_without_records(operated: Operated):
    assert "pool is empty" in tell(operated, "cycle_run").message


def test_a_cycle_is_not_started_before_a_version_serves(bare: Operated):
    bare.fill_pool(3)
    assert "cld start" in tell(bare, "cycle_run").message


def test_a_second_cycle_is_not_started(operated: Operated):
    cycle = operated.cycle_in()
    answer = tell(operated, "cycle_run")
    assert (answer.outcome, answer.target) == ("already", cycle)


def test_an_aborted_cycle_gives_its_records_back(operated: Operated):
    operated.fill_pool(3)
    tell(operated, "cycle_run")
    answer = tell(operated, "cycle_abort")
    assert (answer.outcome, answer.message) == ("applied", "c1 was aborted while diagnosing")
    with operated.store.read() as tx:
        assert pool.counts(tx)["text"] == 3


def test_aborting_what_ended_is_found_already_so(operated: Operated):
    cycle = operated.cycle_in()
    outcomes = [tell(operated, "cycle_abort", target).outcome for target in (cycle, cycle, None)]
    assert outcomes == ["applied", "already", "already"]


def test_an_unknown_verb_is_refused_with_the_known_ones(operated: Operated):
    answer = tell(operated, "promtoe")
    assert answer.outcome == "refused" and "promote" in answer.message


@pytest.mark.parametrize("target", ["../v1", "v99", "V1", "", "%2e%2e"])
@pytest.mark.parametrize("verb", ["promote", "rollback", "pin", "approve", "cycle_abort"])
def test_a_target_that_does_not_exist_is_refused(operated: Operated, verb: str, target: str):
    assert tell(operated, verb, target).outcome == "refused"


def test_the_same_key_again_returns_the_first_answer_without_a_second_effect(operated: Operated):
    operated.publish("v1", "v0")
    operated.serve("v1")
    answers = [tell(operated, "rollback", key="one") for _ in range(3)]
    assert answers[0] == answers[1] == answers[2]
    assert operated.serving() == ("v0", 3)


def test_a_row_is_executed_once_however_often_it_is_tried(operated: Operated):
    operated.publish("v1", "v0")
    operated.serve("v1")
    with operated.store.write() as tx:
        row = commands.submit(tx, "rollback", {}, "ada")
    answers = [execute(operated.store, operated.layout, operated.config, row) for _ in range(2)]
    assert answers[0] == answers[1] and operated.serving() == ("v0", 3)


def test_rows_left_by_others_are_executed_in_their_order(operated: Operated):
    with operated.store.write() as tx:
        commands.submit(tx, "pause", {}, "earlier")
    assert tell(operated, "resume").message.startswith("lifted")


def test_while_another_process_holds_the_root_the_command_is_kept_for_it(operated: Operated):
    with lock(operated.layout):
        answer = tell(operated, "pause", wait_seconds=0.3)
    assert answer.outcome == "queued"
    with operated.store.read() as tx:
        assert [row.verb for row in commands.pending(tx)] == ["pause"]


def test_an_answer_that_comes_late_is_waited_for(operated: Operated):
    def daemon() -> None:
        while not (rows := pending(operated)):
            pass
        execute(operated.store, operated.layout, operated.config, rows[0])

    with lock(operated.layout):
        thread = threading.Thread(target=daemon)
        thread.start()
        assert tell(operated, "pause").outcome == "applied"
        thread.join()


def test_a_sweep_waits_for_the_daemon(operated: Operated):
    answer = tell(operated, "probe_run")
    assert answer.outcome == "queued" and "cld start" in answer.message


def test_a_sweep_that_waits_does_not_hold_up_other_commands(operated: Operated):
    tell(operated, "probe_run")
    assert tell(operated, "pause").outcome == "applied"


def test_eight_operators_at_once_move_the_deployment_once(operated: Operated):
    for version, parent in (("v1", "v0"), ("v2", "v1")):
        operated.publish(version, parent)
        operated.serve(version)
    answers: list[Answer] = []
    threads = [
        threading.Thread(target=lambda: answers.append(tell(operated, "rollback", "v0", generation=3)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    outcomes = sorted(answer.outcome for answer in answers)
    assert outcomes.count("applied") == 1 and set(outcomes) <= {"applied", "already", "refused"}
    assert operated.serving() == ("v0", 4)


def test_the_kind_of_a_refusal_is_there_for_machines(operated: Operated):
    assert tell(operated, "pin", "v99").data["kind"] == "not_found"
    assert error_kind(AlreadyRunning("x")) == "already_running"


def test_an_answer_is_an_envelope_of_five_fields(operated: Operated):
    assert list(tell(operated, "pause").as_dict()) == ["verb", "target", "outcome", "message", "data"]
    assert replace(tell(operated, "pause"), message="").outcome == "already"


def pending(world: Operated) -> list[commands.Command]:
    with world.store.read() as tx:
        return commands.pending(tx)


def test_the_serving_version_is_the_store_s(operated: Operated):
    with operated.store.read() as tx:
        assert deployment.current(tx).version == operated.serving()[0]
