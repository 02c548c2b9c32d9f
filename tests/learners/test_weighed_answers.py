"""Promises of CPPO: answers are weighed by the table, and with all weights at one it is its parent method."""

import pytest
from pydantic import ValidationError

from learners.methods import cppo, settings_for
from tests.learners.runs import PREFERENCES, same, train
from tests.learners.test_alignment_methods import AT_LEAST_TWO_WORDS
from tests.learners.test_alignment_methods import metrics as told_at_each_step


@pytest.mark.parametrize(
    ("likely", "rewarded", "expected"),
    [
        (2, 2, (1.5, 1.5)),  # high performance
        (2, -2, (1.5, 0.5)),  # overfitting
        (-2, 2, (1.5, 1.0)),  # high variance
        (-2, -2, (0.5, 0.5)),  # noisy
        (0, 0, (1, 1)),
        (0, 2, (1, 1)),
        (0, -2, (1, 1)),
        (2, 0, (1, 1)),
        (-2, 0, (1, 1)),
    ],
)
def test_an_answer_is_weighed_by_its_type(likely, rewarded, expected):
    assert cppo.weights(likely, rewarded, 1.0, 0.5, 1.5) == expected


def test_what_is_high_or_low_is_so_among_the_answers_of_a_step():
    assert cppo.standardised([1.0, 1.0, 1.0, 5.0]) == pytest.approx([-0.577, -0.577, -0.577, 1.732], abs=1e-3)
    assert cppo.standardised([0.5, 0.5]) == [0.0, 0.0]


REWARDED = {"learning_rate": 1e-3, "epochs": 8, "batch_size": 4, "answer_tokens": 6, "rewards": AT_LEAST_TWO_WORDS}


@pytest.fixture(scope="module")
def rewarded(base, tmp_path_factory):
    """Method and settings -> job folder and version."""
    folder = tmp_path_factory.mktemp("jobs")

    def run(name, method, **settings):
        return folder / name, train(folder / name, base, "ca", method, PREFERENCES, **REWARDED, **settings)[1]

    return run


@pytest.mark.slow
def test_with_all_weights_at_one_it_is_its_parent_method_bit_for_bit(rewarded):
    equal = {"lowest": 1, "highest": 1, "imitate_weight": 0}
    plain = rewarded("plain", "ppo")[1]
    assert same(plain, rewarded("equal", "cppo", **equal)[1])
    assert not same(plain, rewarded("weighed", "cppo", imitate_weight=0)[1])


def test_answers_worth_keeping_are_held_to_the_parent(rewarded):
    """Measured: 0.083 nats a token from the parent on average without imitation, 0.021 with."""
    runs = [rewarded(f"held{weight}", "cppo", imitate_weight=weight)[0] for weight in (0, 0.3)]
    loose, held = (sum(line["kl_nats"] for line in told_at_each_step(folder)) for folder in runs)
    assert held < loose / 2


@pytest.mark.parametrize("option", [{"beta": 0}, {"updates": 1}])
def test_a_setting_without_which_answers_cannot_be_weighed_is_refused(option):
    assert settings_for("ppo", "ca", option)
    with pytest.raises(ValidationError, match=next(iter(option))):
        settings_for("cppo", "ca", option)
