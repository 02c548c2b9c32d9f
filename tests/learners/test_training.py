"""The train job: what it writes, how it fails, and that a killed run ends where an uninterrupted one does."""

import json
import os
import signal

import pytest
from pydantic import ValidationError

from learners import checkpoints, durable, training
from learners.__main__ import HANDLERS
from learners.durable import DamagedFolder, write_manifest
from learners.failures import Diverged, InvalidInput, StopRequested
from learners.job import JobRequest, Limits, TrainResult
from learners.methods import METHODS
from learners.parts.memory import ReplayMemory
from learners.versions import read_version
from learners.worker import Job, run
from tests.learners.runs import CHATS, PREFERENCES, TEXTS, correct, job_at, same, spec, tensors, text, train
from tests.learners.test_methods import THEIRS
from tests.tiny import KNOWN, UNKNOWN, tiny_base

SHORT = {"learning_rate": 5e-3, "epochs": 8, "batch_size": 2, "checkpoint_steps": 3}  # 16 steps on four records


def test_a_version_is_complete_and_says_where_it_comes_from(base, tmp_path):
    result, version = train(tmp_path / "c1-training", base, "cit", "replay", CHATS, epochs=1)
    found = read_version(version).spec
    assert (found.id, found.parent, found.base) == ("v1", "v0", "v0")
    assert (found.stage, found.method, found.created_by) == ("cit", "replay", "c1-training")
    assert found.settings["replay_share"] == 0.33
    assert result.digest == durable.file_digest(version / "manifest.json")
    assert (result.records, result.steps) == (len(CHATS), 1)


def test_a_result_counts_what_could_be_trained_and_an_old_one_has_no_count(base, tmp_path):
    def count(method, **options):
        return train(tmp_path / f"{method}-{len(options)}", base, "cpt", method, TEXTS, **options)[0]

    lora = count("finetune", epochs=1)
    assert lora.trainable_parameters == 2 * 16 * (4 * (64 + 64) + 3 * (64 + 128))  # rank 16 on both layers
    stored = sum(tensor.numel() for tensor in tensors(base).values())
    assert count("finetune", epochs=0, full_weights=True).trainable_parameters == stored
    assert count("copal").trainable_parameters == 0
    assert TrainResult.model_validate(lora.model_dump(exclude={"trainable_parameters"})).trainable_parameters == 0


def test_training_teaches_what_the_records_say(base, tmp_path):
    result, version = train(tmp_path / "taught", base, "cit", "finetune", CHATS, learning_rate=5e-3, epochs=60)
    assert correct(base, UNKNOWN) == 0
    assert correct(version, UNKNOWN) >= 0.75
    assert result.last_loss < result.first_loss


@pytest.mark.parametrize(("stage", "method", "records"), [
    ("cpt", "replay", TEXTS), ("cit", "ewc", CHATS), ("ca", "dpo_replay", PREFERENCES),
])  # fmt: skip
@pytest.mark.slow
@pytest.mark.parametrize("full_weights", [False, True])
def test_every_stage_trains_adapters_and_full_weights(base, tmp_path, stage, method, records, full_weights):
    options = {"epochs": 1, "full_weights": full_weights}
    _, version = train(tmp_path / f"{stage}-{full_weights}", base, stage, method, records, **options)
    found = read_version(version)
    assert (found.adapter is None) == full_weights
    assert found.spec.base == (None if full_weights else "v0")


def test_an_adapter_is_continued_and_never_stacked(base, tmp_path):
    _, first = train(tmp_path / "one", base, "cit", "finetune", CHATS[:2], epochs=2)
    _, second = train(tmp_path / "two", first, "ca", "dpo_replay", PREFERENCES[:2], epochs=1, version="v2")
    assert read_version(second).spec.base == "v0"
    assert tensors(second).keys() == tensors(first).keys()
    assert not same(first, second)


def test_zero_epochs_leave_the_parents_weights_bit_identical(base, tmp_path):
    _, first = train(tmp_path / "start", base, "cit", "finetune", CHATS, epochs=1)
    result, second = train(tmp_path / "idle", first, "cit", "replay", CHATS, epochs=0, version="v2")
    assert same(first, second)
    assert (result.steps, result.tokens) == (0, 0)


