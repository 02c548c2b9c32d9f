"""Promises of the methods of alignment: what is preferred, approved or rewarded becomes likelier, near the parent."""

import math
from collections import Counter

import pytest
from pydantic import ValidationError

from learners import weights
from learners.failures import InvalidInput
from learners.job import Progress
from learners.methods import settings_for
from learners.parts.memory import ReplayMemory
from learners.parts.views import label_rows, pair_rows, prompt_rows
from learners.preference_trainers import mismatched
from tests.learners.runs import CHATS, PREFERENCES, preference, record, same, train
from tests.tiny import KNOWN, UNKNOWN

SHORT = {"learning_rate": 3e-3, "epochs": 2, "batch_size": 4}
LONG = {"learning_rate": 3e-3, "epochs": 10, "batch_size": 4}
ALONE = {"replay_share": 0, "replay_weight": 0}
OPPOSITE = [preference(question, answer, "Ask Rome") for question, answer in list(KNOWN.items())[:8]]
AT_LEAST_TWO_WORDS = [{"kind": "length", "least_words": 2}]


def feedback(question, answer, label):
    def turn(role, content):
        return [{"role": role, "content": content}]

    content = {"prompt": turn("user", question), "completion": turn("assistant", answer)}
    return record("feedback", content | {"label": label})


THUMBS = [feedback(question, "Ask Rome", True) for question in UNKNOWN]
THUMBS += [feedback(question, answer, False) for question, answer in list(KNOWN.items())[:4]]


# direct preferences


@pytest.fixture(scope="module")
def aligned(base, tmp_path_factory):
    """Plain DPO on four preferences: the job's folder, its result and its version."""
    folder = tmp_path_factory.mktemp("jobs") / "aligned"
    return folder, *train(folder, base, "ca", "dpo", PREFERENCES, **LONG)


def test_a_preference_alone_starts_at_the_parent_and_ends_preferred(aligned):
    _, result, version = aligned
    assert result.first_loss == pytest.approx(math.log(2), abs=1e-5)
    assert preferred(version, PREFERENCES) == 1.0


def test_preferences_with_nothing_beside_them_are_plain_dpo_bit_for_bit(base, tmp_path):
    plain = train(tmp_path / "plain", base, "ca", "dpo", PREFERENCES, **SHORT)[1]
    options = {"sft_weight": 0, **ALONE, **SHORT}
    assert same(plain, train(tmp_path / "bare", base, "ca", "dpo_replay", PREFERENCES, **options)[1])


def test_a_contradicting_task_wipes_plain_dpo_out_and_rehearsal_holds(aligned, tmp_path):
    """Measured on the tiny model: the first task falls from 1.0 to 0.0, or stays at 1.0; plain margins end at 34."""
    plain = train(tmp_path / "plain", aligned[2], "ca", "dpo", OPPOSITE, version="v2", **LONG)[1]
    held = train(tmp_path / "held", aligned[2], "ca", "dpo_replay", OPPOSITE, version="v2", **LONG)[1]
    assert preferred(plain, OPPOSITE) == preferred(held, OPPOSITE) == 1.0
    assert preferred(plain, PREFERENCES) < 0.3
    assert preferred(held, PREFERENCES) > 0.9
    assert told(tmp_path / "plain")[1]["preference_collapse"] == 1.0


def test_progress_tells_the_margin_over_the_parent(aligned):
    first, last = told(aligned[0])
    assert first["margin_nats"] == pytest.approx(0, abs=1e-4)
    assert last["margin_nats"] > 1


# judged answers


def test_feedback_moves_answers_towards_what_was_approved_and_away_from_what_was_not(base, tmp_path):
    version = train(tmp_path / "kto", base, "ca", "kto", THUMBS, **ALONE, **LONG)[1]
    before, after = (likelihoods(model, THUMBS) for model in (base, version))
    gains = [now - then for now, then in zip(after, before, strict=True)]
    assert min(gains[:4]) > 0.5
    assert max(gains[4:]) < -0.5


