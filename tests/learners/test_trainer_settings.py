"""What the trainer can be told: which layers learn, what is computed again, which kernels run."""

import json

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from learners import weights
from learners.failures import InvalidInput
from learners.parts.targets import target_modules
from learners.trainer import fused_layers, half_precision
from tests.learners.runs import CHATS, PREFERENCES, TEXTS, same, tensors, train

ATTENTION = {"q_proj", "k_proj", "v_proj", "o_proj"}
MLP = {"gate_proj", "up_proj", "down_proj"}


def layers(version):
    """Names of the layers that an adapter stands on."""
    return {name.split(".lora_")[0].rpartition(".")[2] for name in tensors(version)}


# LoRA targets


@pytest.mark.parametrize(("asked", "found"), [
    ("auto", ATTENTION | MLP), ("attention", ATTENTION), ("mlp", MLP),
    (["q_proj", "mlp.up_proj"], {"q_proj", "up_proj"}),
])  # fmt: skip
def test_an_adapter_stands_on_the_layers_that_were_asked_for(base, tmp_path, asked, found):
    _, version = train(tmp_path / "targets", base, "cit", "finetune", CHATS, epochs=1, lora_targets=asked)
    assert layers(version) == found
    assert json.loads((version / "version.json").read_text())["settings"]["lora_targets"] == asked


def test_the_default_is_what_peft_calls_all_linear(model):
    assert target_modules(model, "auto") == "all-linear"


def test_one_layer_can_be_named_by_its_whole_path(model):
    wrapped = weights.new_adapter(model, rank=2, alpha=4, seed=0, targets=("model.layers.1.mlp.up_proj",))
    learned = [name for name, weight in wrapped.named_parameters() if weight.requires_grad]
    assert len(learned) == 2
    assert all("layers.1.mlp.up_proj" in name for name in learned)


def test_the_halves_of_a_block_are_told_apart_in_other_architectures():
    gpt2 = GPT2LMHeadModel(GPT2Config(n_layer=1, n_embd=8, n_head=2, vocab_size=16, n_positions=8))
    assert target_modules(gpt2, "attention") == ["attn.c_attn", "attn.c_proj"]
    assert target_modules(gpt2, "mlp") == ["mlp.c_fc", "mlp.c_proj"]


@pytest.mark.parametrize(("asked", "said"), [
    (["query"], r"'query'.*'auto', 'attention', 'mlp' or .*down_proj, gate_proj.*v_proj"),
    (["lm_head"], "lm_head"), ([], "empty"),
])  # fmt: skip
def test_a_layer_that_is_not_there_is_refused_with_those_that_are(base, tmp_path, asked, said):
    with pytest.raises(InvalidInput, match=said):
        train(tmp_path / "nowhere", base, "cit", "finetune", CHATS, epochs=1, lora_targets=asked)


# gradient checkpointing


@pytest.mark.parametrize(("stage", "records", "full_weights"), [
    ("cpt", TEXTS, False), ("cit", CHATS, True), ("ca", PREFERENCES, False),
])  # fmt: skip
def test_computing_activations_again_changes_no_weight(base, tmp_path, stage, records, full_weights):
    method = "dpo_replay" if stage == "ca" else "finetune"
    options = {"epochs": 2, "full_weights": full_weights}
    plain, one = train(tmp_path / "kept", base, stage, method, records, **options)
    result, other = train(tmp_path / "again", base, stage, method, records, gradient_checkpointing=True, **options)
    assert (result.first_loss, result.last_loss) == (plain.first_loss, plain.last_loss)
    assert same(one, other)


def test_activations_are_kept_unless_they_are_computed_again(base, tmp_path, monkeypatch):
    kept = {again: _saved_bytes(base, tmp_path / f"kept-{again}", monkeypatch, again) for again in (False, True)}
    assert kept[True] < 0.7 * kept[False]


def _saved_bytes(base, folder, monkeypatch, again):
    """Bytes of all tensors that the first forward pass keeps for the backward pass, weights left out."""
    from learners import trainer

    likelihood, sizes = trainer.negative_log_likelihood, []

    def watched(model, rows):
        own = {weight.data_ptr() for weight in model.parameters()}

        def pack(tensor):
            sizes.append(0 if tensor.data_ptr() in own else tensor.nbytes)
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            return likelihood(model, rows)

    monkeypatch.setattr(trainer, "negative_log_likelihood", watched)
    options = {"epochs": 1, "batch_size": 4, "full_weights": True, "gradient_checkpointing": again}
    train(folder, base, "cpt", "finetune", TEXTS, **options)
    monkeypatch.undo()
    return sum(sizes)


# number formats


@pytest.mark.parametrize(("stage", "records"), [("cpt", TEXTS), ("cit", CHATS), ("ca", PREFERENCES)])
def test_half_precision_computes_nearly_the_same_and_keeps_weights_whole(base, tmp_path, stage, records):
    method = "dpo_replay" if stage == "ca" else "finetune"
    whole, _ = train(tmp_path / "whole", base, stage, method, records, epochs=2)
    half, version = train(tmp_path / "half", base, stage, method, records, epochs=2, precision="bfloat16")
    assert half.first_loss != whole.first_loss
    assert half.first_loss == pytest.approx(whole.first_loss, rel=0.02)
    assert half.last_loss == pytest.approx(whole.last_loss, rel=0.1)
    assert {weight.dtype for weight in tensors(version).values()} == {torch.float32}


@pytest.mark.parametrize(("asked", "on_gpu", "half"), [
    ("auto", False, False), ("float32", True, False), ("bfloat16", False, True), ("bfloat16", True, True),
])  # fmt: skip
def test_a_processor_computes_in_half_precision_only_when_told(asked, on_gpu, half):
    assert half_precision(asked, on_gpu=on_gpu) is half


# kernels


@pytest.mark.parametrize(("on_gpu", "liger", "fused"), [
    (False, False, False), (False, True, False), (True, False, False), (True, True, True),
])  # fmt: skip
def test_fused_layers_run_on_a_gpu_where_they_are_installed_and_nowhere_else(on_gpu, liger, fused):
    assert fused_layers(on_gpu=on_gpu, liger=liger) is fused
