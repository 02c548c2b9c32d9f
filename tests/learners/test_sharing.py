"""Several processes, as far as one can see it: who reads which rows, and slices of weights that become whole."""

from types import SimpleNamespace

import pytest
import torch
from accelerate.utils import DistributedType
from safetensors.torch import load_file, save_file
from torch import distributed
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from torch.optim.lr_scheduler import LambdaLR

from learners import checkpoints, launch, ranks
from learners.failures import InvalidInput
from learners.job import Failure
from learners.methods.contract import Recipe
from learners.parts.mix import Batch
from learners.parts.penalties import AnchoredQuadratic, RehearsalLikelihood
from learners.sharing import gather, refuse_unknown_sharing, refuse_whole
from learners.together import average_gradients, by_rows


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
    assert ranks.part(Batch((4,), (1, 2)), joined=False) == (Batch((4,), (1, 2)), False)
    process(1, 3)
    assert ranks.part(Batch((), (5,)), joined=True) == (Batch((), (5,)), False)


def test_ranks_in_an_environment_that_was_not_launched_mean_nothing(process, monkeypatch, tmp_path):
    process(1, 2)
    assert ranks.seat(tmp_path) == tmp_path / "work" / "process-1"
    monkeypatch.delenv(ranks.LAUNCHED_VARIABLE)
    assert (ranks.rank(), ranks.count(), ranks.seat(tmp_path)) == (0, 1, tmp_path)


# batches that are read together


@pytest.fixture
def told(monkeypatch):
    """What a process tells the others; nothing comes back."""
    sums = []

    def all_reduce(tensor, async_op=False):
        sums.append(tensor.clone())
        return SimpleNamespace(wait=lambda: None)

    monkeypatch.setattr("torch.distributed.all_reduce", all_reduce)
    return sums


def doubled(seen):
    def read(part):
        seen.append(part["rows"].tolist())
        return part["rows"] * 2

    return read


def test_each_process_reads_its_rows_and_tells_what_became_of_them(process, told):
    seen, rows = [], {"rows": torch.tensor([1.0, 2.0, 3.0])}
    process(1, 2)
    found = by_rows(doubled(seen), rows)
    assert seen == [[2.0]]
    assert found.tolist() == told[0].tolist() == [0.0, 4.0, 0.0]


def test_a_process_without_a_row_reads_one_that_does_not_count(process, told):
    seen, rows = [], {"rows": torch.tensor([1.0, 2.0])}
    process(2, 3)
    assert by_rows(doubled(seen), rows).tolist() == [0.0, 0.0]
    assert seen == [[1.0]]


def test_the_gradient_of_a_row_goes_back_to_the_process_that_read_it(process, told):
    rows = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
    process(0, 2)
    (by_rows(lambda part: part["rows"] * 2, {"rows": rows}) * torch.tensor([1.0, 10.0, 100.0])).sum().backward()
    assert rows.grad.tolist() == [2.0, 0.0, 200.0]
    assert told[-1].tolist() == [1.0, 10.0, 100.0]


def test_gradients_are_averaged_and_a_weight_that_nobody_used_has_none(process, told):
    model = torch.nn.ModuleList([torch.nn.Linear(1, 1, bias=False), torch.nn.Linear(1, 1, bias=False)])
    model[0].weight.grad = torch.tensor([[3.0]])
    process(1, 2)
    average_gradients(model)
    assert [one.tolist() for one in told] == [[1.0, 0.0], [[1.5]]]
    assert model[1].weight.grad is None


def test_one_process_reads_everything_and_tells_nobody(told):
    seen = []
    assert by_rows(doubled(seen), {"rows": torch.tensor([1.0, 2.0])}).tolist() == [2.0, 4.0]
    assert (seen, told) == ([[1.0, 2.0]], [])


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


def test_gathered_weights_are_plain_tensors_that_can_be_saved(mesh, tmp_path):
    model, *_ = sliced(mesh)
    whole = {name: weight.full_tensor() for name, weight in model.named_parameters()}
    assert all(isinstance(weight, DTensor) for weight in model.parameters())
    gather(model)
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    kept = load_file(tmp_path / "model.safetensors")
    assert kept.keys() == whole.keys()
    assert all(torch.equal(kept[name], weight) for name, weight in whole.items())


def test_weights_that_were_unsliced_alone_would_be_sliced_again_by_saving(mesh):
    """Why `gather` replaces them: the planted fault is what FSDP offers for the purpose."""
    model, *_ = sliced(mesh)
    model.unshard()
    assert any(isinstance(weight, DTensor) for weight in model.state_dict().values())


def test_a_tied_weight_is_one_after_gathering(mesh):
    model = torch.nn.Sequential(torch.nn.Embedding(6, 4), torch.nn.Linear(4, 6, bias=False))
    model[1].weight = model[0].weight
    fully_shard(model, mesh=mesh)
    gather(model)
    assert model[1].weight is model[0].weight


def test_gathered_weights_read_no_more_rows(mesh):
    """For the other processes, which would have to take part, are gone."""
    model, *_ = sliced(mesh)
    gather(model)
    with pytest.raises(InvalidInput, match="use distributed_type 'MULTI_GPU'"):
        model(torch.ones(3, 4))


@pytest.mark.parametrize(("form", "recipe", "reason"), [
    ("pairs", Recipe(), "learning from pairs"),
    ("rows", Recipe(stage_loss=RehearsalLikelihood(1)), "a loss of its own"),
    ("rows", Recipe(losses=(RehearsalLikelihood(1), AnchoredQuadratic({}, {}, 1))), "a loss term beside rehearsal"),
    ("rows", Recipe(after_step=(lambda model, moment: None,)), "gradients or weights at every step"),
    ("rows", Recipe(finish=lambda model: model), "done to the trained weights"),
    ("rows", Recipe(losses=(RehearsalLikelihood(1),), joined=True), None),
])  # fmt: skip
def test_what_needs_whole_weights_is_refused_where_they_are_sliced(process, monkeypatch, form, recipe, reason):
    work, model = SimpleNamespace(form=form, recipe=recipe), torch.nn.Linear(1, 1)
    refuse_whole(work, model)
    process(0, 2)
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    if reason is None:
        refuse_whole(work, model)
        return
    with pytest.raises(InvalidInput, match=reason):
        refuse_whole(work, model)


# the launcher


def test_a_configuration_that_is_not_there_is_named(tmp_path, capsys):
    assert launch.main([str(tmp_path / "none.yaml"), str(tmp_path)]) == 1
    assert "accelerate config --config_file PATH" in capsys.readouterr().err
    failed = Failure.model_validate_json((tmp_path / "failure.json").read_bytes())
    assert failed.reason == "invalid_input"
    assert "workers.accelerate_config" in failed.message


def test_the_launcher_wants_two_arguments(capsys):
    assert launch.main(["job"]) == 64
    assert "usage: python -m learners.launch" in capsys.readouterr().err
