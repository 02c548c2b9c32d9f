"""Exact forgetting: a plan that waits, trains job after job, goes on after a kill, and refuses what it cannot."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from agent import cycle as loop
from agent.errors import NotFound
from agent.forgetting.lineage import holdings
from agent.reads.plan_views import plan_views
from agent.store import cycles, plans, versions
from learners.records import read_records
from monitors.forgetting_job import ByVersion
from tests.agent.fake_jobs import BROKEN
from tests.agent.forgetting.forget_world import GOOD, IDS, Forgetful, note
from tests.agent.operating import Operated

MORE, LAST = note(30), note(31)


@pytest.fixture(scope="session")
def grown_root(taught_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root whose `v2` and `v3` have learned one note each, to copy from."""
    root = tmp_path_factory.mktemp("grown") / "root"
    shutil.copytree(taught_root, root)
    world = Forgetful(Operated(root))
    for one in (MORE, LAST):
        world.take_in([one], f"/inbox/{one.id}.txt")
        world.learn_waiting()
    world.world.store.close()
    return root


@pytest.fixture
def grown(grown_root: Path, tmp_path: Path, _no_overrides: None) -> Iterator[Forgetful]:
    """`v1` has learned eight notes, `v2` another, and `v3`, which serves, another."""
    shutil.copytree(grown_root, tmp_path / "root")
    world = Forgetful(Operated(tmp_path / "root"))
    yield world
    world.world.store.close()


def learned(world: Forgetful, job: str) -> list[str]:
    """Ids of the records that a job was given."""
    return [record.id for record in read_records(world.jobs.specs[job].data)]


def refusal(world: Forgetful, *ids: str) -> str:
    """Why these cannot be forgotten exactly."""
    answer = world.forget(*ids, exact=True)
    assert answer.outcome == "refused"
    return answer.message


def test_it_waits_for_a_person_with_the_jobs_in_its_plan(grown: Forgetful):
    answer = grown.forget(IDS[0], LAST.id, exact=True)
    assert (answer.outcome, answer.data["cycle"], answer.data["method"]) == ("applied", "c4", "exact_replay")
    with grown.world.store.read() as tx:
        plan, cycle = plans.get(tx, "c4").plan, cycles.get(tx, "c4")
    assert (cycle.state, plan["replay_from"], plan["records"]) == ("awaiting_approval", "v0", [IDS[0], LAST.id])
    assert [(job["cycle"], job["records_before"], len(job["records"])) for job in plan["replay"]] == [
        ("c1", 8, 7), ("c2", 1, 1),
    ]  # fmt: skip
    assert not [job for job in grown.jobs.specs if job.startswith("c4-training")]


def test_each_job_is_asked_as_before_from_the_version_of_the_one_before(grown: Forgetful):
    grown.configure(training={"seed": 7})
    grown.forgotten(IDS[0], exact=True)
    asked = [grown.jobs.specs[f"c4-training-{number}"] for number in (1, 2, 3)]
    assert [(spec.parent.name, spec.version_id) for spec in asked] == [("v0", "v4"), ("v4", "v5"), ("v5", "v6")]
    assert learned(grown, "c4-training-1") == IDS[1:] and learned(grown, "c4-training-2") == [MORE.id]
    with grown.world.store.read() as tx:
        first = plans.get(tx, "c1").plan
    assert (asked[0].stage, asked[0].method, asked[0].seed) == (first["stage"], first["method"], 0)
    assert (asked[0].settings, asked[0].held_out) == (first["settings"], tuple(first["held_out"]))
    assert all(spec.unrehearsed == (IDS[0],) for spec in asked)


def test_the_last_version_is_the_candidate_that_is_proven_serves_and_is_certified_as_exact(grown: Forgetful):
    request = grown.forgotten(IDS[0], exact=True)
    assert (request.state, request.method, grown.world.serving()[0]) == ("done", "exact_replay", "v6")
    spec = grown.jobs.specs["c4-proving"]
    assert (spec.version.id, spec.parent.id, spec.clean.id) == ("v6", "v3", "v0")
    (worked,) = grown.certificate()["unlearned_by"]
    assert (worked["exact"], worked["replayed_from"], worked["versions"]) == (
        True,
        "v0",
        {"before": "v3", "after": "v6"},
    )
    assert [(one["cycle"], one["records_after"], one["seed"]) for one in worked["replayed"]] == [
        ("c1", 7, 0), ("c2", 1, 0), ("c3", 1, 0),
    ]  # fmt: skip
    assert worked["proof"] is not None and [word["what"] for word in worked["approved_by"]] == ["plan"]


def test_what_each_version_knows_is_told_also_of_those_on_the_way(grown: Forgetful):
    grown.forgotten(IDS[0], exact=True)
    with grown.world.store.read() as tx:
        found = holdings(tx, [IDS[0], IDS[1], LAST.id])
        parents = {row.id: row.parent for row in versions.of_cycle(tx, "c4")}
    assert {name: len(known) for name, known in found.items() if name > "v3"} == {"v4": 1, "v5": 1, "v6": 2}
    assert IDS[0] not in found["v6"] and parents == {"v4": "v0", "v5": "v4", "v6": "v3"}


def test_the_next_cycle_takes_a_number_that_no_version_has(grown: Forgetful):
    grown.forgotten(IDS[0], exact=True)
    grown.take_in([note(40)], "/inbox/next.txt")
    grown.learn_waiting()
    assert (grown.newest().id, grown.world.serving()[0]) == ("c7", "v7")


