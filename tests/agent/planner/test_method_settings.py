"""What cld.toml says about training reaches the method that trains."""

import pytest

from agent.config import Config, Training
from agent.planner.plan import Candidate
from agent.planner.settings import configured_settings
from learners.methods import settings_for

TOLD = {
    "packing": True,
    "precision": "bfloat16",
    "gradient_checkpointing": True,
    "lora_targets": ("q_proj", "v_proj"),
}


@pytest.mark.parametrize(("stage", "method"), [("cpt", "finetune"), ("cit", "replay"), ("ca", "dpo_replay")])
def test_how_versions_are_trained_reaches_every_stage(stage, method):
    candidate = Candidate.model_construct(stage=stage, method=method)
    given = configured_settings(Config(training=Training(**TOLD)), candidate)
    settings = settings_for(method, stage, given)
    assert {name: getattr(settings, name) for name in TOLD} == TOLD


@pytest.mark.parametrize(("stage", "method"), [("cpt", "replay"), ("cit", "replay"), ("ca", "dpo_replay")])
def test_how_much_is_rehearsed_reaches_the_methods_that_rehearse(stage, method):
    given = configured_settings(Config(), Candidate.model_construct(stage=stage, method=method))
    told = getattr(Config().training, stage)
    settings = settings_for(method, stage, given)
    assert (settings.replay_share, settings.replay_weight) == (told.replay_share, told.replay_weight)


def test_a_method_that_needs_a_rate_of_its_own_keeps_it():
    given = configured_settings(Config(), Candidate.model_construct(stage="cit", method="llama_pro"))
    assert "learning_rate" not in given and given["batch_size"] == Config().training.cit.batch_size


def test_the_defaults_train_as_before():
    settings = settings_for(
        "finetune", "cpt", configured_settings(Config(), Candidate.model_construct(stage="cpt", method="finetune"))
    )
    assert (settings.packing, settings.gradient_checkpointing, settings.lora_targets) == (False, False, "auto")


def test_targets_are_a_known_word_or_a_list():
    with pytest.raises(ValueError, match="lora_targets"):
        Training(lora_targets="query")
