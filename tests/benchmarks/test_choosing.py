"""Promises of docs/choosing.md: it ranks what was measured and says of everything else that it was not."""

import pytest

from benchmarks.methods import choosing
from benchmarks.methods.published import keep, published
from benchmarks.methods.running import Comparison
from benchmarks.methods.setup import RunResult, Setup
from learners.methods import methods

SETUP = Setup(stage="cit", stream="short", tasks=2, items=2, test_items=50)
KNOWN = {name: methods()[name] for name in ("finetune", "replay", "o_lora", "osf", "ppo", "kto")}


def result(method, learned, kept):
    """Two tasks; the first is learned to `learned` and falls to `kept`."""
    scores = ((0.1, 0.1), (learned, 0.1), (kept, learned))
    return RunResult(method=method, order=1, tasks=("a", "b"), scores=scores, seconds=60.0)


FOUND = Comparison(SETUP, [result("finetune", 0.9, 0.2), result("replay", 0.9, 0.8), result("o_lora", 0.5, 0.5)])


@pytest.fixture
def sections():
    """The page's text by heading."""
    parts = choosing.page(KNOWN, [FOUND]).split("\n## ")
    return {part.partition("\n")[0]: part for part in parts[1:]}


def test_who_forgets_least_at_equal_learning_is_named_first(sections):
    row = "| task | cit | short, 2 items | `replay` (+0.100), `finetune` (+0.700) | - |"
    assert row in sections["By what is to be learned"]


def test_a_method_that_learns_less_is_never_named_for_what_it_keeps(sections):
    assert "o_lora" not in sections["By what is to be learned"]
    assert "| `o_lora` | no | 0.500 | 0.000 |" in sections["Measured: stage cit, short, 2 items"]


def test_what_learned_less_than_chance_may_explain_is_called_unclear():
    """Of 100 items, 0.90 and 0.86 differ by less than a standard error (0.046); 0.90 and 0.85 by more."""
    found = Comparison(SETUP, [result("finetune", 0.9, 0.2), result("replay", 0.86, 0.8), result("o_lora", 0.85, 0.8)])
    page = choosing.page(KNOWN, [found])
    assert "| task | cit | short, 2 items | `finetune` (+0.700) | `replay` (+0.060) |" in page
    assert "| `replay` | unclear | 0.860 | 0.060 |" in page
    assert "| `o_lora` | no | 0.850 | 0.050 |" in page


def test_a_method_that_learned_fewer_orders_than_plain_training_is_not_ranked():
    second = result("finetune", 0.7, 0.2).model_copy(update={"order": 2})
    page = choosing.page(KNOWN, [Comparison(SETUP, [*FOUND.results, second])])
    assert "| task | cit | short, 2 items | `finetune` (+0.600) |" in page
    assert "Measured in other orders than plain training, and not ranked: `o_lora`, `replay`." in page
    assert "does not know them: `osf`." in page


def test_results_without_plain_training_are_told_without_a_ranking():
    page = choosing.page(KNOWN, [Comparison(SETUP, [result("replay", 0.9, 0.8)])])
    assert "| `replay` | no | 0.900 | 0.100 | - |" in page


def test_small_differences_are_told_from_noise(sections):
    assert "A mean over 100 items has a standard error of up to 0.05" in sections["Measured: stage cit, short, 2 items"]


def test_what_was_not_measured_is_said(sections):
    assert "does not know them: `osf`." in sections["Not measured on a real model"]
    assert "`ppo`" in sections["Experimental"]


def test_what_is_planned_on_a_run_or_two_is_listed_with_what_was_seen(sections):
    assert "- `kto`: One cycle on SmolLM2-135M-Instruct" in sections["Planned on thin evidence"]
    assert "`replay`" not in sections["Planned on thin evidence"]


def test_published_results_are_read_as_they_were_kept(tmp_path):
    keep(FOUND, tmp_path)
    keep(Comparison(SETUP, [result("osf", 0.9, 0.9)]), tmp_path)
    (read,) = published(tmp_path)
    assert read.setup == SETUP
    assert {one.method: one for one in read.results} == {
        one.method: one for one in [*FOUND.results, result("osf", 0.9, 0.9)]
    }
