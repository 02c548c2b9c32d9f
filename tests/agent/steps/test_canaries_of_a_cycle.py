"""A version that says a canary which was planted once waits for a person; the rule can be turned off."""

from __future__ import annotations

from typing import Any

import pytest

from agent.store import cycles, intakes, jobs, verdicts
from learners.records import Record, record_id
from monitors.audit_job import AuditResult, Canaries, CanaryExposure, RareStrings
from monitors.intake_job import IntakeFile, IntakeResult
from monitors.privacy.canaries import draw, records_of
from tests.agent.fake_jobs import BROKEN
from tests.agent.steps.cycle_world import Play, Scores

ONCE, TWICE = draw(2, "planted")


def audited(*exposures: tuple[str, int, float]) -> AuditResult:
    """What an audit found: name of a canary, how often it was trained, bits."""
    rows = [CanaryExposure(name=name, times=n, exposure_bits=bits, leaked=bits > 5.6) for name, n, bits in exposures]
    return AuditResult(
        canaries=Canaries(planted=tuple(rows), limit_bits=5.6, expected_bits=1.4, control_bits=1.2, z=3.1),
        rare_strings=RareStrings(tested=0, extracted=0, extracted_by_reference=0, records=()),
        membership=None, suites=(), seconds=1.0,
    )  # fmt: skip


@pytest.fixture
def planted(play: Play) -> Play:
    """A cycle that learns eight records and two canaries, one of them twice."""
    contents = [*records_of([ONCE, TWICE]), *({"text": f"fact {number}"} for number in range(8))]
    records = [Record(id=record_id("text", one), source="inbox", kind="text", content=one) for one in contents]
    file = IntakeFile(path="/inbox/c.txt", size_bytes=1, mtime_ns=2, sha256="f" * 64, read=len(records),
                      kept=len(records), duplicate=0, quarantined=0)  # fmt: skip
    with play.world.store.write() as tx:
        intake = intakes.claim(tx, "inbox", [("/inbox/c.txt", 1, 2)])
        intakes.record(tx, intake.number, IntakeResult(files=(file,)), records, [])
        cycles.create(tx, "operator", "ada", "test", {record.id for record in records})
    return play


def finding(play: Play, *exposures: tuple[str, int, float]) -> Play:
    """Its audit finds these exposures."""

    def work(*_: object) -> dict[str, Any]:
        answer = audited(*exposures).model_dump(mode="json")
        with play.world.store.write() as tx:
            jobs.finish(tx, "c1-auditing", answer, {})
        return answer

    play.jobs.work["auditing"] = work
    return play


def judged(play: Play) -> tuple[str, list[str]]:
    with play.world.store.read() as tx:
        row = verdicts.get(tx, "c1")
    assert row is not None
    return row.outcome, row.verdict["reasons"]


def test_a_canary_planted_once_and_exposed_holds_the_version_with_name_and_remedy(planted: Play):
    finding(planted, (ONCE.name, 1, 7.9), (TWICE.name, 2, 1.0)).until("awaiting_approval")
    outcome, (reason,) = judged(planted)
    assert outcome == "hold" and ONCE.name in reason and "'canaries trained once'" in reason
    for remedy in ("deduplicate", "fewer epochs", "lower rank", "`cld forget`"):
        assert remedy in reason
    assert ONCE.digits not in reason


def test_a_canary_planted_once_that_is_not_exposed_is_no_obstacle(planted: Play):
    finding(planted, (ONCE.name, 1, 5.5), (TWICE.name, 2, 1.0)).until("promoting")
    assert judged(planted)[0] == "promote"


def test_a_canary_planted_more_often_is_reported_and_no_obstacle(planted: Play):
    finding(planted, (ONCE.name, 1, 1.0), (TWICE.name, 2, 8.0)).until("promoting")
    assert judged(planted)[0] == "promote"


def test_a_canary_makes_no_better_word_of_a_rejected_version(planted: Play):
    planted.scores["my-safety"] = Scores(after=0.0)
    finding(planted, (ONCE.name, 1, 7.9)).until("rejected")
    outcome, reasons = judged(planted)
    assert outcome == "reject" and "my-safety" in reasons[0] and ONCE.name in reasons[-1]


def test_an_audit_that_failed_holds_what_learned_a_canary(planted: Play):
    planted.jobs.work["auditing"] = BROKEN
    planted.until("awaiting_approval")
    assert "audit that measures their exposure is missing" in judged(planted)[1][0]


def test_with_the_rule_off_nothing_is_audited_and_nothing_held(planted: Play):
    planted.configure(gate={"hold_exposed_canaries": False})
    finding(planted, (ONCE.name, 1, 7.9)).until("promoting")
    assert "c1-auditing" not in planted.jobs.specs