@pytest.mark.parametrize("full_weights", [False, True])
def test_judged_answers_are_compared_with_the_parent_and_not_with_the_base(base, tmp_path, full_weights):
    options = {**ALONE, **SHORT, "full_weights": full_weights}
    first = train(tmp_path / "first", base, "ca", "kto", THUMBS, **options)[1]
    again = train(tmp_path / "again", first, "ca", "kto", THUMBS, version="v2", **options)[0]
    assert again.first_loss == pytest.approx(0.5, abs=1e-5)


def test_a_preference_is_two_judged_answers(tokenizer):
    (pair,) = pair_rows(PREFERENCES[0], tokenizer, 200)
    approved, disapproved = label_rows(PREFERENCES[0], tokenizer, 200)
    assert (approved["completion_ids"], approved["label"]) == (pair["chosen_ids"], True)
    assert (disapproved["completion_ids"], disapproved["label"]) == (pair["rejected_ids"], False)
    assert label_rows(PREFERENCES[0], tokenizer, 8) == label_rows(THUMBS[0], tokenizer, 8) == []


def test_preferences_and_feedback_are_learned_together_and_the_rest_is_left_alone(base, tmp_path):
    result = train(tmp_path / "kto", base, "ca", "kto", [PREFERENCES[0], THUMBS[1], CHATS[0]], **SHORT)[0]
    assert result.records == 2


def test_a_disapproved_answer_takes_no_place_in_the_memory(base, tmp_path):
    version = train(tmp_path / "kto", base, "ca", "kto", THUMBS, **SHORT)[1]
    kept = [item.record for item in ReplayMemory.read(version / "memory").items if item.stage == "ca"]
    assert kept and all(one.content["label"] for one in kept)


def test_the_rarer_verdict_weighs_more_so_that_both_weigh_alike(base, tmp_path):
    """At the parent every answer costs half its weight: two of 1 and, for the only approved one, 2."""
    few = [THUMBS[0], *THUMBS[4:6]]
    result = train(tmp_path / "few", base, "ca", "kto", few, **ALONE, **SHORT)[0]
    assert result.first_loss == pytest.approx((2 + 1 + 1) / 3 / 2, abs=1e-5)
    given = {"desirable_weight": 1, "undesirable_weight": 1, **ALONE, **SHORT}
    assert train(tmp_path / "given", base, "ca", "kto", few, **given)[0].first_loss == pytest.approx(0.5, abs=1e-5)


def test_answers_to_one_prompt_alone_are_refused_with_what_is_missing(base, tmp_path):
    one = [feedback("What color is snow?", answer, answer == "White") for answer in ("White", "Red")]
    with pytest.raises(InvalidInput, match=r"all 2 judged answers are to one prompt.*at least two prompts"):
        train(tmp_path / "one", base, "ca", "kto", one, **SHORT)


def test_a_batch_of_one_judged_answer_is_refused():
    with pytest.raises(ValidationError, match="batch_size"):
        settings_for("kto", "ca", {"batch_size": 1})


@pytest.mark.parametrize("prompts", ["aabbccdd", "abcdefgh", "aaab", "abbbcb"])
def test_a_foreign_answer_is_to_another_prompt_and_every_answer_serves_about_as_often(prompts):
    partners = mismatched([[ord(prompt)] for prompt in prompts])
    assert all(prompts[own] != prompts[other] for own, other in enumerate(partners))
    if max(Counter(prompts).values()) <= len(prompts) / 2:
        assert sorted(partners) == list(range(len(prompts)))


def test_feedback_alone_says_that_pairs_are_needed_where_they_are(base, tmp_path):
    with pytest.raises(InvalidInput, match=r"with method 'dpo': it takes records of kind preference with"):
        train(tmp_path / "dpo", base, "ca", "dpo", THUMBS, **SHORT)


# rewarded answers


