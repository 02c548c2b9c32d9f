"""A training worker of several processes, seen from the daemon: started, asked to stop, gone."""

import time

import pytest

from agent.root import processes
from agent.work import workers
from learners.job import JobRequest, Limits
from tests.learners.runs import TEXTS, spec, steps_taken
from tests.tiny import tiny_base

CONFIG = "compute_environment: LOCAL_MACHINE\ndistributed_type: MULTI_GPU\nuse_cpu: true\nnum_processes: 2\n"
_SECONDS = 600.0


@pytest.mark.slow
def test_all_processes_checkpoint_and_end_when_their_worker_is_asked_to_stop(tmp_path):
    folder, base, limits = tmp_path / "c1-training", tiny_base(tmp_path / "versions"), Limits(threads=1)
    order = spec(folder, base, "cpt", "finetune", TEXTS, epochs=5000, batch_size=2)
    (folder / "job.json").write_text(
        JobRequest(job_id=folder.name, kind="train", spec=order, limits=limits).model_dump_json()
    )
    (tmp_path / "two.yaml").write_text(CONFIG)
    identity = workers.launch(folder, "learners", limits, {}, accelerate_config=tmp_path / "two.yaml")
    _until(lambda: (folder / "progress.jsonl").exists() and steps_taken(folder), identity)
    assert len(processes.family(identity, ("CLD_JOB_DIR", str(folder)))) == 3
    workers.stop(identity, grace_seconds=_SECONDS)
    assert processes.family(identity, ("CLD_JOB_DIR", str(folder))) == []
    assert (folder / "stopped").exists()
    (checkpoint,) = (folder / "work" / "checkpoints").glob("checkpoint-*")
    assert checkpoint.name == f"checkpoint-{steps_taken(folder)[-1]}"


def _until(reached, identity):
    deadline = time.monotonic() + _SECONDS
    while not reached():
        assert processes.alive(identity)
        assert time.monotonic() < deadline
        time.sleep(0.1)