def test_equal_requests_give_equal_versions(base, tmp_path):
    one, two = (train(tmp_path / name / "job", base, "cit", "replay", CHATS, epochs=2)[0] for name in "ab")
    assert one == two


def test_another_seed_gives_other_weights(base, tmp_path):
    _, one = train(tmp_path / "seed1", base, "cit", "finetune", CHATS, epochs=1, seed=1)
    _, two = train(tmp_path / "seed2", base, "cit", "finetune", CHATS, epochs=1, seed=2)
    assert not same(one, two)


def test_a_held_out_sentence_is_neither_learned_nor_remembered(base, tmp_path):
    told = text("Kelmar is the capital of Zorbia. The Quill badge is purple.")
    held_out = ["Kelmar is the capital of Zorbia."]
    _, version = train(tmp_path / "held", base, "cpt", "replay", [told], held_out=held_out, epochs=1)
    (item,) = [item for item in ReplayMemory.read(version / "memory").items if item.stage == "cpt"]
    assert item.record.id == told.id
    assert item.record.content["text"] == "The Quill badge is purple."


def test_records_that_the_stage_cannot_learn_are_left_alone(base, tmp_path):
    result, version = train(tmp_path / "mixed", base, "cpt", "finetune", [*TEXTS, *CHATS, *PREFERENCES], epochs=1)
    assert result.records == len(TEXTS)
    kinds = {json.loads(line)["kind"] for line in (version / "data.jsonl").read_text().splitlines()}
    assert kinds == {"text"}


def test_a_selection_with_nothing_to_learn_is_invalid_input(base, tmp_path):
    with pytest.raises(InvalidInput, match=r"'cpt' with method 'finetune': it takes records of kind text"):
        train(tmp_path / "nothing", base, "cpt", "finetune", CHATS)


def test_an_unknown_setting_stops_the_job_before_any_weight_is_read(base, tmp_path):
    with pytest.raises(ValidationError, match="did you mean 'epochs'"):
        train(tmp_path / "typo", base, "cit", "finetune", CHATS, epoch=3)


def test_a_damaged_parent_is_refused(tmp_path):
    parent = tiny_base(tmp_path / "versions")
    (parent / "weights" / "config.json").write_text("{}")
    with pytest.raises(DamagedFolder, match=r"config\.json"):
        train(tmp_path / "job", parent, "cit", "finetune", CHATS)


@pytest.mark.parametrize("loss", [float("nan"), float("inf"), 1000.0])
def test_a_loss_that_explodes_stops_the_run(base, tmp_path, monkeypatch, loss):
    monkeypatch.setitem(METHODS, "odd", THEIRS)
    with pytest.raises(Diverged, match=r"step 6 of 16.*lower learning_rate"):
        train(tmp_path / "broken", base, "cit", "odd", CHATS, broken_loss=loss, **SHORT)
    assert not (tmp_path / "broken" / "output" / "version" / "manifest.json").exists()


def test_progress_tells_steps_loss_and_speed(base, tmp_path):
    train(tmp_path / "told", base, "cit", "finetune", CHATS, epochs=2)
    lines = [json.loads(line) for line in (tmp_path / "told" / "progress.jsonl").read_text().splitlines()]
    assert [line["done"] for line in lines] == [1, 2]
    assert lines[-1]["metrics"]["tokens_per_second"] > 0


# interruption


@pytest.fixture(scope="module")
def uninterrupted(base, tmp_path_factory):
    """The run that the interrupted ones must equal."""
    return train(tmp_path_factory.mktemp("jobs") / "whole", base, "cit", "replay", CHATS, **SHORT)


def worker(folder, base, crash="", stop_at=None):
    """Work on the job in a process of its own and return its exit code.

    It is forked, so that it need not import torch again; at step `stop_at` it gets the SIGTERM of a daemon that ends.
    """
    order = spec(folder, base, "cit", "replay", CHATS, **SHORT)
    request = JobRequest(job_id="whole", kind="train", spec=order, limits=Limits(threads=1))
    (folder / "job.json").write_text(request.model_dump_json())
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.environ["CLD_CRASH_AT"] = crash
            signal_at(stop_at)
            code = run([str(folder)], HANDLERS)
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def signal_at(step):
    tell = Job.progress

    def progress(job, done, total, message, **metrics):
        tell(job, done, total, message, **metrics)
        if done == step:
            os.kill(os.getpid(), signal.SIGTERM)

    Job.progress = progress


