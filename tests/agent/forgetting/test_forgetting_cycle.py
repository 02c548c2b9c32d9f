"""A request becomes a cycle that waits for a person, is proven, judged and certified; what fails its proof is held."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agent.store import cycles, decisions, forgetting, plans, verdicts, versions
from learners.records import read_records
from monitors.forgetting_job import ByVersion, Extraction, ProveResult
from tests.agent.fake_jobs import BROKEN
from tests.agent.forgetting.forget_world import GOOD, IDS, Forgetful, note
from tests.agent.steps.cycle_world import Scores

MEMBERSHIP, NEIGHBOURS = GOOD.membership, GOOD.neighbours
assert MEMBERSHIP is not None and NEIGHBOURS is not None
LOST = ByVersion(before=1.0, after=0.6)


def changed(**fields: Any) -> ProveResult:
    """A good proof but for some fields."""
    return GOOD.model_copy(update=fields)


def nothing_done() -> ProveResult:
    """The proof of a job that changed no weight."""
    said = Extraction(tested=8, said=ByVersion(clean=0, before=8, after=8), records=("r1", "r2"))
    return changed(exposure=ByVersion(clean=1.3, before=6.0, after=6.0), extraction=said)


def test_a_request_waits_for_a_person_although_no_stage_has_to(taught: Forgetful):
    first = IDS[0]
    answer = taught.forget(first)
    assert (answer.outcome, answer.data["cycle"], answer.data["learned"]) == ("applied", "c2", 1)
    assert taught.until("awaiting_approval").resume_state == "curating"
    assert "c2-training" not in taught.jobs.specs
    with taught.world.store.read() as tx:
        plan = plans.get(tx, "c2").plan
    assert (plan["stage"], plan["decided_by"], plan["records"]) == ("forget", "ada", [first])


def test_what_is_forgotten_and_its_neighbours_are_what_training_is_given(taught: Forgetful):
    taught.forgotten(*IDS[:2])
    spec = taught.jobs.specs["c2-training"]
    assert (spec.stage, spec.held_out, spec.parent.name) == ("forget", (), "v1")
    assert [record.id for record in read_records(spec.data)] == IDS[:2]
    assert sorted(record.id for record in read_records(spec.retain)) == sorted(IDS[2:])


def test_the_proof_asks_candidate_parent_and_the_version_before_it_learned(taught: Forgetful):
    taught.forgotten(*IDS[:2])
    spec = taught.jobs.specs["c2-proving"]
    assert (spec.version.id, spec.parent.id, spec.clean.id) == ("v2", "v1", "v0")
    assert [record.id for record in read_records(spec.forgotten)] == IDS[:2]
    assert {record.id for record in read_records(spec.neighbours)} == set(IDS[2:])


def test_a_proven_version_serves_and_its_records_are_forgotten(taught: Forgetful):
    request = taught.forgotten(*IDS[:2])
    assert taught.world.serving()[0] == "v2"
    assert taught.states(*IDS[:3]) == ["forgotten", "forgotten", "learned"]
    assert (request.state, request.cycle, request.method) == ("done", "c2", "grad_diff")
    with taught.world.store.read() as tx:
        verdict = verdicts.get(tx, "c2")
    assert verdict is not None and verdict.outcome == "promote"
    assert verdict.verdict["reasons"][0].startswith("forgotten: exposure 1.5 bits")


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (nothing_done(), "still remembered: 6.0 bits of exposure"),
        (changed(suppression=ByVersion(clean=1.5, before=0.1, after=5.4)), "avoided, which is a trace"),
        (changed(membership=MEMBERSHIP.model_copy(update={"after": 0.1})), "AUC 0.10, below 0.50"),
        (changed(neighbours=NEIGHBOURS.model_copy(update={"recall": LOST})), "lost 0.40 of their recall"),
    ],
    ids=["nothing was done", "over-unlearned", "over-unlearned as membership sees it", "neighbours lost"],
)  # fmt: skip
def test_a_version_that_fails_its_proof_is_held_with_the_reason_and_the_remedy(
    taught: Forgetful, found: ProveResult, said: str
):
    taught.proof = found
    taught.forget(*IDS[:2])
    taught.tell("approve")
    held = taught.until("awaiting_approval")
    assert (
        held.resume_state == "promoting" and said in (held.reason or "") and "[training.forget]" in (held.reason or "")
    )
    assert taught.world.serving()[0] == "v1"
    assert taught.states(*IDS[:2]) == ["learned", "learned"]


def test_a_proof_that_cannot_be_had_holds(taught: Forgetful):
    taught.jobs.work["proving"] = BROKEN
    taught.forget(IDS[0])
    taught.tell("approve")
    assert "the proof is missing" in (taught.until("awaiting_approval").reason or "")
    assert taught.log.of("version.proof_failed")


def test_a_version_that_lost_a_suite_is_refused_however_well_it_forgot(taught: Forgetful):
    taught.scores["my-safety"] = Scores(after=0.0)
    taught.forget(IDS[0])
    taught.tell("approve")
    assert "my-safety" in (taught.until("rejected").reason or "")
    assert (taught.request().state, taught.states(IDS[0])) == ("ended", ["learned"])


def test_a_rejected_candidate_leaves_the_request_without_certificate(taught: Forgetful):
    taught.proof = nothing_done()
    taught.forget(IDS[0])
    taught.tell("approve")
    taught.until("awaiting_approval")
    taught.tell("reject")
    with taught.world.store.read() as tx:
        assert cycles.get(tx, "c2").state == "rejected"
        assert forgetting.certificate_of(tx, "f1") is None
    assert (taught.request().state, taught.states(IDS[0])) == ("ended", ["learned"])


def test_a_person_who_overrules_the_proof_stands_in_the_certificate_with_the_verdict(taught: Forgetful):
    taught.proof = nothing_done()
    taught.forget(IDS[0])
    taught.tell("approve")
    taught.until("awaiting_approval")
    taught.tell("approve", why="a court wants it today")
    taught.until("done")
    (worked,) = taught.certificate()["unlearned_by"]
    assert worked["verdict"] == "hold" and worked["proof"]["exposure"]["after"] == 6.0
    assert [(word["who"], word["what"]) for word in worked["approved_by"]] == [("ada", "plan"), ("ada", "version")]


def test_what_a_person_let_serve_after_a_refusal_is_certified_with_its_failed_proof_when_asked_again(taught: Forgetful):
    taught.proof = nothing_done()
    taught.forget(IDS[0])
    taught.tell("approve")
    taught.until("awaiting_approval")
    taught.tell("reject")
    taught.tell("promote", "v2")
    assert taught.forget(IDS[0]).data["learned"] == 0
    (worked,) = taught.certificate()["unlearned_by"]
    assert (worked["cycle"], worked["verdict"], worked["proof"]["exposure"]["after"]) == ("c2", "hold", 6.0)


def test_a_rolled_back_candidate_has_forgotten_nothing(taught: Forgetful):
    taught.scores["my-general"] = Scores(again=0.0)
    taught.forget(IDS[0])
    taught.tell("approve")
    taught.until("rolled_back")
    assert (taught.request().state, taught.states(IDS[0])) == ("ended", ["learned"])


def test_after_a_rollback_the_record_is_known_again_and_can_be_forgotten_again(forgetful: Forgetful):
    forgetful.tell("rollback", "v1")
    answer = forgetful.forget(IDS[0], dry_run=True)
    assert (answer.outcome, answer.data["learned"]) == ("would_apply", 1)


def test_after_a_rollback_what_was_forgotten_is_never_rehearsed_again(forgetful: Forgetful):
    forgetful.tell("rollback", "v1")
    forgetful.take_in([note(20)], "/inbox/later.txt")
    forgetful.learn_waiting()
    assert forgetful.jobs.specs["c3-training"].unrehearsed == (IDS[0],)


def test_an_aborted_request_changes_no_record_that_was_learned(taught: Forgetful):
    taught.take_in([note(20)], "/inbox/later.txt")
    taught.forget(IDS[0], note(20).id)
    taught.tell("cycle_abort")
    assert taught.states(IDS[0], note(20).id) == ["learned", "forgotten"]
    assert taught.request().state == "ended"


def test_nobody_but_a_person_can_approve_it(taught: Forgetful):
    taught.forget(IDS[0])
    with taught.world.store.read() as tx:
        assert decisions.of_cycle(tx, "c2") == []
    assert taught.until("awaiting_approval").id == "c2"


def test_the_card_of_a_version_that_forgot_says_so(taught: Forgetful):
    taught.forgotten(*IDS[:2])
    with taught.world.store.read() as tx:
        card = versions.get(tx, "v2").card or ""
    assert card.startswith("v2 forgot records that somebody asked to be forgotten, with grad_diff, from v1")


def test_no_content_of_a_forgotten_record_stands_in_request_certificate_or_command(taught: Forgetful):
    taught.forgotten(*IDS[:2])
    told = json.dumps([taught.certificate(), taught.request().asked, taught.forget(IDS[3], dry_run=True).data])
    assert IDS[0] in told
    assert "locker" not in told and "4000" not in told
