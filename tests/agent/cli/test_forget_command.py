"""`cld forget` shows before it asks, answers the envelope, and shows the certificate without any content."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agent.cli.saying import Cld
from tests.agent.forgetting.forget_world import Forgetful, note
from tests.agent.operating import Operated


@pytest.fixture(scope="session")
def taught_root(served: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root whose `v1` has learned four notes and serves, to copy from."""
    root = tmp_path_factory.mktemp("taught") / "root"
    shutil.copytree(served, root)
    world = Forgetful(Operated(root))
    world.teach(4)
    world.world.store.close()
    return root


@pytest.fixture
def operated(taught_root: Path, tmp_path: Path, _no_overrides: None) -> Iterator[Operated]:
    """A data root where a version that learned four notes serves."""
    shutil.copytree(taught_root, tmp_path / "root")
    operated = Operated(tmp_path / "root")
    yield operated
    operated.store.close()


@pytest.fixture
def world(operated: Operated) -> Forgetful:
    """The same root, on which cycles can be played."""
    return Forgetful(operated)


def test_a_rehearsal_shows_records_versions_and_both_costs(world: Forgetful, cld: Cld):
    said = cld("forget", "--source", "inbox", "--dry-run", "--json")
    found = said.json["data"]["preview"]
    assert (said.code, said.json["verb"], said.json["outcome"]) == (0, "forget", "would_apply")
    assert (found["known"], found["serving"], found["in_pool"]) == (4, "v1", 0)
    assert found["learned_by"] == [{"cycle": "c1", "version": "v1", "stage": "cpt", "method": "finetune", "records": 4}]
    assert found["unlearning"]["steps"] > 0 and found["exact"]["start"] == "v0"


def test_people_see_a_table_and_what_exact_forgetting_would_train_again(world: Forgetful, cld: Cld):
    said = cld("forget", "--record", note(0).id[:12], "--dry-run")
    again = "--exact: 10 tokens, 5 s: c1 (cpt finetune, 4 to 3 records) again from v0"
    assert "The locker of room A" in said.out and again in " ".join(said.out.split())
    assert "would apply: 1 record(s) that v1 knows wait" in said.out


def test_asking_and_showing_names_hashes_and_never_content(world: Forgetful, cld: Cld):
    assert cld("forget", "--record", note(0).id, "--why", "she asked", "--json").json["outcome"] == "applied"
    world.tell("approve")
    world.until("done")
    listed, shown = cld("forget", "list", "--json"), cld("forget", "show", "f1", "--json")
    (row,) = listed.json["requests"]
    assert (row["id"], row["state"], row["certified"], row["why"]) == ("f1", "done", True, "she asked")
    assert shown.json["request"]["certificate"]["document"]["records"] == [note(0).id]
    assert "locker" not in shown.out + listed.out + cld("forget", "show", "f1").out


def test_the_certificate_is_told_with_its_proof_and_what_removes_the_rest(world: Forgetful, cld: Cld):
    world.forgotten(note(0).id)
    told = cld("forget", "show", "f1").out
    assert "c2: v1 to v2 by grad_diff, verdict promote" in told and "exposure 1.5 bits" in told
    assert "rm -r versions/v1" in told and "rm /inbox/notes.txt" in told and "(whole)" in told
    assert "f1" in cld("forget", "list").out


def test_exact_forgetting_is_told_in_the_plan_and_in_the_certificate(world: Forgetful, cld: Cld):
    assert cld("forget", "--record", note(0).id, "--exact", "--json").json["data"]["method"] == "exact_replay"
    assert "trained again: c1 (cpt.finetune), 3 of 4 records, seed 0" in " ".join(cld("plan", "show").out.split())
    world.tell("approve")
    world.until("done")
    told = " ".join(cld("forget", "show", "f1").out.split())
    assert "c2: v1 to v2 by exact_replay, verdict promote" in told
    assert "exactly: trained again from v0 without them: c1 (cpt finetune, 3 of 4 records, seed 0)" in told


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ((), 2),
        (("--record", "zz"), 3),
        (("--source", "nowhere"), 4),
        (("show", "f9"), 3),
        (("--record", note(0).id, "--exact", "--method", "npo"), 2),
    ],
    ids=["nothing named", "no such record", "an empty source", "no such request", "two ways at once"],
)
def test_what_cannot_be_asked_ends_with_its_code(world: Forgetful, cld: Cld, words: tuple[str, ...], code: int):
    assert cld("forget", *words).code == code


def test_nothing_was_asked_yet(world: Forgetful, cld: Cld):
    assert "nothing was asked to be forgotten" in cld("forget", "list").out