@pytest.mark.parametrize("calls", [1, 3], ids=["between two jobs", "before the candidate"])
def test_a_replay_that_was_killed_goes_on_where_it_was(grown: Forgetful, monkeypatch: pytest.MonkeyPatch, calls: int):
    grown.forget(IDS[0], exact=True)
    grown.tell("approve")
    register, left = versions.register, [calls]

    def dying(*arguments, **named):
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt
        return register(*arguments, **named)

    with monkeypatch.context() as crash, pytest.raises(KeyboardInterrupt):
        crash.setattr("agent.steps.replaying.versions.register", dying)
        grown.until("done")
    with grown.world.store.read() as tx:
        assert len(versions.of_cycle(tx, "c4")) == calls - 1
    grown.until("done")
    with grown.world.store.read() as tx:
        assert [row.id for row in versions.of_cycle(tx, "c4")] == ["v4", "v5", "v6"]


def test_the_next_request_replays_the_whole_line_without_both(grown: Forgetful):
    grown.forgotten(IDS[0], exact=True, redact=True)
    grown.forgotten(LAST.id, IDS[1], exact=True)
    assert learned(grown, "c7-training-1") == IDS[2:] and learned(grown, "c7-training-2") == [MORE.id]
    assert grown.world.serving()[0] == "v8"


def test_what_came_before_the_records_is_not_trained_again(grown: Forgetful):
    grown.take_in([note(40)], "/inbox/next.txt")
    grown.learn_waiting()
    grown.forgotten(LAST.id, exact=True)
    assert grown.jobs.specs["c5-training-1"].parent.name == "v2"
    assert learned(grown, "c5-training-1") == [note(40).id]


def test_the_version_that_it_begins_from_is_kept_from_retention_until_it_is_over(grown: Forgetful):
    grown.take_in([note(40)], "/inbox/next.txt")
    grown.learn_waiting()
    with grown.world.store.read() as tx:
        assert "v1" not in versions.protected(tx)
    grown.forget(MORE.id, exact=True)
    with grown.world.store.read() as tx:
        assert "v1" in versions.protected(tx)
    grown.tell("reject")
    with grown.world.store.read() as tx:
        assert "v1" not in versions.protected(tx)


def test_without_a_version_from_before_it_is_refused_and_unlearning_is_offered(grown: Forgetful):
    with grown.world.store.write() as tx:
        versions.set_anchor(tx, "v3", "ada", "test")
        versions.mark(tx, "v0", "damaged", "ada", "test")
    said = refusal(grown, IDS[0])
    assert "from before they were learned has its files" in said and "without --exact they are unlearned" in said


def test_it_begins_further_back_where_the_nearest_version_has_no_files(grown: Forgetful):
    with grown.world.store.write() as tx:
        versions.mark(tx, "v2", "damaged", "ada", "test")
    grown.forgotten(LAST.id, exact=True)
    assert grown.jobs.specs["c4-training-1"].parent.name == "v1"
    assert learned(grown, "c4-training-1") == [MORE.id] and grown.world.serving()[0] == "v4"


def test_a_record_whose_content_is_gone_is_refused(grown: Forgetful):
    with grown.world.store.write() as tx:
        tx.execute(text("UPDATE records SET content = :gone WHERE id = :id"),
                   {"gone": '{"text": "[forgotten]", "title": null}', "id": MORE.id})  # fmt: skip
    assert f"the content of 1 record(s) that c2 learned is gone ({MORE.id[:12]})" in refusal(grown, IDS[0])


def test_a_job_whose_seed_nobody_knows_is_refused(grown: Forgetful):
    with grown.world.store.write() as tx:
        tx.execute(text("UPDATE jobs SET result = json_remove(result, '$.seed') WHERE id = 'c2-training'"))
    assert "the seed of c2's training is not known any more" in refusal(grown, IDS[0])


def test_a_job_that_needed_another_version_is_refused(grown: Forgetful):
    written = grown.world.layout.version("v2") / "version.json"
    written.write_text(json.dumps({**json.loads(written.read_text()), "settings": {"donor": "v1"}}))
    assert "c2 learned with the help of version v1" in refusal(grown, IDS[0])


def test_where_nothing_else_was_learned_the_version_before_is_named(grown: Forgetful):
    assert "`cld rollback v2`, then ask again" in refusal(grown, LAST.id)


def test_a_method_of_unlearning_has_no_part_in_it(grown: Forgetful):
    answer = grown.forget(IDS[0], exact=True, method="npo")
    assert answer.outcome == "refused" and "--method npo has no part in it" in answer.message


def test_a_month_without_tokens_left_is_refused(grown: Forgetful):
    grown.configure(limits={"monthly_train_tokens": 35})
    assert "limits.monthly_train_tokens" in refusal(grown, IDS[0])


def test_its_rows_are_those_of_the_plans_that_it_trains_again(grown: Forgetful):
    grown.forget(IDS[0], exact=True)
    with grown.world.store.read() as tx, pytest.raises(NotFound, match="cld plan views c1"):
        plan_views(tx, grown.world.layout, grown.context.config, "c4", 5)


def test_a_job_that_fails_ends_the_cycle_and_the_old_version_serves_on(grown: Forgetful):
    grown.forget(IDS[0], exact=True)
    grown.tell("approve")
    assert loop.advance(grown.context) and loop.advance(grown.context)
    grown.jobs.work["training"] = BROKEN
    grown.until("failed")
    assert (grown.world.serving()[0], grown.states(IDS[0]), grown.request().state) == ("v3", ["learned"], "ended")


def test_what_still_remembers_although_nothing_taught_it_is_held_with_what_helps(grown: Forgetful):
    still = ByVersion(clean=1.3, before=6.0, after=6.0)
    grown.proof = GOOD.model_copy(update={"exposure": still})
    grown.forget(IDS[0], exact=True)
    grown.tell("approve")
    reason = grown.until("awaiting_approval").reason or ""
    assert "still remembered" in reason and "another record says the same" in reason and "epochs" not in reason
