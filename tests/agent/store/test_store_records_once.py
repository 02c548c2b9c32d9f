"""Facts that are recorded once: gaps, plans, verdicts, lessons, measurements, commands, versions."""

from __future__ import annotations

import pytest

from agent.errors import NotFound
from agent.store import (
    Conflict,
    MoveRefused,
    Store,
    UnnamedChange,
    commands,
    control,
    cycles,
    decisions,
    deployment,
    gaps,
    jobs,
    lessons,
    measurements,
    plans,
    verdicts,
    versions,
)
from monitors.job import Gap, Measurement


def _gap(topic: str) -> Gap:
    return Gap(
        id=f"gap-{topic}", topic=topic, information_kind="fact", severity=0.5, evidence=("p1",), records=("r1", "r2")
    )


def _measurement(probe: str, score: float, engine: str = "e1") -> Measurement:
    return Measurement(
        version="v0",
        suite="general",
        suite_digest="d1",
        role="general",
        probe=probe,
        slice="all",
        scorer="choice",
        score=score,
        margin=-0.25,
        output="",
        engine=engine,
    )


def test_gaps_come_back_as_they_were_and_stay(store: Store, cycle_in) -> None:
    cycle = cycle_in("planning")
    found = [_gap("returns"), _gap("shipping")]
    with store.write() as tx:
        gaps.save(tx, cycle, found)
        gaps.save(tx, cycle, [_gap("other")])
        assert gaps.of_cycle(tx, cycle) == found
        assert [row.topic for row in gaps.listing(tx)] == ["returns", "shipping"]


def test_a_plan_is_recorded_once(store: Store, cycle_in) -> None:
    cycle = cycle_in("planning")
    with store.write() as tx:
        for _ in range(2):
            plans.save(tx, cycle, {"stage": "cit"}, "model", "it fits")
        assert [row.plan for row in plans.listing(tx)] == [{"stage": "cit"}]
    with pytest.raises(Conflict, match=f"cld plan show {cycle}"), store.write() as tx:
        plans.save(tx, cycle, {"stage": "ca"}, "model", "changed its mind")
    with pytest.raises(NotFound), store.read() as tx:
        plans.get(tx, "c9")


def test_a_verdict_is_never_changed(store: Store, cycle_in) -> None:
    cycle = cycle_in("judging")
    with store.write() as tx:
        assert verdicts.get(tx, cycle) is None
        for _ in range(2):
            verdicts.save(tx, cycle, {"verdict": "hold"})
        verdicts.save(tx, cycle, {"verdict": "reject"}, phase="watching")
        assert verdicts.latest_of(tx, "v1") is verdicts.get(tx, cycle, "watching")
    with pytest.raises(Conflict, match="never changed"), store.write() as tx:
        verdicts.save(tx, cycle, {"verdict": "promote"})


@pytest.mark.parametrize(("state", "word"), [("judging", "maybe"), ("training", "promote")])
def test_a_verdict_needs_its_word_and_its_candidate(store: Store, cycle_in, state: str, word: str) -> None:
    cycle = cycle_in(state)
    with pytest.raises(Conflict, match="must be known"), store.write() as tx:
        verdicts.save(tx, cycle, {"verdict": word})


def test_the_first_lesson_of_a_cycle_stands(store: Store, cycle_in) -> None:
    cycle = cycle_in("planning")
    with store.write() as tx:
        for text in ("replay helped", "it did not"):
            lessons.add(tx, cycle, text)
        assert [row.text for row in lessons.listing(tx)] == ["replay helped"]


def test_measurements_are_recorded_once_per_item_and_engine(store: Store) -> None:
    rows = [_measurement("p1", 1.0), _measurement("p2", 0.0)]
    with store.write() as tx:
        assert measurements.add_many(tx, rows, "baseline-1") == 2
        assert measurements.add_many(tx, [*rows, _measurement("p1", 0.0, "e2")], "baseline-2") == 1
        assert measurements.add_many(tx, [_measurement("p1", 0.0)], "baseline-3") == 0
        assert measurements.of(tx, "v0", ["d1"], "e1") == rows
        assert measurements.of(tx, "v0", ["d2"]) == []
        means = [(row.engine, row.mean, row.items) for row in measurements.matrix(tx)]
        assert means == [("e1", 0.5, 2), ("e2", 0.0, 1)]
        assert measurements.matrix(tx, ["v1"]) == []


def test_scores_come_in_the_order_in_which_their_jobs_were_opened(store: Store) -> None:
    with store.write() as tx:
        for job, engine in (("sweep-9", "e9"), ("sweep-10", "e1")):
            jobs.open(tx, job, None, "sweep", "measure", "monitors")
            measurements.add_many(tx, [_measurement("p1", 1.0, engine), _measurement("p2", 0.0, engine)], job)
        assert [row.engine for row in measurements.scores(tx, ["v0"])] == ["e9", "e9", "e1", "e1"]
        assert measurements.scores(tx, ["v1"]) == []


def test_a_command_is_submitted_and_answered_once(store: Store) -> None:
    with store.write() as tx:
        first = commands.submit(tx, "rollback", {"to": "v0"}, "ann", key="k1")
        assert commands.submit(tx, "rollback", {"to": "v0"}, "ann", key="k1").id == first.id
        assert [row.id for row in commands.pending(tx)] == [first.id]
        for outcome in ("refused", "applied"):
            answered = commands.answer(tx, first.id, outcome, "it serves already", {"version": "v0"})
        assert (answered.outcome, answered.data, commands.pending(tx)) == ("refused", {"version": "v0"}, [])


