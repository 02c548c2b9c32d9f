"""Promises of retiring: what a retired norm taught is looked for, let go on a person's word, and measured both ways."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from agent.store import control, jobs, norms, plans, pool, verdicts
from agent.store.columns import now
from agent.trigger import Trigger
from learners.records import read_records
from monitors.gaps import retired
from monitors.gate.retired import reading
from monitors.job import DiagnoseResult, DiagnoseSpec, Measurement
from monitors.probes.suites import Suite, load_suite, read_probe, write_suite
from tests.agent.steps.cycle_world import Play, Scores
from tests.agent.steps.norm_world import approve, prefer, register

IN_SCOPE, NEAR = 30, 10


def polite() -> Suite:
    """Thirty probes in the norm's scope and ten near misses."""
    asked = {"scorer": "choice", "prompt": "?", "choices": ["yes", "no"], "answer": 0}
    parts = [("in-scope", n) for n in range(IN_SCOPE)] + [("near-miss", n) for n in range(NEAR)]
    items = tuple(read_probe({**asked, "id": f"{part}-{n}", "slice": part}) for part, n in parts)
    return Suite(suite="norm-polite", role="target", items=items)


@pytest.fixture
def taught(play: Play) -> Play:
    """v1 learned `polite` from eight preferences and follows it everywhere; v0 nowhere, near misses apart."""
    return teach(play)


def teach(play: Play) -> Play:
    """As `taught`, on a root that a test made ready."""
    register(play, "polite")
    write_suite(play.world.layout.suites / "norm-polite.jsonl", polite())
    play.scores = {"norm-polite": Scores(before=0.0)}
    prefer(play, *[("polite", "add")] * 8)
    play.until("awaiting_approval")
    approve(play)
    play.until("done")
    play.scores = {}
    follow(play, IN_SCOPE)
    return play


def follow(play: Play, followed: int) -> None:
    """Let every diagnosis find that the version follows so many of the thirty; the job's row keeps the answer."""

    def found(spec: DiagnoseSpec, output: Path) -> Mapping[str, Any]:
        answer = diagnosed(spec, output, followed)
        job_id = f"{play.newest().id}-diagnosing"
        with play.world.store.write() as tx:
            jobs.start_attempt(tx, job_id, 1, 1.0)
            jobs.finish(tx, job_id, answer, {})
        return answer

    play.jobs.work["diagnosing"] = found


def retire(play: Play) -> bool:
    """Somebody retires the norm, and the daemon looks around; whether a cycle starts."""
    with play.world.store.write() as tx:
        norms.retire(tx, "polite", now(), "ada", "nobody wants it any more")
    return Trigger(play.context).turn(0.0)


def diagnosed(spec: DiagnoseSpec, output: Path, followed: int) -> dict[str, Any]:
    """What a diagnosis finds if the version follows so many of the thirty items, and the one without it none."""
    (one,) = spec.retired
    suite, records = load_suite(one.suite), list(read_records(spec.records))
    mine, clean = (
        [_row(suite, version, n, spec, right > n or n >= IN_SCOPE) for n in range(IN_SCOPE + NEAR)]
        for version, right in ((spec.version.id, followed), (one.without.id, 0))
    )
    found = reading(one.norm, mine, clean, spec.retirement)
    lines = [row.model_dump_json() + "\n" for row in (*mine, *clean)]
    (output / "measurements.jsonl").write_text("".join(lines), encoding="utf-8")
    return DiagnoseResult(
        gaps=retired.gaps([(found, mine)], records, spec), held_out=(), held_out_records=(), probes=0, failed=0,
        followed=(found,),
    ).model_dump(mode="json")  # fmt: skip


def _row(suite: Suite, version: str, place: int, spec: DiagnoseSpec, right: bool) -> Measurement:
    probe = suite.items[place]
    return Measurement(
        version=version, suite=suite.suite, suite_digest=suite.digest, role=suite.role, probe=probe.id,
        slice=probe.slice, scorer=probe.scorer, score=float(right), engine=spec.engine.digest(),
    )  # fmt: skip


