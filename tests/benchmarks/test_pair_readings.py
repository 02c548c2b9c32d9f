"""Promises of the readings of held-out pairs: equal to what training computes, whatever the batch, and made once."""

import math

import pytest

from benchmarks.lab import Lab
from benchmarks.methods import pair_readings as readings
from benchmarks.methods.setup import Setup
from benchmarks.methods.streams import stream_tasks
from learners.failures import InvalidInput
from learners.parts.entropy import mean_entropy
from learners.parts.pairs import answer_nats
from learners.parts.views import chat_rows, pair_rows
from monitors.job import EngineSettings

SETUP = Setup(stage="ca", stream="preferences", tasks=2, items=4, test_items=3)


@pytest.fixture
def lab(shared, base, tmp_path):
    return Lab.over(base, tmp_path / "lab", EngineSettings())


@pytest.fixture
def tasks(shared):
    return stream_tasks(SETUP, 1)


def loaded(lab):
    from monitors.engines.residents import Residents

    return Residents("float32").bring(lab.version("v0"))


def test_the_margin_is_that_of_the_loss(lab, tasks):
    from trl.trainer.dpo_trainer import DataCollatorForPreference

    resident = loaded(lab)
    rows = [row for record in tasks[0].held_out for row in pair_rows(record, resident.tokenizer, 512)]
    collate = DataCollatorForPreference(pad_token_id=0)
    chosen, rejected = (nats.detach() for nats in answer_nats(resident.model, collate(rows)))
    found = readings.pair_readings(lab, "v0", tasks)["format"]
    assert found.margin_nats == pytest.approx(float((chosen - rejected).mean()), abs=1e-3)
    assert found.by_sum == pytest.approx(float((chosen > rejected).float().mean()))
    lengths = [(len(row["chosen_ids"]), len(row["rejected_ids"])) for row in rows]
    better = [c / own > r / other for c, r, (own, other) in zip(chosen, rejected, lengths, strict=True)]
    assert found.by_token == pytest.approx(sum(map(bool, better)) / len(better))


def test_the_entropy_is_of_the_predictions_of_the_preferred_answers(lab, tasks):
    resident = loaded(lab)
    turns = [[*one.content["prompt"], *one.content["chosen"]] for one in tasks[0].held_out]
    rows = [row for one in turns for row in chat_rows(one, resident.tokenizer, 512)]
    expected = sum(mean_entropy(resident.model, row) for row in rows) / len(rows)
    found = readings.pair_readings(lab, "v0", tasks)["format"].entropy_nats
    assert found == pytest.approx(expected, abs=1e-4) and 0 < found < math.log(10_000)


def test_an_answer_reads_the_same_alone_and_in_a_batch(lab, tasks):
    resident = loaded(lab)
    rows = [row for task in tasks for one in task.held_out for row in pair_rows(one, resident.tokenizer, 512)]
    asked = [readings._Asked(row["prompt_ids"], row["rejected_ids"]) for row in rows]
    together, alone = (readings._scored(resident.model, asked, tokens) for tokens in (4096, 1))
    assert len(asked) > 3
    for one, other in zip(together, alone, strict=True):
        assert (one.nats, one.entropy_nats) == pytest.approx((other.nats, other.entropy_nats), abs=1e-4)
        assert one.tokens == other.tokens


def test_readings_are_kept(lab, tasks, monkeypatch):
    first = readings.pair_readings(lab, "v0", tasks)
    monkeypatch.setattr(readings, "_read", None)
    assert readings.pair_readings(lab, "v0", tasks) == first and set(first) == {"format", "concise"}


def test_pairs_that_are_all_too_long_are_refused(lab, tasks, monkeypatch):
    monkeypatch.setattr(readings, "_LONGEST_TOKENS", 4)
    with pytest.raises(InvalidInput, match="task 'format' has no held-out pair of at most 4 tokens"):
        readings.pair_readings(lab, "v0", tasks)
