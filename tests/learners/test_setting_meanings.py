"""Whoever reads `cld methods show` is told what every setting of every method means."""

import pytest

from learners.methods import METHODS, contract, load_method
from learners.methods.meanings import meanings


@pytest.mark.parametrize("name", METHODS)
def test_every_setting_of_a_method_says_what_it_means(name):
    settings = load_method(name).Settings
    assert meanings(settings).keys() == settings.model_fields.keys()


def test_a_methods_own_words_stand_for_the_shared_ones():
    assert meanings(load_method("copal").Settings)["full_weights"] == "always; a pruned model has no adapter."
    assert "adapter" in meanings(contract.Settings)["full_weights"]


def test_settings_named_together_mean_the_same_and_lines_are_joined():
    class Own(contract.Settings):
        """Own.

        Attributes:
            high, low: ends of something
                that has two.

        More is said: of nothing.
        """

        high: int = 1
        low: int = 0
        silent: int = 0

    found = meanings(Own)
    assert found["high"] == found["low"] == "ends of something that has two."
    assert "silent" not in found and found["epochs"] == meanings(contract.Settings)["epochs"]