def leave(play: Play, followed: int) -> None:
    """The candidate follows the norm on so many of the thirty items, and changes no near miss."""
    play.failing = {f"in-scope-{n}" for n in range(followed, IN_SCOPE)}


def test_what_taught_a_retired_norm_comes_back_in_a_cycle_of_its_own(taught: Play):
    assert retire(taught)
    cycle = taught.newest()
    with taught.world.store.read() as tx:
        rows = pool.records_of(tx, cycle.id)
        learned = pool.records_of(tx, "c1")
    assert (cycle.trigger, cycle.state) == ("norm", "diagnosing")
    assert [row.content for row in rows] == [{**row.content, "change": "retire"} for row in learned]
    assert {row.state for row in learned} == {"learned"} and {row.source for row in rows} == {"inbox"}


def test_the_plan_is_value_revision_and_waits_for_a_person_with_the_numbers(taught: Play):
    taught.configure(approval={"stages": ()})
    retire(taught)
    cycle = taught.until("awaiting_approval")
    assert (cycle.resume_state, cycle.method) == ("curating", "value_revision")
    assert "8 preference(s) retire 'polite'" in (cycle.reason or "")
    assert "followed in 1.00 of 30 items, 0.00 by v0, which never learned it" in (cycle.reason or "")


def test_what_is_let_go_is_promoted_and_says_so(taught: Play):
    retire(taught)
    leave(taught, 0)
    taught.until("awaiting_approval")
    approve(taught)
    taught.until("done")
    with taught.world.store.read() as tx:
        found = verdicts.get(tx, "c2")
        change = plans.get(tx, "c2").plan["norms"][0]["change"]
    assert found is not None and found.outcome == "promote" and change == "retire"
    assert "let go: norm 'polite' is retired and followed in 0.00 of 30 items" in found.verdict["reasons"][0]


def test_what_is_followed_still_is_held_for_a_person(taught: Play):
    retire(taught)
    leave(taught, 12)
    taught.until("awaiting_approval")
    approve(taught)
    held = taught.until("awaiting_approval")
    assert held.resume_state == "promoting"
    assert "retiring 'polite': it is followed still, in 0.40 of 30 items, 0.00 by v0" in (held.reason or "")


def test_a_retired_norm_that_is_followed_no_more_trains_nothing_and_comes_back_no_more(taught: Play):
    follow(taught, 1)
    retire(taught)
    ended = taught.until("no_action")
    assert "followed in 0.03 of 30 items, 0.00 by v0" in (ended.reason or "")
    assert "c2-training" not in taught.jobs.specs and not Trigger(taught.context).turn(100.0)


@pytest.mark.parametrize("kept", ["suite", "heir", "pause"])
def test_nothing_starts_for_a_norm_without_a_suite_one_with_an_heir_or_in_a_pause(play: Play, kept: str):
    register(play, "warm", days_ago=9)
    with play.world.store.write() as tx:
        if kept == "suite":
            norms.add(tx, norms.Draft("brief", "Be brief.", now()), "ada", "x")
            norms.retire(tx, "brief", now(), "ada", "x")
        elif kept == "heir":
            norms.revise(tx, "warm", norms.Draft("warmer", "Be warmer.", now()), "ada", "x")
        else:
            norms.retire(tx, "warm", now(), "ada", "x")
            control.pause(tx, "disk: full", who="daemon", fix="free some")
    assert not Trigger(play.context).turn(0.0)


def test_what_was_held_out_as_a_probe_is_not_taken_out(play: Play):
    play.holding_out = 3
    retire(teach(play))
    with play.world.store.read() as tx:
        assert len(pool.records_of(tx, "c2")) == 5


def test_a_judgement_without_a_reading_of_the_norm_wins_nothing(taught: Play, monkeypatch: pytest.MonkeyPatch):
    """The fault, planted: a diagnosis that says nothing of the norms that the plan retires."""
    retire(taught)
    leave(taught, 0)
    taught.until("awaiting_approval")
    approve(taught)
    monkeypatch.setattr("agent.steps.letting_go._followed", lambda *_: [])
    assert "nothing can have been won" in (taught.until("awaiting_approval").reason or "")