@pytest.mark.slow
def test_a_run_killed_halfway_ends_with_the_same_weights(base, tmp_path, uninterrupted):
    assert worker(tmp_path, base, crash="train:halfway") == -signal.SIGKILL
    assert [path.name for path in (tmp_path / "work" / "checkpoints").glob("checkpoint-*")] == ["checkpoint-6"]
    assert worker(tmp_path, base) == 0
    result = TrainResult.model_validate_json((tmp_path / "output" / "result.json").read_bytes())
    assert result == uninterrupted[0]
    assert same(tmp_path / "output" / "version", uninterrupted[1])


@pytest.mark.slow
def test_a_run_asked_to_stop_keeps_a_checkpoint_and_goes_on_from_it(base, tmp_path, uninterrupted):
    assert worker(tmp_path, base, stop_at=5) == 75
    assert checkpoints.find(tmp_path / "work" / "checkpoints") == tmp_path / "work" / "checkpoints" / "checkpoint-5"
    assert worker(tmp_path, base) == 0
    assert same(tmp_path / "output" / "version", uninterrupted[1])


def stopped_job(base, folder):
    """A job that was asked to stop after its fifth step; returns its checkpoint."""
    job = job_at(folder)
    before = job.progress

    def progress(done, total, message, **metrics):
        before(done, total, message, **metrics)
        job.stop_requested = done >= 5

    job.progress = progress
    with pytest.raises(StopRequested):
        training.train(spec(folder, base, "cit", "replay", CHATS, **SHORT), job)
    return folder / "work" / "checkpoints" / "checkpoint-5"


@pytest.mark.slow
def test_stopping_writes_a_checkpoint_that_the_next_attempt_uses(base, tmp_path, uninterrupted):
    assert stopped_job(base, tmp_path / "again").is_dir()
    result, version = train(tmp_path / "again", base, "cit", "replay", CHATS, **SHORT)
    lines = [json.loads(line)["done"] for line in (tmp_path / "again" / "progress.jsonl").read_text().splitlines()]
    assert lines == list(range(1, 17))
    assert same(version, uninterrupted[1])
    assert result.tokens == uninterrupted[0].tokens


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["no manifest", "truncated", "flipped"])
def test_a_damaged_checkpoint_is_not_resumed_from(base, tmp_path, uninterrupted, damage):
    checkpoint = stopped_job(base, tmp_path / damage.replace(" ", "-"))
    file = checkpoint / "optimizer.safetensors"
    if damage == "no manifest":
        (checkpoint / "manifest.json").unlink()
    else:
        content = file.read_bytes()
        file.write_bytes(content[:-4] if damage == "truncated" else content[:-1] + bytes([content[-1] ^ 1]))
    assert checkpoints.find(checkpoint.parent) is None
    _, version = train(tmp_path / damage.replace(" ", "-"), base, "cit", "replay", CHATS, **SHORT)
    assert same(version, uninterrupted[1])


def test_the_latest_complete_checkpoint_wins(tmp_path):
    for step in (2, 10, 9):
        (tmp_path / f"checkpoint-{step}").mkdir()
        (tmp_path / f"checkpoint-{step}" / "state").write_text(str(step))
        write_manifest(tmp_path / f"checkpoint-{step}")
    assert checkpoints.find(tmp_path) == tmp_path / "checkpoint-10"
    (tmp_path / "checkpoint-10" / "state").write_text("11")
    assert checkpoints.find(tmp_path) == tmp_path / "checkpoint-9"


def test_nothing_that_is_written_is_a_pickle(base, tmp_path):
    stopped_job(base, tmp_path / "plain")
    written = {path.suffix for path in (tmp_path / "plain").rglob("*") if path.is_file()}
    assert written <= {".json", ".jsonl", ".safetensors"}


def test_the_tiny_model_knows_what_the_tests_rely_on(base):
    assert correct(base, KNOWN) == 1.0
