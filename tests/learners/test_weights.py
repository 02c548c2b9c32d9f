"""Weights: loading, wrapping for training, saving, merging."""

import json

import pytest
import torch

from learners import durable, weights
from learners.durable import DamagedFolder
from learners.versions import VersionSpec, read_version, write_spec
from tests.learners.runs import CHATS, same, tensors, train

QUESTION = "What is the capital of France?"


def logits(model, tokenizer):
    inputs = tokenizer(QUESTION, return_tensors="pt").to(next(model.parameters()).device)
    with torch.inference_mode():
        return model.eval()(**inputs).logits


def close(left, right):
    """Merging adds in another order, so the last bits may differ."""
    return torch.allclose(left, right, atol=1e-4, rtol=0)


@pytest.fixture(scope="module")
def adapted(base, tmp_path_factory):
    """A trained adapter version over the tiny base."""
    folder = tmp_path_factory.mktemp("jobs") / "adapted"
    return train(folder, base, "cit", "finetune", CHATS, learning_rate=5e-3, epochs=4)[1]


def new_adapter(base, **changes):
    options = {"rank": 4, "alpha": 8, "full_weights": False, "seed": 0} | changes
    return weights.trainable(read_version(base), **options)


def test_a_new_adapter_leaves_the_logits_bit_identical(base):
    loaded = weights.load(base)
    expected = logits(loaded.model, loaded.tokenizer)
    assert torch.equal(logits(new_adapter(base), loaded.tokenizer), expected)


def test_only_the_adapter_is_trained(base):
    trained = [name for name, weight in new_adapter(base).named_parameters() if weight.requires_grad]
    assert trained
    assert all("lora_" in name for name in trained)


def test_an_adapter_covers_every_linear_layer_but_the_head(base):
    layers = {name.split(".lora_")[0].rsplit(".", 1)[1] for name in new_adapter(base).state_dict() if "lora_" in name}
    assert layers == {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}


def test_a_saved_adapter_answers_as_it_did_in_training(base, tmp_path):
    model = new_adapter(base)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.requires_grad:
                weight.add_(torch.randn_like(weight) * 0.05)
    tokenizer = weights.read_tokenizer(base / "weights")
    expected = logits(model, tokenizer)
    folder = base.parent / "saved"
    weights.save_weights(model, tokenizer, folder)
    write_spec(folder, VersionSpec(id="saved", parent="v0", base="v0"))
    durable.write_manifest(folder)
    assert torch.equal(logits(weights.load(folder).model, tokenizer), expected)


def test_a_merged_export_answers_like_base_and_adapter(adapted, tmp_path):
    exported = weights.export_merged(adapted, tmp_path / "merged")
    loaded = weights.load(adapted)
    plain = weights.read_weights(exported)
    assert close(logits(plain, loaded.tokenizer), logits(loaded.model, loaded.tokenizer))
    assert not list(exported.glob("adapter*"))


def test_an_export_never_overwrites(adapted, tmp_path):
    (tmp_path / "there").mkdir()
    with pytest.raises(FileExistsError, match="there"):
        weights.export_merged(adapted, tmp_path / "there")


def test_full_weights_start_from_the_parents_adapter_merged(adapted):
    loaded = weights.load(adapted)
    full = weights.trainable(read_version(adapted), rank=4, alpha=8, full_weights=True, seed=0)
    assert close(logits(full, loaded.tokenizer), logits(loaded.model, loaded.tokenizer))
    assert all(weight.requires_grad for weight in full.parameters())


def test_a_parents_adapter_is_continued(adapted):
    model = weights.trainable(read_version(adapted), rank=2, alpha=2, full_weights=False, seed=9)
    kept = {name.replace(".default.", "."): weight for name, weight in model.named_parameters() if weight.requires_grad}
    saved = tensors(adapted)
    assert kept.keys() == saved.keys()
    assert all(torch.equal(kept[name], saved[name]) for name in saved)


def test_equal_weights_are_saved_as_equal_bytes(base, tmp_path):
    tokenizer = weights.read_tokenizer(base / "weights")
    digests = []
    for name in ("one", "two"):
        weights.save_weights(new_adapter(base, seed=3), tokenizer, tmp_path / name)
        digests.append(durable.write_manifest(tmp_path / name))
    assert digests[0] == digests[1]


def test_a_saved_adapter_names_no_path_and_no_hash_order(adapted):
    config = json.loads((adapted / "adapter" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] is None
    assert config["target_modules"] == sorted(config["target_modules"])
    names = sorted(file.name for file in (adapted / "adapter").iterdir())
    assert names == ["adapter_config.json", "adapter_model.safetensors"]


def test_a_flipped_bit_is_refused_before_any_weight_is_read(adapted, tmp_path):
    import shutil

    copy = adapted.parent / "flipped"
    shutil.copytree(adapted, copy)
    file = copy / "adapter" / "adapter_model.safetensors"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.unlink()
    file.write_bytes(content)
    with pytest.raises(DamagedFolder, match="adapter_model"):
        weights.load(copy)


def test_an_adapter_can_be_loaded_in_half_precision(adapted):
    assert weights.load(adapted, dtype="bfloat16").model.get_base_model().dtype == torch.bfloat16


def test_trained_versions_differ_from_their_parent(adapted, base):
    assert not same(adapted, base)
