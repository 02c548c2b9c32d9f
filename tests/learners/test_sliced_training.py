"""Training whose processes hold slices of the weights (FSDP 2), on CPUs that accelerate takes for GPUs."""

import os

import pytest
import torch
from torch import distributed
from torch.distributed.tensor import DTensor

from learners import trainer
from learners.sharing import gather
from tests.learners.runs import CHATS, TEXTS, steps_taken, train
from tests.learners.several import apart, forked, prepare

pytestmark = pytest.mark.slow

SHORT = {"epochs": 2, "batch_size": 3, "checkpoint_steps": 1, "learning_rate": 1e-2}


def on_cpus():
    """Let accelerate slice weights over CPUs, where it offers data-parallel processes alone; gloo has no mean.

    Fails where a run ends with whole weights after all.
    """
    from accelerate.state import DistributedType, PartialState

    os.environ |= {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2", "ACCELERATE_TORCH_DEVICE": "cpu"}
    os.environ |= {"FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP"}
    distributed.init_process_group("gloo")
    PartialState._prepare_backend = lambda *_: ("gloo", DistributedType.MULTI_GPU)
    shard = torch.distributed.fsdp.fully_shard

    def summing(modules, **options):
        found = shard(modules, **options)
        for module in modules if isinstance(modules, list) else [modules]:
            module.set_force_sum_reduction_for_comms(True)
        return found

    torch.distributed.fsdp.fully_shard = summing

    def gathering(model):
        assert any(isinstance(weight, DTensor) for weight in model.parameters())
        gather(model)

    trainer.gather = gathering


def files(version):
    return {str(path.relative_to(version)) for path in version.rglob("*") if path.is_file()}


@pytest.mark.parametrize(("stage", "method", "records", "options", "config"), [
    ("cit", "replay", CHATS, {}, "adapter/adapter_config.json"),
    ("cpt", "finetune", TEXTS, {"full_weights": True}, "weights/config.json"),
])  # fmt: skip
def test_processes_that_hold_slices_learn_what_one_does(base, tmp_path, stage, method, records, options, config):
    """Killed and resumed at that; what they save is a version like any other."""
    folder = tmp_path / "shared"
    prepare(folder, base, stage, method, records, **SHORT, **options)
    _, version = train(tmp_path / "alone", base, stage, method, records, **SHORT, **options)
    assert 0 not in forked(folder, crash="train:halfway", begin=on_cpus)
    assert forked(folder, begin=on_cpus) == [0, 0], (folder / "failure.json").read_text()
    assert steps_taken(folder) == [1, 2, 2, 3, 4]
    saved = folder / "output" / "version"
    assert apart(version, saved) < 1e-4
    assert files(version) == files(saved)
    assert (version / config).read_bytes() == (saved / config).read_bytes()


def test_what_needs_whole_weights_is_refused_before_the_first_step(base, tmp_path):
    folder = tmp_path / "shared"
    prepare(folder, base, "cpt", "ewc", TEXTS, **SHORT)
    assert forked(folder, begin=on_cpus) == [1, 1]
    failure = (folder / "failure.json").read_text()
    assert "invalid_input" in failure
    assert "a loss term beside rehearsal); use 'MULTI_GPU'" in failure
    assert not (folder / "work" / "checkpoints").exists()
