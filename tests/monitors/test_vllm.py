"""vLLM beside the transformers engine, in an environment of its own: equal answers, adapters included.

Runs where CLD_VLLM_PYTHON names the interpreter of an environment with vLLM (docs/operations.md says how to make one).
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import pytest

from agent.work import workers
from learners.durable import write_manifest
from learners.job import JobRequest, Limits
from learners.versions import VersionSpec, write_data, write_spec
from monitors.engines import EngineError, open_engines
from monitors.job import EngineSettings, MeasureSpec, VersionRef
from tests.learners.runs import CHATS, train
from tests.monitors.test_engines import adapter_versions
from tests.monitors.test_measure import job_in, rows_of
from tests.tiny import KNOWN, tiny_weights

PYTHON = os.environ.get("CLD_VLLM_PYTHON")
NEEDS_VLLM = pytest.mark.skipif(not PYTHON, reason="CLD_VLLM_PYTHON names no interpreter with vLLM")
LIMITS = Limits(wall_seconds=1500, memory_bytes=12 * 2**30, disk_bytes=2**30, threads=1)


def suite():
    items = [
        {"id": f"say-{number}", "scorer": "match", "prompt": question, "answer": answer, "max_new_tokens": 6}
        for number, (question, answer) in enumerate(list(KNOWN.items())[:6])
    ]
    choices = list(dict.fromkeys(KNOWN.values()))
    items += [
        {"id": f"pick-{number}", "scorer": "choice", "prompt": question, "choices": choices[number : number + 3],
         "answer": 0}
        for number, question in enumerate(list(KNOWN)[:6])
    ]  # fmt: skip
    return {"suite": "mine", "role": "target", "items": items}


def wide_base(folder):
    """An untrained model with the tiny model's tokenizer and attention heads as wide as vLLM wants them on a CPU."""
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    tokenizer = AutoTokenizer.from_pretrained(tiny_weights() / "weights")
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=512, bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id, initializer_range=0.3,
    )  # fmt: skip
    for part in (LlamaForCausalLM(config), tokenizer):
        part.save_pretrained(folder / "weights")
    write_data(folder, ())
    write_spec(folder, VersionSpec(id="v0", created_by="tests"))
    write_manifest(folder)
    return folder


def measured(folder, versions, settings, python):
    """The rows of a measure job that a worker of its own did with this interpreter."""
    import yaml

    job = job_in(folder)
    (folder / "mine.yaml").write_text(yaml.safe_dump(suite()))
    spec = MeasureSpec(versions=versions, suites=(folder / "mine.yaml",), engine=settings).model_dump(mode="json")
    request = JobRequest(job_id="c1-measuring", kind="measure", spec=spec, limits=LIMITS)
    (folder / "job.json").write_text(request.model_dump_json())
    identity = workers.launch(folder, "monitors", LIMITS, {}, python)
    while isinstance(state := workers.inspect(folder, identity, lease_seconds=600), workers.Running):
        time.sleep(0.2)
    assert isinstance(state, workers.Finished), (folder / "worker.log").read_text()[-3000:]
    return rows_of(job)


@NEEDS_VLLM
@pytest.mark.slow
def test_vllm_and_transformers_measure_the_same(tmp_path):
    paths = adapter_versions(wide_base(tmp_path / "base"), tmp_path / "versions")[:2]
    versions = tuple(VersionRef(id=path.name, path=path) for path in reversed(paths))
    ours = measured(tmp_path / "ours", versions, EngineSettings(), Path(sys.executable))
    theirs = measured(tmp_path / "theirs", versions, EngineSettings(kind="vllm"), Path(str(PYTHON)))
    assert ours.keys() == theirs.keys()
    assert {name: (row.score, row.output) for name, row in ours.items()} == {
        name: (row.score, row.output) for name, row in theirs.items()
    }
    for name, row in ours.items():
        assert theirs[name].margin == pytest.approx(row.margin, abs=2e-3)


@NEEDS_VLLM
@pytest.mark.slow
def test_a_stack_of_three_tasks_is_served_as_one_adapter(tmp_path):
    parent = wide_base(tmp_path / "versions" / "v0")
    for number in range(3):
        learned = CHATS[number : number + 2]
        _, parent = train(tmp_path / f"task-{number}", parent, "cit", "o_lora", learned, learning_rate=2e-2, epochs=4)
    version = VersionRef(id=parent.name, path=parent)
    assert json.loads((parent / "adapter" / "adapter_config.json").read_text())["r"] == 24
    ours = measured(tmp_path / "ours", (version,), EngineSettings(), Path(sys.executable))
    theirs = measured(tmp_path / "theirs", (version,), EngineSettings(kind="vllm"), Path(str(PYTHON)))
    assert {name: row.output for name, row in ours.items()} == {name: row.output for name, row in theirs.items()}
    assert [theirs[name].margin for name in ours] == pytest.approx([row.margin for row in ours.values()], abs=1e-4)


@pytest.mark.skipif(sys.executable == PYTHON, reason="this environment has vLLM")
def test_a_missing_vllm_is_refused_with_the_key_that_helps():
    with pytest.raises(EngineError, match=r"engine.python.*docs/operations.md"):
        open_engines(EngineSettings(kind="vllm"))


def test_a_worker_runs_with_the_interpreter_that_it_is_given(tmp_path):
    (tmp_path / "python").write_text(f'#!/bin/sh\necho "my own interpreter"\nexec {sys.executable} "$@"\n')
    (tmp_path / "python").chmod(0o755)
    (tmp_path / "job").mkdir()
    identity = workers.launch(tmp_path / "job", "monitors", LIMITS, {}, tmp_path / "python")
    while isinstance(workers.inspect(tmp_path / "job", identity, lease_seconds=60), workers.Running):
        time.sleep(0.05)
    assert "my own interpreter" in (tmp_path / "job" / "worker.log").read_text()
