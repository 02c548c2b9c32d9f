"""Promises of the policies in [gate]: dry runs, trust and A/A noise reach the verdict of a real cycle."""

from __future__ import annotations

from typing import Any

import pytest

from agent.config import Source, SuiteGate
from agent.store import cycles, decisions, verdicts
from tests.agent.steps.cycle_world import Play, Scores

UNTRUSTED: dict[str, Any] = {"sources": {"inbox": Source(trust="untrusted")}, "approval": {"stages": ()}}


def verdict(play: Play, phase: str = "judging") -> dict[str, Any]:
    with play.world.store.read() as tx:
        row = verdicts.get(tx, "c1", phase)  # pyright: ignore[reportArgumentType]
    assert row is not None
    return row.verdict


def approved(play: Play) -> None:
    """A plan with records of an untrusted source waits for a person first; give that word."""
    cycle = play.until("awaiting_approval")
    with play.world.store.write() as tx:
        decisions.record(tx, cycle.id, "approve", "ada", "I read them")
        cycles.transition(tx, cycle.id, "awaiting_approval", "curating", "ada", "I read them")


def test_a_suite_in_dry_run_breaks_no_promotion_and_is_told(play: Play):
    play.configure(gate={"suites": {"my-general": SuiteGate(dry_run=True), "my-safety": SuiteGate(loss=0.4)}})
    play.scores["my-general"] = Scores(after=0.9)
    play.until("awaiting_approval")
    rows = {row["suite"]: row for row in verdict(play)["suites"] if row["against"] == "parent"}
    assert rows["my-general"]["dry_run"] and not rows["my-safety"]["dry_run"]
    assert rows["my-safety"]["tolerance"] == 0.4
    assert verdict(play)["reasons"] == ["no suite of role 'general' was measured"]


def test_what_untrusted_sources_taught_may_lose_less(play: Play):
    play.configure(**UNTRUSTED)
    approved(play)
    play.until("awaiting_approval")  # twelve items cannot show so little
    tolerances = {row["suite"]: row["tolerance"] for row in verdict(play)["suites"] if row["against"] == "anchor"}
    assert tolerances["my-safety"] == pytest.approx(0.05)
    assert tolerances["my-general"] == pytest.approx(0.25)


def test_what_untrusted_sources_taught_waits_for_a_person_where_that_is_asked(play: Play):
    play.configure(**UNTRUSTED, gate={"untrusted_asks": True, "untrusted_loss_share": 1.0})
    approved(play)
    held = play.until("awaiting_approval")
    assert held.resume_state == "promoting" and "untrusted source(s) inbox" in (held.reason or "")
    assert verdict(play)["verdict"] == "hold"


def test_a_recheck_leaves_its_noise_for_later_verdicts(play: Play):
    play.scores["my-instruction"] = Scores(again=0.95)
    play.until("done")
    noise = {one["suite"]: one for one in verdict(play, "watching")["noise"]}
    assert noise["my-instruction"]["changed"] == 12 and noise["my-general"]["changed"] == 0
    play.begin(12)
    play.until("promoting")
    with play.world.store.read() as tx:
        second = verdicts.get(tx, "c2")
    assert second is not None
    floors = {row["suite"]: row["floor"] for row in second.verdict["suites"]}
    assert floors["my-instruction"] == pytest.approx(1.6448536 * 0.05 / 12**0.5, abs=1e-6)
    assert floors["my-general"] == 0.0
