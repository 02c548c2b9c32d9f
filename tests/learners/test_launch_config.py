"""Promises about files of `accelerate config`: what a training job cannot have is named by its key beforehand."""

import json

import pytest
import yaml

from learners import launch_config
from learners.launch_config import faults

CPUS = {"distributed_type": "MULTI_GPU", "use_cpu": True, "num_processes": 2}
SLICES = {"fsdp_version": 2, "fsdp_auto_wrap_policy": "TRANSFORMER_BASED_WRAP"}
GPUS = {"distributed_type": "FSDP", "num_processes": 2, "mixed_precision": "no", "fsdp_config": SLICES}


@pytest.fixture
def found(tmp_path, monkeypatch):
    """(keys, number of GPUs) -> what is wrong with a file of these keys."""
    monkeypatch.setattr(launch_config, "_DEVICES", tmp_path)

    def look(keys, gpus=2):
        for number in range(gpus):
            (tmp_path / f"nvidia{number}").touch()
        (tmp_path / "nvidiactl").touch()
        path = tmp_path / "several.yaml"
        path.write_text(keys if isinstance(keys, str) else yaml.safe_dump(keys))
        return faults(path)

    return look


@pytest.mark.parametrize(("keys", "gpus"), [(CPUS, 0), (GPUS, 2), (GPUS | {"distributed_type": "MULTI_GPU"}, 4)])
def test_what_a_job_can_have_is_no_fault(found, keys, gpus):
    assert found(keys, gpus) == []
    assert found(json.dumps(keys), gpus) == []


@pytest.mark.parametrize(("change", "finding", "fix"), [
    ({"distributed_type": "MULTI_CPU"}, "MULTI_CPU wants MPI", "MULTI_GPU with use_cpu: true"),
    ({"distributed_type": "DEEPSPEED"}, "no version can be saved", "MULTI_GPU or FSDP"),
    ({"distributed_type": None}, "distributed_type is None", "MULTI_GPU or FSDP"),
    ({"num_processes": 3}, "this machine has 2 GPUs", "at most 2"),
    ({"num_processes": 1}, "unset workers.accelerate_config", "2 or more"),
    ({"num_processes": "all"}, "num_processes is 'all'", "2 or more"),
    ({"num_machines": 2}, "one machine", "set num_machines to 1"),
    ({"mixed_precision": "fp16"}, "[training] precision", "set mixed_precision to 'no'"),
    ({"parallelism_config": {"parallelism_config_tp_size": 2}}, "layers are not", "left out"),
    ({"use_cpu": True}, "on GPUs alone", "set use_cpu to false"),
    ({"fsdp_config": {}}, "fsdp_version is 1", "set fsdp_version to 2"),
    ({"fsdp_config": {**SLICES, "fsdp_auto_wrap_policy": "NO_WRAP"}}, "has to hold them all", "TRANSFORMER_BASED"),
    ({"fsdp_config": {**SLICES, "offload_params": True}}, "fsdp_offload_params is True", "to False"),
    ({"fsdp_config": {**SLICES, "fsdp_activation_checkpointing": "true"}}, "gradient_checkpointing", "to False"),
])  # fmt: skip
def test_what_it_cannot_have_is_named_by_its_key(found, change, finding, fix):
    wrong = found(GPUS | change)
    assert any(finding in one.finding and fix in one.fix for one in wrong), wrong


@pytest.mark.parametrize(("content", "finding"), [
    ("distributed_type: [", "neither YAML nor JSON"), ("", "holds no keys"), ("- 1", "holds no keys"),
])  # fmt: skip
def test_a_file_that_is_none_of_accelerate_is_named(found, content, finding):
    (fault,) = found(content)
    assert finding in fault.finding
    assert "accelerate config" in fault.fix


def test_the_example_of_the_documentation_has_no_fault(found):
    text = (launch_config.Path(__file__).parents[2] / "docs" / "operations.md").read_text()
    examples = [part.split("```")[0] for part in text.split("```yaml\n")[1:]]
    slicing = [one for one in examples if "distributed_type: FSDP" in one]
    assert len(slicing) == 1
    assert found(slicing[0], gpus=4) == []
