"""Promises of tasks whose norm a rule can verify: pairs, scores and rewards are of one rule."""

import gzip
import json

import pytest

from benchmarks.lab import Lab
from benchmarks.methods import one_run, rule_tasks
from benchmarks.methods.ca_report import alignment_section
from benchmarks.methods.preferences import task
from benchmarks.methods.rule_tasks import RULES, rule_pairs
from benchmarks.methods.setup import Run, Setup
from learners.methods import settings_for
from learners.parts.rewards import Answer, total
from monitors.probes.probe import Answers
from tests.tiny import KNOWN, UNKNOWN

SETUP = Setup(stage="ca", stream="rules", tasks=2, items=2, test_items=1, settings={"epochs": 1})
PAID = {"answers": 2, "answer_tokens": 4, "batch_size": 1, "updates": 2}
LONG = "One can say more, and more, and one can go on to say a great deal more than anybody would ever ask for."


@pytest.fixture
def shared(shared):
    """Published answers that break every rule as they stand."""
    answers = [
        {"instruction": f"{q} ({n})", "input": "", "output": f"{a}. {LONG}"}
        for n in range(3)
        for q, a in [*KNOWN.items(), *UNKNOWN.items()]
    ]
    with gzip.open(shared / "llama_factory_demo" / "alpaca_en_demo.json.gz", "wt", encoding="utf-8") as file:
        json.dump(answers, file)
    return shared


@pytest.mark.parametrize("name", RULES)
def test_a_rule_is_kept_by_the_preferred_answer_and_broken_by_the_published_one(name, shared):
    pairs = rule_pairs(name)
    assert len(pairs) > 5
    for turns, kept, published in pairs:
        assert turns[-1]["content"].endswith(RULES[name].request)
        assert RULES[name].holds(kept) and not RULES[name].holds(published)


@pytest.mark.parametrize("name", RULES)
def test_the_reward_and_the_score_agree_on_what_keeps_the_rule(name, shared):
    (rule,) = settings_for("ppo", "ca", {"rewards": [RULES[name].reward]}).rewards
    probe = task(name, SETUP).suite.items[0]
    for _, kept, published in rule_pairs(name):
        paid = [total([rule])([Answer(text, expected="", finished=True)])[0] for text in (kept, published)]
        assert paid[0] > paid[1]
        assert [probe.score(Answers(text)).score for text in (kept, published)] == [1.0, 0.0]


def test_every_rule_has_requests_of_its_own(shared):
    asked = {name: {turns[0]["content"].rsplit("\n\n", 1)[0] for turns, _, _ in rule_pairs(name)} for name in RULES}
    assert not asked["words"] & asked["comma"] and not asked["comma"] & asked["opening"]


@pytest.fixture
def _short_answers(monkeypatch):
    """A model's answers end sooner; what they are scored by stays."""
    monkeypatch.setattr(rule_tasks, "_ROOM_TOKENS", 8)


@pytest.mark.slow
@pytest.mark.usefixtures("_short_answers")
def test_each_update_is_paid_by_its_own_rule_and_scored_by_the_models_own_answers(shared, base, tmp_path, monkeypatch):
    seen = []
    learn = Lab.learn
    monkeypatch.setattr(Lab, "learn", lambda lab, *given: seen.append(given[5]["rewards"]) or learn(lab, *given))
    setup = SETUP.model_copy(update={"settings": {**SETUP.settings, **PAID}})
    result = one_run.run(Run(setup=setup, method="ppo", order=1, base=base), tmp_path / "ppo-order1")
    assert seen == [[dict(RULES["words"].reward)], [dict(RULES["comma"].reward)]]
    assert all(score in {0.0, 1.0} for row in result.scores for score in row)
    assert alignment_section([result]).startswith("ACC in the table above is the share of the model's own")


@pytest.mark.slow
@pytest.mark.usefixtures("_short_answers")
def test_a_method_of_pairs_gets_no_reward(shared, base, tmp_path):
    result = one_run.run(Run(setup=SETUP, method="dpo", order=1, base=base), tmp_path / "dpo-order1")
    assert len(result.learned) == 2
