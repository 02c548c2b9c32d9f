"""Promises of looks: an unclear suite is measured further, once per look, and whatever interrupts that is held."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from agent import cycle as loop
from agent.store import cycles, jobs, verdicts
from monitors.gate.looks import chosen
from monitors.probes.suites import Suite, write_suite
from tests.agent.fake_jobs import BROKEN
from tests.agent.steps.cycle_world import Play, suite

BIG = suite("my-general", "general", items=60)


@pytest.fixture
def big(play: Play) -> Play:
    """A cycle whose general suite has 60 items, 20 of them for the first look."""
    write_suite(play.world.layout.suites / "my-general.jsonl", BIG)
    play.configure(gate={"first_items": 20, "most_items": 80, "general_loss": 0.2, "resamples": 100})
    return play


def failing_first(big: Suite, count: int) -> set[str]:
    """The first items of the first look."""
    return {probe.id for probe in chosen(big, 20)[:count]}


def measuring_jobs(play: Play) -> Sequence[str]:
    return [job_id for job_id in play.jobs.specs if "measuring" in job_id]


def verdict(play: Play) -> str | None:
    with play.world.store.read() as tx:
        row = verdicts.get(tx, "c1")
    return row.outcome if row else None


def test_what_is_clear_at_the_first_look_is_measured_no_further(big: Play):
    big.until("promoting")
    assert measuring_jobs(big) == ["c1-measuring"]
    asked = {key for key in big.jobs.specs["c1-measuring"].skip if key.startswith("v1/my-general/")}
    assert len(asked) == 40


def test_an_unclear_suite_and_only_that_is_measured_further_and_then_judged(big: Play):
    big.failing = failing_first(BIG, 5)
    big.until("promoting")
    assert measuring_jobs(big) == ["c1-measuring", "c1-measuring-2"]
    spec = big.jobs.specs["c1-measuring-2"]
    assert [path.stem for path in spec.suites] == ["my-general"]
    new = {probe.id for probe in BIG.items if f"v1/my-general/{probe.id}" not in spec.skip}
    assert new == {probe.id for probe in BIG.items} - {probe.id for probe in chosen(BIG, 20)}
    assert verdict(big) == "promote"


def test_what_stays_unclear_at_the_last_look_waits_for_a_person(big: Play):
    big.failing = {probe.id for probe in BIG.items[:11]}
    big.until("awaiting_approval")
    assert measuring_jobs(big) == ["c1-measuring", "c1-measuring-2"]
    assert verdict(big) == "hold"


def test_a_further_look_that_comes_too_late_is_held_with_the_reason(big: Play):
    big.failing = failing_first(BIG, 5)
    until_look(big, 2)
    big.jobs.work["measuring"] = BROKEN
    held = big.until("awaiting_approval")
    assert "my-general" in (held.reason or "") and "40 of 60 items were not measured" in (held.reason or "")
    assert verdict(big) == "hold"


def until_look(play: Play, number: int) -> None:
    """Advance to where the look is begun and its job is not."""
    play.begin()
    for _ in range(20):
        with play.world.store.read() as tx:
            begun = {row.id for row in jobs.of_cycle(tx, "c1")}
        if f"c1-measuring-{number}" in begun:
            return
        loop.advance(play.context)
    raise AssertionError(f"look {number} was never begun")


def test_going_back_to_measure_is_whole_or_absent(big: Play, monkeypatch: pytest.MonkeyPatch):
    big.failing = failing_first(BIG, 5)
    big.until("judging")
    with monkeypatch.context() as crash, pytest.raises(KeyboardInterrupt):
        crash.setattr(cycles, "transition", interrupt)
        loop.advance(big.context)
    with big.world.store.read() as tx:
        assert [row.id for row in jobs.of_cycle(tx, "c1") if row.step == "measuring"] == ["c1-measuring"]
    big.until("promoting")
    assert measuring_jobs(big) == ["c1-measuring", "c1-measuring-2"]


def test_a_daemon_killed_between_the_result_of_a_look_and_its_recording_measures_nothing_twice(
    big: Play, monkeypatch: pytest.MonkeyPatch
):
    big.failing = failing_first(BIG, 5)
    until_look(big, 2)
    with monkeypatch.context() as crash, pytest.raises(KeyboardInterrupt):
        crash.setattr(cycles, "transition", interrupt)
        loop.advance(big.context)
    assert big.newest().state == "measuring"
    big.until("promoting")
    assert measuring_jobs(big) == ["c1-measuring", "c1-measuring-2"]


def test_all_looks_are_taken_and_judged_under_the_engine_of_the_first(big: Play):
    big.failing = failing_first(BIG, 5)
    until_look(big, 2)
    big.configure(engine={"max_new_tokens": 7})
    big.until("promoting")
    first, second = (big.jobs.specs[job_id].engine for job_id in measuring_jobs(big))
    assert first == second and first.max_new_tokens == 48


@pytest.mark.parametrize("items", [8, 20, 50])
def test_the_second_measurement_after_a_promotion_asks_only_what_was_measured_before(big: Play, items: int):
    big.configure(gate={"recheck_items": items})
    big.until("done")
    asked = {f"v1/my-general/{probe.id}" for probe in BIG.items} - big.jobs.specs["c1-watching"].skip
    assert len(asked) == min(items, 20)
    assert not asked & big.jobs.specs["c1-measuring"].skip


def test_a_suite_that_an_operator_edits_between_looks_is_measured_as_it_was(big: Play):
    big.failing = failing_first(BIG, 5)
    until_look(big, 2)
    write_suite(big.world.layout.suites / "my-general.jsonl", suite("my-general", "general", items=12))
    big.until("promoting")


def interrupt(*_: object, **__: object) -> None:
    raise KeyboardInterrupt
