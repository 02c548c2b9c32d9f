"""Several processes, as far as one can see it: who takes which rows, and slices of weights that become whole."""

from types import SimpleNamespace

import pytest
import torch
from accelerate.utils import DistributedType
from torch import distributed
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from torch.optim.lr_scheduler import LambdaLR

from learners import checkpoints, launch, ranks
from learners.failures import InvalidInput
from learners.job import JobRequest
from learners.parts.mix import Batch
from learners.sharing import gather, refuse_unknown_sharing


@pytest.fixture
def process(monkeypatch):
    """Become one of several processes."""

    def become(rank, count):
        monkeypatch.setenv(ranks.LAUNCHED_VARIABLE, "1")
        monkeypatch.setenv("RANK", str(rank))
        monkeypatch.setenv("WORLD_SIZE", str(count))

    return become


# rows


@pytest.mark.parametrize("step", [Batch((4, 5, 6), (1, 2)), Batch((7,), (3,)), Batch((), (1, 2, 3)), Batch((9, 8))])
@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_every_row_of_a_joined_step_goes_to_exactly_one_process(process, step, count):
    taken = []
    for rank in range(count):
        process(rank, count)
        own, counts = ranks.part(step, joined=True)
        assert own.new or own.replayed
        taken += [(own.new, own.replayed)] if counts else []
    assert sorted(row for new, _ in taken for row in new) == sorted(step.new)
    assert sorted(row for _, replayed in taken for row in replayed) == sorted(step.replayed)


def test_every_process_rehearses_all_of_what_is_rehearsed_beside(process):
    for rank in range(2):
        process(rank, 2)
        assert ranks.part(Batch((4, 5, 6), (1, 2)), joined=False)[0].replayed == (1, 2)


def test_a_process_without_rows_takes_the_step_with_one_that_does_not_count(process):
    process(2, 3)
    assert ranks.part(Batch((4,), (1, 2)), joined=False) == (Batch((4,)), False)
    process(1, 3)
    assert ranks.part(Batch((), (5,)), joined=True) == (Batch((), (5,)), False)


def test_ranks_in_an_environment_that_was_not_launched_mean_nothing(process, monkeypatch, tmp_path):
    process(1, 2)
    assert ranks.seat(tmp_path) == tmp_path / "work" / "process-1"
    monkeypatch.delenv(ranks.LAUNCHED_VARIABLE)
    assert (ranks.rank(), ranks.count(), ranks.seat(tmp_path)) == (0, 1, tmp_path)


# weights


@pytest.mark.parametrize(("kind", "version", "fits"), [
    (DistributedType.NO, None, True), (DistributedType.MULTI_CPU, None, True), (DistributedType.MULTI_GPU, None, True),
    (DistributedType.FSDP, 2, True), (DistributedType.FSDP, 1, False), (DistributedType.DEEPSPEED, None, False),
])  # fmt: skip
def test_only_what_can_be_saved_as_a_version_is_trained(kind, version, fits):
    plugin = SimpleNamespace(fsdp_version=version) if version else None
    state = SimpleNamespace(distributed_type=kind, fsdp_plugin=plugin)
    if fits:
        refuse_unknown_sharing(state)
        return
    with pytest.raises(InvalidInput, match="no version can be saved; use 'MULTI_GPU', or 'FSDP' with fsdp_version: 2"):
        refuse_unknown_sharing(state)


@pytest.fixture
def mesh(tmp_path):
    """A group of one process, which slices as one of many does."""
    distributed.init_process_group("gloo", init_method=f"file://{tmp_path / 'store'}", rank=0, world_size=1)
    yield init_device_mesh("cpu", (1,))
    distributed.destroy_process_group()


def sliced(mesh):
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Linear(4, 2))
    fully_shard(model, mesh=mesh)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    return model, optimizer, LambdaLR(optimizer, lambda step: 1.0)


def step(model, optimizer):
    model(torch.ones(3, 4)).square().mean().backward()
    optimizer.step()
    optimizer.zero_grad()


def test_a_sliced_run_goes_on_from_its_checkpoint_as_if_it_had_never_stopped(mesh, tmp_path):
    model, optimizer, schedule = sliced(mesh)
    step(model, optimizer)
    final = tmp_path / "checkpoint-1"
    checkpoints.save(final, model=model, optimizer=optimizer, schedule=schedule, method_state={}, documents={})
    step(model, optimizer)
    resumed, its_optimizer, its_schedule = sliced(mesh)
    checkpoints.load_weights(final, resumed)
    checkpoints.load_optimizer(final, its_optimizer, its_schedule)
    step(resumed, its_optimizer)
    for one, other in zip(model.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(one.full_tensor(), other.full_tensor())


def test_gathered_weights_are_plain_tensors_that_can_be_saved(mesh):
    model, *_ = sliced(mesh)
    whole = {name: weight.full_tensor() for name, weight in model.named_parameters()}
    assert all(isinstance(weight, DTensor) for weight in model.parameters())
    gather(model)
    assert all(not isinstance(weight, DTensor) for weight in model.parameters())
    assert all(torch.equal(weight, whole[name]) for name, weight in model.named_parameters())


# the launcher


def test_a_configuration_that_is_not_there_is_named(tmp_path, capsys):
    assert launch.main([str(tmp_path / "none.yaml"), str(tmp_path)]) == 1
    assert "accelerate config --config_file PATH" in capsys.readouterr().err


@pytest.mark.parametrize(("stage", "alone"), [("cpt", False), ("cit", False), ("ca", True), ("forget", True)])
def test_a_stage_that_is_not_shared_out_becomes_a_plain_worker(tmp_path, monkeypatch, stage, alone):
    (tmp_path / "job.json").write_text(JobRequest(job_id="j", kind="train", spec={"stage": stage}).model_dump_json())
    (tmp_path / "two.yaml").touch()
    started = []
    monkeypatch.setattr("os.execv", lambda path, command: started.append(command[-3:]))
    monkeypatch.setattr(launch, "_launch", lambda config, folder: 0)
    assert launch.main([str(tmp_path / "two.yaml"), str(tmp_path)]) == 0
    assert started == ([["-m", "learners", str(tmp_path)]] if alone else [])


def test_the_launcher_wants_two_arguments(capsys):
    assert launch.main(["job"]) == 64
    assert "usage: python -m learners.launch" in capsys.readouterr().err
