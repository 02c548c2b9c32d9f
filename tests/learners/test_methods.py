"""The table of methods, their settings, and the neutral element of each."""

import inspect
from dataclasses import replace
from types import SimpleNamespace

import pytest
from pydantic import ValidationError

from learners import methods
from learners.failures import InvalidInput, classify
from learners.methods import METHODS, contract, load_method, settings_for
from learners.methods.contract import Recipe
from learners.parts.memory import ReplayMemory
from tests.learners.runs import CHATS, PREFERENCES, correct, same, tensors, train
from tests.tiny import KNOWN

ALL = [(name, stage) for name, info in METHODS.items() for stage in info.stages]
RECIPE = {"learning_rate": 5e-3, "epochs": 40}
BRIEF = {"learning_rate": 5e-3, "epochs": 8}
"""For weights that are equal bit for bit, or differ after the first step."""


@pytest.mark.parametrize("name", METHODS)
def test_a_method_is_settings_and_compose(name):
    module = load_method(name)
    assert issubclass(module.Settings, contract.Settings)
    assert list(inspect.signature(module.compose).parameters) == ["run"]
    assert METHODS[name].paper
    assert METHODS[name].differs


@pytest.mark.parametrize(("name", "stage"), ALL)
def test_settings_are_complete_and_frozen(name, stage):
    settings = settings_for(name, stage, {})
    if "learning_rate" not in type(settings).__annotations__:
        assert settings.learning_rate == {"cpt": 5e-4, "cit": 5e-4, "ca": 3e-4, "forget": 1e-3}[stage]
    with pytest.raises(ValidationError):
        settings.epochs = 9


def test_what_is_given_wins_over_the_stages_default():
    assert settings_for("replay", "cpt", {"epochs": 9}).epochs == 9
    assert settings_for("replay", "cpt", {}).epochs == 4


def test_an_unknown_setting_is_refused_with_the_nearest_one():
    with pytest.raises(ValidationError, match=r"'replayshare'; did you mean 'replay_share'"):
        settings_for("replay", "cit", {"replayshare": 0.1})


def test_a_setting_of_another_method_is_refused():
    with pytest.raises(ValidationError, match="unknown setting 'beta'"):
        settings_for("finetune", "cit", {"beta": 0.1})


def test_an_unknown_method_is_invalid_input_and_the_known_ones_are_named():
    with pytest.raises(InvalidInput, match=r"'replai'.*finetune.*replay") as caught:
        load_method("replai")
    assert classify(caught.value).reason == "invalid_input"


def test_a_stage_the_method_does_not_know_is_refused():
    with pytest.raises(InvalidInput, match=r"'dpo_replay' cannot train stage 'cpt'; it supports ca"):
        settings_for("dpo_replay", "cpt", {})


@pytest.fixture
def installed(monkeypatch):
    """Pretend that a package with these entry points is installed."""

    def install(**points):
        found = [SimpleNamespace(name=name, value=name, load=lambda info=info: info) for name, info in points.items()]
        monkeypatch.setattr(methods, "entry_points", lambda group: found if group == "cld.methods" else [])
        methods._installed.cache_clear()

    yield install
    methods._installed.cache_clear()


THEIRS = replace(METHODS["finetune"], module="tests.learners.odd_methods")


def test_an_installed_package_adds_a_method(installed):
    installed(theirs=THEIRS)
    assert methods.methods()["theirs"] is THEIRS
    assert settings_for("theirs", "cit", {"frozen": True}).frozen


def test_an_installed_package_cannot_take_a_known_name(installed):
    installed(replay=THEIRS)
    with pytest.raises(InvalidInput, match="'replay'"):
        methods.methods()


def test_an_entry_point_that_is_no_method_is_refused(installed):
    installed(theirs="tests.learners.odd_methods")
    with pytest.raises(InvalidInput, match="not a MethodInfo"):
        methods.methods()


# neutral elements and effects


@pytest.fixture(scope="module")
def plain(base, tmp_path_factory):
    """Plain fine-tuning on four invented facts."""
    return train(tmp_path_factory.mktemp("jobs") / "plain", base, "cit", "finetune", CHATS, **RECIPE)[1]


