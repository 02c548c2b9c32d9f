"""A job's work may run more than once; its result is recorded once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from agent.errors import NotFound
from agent.store import Conflict, StaleState, Store, cycles, events, intakes, jobs


def _open(tx) -> jobs.Job:
    return jobs.open(tx, "baseline-1", None, "baseline", "measure", "monitors")


def test_opening_twice_is_one_job(store: Store) -> None:
    with store.write() as tx:
        assert _open(tx) is _open(tx)
        assert len(events.listing(tx, "baseline-1")) == 1


def test_a_job_id_is_given_once(store: Store) -> None:
    with pytest.raises(Conflict, match="given once"), store.write() as tx:
        _open(tx)
        jobs.open(tx, "baseline-1", None, "training", "train", "learners")


def test_attempts_are_counted_and_stopped_ones_are_no_failures(store: Store) -> None:
    with store.write() as tx:
        _open(tx)
        for number, outcome in enumerate(("failed", "stopped", "failed"), start=1):
            assert jobs.start_attempt(tx, "baseline-1", 100 + number, 5.0) == number
            job = jobs.end_attempt(tx, "baseline-1", outcome, "killed", "by a test", not_before=7.0)
        assert (job.attempts, job.failed_attempts, job.not_before, job.pid) == (3, 2, 7.0, None)
        assert [row.outcome for row in jobs.attempts_of(tx, "baseline-1")] == ["failed", "stopped", "failed"]


def test_two_attempts_never_run_at_once(store: Store) -> None:
    with store.write() as tx:
        _open(tx)
        jobs.start_attempt(tx, "baseline-1", 100, 5.0)
        assert [job.pid for job in jobs.running(tx)] == [100]
    with pytest.raises(StaleState, match="'running'"), store.write() as tx:
        jobs.start_attempt(tx, "baseline-1", 101, 5.0)


def test_a_result_is_recorded_exactly_once(store: Store) -> None:
    with store.write() as tx:
        _open(tx)
        jobs.start_attempt(tx, "baseline-1", 100, 5.0)
        for measured in (1, 2):
            job = jobs.finish(tx, "baseline-1", {"measured": measured}, {"wall_seconds": 1.5})
            assert (job.result, job.state) == ({"measured": 1}, "finished")
        assert jobs.end_attempt(tx, "baseline-1", "failed", "late").state == "finished"
        assert [event.action for event in events.listing(tx, "baseline-1")].count("job.finished") == 1
    with pytest.raises(StaleState), store.write() as tx:
        jobs.start_attempt(tx, "baseline-1", 101, 5.0)


def test_a_finished_folder_is_adopted_without_an_attempt_of_ours(store: Store) -> None:
    with store.write() as tx:
        _open(tx)
        assert jobs.finish(tx, "baseline-1", {}, {}).attempts == 0


def test_spending_is_summed_since_a_moment(store: Store) -> None:
    with store.write() as tx:
        jobs.open(tx, "c1-training", None, "training", "train", "learners")
        jobs.finish(tx, "c1-training", {"tokens": 40}, {"wall_seconds": 2.0, "energy_kwh": 0.5})
        _open(tx)
        jobs.finish(tx, "baseline-1", {"tokens": 9}, {"wall_seconds": 1.0, "energy_kwh": None})
        since = datetime.now(UTC) - timedelta(hours=1)
        assert jobs.spent(tx, since) == jobs.Spent(0.5, 40, 3.0)
        assert jobs.spent(tx, since + timedelta(hours=2)) == jobs.Spent(0.0, 0, 0.0)


def test_only_folders_that_nothing_needs_are_disposable(store: Store) -> None:
    with store.write() as tx:
        for cycle in ("c1", "c2"):
            cycles.create(tx, "data", "daemon", "x")
            jobs.open(tx, f"{cycle}-training", cycle, "training", "train", "learners")
            if cycle == "c1":
                cycles.transition(tx, cycle, "diagnosing", "failed", "daemon", "x")
        intakes.claim(tx, "inbox", [])
        for name in ("intake-1", "baseline-1"):
            jobs.open(tx, name, None, "x", "x", "monitors")
            jobs.finish(tx, name, {}, {})
        ids = ["c1-training", "c2-training", "intake-1", "baseline-1", "stranger"]
        assert set(jobs.disposable(tx, ids, keep=0)) == {"c1-training", "baseline-1"}
        assert jobs.disposable(tx, ids, keep=1) == ["c1-training"]


def test_an_unknown_job_is_named(store: Store) -> None:
    with pytest.raises(NotFound, match="c9-training"), store.read() as tx:
        jobs.get(tx, "c9-training")