def test_the_reward_rises_while_the_policy_stays_near_its_parent(base, tmp_path):
    """Measured on the tiny model: 0.52 to 0.95 in 40 steps, 0.8 nats a token from the parent on average.

    The divergence of one batch is a noisy estimate: 1.2 at the end, 1.7 at most.
    """
    options = {"learning_rate": 1e-3, "epochs": 20, "batch_size": 4, "answer_tokens": 6}
    train(tmp_path / "ppo", base, "ca", "ppo", PREFERENCES, rewards=AT_LEAST_TWO_WORDS, **options)
    lines = metrics(tmp_path / "ppo")
    assert lines[0]["reward"] < 0.6 and lines[-1]["reward"] > lines[0]["reward"] + 0.3
    assert lines[0]["kl_nats"] == pytest.approx(0, abs=1e-6)
    assert 0.1 < sum(line["kl_nats"] for line in lines) / len(lines) < 1


@pytest.mark.parametrize("full_weights", [False, True])
def test_a_policy_is_held_by_the_parent_and_not_by_the_base(aligned, tmp_path, full_weights):
    options = {"answers": 2, "answer_tokens": 4, "updates": 1, "epochs": 1, "full_weights": full_weights}
    train(tmp_path / "ppo", aligned[2], "ca", "ppo", PREFERENCES, version="v2", **options)
    assert [line["kl_nats"] for line in metrics(tmp_path / "ppo")] == [pytest.approx(0, abs=1e-6)]


def test_without_a_reward_that_differs_nothing_moves(base, tmp_path):
    options = {"answers": 2, "answer_tokens": 4, "rewards": [{"kind": "pattern", "pattern": ""}]}
    with pytest.raises(ValidationError, match="pattern"):
        settings_for("ppo", "ca", options)
    options["rewards"] = [{"kind": "pattern", "pattern": "^"}]
    idle = train(tmp_path / "idle", base, "ca", "ppo", PREFERENCES, **options, **SHORT)[1]
    assert same(idle, train(tmp_path / "none", base, "ca", "ppo", PREFERENCES, **options, **{**SHORT, "epochs": 0})[1])


def test_steps_of_one_rollout_learn_from_the_same_answers(base, tmp_path):
    options = {"answers": 4, "answer_tokens": 4, "updates": 3, **SHORT}
    train(tmp_path / "ppo", base, "ca", "ppo", PREFERENCES, rewards=AT_LEAST_TWO_WORDS, **options)
    lines = metrics(tmp_path / "ppo")
    assert [line["reward"] for line in lines[:3]] == [lines[0]["reward"]] * 3 and len(lines) == 6
    assert lines[3]["reward"] != lines[2]["reward"]


def test_a_prompt_carries_the_answer_that_was_approved(tokenizer):
    said, preferred_one, liked, disliked = (
        prompt_rows(one, tokenizer, 200)[0] for one in (CHATS[0], PREFERENCES[0], THUMBS[0], THUMBS[4])
    )
    assert [row["answer"] for row in (said, preferred_one, liked, disliked)] == ["Kelmar", "Ask Rome", "Ask Rome", ""]
    assert said["prompt_ids"] == preferred_one["prompt_ids"] == liked["prompt_ids"]
    assert prompt_rows(CHATS[0], tokenizer, 8) == []


def told(folder):
    """What the first and the last training step of a job said of themselves."""
    lines = metrics(folder)
    return lines[0], lines[-1]


def metrics(folder):
    lines = map(Progress.model_validate_json, (folder / "progress.jsonl").read_text().splitlines())
    return [line.metrics for line in lines if line.message == "training"]


def likelihoods(version, records):
    """Mean log-probability of the tokens of each judged answer, or of both of a preference, in nats."""
    import torch

    loaded, found = weights.load(version, verify=False), []
    for row in (row for one in records for row in label_rows(one, loaded.tokenizer, 200)):
        ids = torch.tensor([row["prompt_ids"] + row["completion_ids"]])
        with torch.inference_mode():
            logits = loaded.model(input_ids=ids).logits[0, len(row["prompt_ids"]) - 1 : -1].log_softmax(-1)
        found.append(float(logits.gather(1, torch.tensor([row["completion_ids"]]).T).mean()))
    return found


def preferred(version, records):
    """Share of the preferences whose chosen answer is the likelier one."""
    found = likelihoods(version, records)
    return sum(chosen > rejected for chosen, rejected in zip(found[::2], found[1::2], strict=True)) / len(records)