def test_a_key_belongs_to_one_command(store: Store) -> None:
    with pytest.raises(Conflict, match="another key"), store.write() as tx:
        commands.submit(tx, "rollback", {"to": "v0"}, "ann", key="k1")
        commands.submit(tx, "pause", {}, "ann", key="k1")


@pytest.mark.parametrize("who", ["daemon", "Model", " "])
def test_only_a_named_person_decides(store: Store, who: str) -> None:
    with pytest.raises(UnnamedChange, match="person's name"), store.write() as tx:
        decisions.record(tx, None, "approve", who, "why not", version="v0")


def test_several_pauses_hold_at_once_and_are_lifted_one_by_one(store: Store) -> None:
    with store.write() as tx:
        for _ in range(2):
            control.pause(tx, "disk: 10 MB left", "daemon", "free some space")
        control.pause(tx, "maintenance", "ann", "cld resume")
        assert [pause.code for pause in control.pauses(tx)] == ["disk", "operator"]
        assert [pause.code for pause in control.resume(tx, "ann", "done", code="operator")] == ["operator"]
        paused = control.paused(tx)
        assert paused is not None
        assert paused.reason == "disk: 10 MB left"
        assert (len(control.resume(tx, "ann", "all")), control.paused(tx)) == (1, None)
        control.pause(tx, "disk: again", "daemon", "free some space")


def test_the_breaker_counts_bad_endings_in_a_row(store: Store) -> None:
    with store.write() as tx:
        for ending, count in (("failed", 1), ("aborted", 1), ("failed", 2), ("no_action", 2)):
            cycle = cycles.create(tx, "data", "daemon", "x")
            cycles.transition(tx, cycle.id, "diagnosing", ending, "daemon", "x")
            assert control.breaker(tx) == count
        control.pause(tx, "breaker: 2 cycles ended badly", "daemon", "cld resume")
        control.resume(tx, "ann", "looked at it")
        assert control.breaker(tx) == 0


def test_a_good_ending_closes_the_count(store: Store, cycle_in) -> None:
    with store.write() as tx:
        cycle = cycles.create(tx, "data", "daemon", "x")
        cycles.transition(tx, cycle.id, "diagnosing", "failed", "daemon", "x")
    watching = cycle_in("watching")
    with store.write() as tx:
        cycles.transition(tx, watching, "watching", "done", "daemon", "x")
        assert control.breaker(tx) == 0


def test_a_version_is_registered_once_and_never_changes(store: Store) -> None:
    with store.write() as tx:
        for _ in range(2):
            versions.register(tx, "v1", 1, "v0", "v0", "a" * 64, "cit", "replay", "c1")
    with pytest.raises(Conflict, match="never changes"), store.write() as tx:
        versions.register(tx, "v1", 1, "v0", "v0", "b" * 64, "cit", "replay", "c1")


def test_there_is_one_anchor(store: Store) -> None:
    with store.write() as tx:
        versions.register(tx, "v1", 1, "v0", "v0", "a" * 64, "cit", "replay", "c1")
        versions.set_anchor(tx, "v1", "ann", "a better reference")
        assert (versions.anchor(tx).id, versions.get(tx, "v0").anchor) == ("v1", None)


def test_a_card_is_replaced_only_by_another(store: Store) -> None:
    with store.write() as tx:
        for _ in range(2):
            version = versions.save_card(tx, "v0", "The base model.", {"topics": []})
        assert (version.card, version.facts) == ("The base model.", {"topics": []})


def test_what_is_needed_cannot_be_swept(store: Store) -> None:
    with store.write() as tx:
        for number, parent in ((1, "v0"), (2, "v1"), (3, "v2")):
            versions.register(tx, f"v{number}", number, parent, "v0", f"{number}" * 64, "cit", "replay", None)
        versions.pin(tx, "v3", "ann", "shown to the board")
        assert versions.protected(tx) == {"v0", "v2", "v3"}
        versions.mark(tx, "v1", "swept", "daemon", "retention")
        versions.unpin(tx, "v3", "ann", "done")
        assert versions.protected(tx) == {"v0"}
    for protected in ("v0",):
        with pytest.raises(MoveRefused, match="it stays"), store.write() as tx:
            versions.mark(tx, protected, "swept", "daemon", "retention")


def test_the_serving_version_is_not_marked_damaged_under_the_users_feet(store: Store) -> None:
    with pytest.raises(MoveRefused, match="cld rollback"), store.write() as tx:
        versions.mark(tx, "v0", "damaged", "daemon", "a hash differs")


def test_a_swept_version_stays_swept(store: Store) -> None:
    with store.write() as tx:
        versions.register(tx, "v1", 1, "v0", "v0", "a" * 64, "cit", "replay", "c1")
        versions.mark(tx, "v1", "swept", "daemon", "retention")
    with pytest.raises(MoveRefused, match="cannot become"), store.write() as tx:
        versions.mark(tx, "v1", "kept", "ann", "want it back")


def test_the_active_cycles_versions_and_the_previous_one_are_protected(store: Store, cycle_in) -> None:
    cycle_in("measuring")
    with store.write() as tx:
        assert versions.protected(tx) == {"v0", "v1"}
        decisions.record(tx, "c1", "approve", "ann", "good", version="v1")
        deployment.move(tx, "v1", 1, "ann", "good", "promote")
        cycles.transition(tx, "c1", "measuring", "aborted", "ann", "x")
        assert versions.protected(tx) == {"v0", "v1"}
