"""What cld.toml says about training reaches the method that trains."""

import pytest

from agent.config import Config, ForgetTraining, StageTraining, TextTraining, Training
from agent.planner.plan import Candidate
from agent.planner.settings import configured_settings
from learners.methods import load_method, settings_for

TOLD = {
    "packing": False,
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


def test_the_share_of_earlier_tasks_reaches_the_method_that_fills_batches_with_them():
    """A method that rehearses under another name would train with its own default, whatever is configured."""
    training = Training(cit=StageTraining(replay_share=0.25))
    given = configured_settings(Config(training=training), Candidate.model_construct(stage="cit", method="conpet"))
    assert settings_for("conpet", "cit", given).replay_share == 0.25


@pytest.mark.parametrize(("stage", "method"), [("cit", "llama_pro"), ("cit", "osf"), ("cpt", "das")])
def test_a_method_that_needs_a_rate_of_its_own_keeps_it(stage, method):
    given = configured_settings(Config(), Candidate.model_construct(stage=stage, method=method))
    assert "learning_rate" not in given and given["batch_size"] == getattr(Config().training, stage).batch_size


@pytest.mark.parametrize("method", ["eul", "idk_dpo"])
def test_a_method_of_a_family_that_needs_another_weight_than_the_others_keeps_it(method):
    given = configured_settings(Config(), Candidate.model_construct(stage="forget", method=method))
    own = load_method(method).Settings()
    assert settings_for(method, "forget", given).replay_weight == own.replay_weight
    assert own.replay_weight != Config().training.forget.replay_weight


def test_one_set_of_unlearning_layers_is_made_where_the_operator_says_so():
    training = Training(forget=ForgetTraining(fuse=True))
    for method, fuse in (("eul", True), ("npo", None)):
        given = configured_settings(Config(training=training), Candidate.model_construct(stage="forget", method=method))
        assert getattr(settings_for(method, "forget", given), "fuse", None) is fuse


@pytest.mark.parametrize("method", ["finetune", "replay", "ewc"])
def test_the_order_of_sources_reaches_the_methods_that_have_one_in_the_stage_of_texts_alone(method):
    training = Training(cpt=TextTraining(source_order="similar"))
    for stage, order in (("cpt", "similar"), ("cit", "mixed")):
        given = configured_settings(Config(training=training), Candidate.model_construct(stage=stage, method=method))
        assert settings_for(method, stage, given).source_order == order


def test_the_defaults_train_as_before():
    settings = settings_for(
        "finetune", "cpt", configured_settings(Config(), Candidate.model_construct(stage="cpt", method="finetune"))
    )
    assert (settings.packing, settings.gradient_checkpointing, settings.lora_targets) == (True, False, "auto")


def test_targets_are_a_known_word_or_a_list():
    with pytest.raises(ValueError, match="lora_targets"):
        Training(lora_targets="query")
