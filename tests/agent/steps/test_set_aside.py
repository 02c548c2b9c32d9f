"""Promises of setting aside: what training gives away is measured, named and no evidence."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from agent import set_aside
from agent.cli import main
from agent.reads import facts
from agent.store import cycles, jobs, plans
from learners.records import read_records
from monitors.evidence import Asked
from monitors.job import Contaminated, DiagnoseSpec
from tests.agent.steps.cycle_world import Play


def give_away(play: Play, suite: str, probes: list[str]) -> None:
    """Let the diagnosis of every cycle find these items in its first record; the job's row keeps the answer."""
    diagnose = play.jobs.work["diagnosing"]
    assert callable(diagnose)

    def found(spec: DiagnoseSpec, output: Path) -> Mapping[str, Any]:
        first = next(iter(read_records(spec.records))).id
        items = [Contaminated(suite=suite, probe=p, record=first, by="ngram", degree=1.0).model_dump() for p in probes]
        answer = {**diagnose(spec, output), "contaminated": items}
        with play.world.store.write() as tx:
            job_id = f"{cycles.listing(tx, limit=1)[0].id}-diagnosing"
            jobs.start_attempt(tx, job_id, 1, 1.0)
            jobs.finish(tx, job_id, answer, {})
        return answer

    play.jobs.work["diagnosing"] = found


def failing(play: Play, suite: str, count: int) -> list[str]:
    """Items of a suite that the candidate fails."""
    lost = [f"{suite}-{number}" for number in range(count)]
    play.failing = set(lost)
    return lost


def test_the_worker_is_given_copies_of_all_standing_suites_and_the_thresholds(play: Play):
    play.configure(probes={"suites": ("my-general", "my-safety"), "contamination_similarity": 0.8})
    play.until("planning")
    spec = play.jobs.specs["c1-diagnosing"]
    assert [path.stem for path in spec.standing] == ["my-general", "my-safety"]
    assert all(path.is_relative_to(play.world.layout.jobs) for path in spec.standing)
    assert (spec.contamination.similarity, spec.contamination.ngram_words) == (0.8, 8)


def test_a_loss_on_items_that_training_gives_away_is_no_evidence(play: Play):
    """Two of twelve items are lost; both are given away, and the other ten are as they were."""
    give_away(play, "my-safety", failing(play, "my-safety", 2))
    play.until("judging")
    (row,) = [row for row in _judged(play)["suites"] if row["suite"] == "my-safety" and row["against"] == "parent"]
    assert (row["items"], row["before"], row["after"]) == (10, 1.0, 1.0)


def test_the_same_loss_counts_where_nothing_was_given_away(play: Play):
    failing(play, "my-safety", 2)
    play.until("judging")
    (row,) = [row for row in _judged(play)["suites"] if row["suite"] == "my-safety" and row["against"] == "parent"]
    assert (row["items"], row["before"], row["after"]) == (12, 1.0, 10 / 12)


def test_the_items_are_measured_all_the_same(play: Play):
    give_away(play, "my-safety", ["my-safety-0"])
    play.until("judging")
    spec = play.jobs.specs["c1-measuring"]
    assert not any(key.endswith("/my-safety/my-safety-0") for key in spec.skip)


def test_the_verdict_names_the_items_and_the_record(play: Play):
    give_away(play, "my-safety", ["my-safety-3", "my-safety-4"])
    play.until("judging")
    (remark,) = [remark for remark in _judged(play)["remarks"] if "set aside" in remark]
    assert "my-safety: 2 item(s)" in remark and "'my-safety-3'" in remark
    with play.world.store.read() as tx:
        chosen = plans.get(tx, "c1").plan["records"]
        shown = facts.cycle(tx, "c1")["set_aside"]
    assert any(record[:12] in remark for record in chosen)
    assert [(item["probe"], item["record"] in chosen) for item in shown] == [
        ("my-safety-3", True),
        ("my-safety-4", True),
    ]


def test_a_suite_that_is_given_away_whole_holds(play: Play):
    give_away(play, "my-safety", [f"my-safety-{number}" for number in range(12)])
    play.until("judging")
    told = _judged(play)
    assert told["verdict"] == "hold" and any("my-safety" in reason for reason in told["reasons"])


def test_a_record_that_the_plan_leaves_out_gives_nothing_away(play: Play):
    """The first record is held out of training, so its item was not learned."""
    play.holding_out = 1
    give_away(play, "my-safety", ["my-safety-0"])
    play.until("judging")
    with play.world.store.read() as tx:
        assert set_aside.in_cycle(tx, "c1") == ()


def test_what_an_earlier_cycle_learned_stays_set_aside_down_to_the_anchor(play: Play):
    give_away(play, "my-safety", ["my-safety-0"])
    play.until("done")
    play.jobs.work["diagnosing"] = play._diagnose  # pyright: ignore[reportPrivateUsage]
    play.world.fill_pool(20)
    play.begin(20)
    play.until("judging")
    with play.world.store.read() as tx:
        assert set_aside.in_cycle(tx, "c2") == ()
        assert set_aside.of_cycle(tx, cycles.get(tx, "c2")).keys == {("my-safety", "my-safety-0")}


def test_what_a_suite_was_asked_is_narrowed_by_name_only():
    item = Contaminated(suite="a", probe="p1", record="r", by="meaning", degree=0.95)
    asked = [Asked(suite=name, digest="d", role="general", probes=("p1", "p2")) for name in ("a", "b")]
    assert [one.probes for one in set_aside.SetAside((item,)).narrowed(asked)] == [("p2",), ("p1", "p2")]


def test_cycle_show_names_the_items(play: Play, capsys: pytest.CaptureFixture[str]):
    give_away(play, "my-safety", ["my-safety-3"])
    play.until("judging")
    assert main(["--root", str(play.world.layout.root), "cycle", "show", "c1"]) == 0
    assert "set aside: my-safety/my-safety-3, given away by record" in capsys.readouterr().out


def _judged(play: Play) -> dict[str, Any]:
    """What judging makes of the cycle that stands before it."""
    from agent.steps.judging import verdict_of

    return verdict_of(play.context, play.newest(), 1).model_dump()
