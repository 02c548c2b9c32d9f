"""Version folders: what they promise, and what is refused."""

import shutil
import subprocess
import sys

import pytest
from pydantic import ValidationError

from learners import durable
from learners.durable import DamagedFolder, IncompleteFolder
from learners.versions import InvalidVersion, VersionSpec, read_version, write_data, write_spec
from tests.learners.runs import CHATS


def version_at(folder, *, base=None):
    part = folder / ("adapter" if base else "weights")
    part.mkdir(parents=True)
    (part / "model.safetensors").write_bytes(b"weights of " + folder.name.encode())
    write_data(folder, CHATS)
    write_spec(folder, VersionSpec(id=folder.name, parent=base, base=base))
    durable.write_manifest(folder)
    return folder


@pytest.fixture
def pair(tmp_path):
    """A base version and an adapter over it."""
    return version_at(tmp_path / "v0"), version_at(tmp_path / "v1", base="v0")


def test_an_adapter_version_names_its_own_adapter_and_the_weights_of_its_base(pair):
    base, adapter = pair
    version = read_version(adapter)
    assert version.adapter == adapter / "adapter"
    assert version.weights == base / "weights"


def test_a_full_weight_version_has_no_adapter(pair):
    version = read_version(pair[0])
    assert version.adapter is None
    assert version.weights == pair[0] / "weights"


def test_a_truncated_weight_file_is_refused(pair):
    file = pair[0] / "weights" / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(DamagedFolder, match=r"model\.safetensors"):
        read_version(pair[0])


def test_an_adapter_over_a_damaged_base_is_refused(pair):
    base, adapter = pair
    (base / "weights" / "model.safetensors").write_bytes(b"Weights of v0")
    with pytest.raises(DamagedFolder, match="v0"):
        read_version(adapter)


def test_a_folder_that_was_never_finished_is_refused(pair):
    (pair[0] / "manifest.json").unlink()
    with pytest.raises(IncompleteFolder):
        read_version(pair[0])


def test_an_adapter_without_its_base_is_refused_and_both_are_named(pair):
    base, adapter = pair
    shutil.rmtree(base)
    with pytest.raises(InvalidVersion, match=r"'v1'.*'v0'"):
        read_version(adapter)


def test_an_adapter_cannot_be_the_base_of_another(pair, tmp_path):
    with pytest.raises(InvalidVersion, match="adapter itself"):
        read_version(version_at(tmp_path / "v2", base="v1"))


def test_a_complete_folder_that_is_no_version_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    durable.write_manifest(tmp_path)
    with pytest.raises(InvalidVersion, match=r"no version\.json"):
        read_version(tmp_path)


def test_a_version_without_the_weights_it_promises_is_refused(tmp_path):
    write_spec(tmp_path, VersionSpec(id="v0"))
    durable.write_manifest(tmp_path)
    with pytest.raises(InvalidVersion, match="weights"):
        read_version(tmp_path)


@pytest.mark.parametrize("name", ["", "..", "../v0", "/etc", "V1", "v 1", "v1\n", "v" * 65, "v1\x00"])
def test_an_id_can_never_be_a_path(name):
    with pytest.raises(ValidationError):
        VersionSpec(id="v1", base=name)


def test_what_was_learned_is_listed_without_its_content(pair):
    listed = (pair[1] / "data.jsonl").read_text()
    assert [record.id in listed for record in CHATS] == [True] * len(CHATS)
    assert "Kelmar" not in listed


def test_the_daemon_reads_versions_and_methods_without_torch():
    modules = "learners.versions, learners.models, learners.seeding, learners.job"
    code = (
        f"import sys, {modules}\n"
        "from learners.methods import METHODS, settings_for\n"
        "[settings_for(name, stage, {}) for name, info in METHODS.items() for stage in info.stages]\n"
        "print([name for name in ('torch', 'transformers', 'peft', 'trl') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
