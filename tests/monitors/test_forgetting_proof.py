"""The proof tells a version that forgot from one that did nothing, did too much, or lost what lies beside."""

from __future__ import annotations

import importlib
import shutil
from pathlib import Path

import pytest

from learners import training
from learners.failures import InvalidInput
from learners.records import write_records
from monitors.__main__ import HANDLERS
from monitors.forgetting import prove
from monitors.forgetting_job import ByVersion, ForgottenMembership, ProveResult, ProveSpec
from monitors.gate.forgotten import ForgetPolicy, against, shown
from monitors.job import VersionRef
from monitors.privacy.canaries import draw
from monitors.privacy.membership import auc_error
from monitors.privacy.rare_strings import says
from tests.agent.forgetting.forget_world import GOOD
from tests.learners.runs import job_at, spec, train
from tests.tiny import chat, tiny_base

CODES = [chat(f"What is the code of locker {one.name}?", f"The code is {one.digits}.") for one in draw(16, "forget")]
FORGET, KEEP = CODES[:6], CODES[6:]


def against_(found: ProveResult) -> str:
    return " | ".join(against(found, ForgetPolicy()))


@pytest.fixture(scope="module")
def versions(tmp_path_factory):
    """`v0`, and `v1` that has learned sixteen codes by heart, as far as it goes."""
    folder = tmp_path_factory.mktemp("proof")
    base = tiny_base(folder / "versions")
    _, learned = train(
        folder / "job", base, "cit", "finetune", CODES * 2, full_weights=True, epochs=40, learning_rate=3e-3,
        batch_size=8,
    )  # fmt: skip
    return {"v0": base, "v1": learned.rename(base.parent / "v1")}


def unlearned(folder: Path, versions: dict[str, Path], method: str, **settings: object) -> Path:
    """A version that should have forgotten six codes and kept ten."""
    order = spec(folder, versions["v1"], "forget", method, FORGET, version="v2", **settings)
    write_records(folder / "retain.jsonl", KEEP)
    training.train({**order, "retain": str(folder / "retain.jsonl")}, job_at(folder))
    return Path(shutil.copytree(folder / "output" / "version", versions["v1"].parent / folder.name))


def proof(folder: Path, versions: dict[str, Path], version: Path, clean: bool = True) -> ProveResult:
    job = job_at(folder, "prove")
    write_records(folder / "forgotten.jsonl", FORGET)
    write_records(folder / "neighbours.jsonl", KEEP)
    asked = ProveSpec(
        version=VersionRef(id="v2", path=version),
        parent=VersionRef(id="v1", path=versions["v1"]),
        clean=VersionRef(id="v0", path=versions["v0"]) if clean else None,
        forgotten=folder / "forgotten.jsonl",
        neighbours=folder / "neighbours.jsonl",
    )
    return prove(asked.model_dump(mode="json"), job)


@pytest.mark.slow
def test_a_job_that_did_nothing_fails_the_proof_by_every_test(versions, tmp_path):
    found = proof(tmp_path / "proof", versions, versions["v1"])
    assert found.exposure is not None and found.exposure.after == pytest.approx(6.0)
    assert all(word in against_(found) for word in ("still remembered", "greedy decoding still says", "above 0.50"))
    told = (tmp_path / "proof" / "progress.jsonl").read_text()
    assert not any(code.content["messages"][1]["content"] in told for code in CODES)


@pytest.mark.slow
def test_a_version_that_never_learned_the_neighbours_is_held_for_them_alone(versions, tmp_path):
    found = proof(tmp_path / "proof", versions, versions["v0"])
    assert found.exposure is not None and found.exposure.after < 3 and found.extraction.said.after == 0
    assert found.neighbours is not None and found.neighbours.recall.before > 0.5
    said = against(found, ForgetPolicy())
    assert len(said) == 2 and all("neighbours that must be kept" in one for one in said)


@pytest.mark.slow
def test_a_version_that_unlearned_with_rehearsal_passes_the_proof(versions, tmp_path):
    version = unlearned(
        tmp_path / "v2-good", versions, "grad_diff", learning_rate=2e-3, epochs=40, replay_weight=4.0, replay_share=0.7
    )
    assert against_(found := proof(tmp_path / "proof", versions, version)) == "", shown(found)
    assert found.neighbours is not None and found.neighbours.recall.after >= found.neighbours.recall.before