@pytest.fixture(scope="module")
def brief(base, tmp_path_factory):
    """Plain fine-tuning that ends sooner."""
    return train(tmp_path_factory.mktemp("jobs") / "brief", base, "cit", "finetune", CHATS, **BRIEF)[1]


@pytest.mark.slow
def test_a_replay_share_of_zero_is_plain_fine_tuning_bit_for_bit(base, brief, tmp_path):
    assert same(brief, train(tmp_path / "share-zero", base, "cit", "replay", CHATS, replay_share=0, **BRIEF)[1])


@pytest.mark.slow
def test_a_penalty_of_zero_is_plain_fine_tuning_bit_for_bit(base, brief, tmp_path):
    options = BRIEF | {"penalty_weight": 0, "fisher_rows": 2}
    assert same(brief, train(tmp_path / "penalty-zero", base, "cit", "ewc", CHATS, **options)[1])


@pytest.mark.slow
def test_replay_keeps_what_plain_fine_tuning_forgets(base, plain, tmp_path):
    kept = train(tmp_path / "kept", base, "cit", "replay", CHATS, **RECIPE)[1]
    assert correct(plain, KNOWN) < 0.6
    assert correct(kept, KNOWN) > 0.85


@pytest.mark.slow
def test_ewc_drifts_less_than_plain_fine_tuning_and_keeps_its_fisher(base, plain, tmp_path):
    held = train(tmp_path / "held", base, "cit", "ewc", CHATS, **RECIPE)[1]
    assert correct(held, KNOWN) > correct(plain, KNOWN)
    assert (held / "memory" / "fisher.safetensors").exists()


@pytest.mark.slow
def test_a_fisher_is_inherited_and_merged(base, tmp_path):
    first = train(tmp_path / "first", base, "cit", "ewc", CHATS[:2], epochs=1)[1]
    second = train(tmp_path / "second", first, "cit", "ewc", CHATS[2:], epochs=1)[1]
    fishers = [(version / "memory" / "fisher.safetensors").read_bytes() for version in (first, second)]
    assert fishers[0] != fishers[1]


def test_what_a_method_does_after_a_step_is_what_is_saved(base, tmp_path, monkeypatch):
    monkeypatch.setitem(METHODS, "odd", THEIRS)
    frozen = train(tmp_path / "frozen", base, "cit", "odd", CHATS, frozen=True, epochs=3)[1]
    untouched = train(tmp_path / "untouched", base, "cit", "finetune", CHATS, epochs=0)[1]
    assert same(frozen, untouched)


@pytest.mark.slow
def test_preferences_move_the_margin_and_rehearsal_keeps_the_rest(base, tmp_path):
    options = {"learning_rate": 3e-3, "epochs": 20}
    aligned = train(tmp_path / "aligned", base, "ca", "dpo_replay", PREFERENCES, **options)[1]
    assert margin(aligned) > margin(base) + 5
    assert correct(aligned, KNOWN) > 0.85


def margin(version):
    """Mean log-probability of chosen minus rejected, in nats."""
    import torch

    from learners import weights
    from learners.parts.views import pair_rows

    loaded, total = weights.load(version), 0.0
    for one in PREFERENCES:
        (row,) = pair_rows(one, loaded.tokenizer, 200)
        for side, sign in (("chosen_ids", 1), ("rejected_ids", -1)):
            ids = torch.tensor([row["prompt_ids"] + row[side]])
            labels = ids.clone()
            labels[:, : len(row["prompt_ids"])] = -100
            with torch.inference_mode():
                loss = loaded.model(input_ids=ids, labels=labels).loss
            total -= sign * float(loss) * len(row[side]) / len(PREFERENCES)
    return total


def test_every_recipe_part_is_optional():
    recipe = Recipe()
    assert (recipe.replay_share, recipe.losses, recipe.after_step, recipe.after_training) == (0.0, (), (), ())


def test_the_memory_of_a_new_version_holds_old_and_new(plain):
    memory = ReplayMemory.read(plain / "memory")
    assert {item.stage for item in memory.items} == {"seed", "cit"}
    assert memory.seen == {"seed": len(KNOWN), "cit": len(CHATS)}
    assert tensors(plain)
