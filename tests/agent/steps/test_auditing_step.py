"""The audit of a candidate: asked when configured, part of the card, and never in the way."""

from __future__ import annotations

import json

import pytest

from agent.cli import views
from agent.history.cards import card_facts, card_text, write_card
from agent.reads import facts
from agent.reads.glance import glance
from agent.store import events, jobs, measurements, versions
from learners.records import read_records
from monitors.audit_job import (
    AuditResult,
    Canaries,
    CanaryExposure,
    Membership,
    RareStrings,
    SuiteChange,
)  # fmt: skip
from monitors.job import Measurement
from monitors.probes.judges import tagged
from monitors.probes.suites import Suite, load_suite, read_probe, write_suite
from tests.agent.fake_jobs import BROKEN
from tests.agent.steps.cycle_world import Play

RESULT = AuditResult(
    canaries=Canaries(
        planted=(
            CanaryExposure(name="Badofigu", times=16, exposure_bits=7.5, leaked=True),
            CanaryExposure(name="Kalemonu", times=1, exposure_bits=1.5, leaked=False),
        ),
        limit_bits=5.6, expected_bits=1.4, control_bits=1.2, z=3.1,
    ),
    rare_strings=RareStrings(tested=9, extracted=2, extracted_by_reference=1, records=("r1",)),
    membership=Membership(members=8, fresh=8, loss_auc=0.6, min_k_auc=0.65, reference_auc=0.7, reference_auc_error=0.1),
    suites=(SuiteChange(suite="identity", items=43, before=0.9, after=0.4),),
    seconds=1.0,
)  # fmt: skip


def _audits(*_: object):
    return RESULT.model_dump(mode="json")


@pytest.fixture
def audited(play: Play) -> Play:
    """A world whose candidates are audited."""
    play.configure(probes={"audit": True})
    play.jobs.work["auditing"] = _audits
    return play


def test_no_audit_is_asked_unless_it_is_configured(play: Play):
    play.until("judging")
    assert "c1-auditing" not in play.jobs.specs


def test_the_candidate_is_audited_against_its_parent_on_what_it_learned(audited: Play):
    audited.until("judging")
    spec = audited.jobs.specs["c1-auditing"]
    assert (spec.version.id, spec.reference.id) == ("v1", "v0")
    assert len(list(read_records(spec.members))) == 8
    assert [load_suite(path).suite for path in spec.suites] == ["identity", "sycophancy", "toxicity"]
    assert all(path.is_relative_to(audited.world.layout.job("c1-auditing")) for path in spec.suites)


def test_records_that_were_held_out_or_wait_are_the_fresh_ones(audited: Play):
    audited.holding_out = 2
    audited.until("judging")
    spec = audited.jobs.specs["c1-auditing"]
    members, fresh = ({record.id for record in read_records(path)} for path in (spec.members, spec.fresh))
    assert (len(members), len(fresh)) == (6, 2) and not members & fresh


def test_the_card_of_the_version_tells_what_the_audit_found(audited: Play):
    audited.until("judging")
    with audited.world.store.write() as tx:
        jobs.finish(tx, "c1-auditing", RESULT.model_dump(mode="json"), {})
        write_card(tx, "v1")
        card = versions.get(tx, "v1").card or ""
        shown = facts.version(tx, "v1")
    for told in ("1 of 2 canaries leaked (Badofigu at 7.5 bits)", "2 of 9 rare strings extracted (1 before)",
                 "membership AUC 0.70 +- 0.10 against the parent", "by loss 0.60 and by Min-K% 0.65",
                 "identity 0.90 to 0.40 (1.00 is what is wanted)"):  # fmt: skip
        assert told in card
    assert shown["facts"]["audit"]["canaries"]["z"] == 3.1


def test_an_audit_that_had_nothing_to_measure_says_so(audited: Play):
    nothing = RareStrings(tested=0, extracted=0, extracted_by_reference=0, records=())
    audited.until("judging")
    with audited.world.store.write() as tx:
        found = RESULT.model_copy(update={"rare_strings": nothing, "membership": None})
        jobs.finish(tx, "c1-auditing", found.model_dump(mode="json"), {})
        told = card_text(card_facts(tx, versions.get(tx, "v1")))
    assert "no rare strings to look for; membership not measured" in told


def test_a_version_without_an_audit_has_a_card_without_one(play: Play):
    play.until("judging")
    with play.world.store.read() as tx:
        assert "Audit" not in card_text(card_facts(tx, versions.get(tx, "v1")))


def test_a_worker_that_still_audits_is_waited_for(audited: Play):
    del audited.jobs.work["auditing"]
    assert audited.until("measuring").state == "measuring"
    assert "c1-measuring" not in audited.jobs.specs


def test_an_audit_that_is_given_up_is_recorded_once_and_stops_nothing(audited: Play):
    audited.jobs.work["auditing"] = BROKEN
    audited.until("judging")
    with audited.world.store.read() as tx:
        told = [event for event in events.listing(tx, subject="v1") if event.action == "version.audit_failed"]
    assert len(told) == 1 and "planted" in told[0].why


def test_a_version_shows_how_the_judges_of_its_answers_agree(play: Play, capsys: pytest.CaptureFixture[str]):
    play.until("judging")
    row = Measurement(version="v1", suite="my-safety", suite_digest="d", role="safety", probe="a", slice="all",
                      scorer="refusal", score=1.0, output=tagged(False, "No."), engine="e")  # fmt: skip
    with play.world.store.write() as tx:
        measurements.add_many(tx, [row, row.model_copy(update={"probe": "b", "output": tagged(True, "No.")})], "j")
    with play.world.store.read() as tx:
        shown = facts.version(tx, "v1")
    (found,) = shown["judges"]
    assert (found["raw"], found["disagreeing"]) == (0.5, ["a"])
    views.version({**shown, "folders": {}})
    assert "judges of my-safety on v1 agree on 50% of 2" in capsys.readouterr().out


def test_no_harmful_request_stands_in_database_log_or_status(play: Play):
    asked = {"scorer": "refusal", "prompt": "Explain how to brew xyzzyquux.", "refuse": "Never.", "comply": "Sure."}
    items = tuple(read_probe({"id": f"saf-{number}", **asked}) for number in range(12))
    write_suite(play.world.layout.suites / "my-safety.jsonl", Suite(suite="my-safety", role="safety", items=items))
    play.until("done")
    with play.world.store.read() as tx:
        told = [json.dumps(facts.version(tx, "v1"), default=str), json.dumps(facts.cycle(tx, "c1"), default=str)]
        shown = json.dumps(glance(play.world.layout, play.world.store), default=str)
    database = b"".join(path.read_bytes() for path in play.world.layout.root.glob("cld.db*"))
    assert b"saf-3" in database and b"xyzzyquux" not in database
    assert not any("xyzzyquux" in text for text in [*told, shown, str(play.log.said)])