@pytest.mark.slow
def test_a_version_that_was_driven_away_from_the_codes_is_held_for_avoiding_them(versions, tmp_path):
    far = {"calibrate": False, "cap_nats": 50.0, "strength": 10.0, "epochs": 240, "learning_rate": 1e-3}
    found = proof(tmp_path / "proof", versions, unlearned(tmp_path / "v2-far", versions, "grad_diff", **far))
    assert found.exposure is not None and found.exposure.after < 1.5 and found.extraction.said.after == 0
    assert "avoided, which is a trace of them too" in against_(found)


def test_the_worker_knows_the_proof():
    module, _, function = HANDLERS["prove"].partition(":")
    assert getattr(importlib.import_module(module), function) is prove


@pytest.mark.slow
def test_a_record_that_says_only_what_is_kept_beside_it_has_no_secret(versions, tmp_path):
    again = chat("Which locker code do you know?", str(KEEP[0].content["messages"][1]["content"]))
    write_records(tmp_path / "forgotten.jsonl", [again, FORGET[0]])
    write_records(tmp_path / "neighbours.jsonl", KEEP)
    place = VersionRef(id="v0", path=versions["v0"])
    asked = ProveSpec(
        version=place, parent=place, forgotten=tmp_path / "forgotten.jsonl", neighbours=tmp_path / "neighbours.jsonl"
    )
    found = prove(asked.model_dump(mode="json"), job_at(tmp_path / "job", "prove"))
    assert (found.records, found.silent, found.extraction.tested) == (2, 1, 1)


def test_a_proof_of_nothing_is_refused(tmp_path):
    (tmp_path / "none.jsonl").touch()
    place = VersionRef(id="v0", path=tmp_path)
    asked = ProveSpec(
        version=place, parent=place, forgotten=tmp_path / "none.jsonl", neighbours=tmp_path / "none.jsonl"
    )
    with pytest.raises(InvalidInput, match="nothing to prove"):
        prove(asked.model_dump(mode="json"), job_at(tmp_path / "job", "prove"))


def test_what_was_never_trained_passes():
    assert against(GOOD, ForgetPolicy()) == ()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"exposure": ByVersion(clean=1.3, before=6.0, after=3.5)}, "still remembered"),
        ({"suppression": ByVersion(clean=1.5, before=0.0, after=3.5)}, "avoided, which is a trace of them too"),
        ({"exposure": None}, "hold nothing that could be said otherwise"),
    ],
)
def test_the_rule_is_two_sided_and_no_evidence_is_no_proof(changed, said):
    assert said in against_(GOOD.model_copy(update=changed))


def test_what_everybody_could_guess_need_not_fall_below_guessing():
    guessed = GOOD.model_copy(update={"exposure": ByVersion(clean=4.0, before=6.0, after=5.0)})
    assert against(guessed, ForgetPolicy()) == ()
    unknown = guessed.model_copy(update={"exposure": ByVersion(before=6.0, after=5.0)})
    assert "still remembered" in against_(unknown)


def test_one_record_that_was_as_likely_before_it_was_learned_is_left_to_a_person():
    alone = GOOD.model_copy(
        update={"records": 1, "membership": None, "exposure": ByVersion(clean=5.9, before=6.0, after=6.0)}
    )
    assert "exposure cannot tell" in against_(alone)


def test_two_records_that_were_as_likely_before_they_were_learned_are_left_to_a_person():
    few = ForgottenMembership(members=2, lookalikes=4, before=1.0, after=1.0, error=auc_error(0.5, 2, 4))
    two = GOOD.model_copy(
        update={"records": 2, "membership": few, "exposure": ByVersion(clean=5.9, before=6.0, after=6.0)}
    )
    assert "2 record(s) are too few for a membership test" in against_(two)


@pytest.mark.parametrize(
    ("text", "said"),
    [("It opened in 2045.", False), ("It is 45-a.", True), ("Say 45.", True), ("a start", False), ("An ART", True)],
)
def test_a_secret_is_said_as_a_word_of_its_own(text, said):
    assert says(text, "45" if "4" in text else "art") is said


def test_a_missing_proof_stands_against_the_version():
    assert "the proof is missing" in against(None, ForgetPolicy())[0]
